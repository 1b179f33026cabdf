"""Whatever becomes of the events on their way (lost, repeated, late), after the next list we believe what is true."""

import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.facts import Container, EngineEvent, Fact, Service, Sweep
from supervisor.services import Registry
from tests.unit.services.world import BAD, GOOD, T0, World

REF = "local/oracle:1"
STEPS = ("crash", "crash", "crash", "end", "stop", "start", "oom", "tag", "tag_back", "rename", "recreate", "look")


def history(steps: Sequence[str], policy: str) -> World:
    """A life of one container, written down as facts."""
    world = World(deliver=False)
    cid = world.run(restart_policy=policy)
    for step in steps:
        world.wait(7)
        running = world.there[cid].status == "running"
        if step == "crash" and running and policy == "always":
            world.crash(cid)
        elif step == "end" and running and policy == "no":
            world.end(cid, 3)
        elif step == "stop" and running:
            world.stop(cid)
        elif step == "start" and not running:
            world.start(cid)
        elif step == "oom" and running:
            world.event(cid, "oom")
        elif step in ("tag", "tag_back"):
            world.tag(REF, BAD if step == "tag" else GOOD)
        elif step == "rename":
            world.rename(cid, "other" if world.there[cid].name == "oracle" else "oracle")
        elif step == "recreate":
            world.remove(cid) if not running else world.stop(cid)
            if not running:
                cid = world.run(restart_policy=policy)
        elif step == "look":
            world.sweep()
    return world


def told(facts: Sequence[Fact], world: World) -> Registry:
    """A registry that heard these facts and then saw everything twice, some time later."""
    registry = Registry(world.settings, {})
    for fact in facts:
        registry.fold(fact, {})
    for later in (30.0, 60.0):
        world.mono, world.now = 100_000.0 + later, T0 + 100_000 + later
        world.deliver, world.registry = True, registry
        world.sweep()
    return registry


def seen(service: Service) -> tuple[Any, ...]:
    """What of a service must not depend on which events came through."""
    container = service.container
    assert container is not None
    return service.id, shown(container), service.owned, service.drift, service.twins, service.healthy


def shown(container: Container) -> str:
    return repr(container)


def deaths(registry: Registry) -> dict[str, int]:
    return {service.id: service.deaths for service in registry.services()}


@given(
    st.lists(st.sampled_from(STEPS), max_size=12), st.sampled_from(["always", "no"]), st.randoms(use_true_random=False)
)
@settings(max_examples=20, deadline=None)
def test_any_part_of_the_events_and_then_a_list_give_the_same_containers(
    steps: list[str], policy: str, chance: random.Random
) -> None:
    world = history(steps, policy)
    facts = list(world.facts)
    whole = told(facts, world)
    part = told([fact for fact in facts if chance.random() < 0.6], world)
    assert [seen(one) for one in whole.services() if one.container] == [
        seen(one) for one in part.services() if one.container
    ]
    assert [one.container for one in part.services() if one.container] == list(world.there.values())


@given(st.lists(st.sampled_from(("crash", "look")), max_size=10), st.randoms(use_true_random=False))
@settings(max_examples=20, deadline=None)
def test_no_death_is_lost_or_counted_twice_by_a_container_that_was_known(
    steps: list[str], chance: random.Random
) -> None:
    world = history(steps, "always")
    begun = 5  # create, look, start, look: the container is known
    facts = world.facts[:begun] + [
        fact for fact in world.facts[begun:] for _ in range(chance.choice((0, 1, 1, 2))) if fact is not None
    ]
    for _ in range(len(facts) // 3):  # neighbours change places
        place = chance.randrange(begun, len(facts)) if len(facts) > begun else 0
        if place > begun:
            facts[place - 1], facts[place] = facts[place], facts[place - 1]
    true = steps.count("crash")
    assert deaths(told(facts, world)) == {"oracle": true}


@given(st.lists(st.sampled_from(STEPS), max_size=12), st.randoms(use_true_random=False))
@settings(max_examples=20, deadline=None)
def test_counts_are_never_below_what_the_engine_counted(steps: list[str], chance: random.Random) -> None:
    world = history([step for step in steps if step != "rename"], "always")
    world.facts.insert(0, Sweep(T0, 0.0, "docker", ()))
    begun = 6
    kept = world.facts[:begun] + [fact for fact in world.facts[begun:] if chance.random() < 0.5]
    registry = told(kept, world)
    (container,) = world.there.values()
    assert registry.get("oracle").deaths >= container.restart_count


@pytest.mark.parametrize("seed", range(5))
def test_the_same_facts_give_the_same_rows_samples_and_puts(seed: int) -> None:
    chance = random.Random(seed)
    world = history([chance.choice(STEPS) for _ in range(20)], "always")
    runs = []
    for _ in range(2):
        registry = Registry(world.settings, {})
        trace: list[object] = []
        for fact in world.facts:
            trace.append(registry.fold(fact, {}))  # type: ignore[arg-type]
            trace.append((registry.gone(), registry.samples(full=False), registry.changed()))
        runs.append(trace)
    assert runs[0] == runs[1]


def test_three_hundred_events_at_once_are_folded_in_order() -> None:
    world = World(deliver=False)
    cid = world.run()
    for _ in range(100):
        world.crash(cid, ran=0.01, back=0.01)
    events = [fact for fact in world.facts if isinstance(fact, EngineEvent)]
    registry = Registry(world.settings, {})
    for fact in world.facts[:4]:
        registry.fold(fact, {})
    for fact in events[2:]:
        registry.fold(fact, {})
    assert registry.get("oracle").deaths == 100
    assert registry.get("oracle").container.running
