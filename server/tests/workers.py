"""How pytest-xdist shares the tests out."""

from __future__ import annotations

from typing import Any

from xdist.scheduler import LoadScopeScheduling

from tests.order import SITE, WAITING


class Sharing(LoadScopeScheduling):
    """Files stay together for what their tests share; so do the files that ask one site, which is slow to start and to fill.

    Tests of the library and of jobs go one by one: they mostly wait for servers, which every worker has of its own.
    """

    def __init__(self, config: Any, log: Any = None) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False  # `long_first` has ordered them

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith(SITE):
            return "site"
        return nodeid if nodeid.startswith(WAITING) else nodeid.partition("::")[0]
