"""What is held makes noise that starts nothing; nothing is frozen for ever; what cannot be done gets no plan."""

from dataclasses import replace

import pytest

from supervisor.facts import Hold, Intent, Needs
from supervisor.incidents import holding, may_run
from supervisor.incidents.permit import lets_go, may_step
from supervisor.incidents.world import Spend
from supervisor.verbs import VERBS
from supervisor.verdicts import Reason
from tests.support.incidents import NOW, ORACLE, Box, container, service

RULE = "playbook:memory-almost-gone"


def intent(verb: str, by: str = "uid:0", **params: str) -> Intent:
    return Intent(verb, ORACLE, VERBS[verb].check(params), "", by)


@pytest.fixture
def world():
    """One service that runs."""
    found = Box().world()
    return replace(found, services={ORACLE: service(container=container(status="running"))})


def held(kind: str = "freeze", since: float = NOW - 10) -> Hold:
    return Hold(ORACLE, "c1", kind, NOW + 60, plan=4, since=since)


@pytest.mark.parametrize("kind", ["freeze", "fuse"])
def test_what_began_while_it_was_held_is_our_noise_until_it_ends(world, kind):
    world = replace(world, held=(held(kind),))
    verdict, again = holding.noise(ORACLE, intent("restart", RULE), NOW - 5, world)
    assert verdict.reason is Reason.OWN_ACTION
    assert again == NOW + 60
    assert holding.noise(ORACLE, intent("restart", RULE), NOW - 20, world) is None, "it began before"
    assert holding.noise("demo.other", intent("restart", RULE), NOW - 5, world) is None


def test_what_is_done_for_want_of_memory_is_no_noise_of_a_hold(world):
    world = replace(world, held=(held(),))
    for wish in (intent("reclaim"), intent("thaw"), intent("stop", over_plan="true")):
        assert holding.noise(ORACLE, wish, NOW, world) is None
    assert holding.noise(ORACLE, intent("stop"), NOW, world) is not None


def test_what_is_over_in_this_moment_is_not_asked_about_again_and_again(world):
    world = replace(world, held=(replace(held(), until=NOW),))
    assert holding.noise(ORACLE, intent("restart"), NOW, world)[1] is None


def test_a_rule_freezes_twice_within_ten_minutes_and_then_something_else_is_done(world):
    def with_freezes(*ago: float):
        return replace(world, spent=tuple(Spend(NOW - one, ORACLE, "freeze", False, 1) for one in ago))

    assert holding.enough(intent("freeze", RULE), with_freezes(500.0)) is None
    assert holding.enough(intent("freeze", RULE), with_freezes(700.0, 500.0)) is None
    refused = holding.enough(intent("freeze", RULE), with_freezes(500.0, 200.0))
    assert refused.reason is Reason.NO_USE
    assert holding.enough(intent("stop", RULE), with_freezes(500.0, 200.0)) is None
    by_hand = with_freezes(500.0, 200.0).spent
    tried = replace(world, spent=(*(replace(one, asked=True) for one in by_hand), by_hand[0]))
    assert holding.enough(intent("freeze", RULE), tried) is None, "what a person froze was no try of the ladder"


@pytest.mark.parametrize(
    ("verb", "params", "reason"),
    [
        ("unload", {}, Reason.UNSUPPORTED),
        ("drop-cache", {}, Reason.UNSUPPORTED),
        ("raise-limit", {}, Reason.BAD_PARAMETER),
    ],
)
def test_what_is_known_to_be_impossible_gets_no_plan(world, verb, params, reason):
    assert may_run(intent(verb, **params), world).reason is reason


@pytest.mark.parametrize("verb", ["freeze", "fuse", "reclaim"])
def test_what_does_not_run_is_left_alone(world, verb):
    there = world.services[ORACLE]
    world = replace(world, services={ORACLE: replace(there, container=container(status="exited"))})
    assert may_run(intent(verb), world).reason is Reason.UNSUPPORTED


def test_the_files_of_a_model_may_be_dropped_once_it_is_put_away(world):
    there = replace(world.services[ORACLE], needs=Needs(weights=("/models",)))
    world = replace(world, services={ORACLE: there}, adapters=frozenset((ORACLE,)))
    assert may_run(intent("unload"), world).ok
    assert may_run(intent("drop-cache"), world).reason is Reason.UNSUPPORTED
    world = replace(world, spent=(Spend(NOW, ORACLE, "unload", False, 3),))
    assert may_run(intent("drop-cache"), world).ok
    stopped = replace(there, container=container(status="exited"))
    assert may_run(intent("drop-cache"), replace(world, services={ORACLE: stopped}, spent=())).ok


def test_nothing_holds_up_a_plan_of_ours_that_lets_go(world):
    from supervisor.actions.plans import build
    from supervisor.facts import Plan

    made = build(intent("thaw"), world.services[ORACLE], plan_id=1, op="00", now=NOW)
    assert isinstance(made, Plan)
    ours, persons = replace(made, by="resurgam"), made
    assert lets_go(ours)
    assert not lets_go(persons)
    assert not lets_go(replace(ours, verb="freeze"))
    paused = replace(world, pauses={"*": ("by hand", 0.0)}, stopping=True, mode="observe")
    step = ours.steps[-1]
    assert may_step(ours, step, paused, ()).ok
    assert not may_step(persons, step, paused, ()).ok
