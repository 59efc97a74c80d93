"""How pytest-xdist shares the tests out."""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling

WAITING = ("tests/library/", "tests/jobs/test_runner.py", "tests/jobs/test_store.py")
SITE = tuple(f"tests/e2e/test_{name}.py" for name in ("library", "nginx", "search", "viewer"))


class Sharing(LoadScopeScheduling):
    """Files stay together for what their tests share; so do the files that ask one site, which is slow to start and to fill.

    Tests of the library and of jobs go one by one: they mostly wait for servers, which every worker has of its own.
    """

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith(SITE):
            return "site"
        return nodeid if nodeid.startswith(WAITING) else nodeid.partition("::")[0]
