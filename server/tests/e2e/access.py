"""What axe says of a page."""

from __future__ import annotations

from playwright.sync_api import Page

from tests.e2e.conftest import ROOT
from tests.skips import skip_or_fail

AXE = ROOT / "client" / "node_modules" / "axe-core" / "axe.min.js"


def violations(page: Page) -> list[str]:
    """What axe finds on the page as it is, a line each."""
    if not AXE.is_file():
        skip_or_fail("client/node_modules is not there: run `make client`")
    # Colours on their way from one to the other are nobody's. What turns for ever is not waited for.
    ending = "document.getAnimations().filter(move => move.effect.getComputedTiming().endTime < Infinity)"
    page.evaluate(f"Promise.all({ending}.map(move => move.finished.catch(() => null)))")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    # In forced colours the system chooses them; axe reads those that it overrules.
    rules = "{ 'color-contrast': { enabled: !matchMedia('(forced-colors: active)').matches } }"
    found = page.evaluate(f"axe.run(document, {{ resultTypes: ['violations'], rules: {rules} }})")["violations"]
    return [f"{one['id']}: {node['target']} {node['failureSummary']}" for one in found for node in one["nodes"]]
