"""Two workers share the suite: everything that needs the real engine or a real broker stays together in one of them,
one test after another, while the other runs what needs only a processor."""

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling


class RealTogether(LoadScopeScheduling):
    """All of tests/real is one unit of work; every other file is one, too."""

    def _split_scope(self, nodeid: str) -> str:
        return "real" if nodeid.startswith("tests/real/") else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> RealTogether:
    return RealTogether(config, log)
