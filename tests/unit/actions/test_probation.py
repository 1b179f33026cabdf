"""What counts as a death, and what as healthy: pure."""

import pytest

from supervisor.actions.probation import SETTLE, SETTLE_PLAIN, Baseline, death, settle_for, standing
from supervisor.facts import Container
from supervisor.ports import ProbeResult

BASE = Baseline(started_at=100.0, restarts=0)
WELL = ProbeResult(True, "200 OK")
UNWELL = ProbeResult(False, "503")
BROKEN = ProbeResult(False, "grpc probes are not supported yet", broken=True)


def seen(**changes):
    return Container("a", "a", "a", "a", **{"status": "running", "started_at": 100.0, **changes})


@pytest.mark.parametrize(
    ("container", "noticed", "word"),
    [
        (None, None, "removed"),
        (seen(), (100.5, "ended with exit code 139"), "139"),
        (seen(restart_count=1), None, "restarted by the engine"),
        (seen(status="exited", exit_code=137, oom_killed=True), None, "out of memory"),
        (seen(status="restarting", exit_code=1), None, "exit code 1"),
        (seen(status="created", error="port is already allocated"), None, "port is already allocated"),
    ],
)
def test_a_death_is_told_in_words(container, noticed, word):
    assert word in death(container, BASE, noticed)


def test_news_from_before_the_start_is_no_death():
    assert death(seen(), BASE, (99.9, "ended with exit code 0")) == ""


def test_restarts_from_before_do_not_count():
    assert death(seen(restart_count=3), Baseline(100.0, 3), None) == ""


@pytest.mark.parametrize(
    ("container", "probe", "well"),
    [
        (seen(), None, True),
        (seen(status="paused"), None, False),
        (seen(health="starting"), None, False),
        (seen(health="starting"), WELL, False),
        (seen(health="healthy"), None, True),
        (seen(health="healthy"), UNWELL, False),
        (seen(health="healthy"), BROKEN, True),
        (seen(), WELL, True),
        (seen(), UNWELL, False),
        (seen(), BROKEN, True),
    ],
)
def test_own_check_and_probe_must_both_agree_unless_the_probe_cannot_run(container, probe, well):
    found, text = standing(container, probe)
    assert found is well
    assert text


def test_where_only_its_running_is_seen_it_is_watched_longer():
    assert settle_for(seen(), None) == SETTLE_PLAIN
    assert settle_for(seen(), BROKEN) == SETTLE_PLAIN
    assert settle_for(seen(), WELL) == SETTLE
    assert settle_for(seen(health="healthy"), None) == SETTLE
