"""A plan gets all its locks or none, nobody overtakes, and a restart gives every lock back to who had it."""

from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.facts import Needs
from supervisor.incidents.locks import ENGINE_START, Locks, names
from supervisor.verdicts import Reason
from tests.support.incidents import plan

A, B, C = "service:a", "service:b", "service:c"


def test_all_or_nothing() -> None:
    locks = Locks()
    assert locks.admit(plan(1, "restart", "a", locks=(A,))).ok
    waits = locks.admit(plan(2, "restart", "b", locks=(B, A)))
    assert (waits.ok, waits.reason) == (False, Reason.LOCKED)
    assert waits.text == "waits for a, held by plan 1 (restart a)"
    assert locks.holders() == ((A, 1),)  # it does not sit on b while it waits for a
    assert locks.admit(plan(3, "restart", "c", locks=(C,))).ok


def test_nobody_overtakes_one_that_waits_for_the_same_lock() -> None:
    locks = Locks()
    locks.admit(plan(1, "restart", "a", locks=(A,)))
    locks.admit(plan(2, "restart", "b", locks=(B, A)))
    late = locks.admit(plan(3, "restart", "b", locks=(B,)))
    assert late.text == "waits for b, wanted first by plan 2 (restart b)"
    assert [one.id for one in locks.release(1)] == [2]
    assert [one.id for one in locks.release(2)] == [3]
    assert locks.waiting() == ()


def test_a_release_lets_everybody_go_who_can() -> None:
    locks = Locks()
    locks.admit(plan(1, "phoenix", "a", locks=(A, B, ENGINE_START)))
    for ident, wanted in ((2, (A,)), (3, (B,)), (4, (A, C))):
        assert not locks.admit(plan(ident, "restart", "x", locks=wanted)).ok
    assert [one.id for one in locks.release(1)] == [2, 3]
    assert locks.waiting() == ((4, "waits for a, held by plan 2 (restart x)"),)


def test_an_emergency_goes_to_the_front_of_the_queue() -> None:
    locks = Locks()
    locks.admit(plan(1, "phoenix", "a", locks=(A,)))
    locks.admit(plan(2, "restart", "a", locks=(A,)))
    locks.admit(plan(3, "stop", "a", locks=(A,)))
    locks.admit(plan(4, "scale", "a", locks=(A,), params={"replicas": "0"}))
    assert [ident for ident, _text in locks.waiting()] == [3, 4, 2]
    assert [one.id for one in locks.release(1)] == [3]


def test_giving_up_waiting_frees_the_place() -> None:
    locks = Locks()
    locks.admit(plan(1, "restart", "a", locks=(A,)))
    locks.admit(plan(2, "restart", "a", locks=(A, B)))
    locks.admit(plan(3, "restart", "b", locks=(B,)))
    assert [one.id for one in locks.release(2)] == [3]
    assert locks.holders() == ((A, 1), (B, 3))


def test_after_a_restart_who_had_begun_holds_and_who_waited_waits() -> None:
    waited = plan(5, "restart", "b", locks=(B, A))
    begun = plan(7, "stop", "b", locks=(B,), begun=("stop",))
    locks = Locks()
    assert locks.restore((waited, begun)) == (5,)
    assert locks.holders() == ((B, 7),)
    assert [one.id for one in locks.release(7)] == [5]


def test_what_had_begun_never_waits() -> None:
    locks = Locks()
    one, other = (plan(n, "restart", "a", locks=(A,), begun=("stop",)) for n in (1, 2))
    assert locks.restore((one, other)) == ()


def test_asking_twice_is_asking_once() -> None:
    locks = Locks()
    first, second = plan(1, "restart", "a", locks=(A,)), plan(2, "restart", "a", locks=(A,))
    assert locks.admit(first).ok
    assert locks.admit(first).ok
    assert locks.admit(second) == locks.admit(second)
    assert [one.id for one in locks.release(1)] == [2]
    assert locks.release(1) == ()


