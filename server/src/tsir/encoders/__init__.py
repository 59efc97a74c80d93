"""Pictures, sketches and words become unit vectors. Knows no database and no HTTP."""

import sys

sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
"""OpenVINO does without it. With it, each import of OpenVINO would fork the process, to tell Google Analytics about it under a number that
stands for this computer: nothing that runs here is anybody's business."""
