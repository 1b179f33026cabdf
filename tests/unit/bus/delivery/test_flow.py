"""What is told one by one and what goes into a digest: whoever listens is flooded by nothing and left with nothing."""

from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.bus.delivery.flow import DIGEST, ONE_BURST, SEND, THINGS, UNTOLD, Flow
from supervisor.facts import Json
from supervisor.journal import Row


def row(kind: str, body: Json | None = None, subject: str = "oracle") -> Row:
    return Row(1, 0.0, kind, subject, body or {}, True, "")


def alert(what: str, mark: str = "a", severity: str = "warning") -> Row:
    labels = {"alertname": "X", "severity": severity}
    return row(f"alert.{what}", {"alert": {"labels": labels, "fingerprint": mark}})


def test_a_burst_is_told_and_then_as_many_a_second_as_the_rate_says() -> None:
    flow = Flow(20.0, 200)
    told = [flow.decide(row("container.died", subject=f"s{n}"), 0.0) for n in range(300)]
    assert told == [SEND] * 200 + [DIGEST] * 100
    later = [flow.decide(row("container.died", subject=f"t{n}"), 1.0) for n in range(30)]
    assert later == [SEND] * 20 + [DIGEST] * 10
    assert [flow.decide(row("container.died", subject=f"u{n}"), 60.0) for n in range(201)].count(SEND) == 200


def test_one_thing_that_flaps_is_told_a_handful_of_times_and_then_every_ten_seconds() -> None:
    flow = Flow(20.0, 200)
    flaps = [(n, flow.decide(row("container.died"), float(n))) for n in range(61)]
    told = [at for at, word in flaps if word == SEND]
    assert told[:ONE_BURST] == [0, 1, 2, 3, 4]
    assert len(told) in (ONE_BURST + 5, ONE_BURST + 6)
    assert flow.decide(row("container.died", subject="another"), 61.0) == SEND
    assert flow.decide(row("container.started"), 61.0) == SEND


def test_critical_rows_and_our_own_digests_go_whatever_comes() -> None:
    flow = Flow(1.0, 1)
    assert [flow.decide(alert("firing", "c", "critical"), 0.0) for _ in range(50)] == [SEND] * 50
    assert flow.decide(row("daemon.digest"), 0.0) == SEND
    assert flow.decide(row("daemon.shed"), 0.0) == SEND
    assert flow.decide(row("container.oom"), 0.0) == SEND
    assert flow.decide(alert("firing", "w"), 0.0) == DIGEST


def test_the_end_of_an_alert_goes_with_its_beginning() -> None:
    flow = Flow(1.0, 2)
    assert flow.decide(alert("firing", "told"), 0.0) == SEND
    assert flow.decide(row("container.died"), 0.0) == SEND
    assert flow.decide(alert("firing", "untold"), 0.0) == DIGEST
    assert flow.decide(alert("resolved", "told"), 0.0) == SEND
    assert flow.decide(alert("resolved", "untold"), 0.0) == DIGEST
    assert flow.decide(alert("resolved", "from an earlier process"), 0.0) == SEND
    assert flow.decide(alert("resolved", "untold"), 0.0) == SEND, "its firing is not known to be untold any more"


def test_what_is_remembered_is_bounded_and_what_is_forgotten_is_told() -> None:
    flow = Flow(1e9, 10**9)
    assert [flow.decide(row("container.died"), 0.0) for _ in range(ONE_BURST + 1)][-1] == DIGEST
    for number in range(THINGS):
        flow.decide(row("container.died", subject=f"s{number}"), 0.0)
    assert flow.decide(row("container.died"), 0.0) == SEND, "it was quiet longest, so its bucket is a new one"
    flow = Flow(0.0, 0)
    for number in range(UNTOLD + 1):
        assert flow.decide(alert("firing", f"a{number}"), 0.0) == DIGEST
    assert flow.decide(alert("resolved", "a1"), 0.0) == DIGEST
    assert flow.decide(alert("resolved", "a0"), 0.0) == SEND


STEPS = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.floats(0, 3), st.sampled_from(["info", "warning", "critical"])),
    max_size=100,
)


@settings(max_examples=40, deadline=None)
@given(STEPS, st.floats(0.1, 5), st.integers(1, 10))
def test_nobody_is_ever_left_with_an_alert_that_is_over(
    steps: list[tuple[str, float, str]], rate: float, burst: int
) -> None:
    """Every alert fires and resolves in turn. Whoever was told that it fires is told when it does not."""
    flow, now = Flow(rate, burst), 0.0
    fires: dict[str, str] = {}
    believed: set[str] = set()
    for mark, wait, severity in steps:
        now += wait
        severity = fires.get(mark) or severity
        what = "resolved" if mark in fires else "firing"
        told = flow.decide(alert(what, mark, severity), now) == SEND
        if what == "firing":
            fires[mark] = severity
            believed |= {mark} if told else set()
        else:
            del fires[mark]
            believed -= {mark} if told else set()
        assert told or severity != "critical"
        assert believed <= set(fires)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 2), min_size=1, max_size=300), st.floats(0.1, 5), st.integers(1, 10))
def test_what_is_told_of_one_by_one_is_bounded_over_any_stretch(waits: list[float], rate: float, burst: int) -> None:
    flow, now, told = Flow(rate, burst), 0.0, []
    for number, wait in enumerate(waits):
        now += wait
        if flow.decide(row("container.died", subject=f"s{number}"), now) == SEND:
            told.append(now)
    for first in range(len(told)):
        for last in range(first, len(told)):
            assert last - first + 1 <= burst + rate * (told[last] - told[first]) + 1e-6