def test_lock_names() -> None:
    needs = Needs(exclusive=("gpu:0", "port-8000"))
    assert names("demo.x", needs, "phoenix", {}) == ("service:demo.x", "word:gpu:0", "word:port-8000", ENGINE_START)
    assert names("demo.x", needs, "stop", {}) == ("service:demo.x",)
    assert names("demo.x", needs, "scale", {"replicas": "0"}) == ("service:demo.x",)
    assert ENGINE_START in names("demo.x", needs, "scale", {"replicas": "1"})


def test_a_containers_own_words_cannot_hold_up_other_services() -> None:
    hostile = names("bad", Needs(exclusive=("service:good", ENGINE_START)), "start", {})
    assert "service:good" not in hostile
    assert hostile.count(ENGINE_START) == 1


_STEPS = st.lists(
    st.tuples(st.booleans(), st.integers(1, 8), st.sets(st.sampled_from([A, B, C]), min_size=1)), max_size=30
)


@settings(max_examples=40, deadline=None)
@given(_STEPS)
def test_no_lock_is_ever_held_twice_and_all_are_served_in_the_end(steps: list[tuple[bool, int, set[str]]]) -> None:
    locks = Locks()
    running: set[int] = set()
    wanted = {}
    for ident, (release, which, names_) in enumerate(steps, 100):
        if release and running:
            done = sorted(running)[which % len(running)]
            running.discard(done)
            running |= {one.id for one in locks.release(done)}
        else:
            wanted[ident] = tuple(sorted(names_))
            verb = "stop" if which == 1 else "restart"
            if locks.admit(plan(ident, verb, "x", locks=wanted[ident])).ok:
                running.add(ident)
        held = dict(locks.holders())
        assert set(held.values()) == running
        assert all(held[name] == ident for ident in running for name in wanted[ident])
    served = set(running)
    while running:
        done = min(running)
        running.discard(done)
        fresh = {one.id for one in locks.release(done)}
        running |= fresh
        served |= fresh
    assert locks.holders() == ()
    assert locks.waiting() == ()


# ---------------------------------------------------------------- rollouts


def test_the_next_of_a_rollout_takes_over_what_the_one_before_holds_past_everybody_who_waits() -> None:
    locks = Locks()
    locks.admit(plan(1, "restart", "a", locks=(A, B, ENGINE_START), rollout=7))
    locks.admit(plan(2, "restart", "b", locks=(B, ENGINE_START)))
    assert locks.admit(plan(3, "restart", "b", locks=(B, ENGINE_START), rollout=7)).ok
    assert locks.release(1) == ()
    assert locks.holders() == ((ENGINE_START, 3), (B, 3))
    assert [one.id for one in locks.release(3)] == [2]


def test_another_rollout_waits_like_anybody() -> None:
    locks = Locks()
    locks.admit(plan(1, "restart", "a", locks=(A, B), rollout=7))
    assert not locks.admit(plan(2, "restart", "b", locks=(B,), rollout=8)).ok
    assert not locks.admit(plan(3, "restart", "b", locks=(B,))).ok


def test_an_emergency_does_not_wait_for_what_is_only_reserved() -> None:
    locks = Locks()
    locks.admit(plan(1, "restart", "a", locks=(A, B), rollout=7))
    assert locks.admit(plan(2, "stop", "b", locks=(B,))).ok, "b's turn is still to come"
    assert not locks.admit(plan(3, "stop", "a", locks=(A,))).ok, "a is at work"
    assert [one.id for one in locks.release(1)] == [3]
    assert locks.holders() == ((A, 3), (B, 2))


def test_after_a_restart_a_rollout_goes_before_those_that_waited() -> None:
    locks = Locks()
    waits = locks.restore([plan(2, "restart", "b", locks=(B,)), plan(3, "restart", "b", locks=(B, C), rollout=7)])
    assert waits == (2,)
