"""Which rows one message may tell of: never another digest, and its words do not say how things stand now."""

import pytest

from supervisor.bus.delivery.backlog import Brief
from supervisor.bus.delivery.sift import Sift

DIGEST = Brief(1, 1.0, "daemon.digest", "daemon", "warning")
FIRES = Brief(2, 2.0, "alert.firing", "X", "warning", "x")
FIRES_AGAIN = Brief(3, 3.0, "alert.firing", "X", "warning", "x")


@pytest.mark.parametrize(("firing", "taken"), [(False, [2]), (True, [2, 3])])
def test_a_digest_is_always_told_by_itself(firing: bool, taken: list[int]) -> None:
    sift = Sift(lambda _one: True, lambda _one: False, firing=firing)
    for one in (DIGEST, FIRES, FIRES_AGAIN):
        sift.add(one)
    tally = sift.finish()
    assert list(tally.seqs) == taken
    assert tally.firing == {}, "newer rows than these may say that it is over"
