"""What `/openapi.json` says is true: schemathesis asks all that it allows, and what it does not, of a real server with real stores."""

import importlib.util
import signal
import subprocess
import sys
from pathlib import Path

from tests.processes import Site
from tests.skips import skip_or_fail

RULES = Path(__file__).parents[2] / "schemathesis.toml"


def test_every_answer_is_as_the_schema_says(tmp_path: Path, photos: Path) -> None:
    if importlib.util.find_spec("schemathesis") is None:
        skip_or_fail("schemathesis is not installed: make setup EXTRAS=dev")
    site = Site(tmp_path)
    site.start()
    try:
        assert site.http.post("/img/load", json={"File": str(photos)}).status_code == 200
        command = [
            sys.executable,
            "-m",
            "schemathesis.cli",
            "--config-file",
            str(RULES),
            "run",
            f"http://127.0.0.1:{site.port}/openapi.json",
        ]
        asked = subprocess.run(
            [*command, "--max-examples", "3", "--no-shrink", "--no-color", "--suppress-health-check", "all"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=280,
        )
        assert asked.returncode == 0, asked.stdout[-20_000:] + asked.stderr
    finally:
        site.end(signal.SIGTERM)
