"""One verdict per kill: whatever the sources lose, repeat or delay, each kill is counted once and told once."""

import itertools
import math
from collections.abc import Iterable
from typing import Any

import pytest

from supervisor.bus.contract.events import HostOutOfMemory, OutOfMemory
from supervisor.facts import MemoryBudget, OomSeen, ServiceMemory
from supervisor.services import Happening
from tests.unit.services.world import World, plan

MAIN = 4242
SAID = ("engine", "line", "events", "vmstat", "die")


@pytest.fixture
def world() -> World:
    made = World()
    made.engine(True)
    made.sweep()
    return made


def rows(world: World) -> list[Happening]:
    return [one for one in world.told if one.kind in ("container.oom", "daemon.oom")]


def verdicts(world: World) -> list[dict[str, Any]]:
    """The verdicts of all rows so far, each held against the contract."""
    for one in rows(world):
        model = OutOfMemory if one.kind == "container.oom" else HostOutOfMemory
        model.model_validate({"service": one.service, "at": one.at, **one.data})
    return [one.data["oom_verdict"] for one in rows(world)]


def verdict(world: World) -> dict[str, Any]:
    (found,) = verdicts(world)
    return found


def died(world: World) -> dict[str, Any]:
    return [one.data for one in world.told if one.kind == "container.died"][-1]


def counted(world: World) -> float:
    found = [one["ooms"] for one in world.keep()["tally"].values()]
    return math.fsum(found)


def says(world: World, cid: str, source: str) -> None:
    if source == "engine":
        world.event(cid, "oom")
    elif source == "line":
        world.line(cid, MAIN)
    elif source == "die":
        world.end(cid, 137)
    else:
        world.counter(cid if source == "events" else "")


def subsets() -> Iterable[tuple[str, ...]]:
    """Every order of all sources, and every choice of some of them in one order and the reverse of it."""
    yield from itertools.permutations(SAID)
    for count in range(2, len(SAID)):
        for chosen in itertools.combinations(SAID, count):
            if "die" in chosen:
                yield chosen
                yield tuple(reversed(chosen))


@pytest.mark.parametrize("spread", [0.0, 0.3])
def test_one_kill_is_one_verdict_whoever_tells_of_it_in_whatever_order(spread: float) -> None:
    for order in subsets():
        world = World()
        world.engine(True)
        world.sweep()
        cid = world.run(pid=MAIN)
        world.wait(5)
        for source in order:
            says(world, cid, source)
            world.wait(spread)
        world.wait(30)
        found = verdict(world)
        assert rows(world)[0].service == "oracle", order
        assert counted(world) == 1, order
        assert found["victim"] == "main", order
        assert found["ended"] or died(world)["oom"], order
        assert set(found["sources"]) <= {"kernel-log", "events", "engine", "vmstat", "exit-code"}, order
        named = "line" in order
        assert (found["process"], found["constraint"]) == (("worker", "own_limit") if named else ("", "")), order
        sure = named or "events" in order or "engine" in order
        assert found["confidence"] == ("certain" if sure else "possible"), order
        assert world.service().trouble_told == "oom", order


def test_137_alone_is_no_want_of_memory(world: World) -> None:
    cid = world.run(pid=MAIN)
    world.wait(5)
    world.end(cid, 137)
    world.wait(30)
    assert rows(world) == []
    assert counted(world) == 0
    assert not died(world)["oom"]
    assert world.service().trouble_told == "killed"


def test_the_kernels_line_is_told_at_once_and_another_source_after_two_seconds(world: World) -> None:
    cid = world.run(pid=1)
    world.wait(5)
    world.event(cid, "oom")
    assert counted(world) == 1
    world.wait(1.9)
    assert rows(world) == []
    world.wait(0.2)
    assert verdict(world)["confidence"] == "likely"
    assert verdict(world)["victim"] == "child"
    assert "which runs on without it" in rows(world)[0].data["text"]
    other = world.run("other", pid=7)
    world.wait(5)
    world.line(other, 8)
    assert rows(world)[1].data["oom_verdict"]["process"] == "worker"


@pytest.mark.parametrize("late", [0.5, 1.9, 5.0, 55.0, 900.0])
def test_a_line_that_is_read_late_is_of_the_same_kill(world: World, late: float) -> None:
    cid = world.run(pid=MAIN)
    world.wait(5)
    world.event(cid, "oom")
    world.end(cid, 137)
    world.wait(late)
    world.line(cid, MAIN, ago=late)
    world.line(cid, MAIN, ago=late)
    world.wait(30)
    assert len(rows(world)) == counted(world) == 1
    assert "worker (pid 4242)" in world.service().trouble_text, "what people are told of the trouble is made better"


def test_an_engine_that_was_away_tells_late_and_of_nothing_new(world: World) -> None:
    cid = world.run(pid=1)
    world.wait(5)
    world.line(cid, 8)
    fact = world.event("elsewhere", "create")
    world.wait(600)
    late = type(fact)(fact.at, world.mono, "docker", "container", cid, "oom", fact.time_ns, {})
    world.wait(300)
    assert world.service().trouble == "", "it ran well since"
    world.fold(late)
    world.wait(30)
    assert len(rows(world)) == counted(world) == 1
    assert world.service().trouble == ""


@pytest.mark.parametrize("lost", ["", "line", "engine", "events"])
def test_two_kills_a_second_apart_are_two(world: World, lost: str) -> None:
    cid = world.run(pid=1)
    world.wait(5)
    for pid in (11, 12):
        for source in ("engine", "line", "events"):
            if source == "line" and lost != source:
                world.line(cid, pid, f"worker{pid}", ago=0.01)
            elif source != lost:
                says(world, cid, source)
        world.wait(1)
    world.wait(30)
    assert len(rows(world)) == counted(world) == 2
    if lost != "line":
        assert [one["process"] for one in verdicts(world)] == ["worker11", "worker12"]


def test_two_kills_whose_lines_come_late_keep_their_names(world: World) -> None:
    cid = world.run(pid=1)
    world.wait(5)
    world.event(cid, "oom")
    world.wait(1)
    world.event(cid, "oom")
    world.wait(0.5)
    world.line(cid, 11, "first", ago=1.5)
    world.line(cid, 12, "second", ago=0.5)
    world.wait(30)
    assert [(one["process"], one["kills"]) for one in verdicts(world)] == [("first", 1), ("second", 1)]
    assert counted(world) == 2


def test_an_engine_that_repeats_itself_tells_of_one_kill(world: World) -> None:
    cid = world.run(pid=1)
    world.wait(5)
    for _ in range(4):
        world.event(cid, "oom")
        world.wait(0.1)
    world.wait(30)
    assert len(rows(world)) == counted(world) == 1


def test_many_kills_at_once_are_counted_each_and_told_together(world: World) -> None:
    cid = world.run(pid=1)
    world.wait(5)
    for pid in range(100, 140):
        world.line(cid, pid)
        world.wait(0.02)
    world.counter(cid, 40)
    for _ in range(40):
        world.event(cid, "oom")
    world.wait(30)
    found = [one["kills"] for one in verdicts(world)]
    assert math.fsum(found) == counted(world) == 40
    assert len(found) <= 6
    assert f"{found[-1]} processes" in rows(world)[-1].data["text"]


def test_a_counter_that_leaps_costs_nothing(world: World) -> None:
    cid = world.run(pid=1)
    world.wait(5)
    world.counter(cid, 1_000_000)
    world.wait(30)
    assert counted(world) == 1_000_000
    assert math.fsum(one["kills"] for one in verdicts(world)) == 1_000_000


# ---------------------------------------------------------------- lives


def test_a_death_after_the_kill_of_a_child_is_most_likely_its_consequence(world: World) -> None:
    cid = world.run(pid=1)
    world.wait(5)
    world.line(cid, 8)
    world.wait(20)
    world.end(cid, 1)
    assert died(world)["oom"]
    assert (died(world)["oom_verdict"]["victim"], died(world)["oom_verdict"]["confidence"]) == ("child", "likely")
    assert "had killed worker (pid 8) in it" in died(world)["text"]
    assert world.service().trouble_told == "oom"
    evidence = next(one for one in world.told if one.kind == "container.evidence")
    assert evidence.data["oom_verdict"]["pid"] == 8
    assert len(rows(world)) == 1


def test_a_death_long_after_the_kill_of_a_child_is_another_matter(world: World) -> None:
    cid = world.run(pid=1)
    world.wait(5)
    world.line(cid, 8)
    world.wait(300)
    world._set(cid, oom_killed=True)  # the engine's flag stands for the whole life
    world.end(cid, 1)
    assert not died(world)["oom"]
    evidence = next(one for one in world.told if one.kind == "container.evidence")
    assert not evidence.data["oom"]
    assert world.service().trouble_told == "app"


def test_a_new_life_inherits_no_kill_that_became_known_late(world: World) -> None:
    cid = world.run(pid=MAIN)
    world.wait(5)
    world.end(cid, 137)
    assert not died(world)["oom"]
    assert world.service().trouble_told == "killed"
    world.wait(0.1)
    world._set(cid, pid=5000)
    world.start(cid, by_hand=False)
    world.line(cid, MAIN, ago=0.1)
    world.event(cid, "oom")
    world.wait(30)
    assert len(rows(world)) == counted(world) == 1
    assert verdict(world)["victim"] == "main"
    assert world.service().trouble_told == "oom", "the trouble it had is known better now"
    assert "runs on without it" not in world.service().trouble_text
    assert not world.service().container.oom_killed
    world.end(cid, 1)
    assert not died(world)["oom"]
    assert world.service().trouble_told == "app"


def test_the_end_of_a_first_process_because_another_was_killed(world: World) -> None:
    cid = world.run(pid=1)
    world.wait(5)
    world.line(cid, 8)
    world.end(cid, 137)  # an init passes on how its child ended
    world.wait(30)
    assert verdict(world)["victim"] == "child"
    assert died(world)["oom_verdict"]["ended"]
    assert world.service().trouble_text.startswith("The kernel killed one of its processes (worker (pid 8))")
    assert "it ended after that" in world.service().trouble_text


def test_what_a_person_or_a_plan_kills_is_not_the_kernels(world: World) -> None:
    cid = world.run(pid=MAIN)
    world.wait(5)
    world.event(cid, "kill", signal="9")
    world.end(cid, 137)
    world.counter()
    world.wait(30)
    assert [one.kind for one in rows(world)] == ["daemon.oom"], "something was killed, and this one by somebody's hand"
    assert counted(world) == 0


def test_a_container_that_is_removed_at_once_is_named_all_the_same(world: World) -> None:
    cid = world.run(pid=MAIN, restart_policy="no")
    world.wait(5)
    world.end(cid, 137)
    world.remove(cid)
    world.line(cid, MAIN, ago=0.5)
    world.wait(30)
    assert (rows(world)[0].service, rows(world)[0].data["container"]) == ("oracle", "oracle")
    assert counted(world) == 1


def test_events_of_a_container_that_was_not_looked_at_yet(world: World) -> None:
    world.deliver = False
    cid = world.create(pid=MAIN)
    del world.facts[-1]
    world.start(cid, look=False)
    world.line(cid, MAIN)
    world.event(cid, "oom")
    world.deliver = True
    for fact in list(world.facts[-4:]):
        world.fold(fact)
    world.look(cid)
    world.wait(30)
    assert len(rows(world)) == counted(world) == 1
    assert rows(world)[0].service == "oracle"


def test_the_new_container_of_a_plan_is_named_and_not_counted_for_the_service(world: World) -> None:
    world.run(pid=1)
    world.plans = {"oracle": plan(), "oracle.resurgam-new-abcd": plan()}
    new = world.run("oracle.resurgam-new-abcd", pid=9)
    world.wait(5)
    world.event(new, "oom")
    world.line(new, 9)
    world.wait(30)
    (row,) = rows(world)
    assert (row.service, row.data["container"]) == ("oracle", "oracle.resurgam-new-abcd")
    assert "(its new container oracle.resurgam-new-abcd)" in row.data["text"]
    assert counted(world) == 0
    assert world.service().trouble == ""


def test_a_restart_of_ours_tells_what_was_not_told_and_nothing_twice(world: World) -> None:
    cid = world.run(pid=1)
    world.wait(5)
    world.line(cid, 7, "told")
    world.event(cid, "oom")
    world.wait(3)
    world.event(cid, "oom")
    again = world.again()
    again.wait(0.1)
    assert [one.data["oom_verdict"]["sources"] for one in rows(again)] == [["engine"]]
    again.engine(True)
    again.sweep()
    again.line(cid, 7, "told", ago=3)
    again.line(cid, 8, "late", ago=0.1)
    again.wait(30)
    assert len(rows(world)) == len(rows(again)) == 1
    assert counted(again) == 2
    third = again.again()
    third.wait(30)
    assert rows(third) == []


def test_a_clock_that_is_set_makes_no_second_kill(world: World) -> None:
    cid = world.run(pid=1)
    world.wait(5)
    world.event(cid, "oom")
    for seconds in (3600.0, -7200.0):
        world.now += seconds
        world.registry.gap(seconds)
        world.line(cid, 8)
    world.wait(30)
    assert len(rows(world)) == counted(world) == 1


# ---------------------------------------------------------------- whose memory it was


def budget(culprit: str = "", text: str = "") -> MemoryBudget:
    mine = ServiceMemory("oracle", limit=64 * 2.0**20)
    return MemoryBudget(0.0, 1.0, 0.0, 0.0, 0.0, 0.0, culprit=culprit, text=text, services=(mine,))


@pytest.mark.parametrize(
    ("said", "constraint", "words"),
    [
        ({}, "own_limit", "its own limit of memory was met (64 MiB); give it more memory"),
        ({"limit_of": "/ai.slice"}, "parent_limit", "the limit of the control group /ai.slice around it was met"),
        (
            {"constraint": "none", "limit_of": ""},
            "machine",
            "it was the biggest, not the cause: box.leak grew to 9 GiB",
        ),
        ({"constraint": "cpuset", "limit_of": ""}, "numa", "the NUMA nodes it may use are full"),
        ({"constraint": "policy", "limit_of": ""}, "numa", "the NUMA nodes it may use are full"),
        ({"constraint": "", "limit_of": ""}, "", "nobody says"),
    ],
)
def test_the_sentence_says_what_was_at_its_end(world: World, said: Any, constraint: str, words: str) -> None:
    world.registry.informed(lambda: budget("box.leak", "box.leak grew to 9 GiB."))
    cid = world.run(pid=1)
    world.wait(5)
    world.line(cid, 8, **said)
    assert verdict(world)["constraint"] == constraint
    assert words in rows(world)[0].data["text"]
    assert words in world.service().trouble_text


def test_who_grew_is_told_from_who_was_big(world: World) -> None:
    cid = world.run(pid=1)
    world.wait(5)
    world.line(cid, 8, constraint="none", limit_of="")
    assert "which need not be the cause; see `resurgam status`" in rows(world)[0].data["text"]
    world.registry.informed(lambda: budget("oracle", "oracle grew to 9 GiB."))
    world.wait(5)
    world.line(cid, 9, constraint="none", limit_of="")
    assert "it is what grew (oracle grew to 9 GiB)" in rows(world)[1].data["text"]
    assert counted(world) == 2, "a kill for want of the machine's memory counts for the victim as such"


def test_a_process_of_no_container_is_told_of(world: World) -> None:
    world.run(pid=1)
    world.wait(5)
    world.line("", 99, "backup", constraint="none", limit_of="")
    world.counter()
    world.wait(3)
    (row,) = rows(world)
    assert (row.kind, row.service, row.data["container"]) == ("daemon.oom", "host", "")
    assert "backup (pid 99) of no container: the machine ran out of memory" in row.data["text"]
    assert verdict(world)["confidence"] == "certain"
    world.wait(30)
    assert len(rows(world)) == 1


def test_a_container_that_no_engine_knows_is_told_of(world: World) -> None:
    world.line("f" * 64, 99, "pod")
    world.wait(3)
    (row,) = rows(world)
    assert (row.kind, row.data["container"]) == ("daemon.oom", "f" * 64)
    assert "in the container ffffffffffff, which no engine here knows: its own limit" in row.data["text"]


def test_what_only_the_machines_counter_tells_is_told_when_nobody_says_more(world: World) -> None:
    world.counter(kills=2)
    world.wait(9)
    assert rows(world) == []
    world.wait(2)
    assert [one.kind for one in rows(world)] == ["daemon.oom", "daemon.oom"]
    assert "nothing here says which" in rows(world)[0].data["text"]


def test_the_machines_counter_blames_one_end_and_never_one_of_two(world: World) -> None:
    first, second = world.run(pid=1), world.run("other", pid=2)
    world.wait(5)
    world.end(first, 137)
    world.end(second, 137)
    world.counter()
    world.wait(30)
    assert [one.kind for one in rows(world)] == ["daemon.oom"]


def test_a_line_without_a_container_goes_to_the_first_process_with_that_number(world: World) -> None:
    cid = world.run(pid=77)
    world.wait(5)
    world.line("", 77, "worker", limit_of="")
    world.end(cid, 137)
    world.wait(30)
    assert (rows(world)[0].service, verdict(world)["victim"], verdict(world)["process"]) == ("oracle", "main", "worker")


def test_a_line_without_a_container_is_of_the_kill_that_the_engine_told_of(world: World) -> None:
    cid = world.run(pid=1)
    world.wait(5)
    world.event(cid, "oom")
    world.line("", 8, "worker", limit_of="")
    world.wait(30)
    assert (rows(world)[0].service, verdict(world)["process"], counted(world)) == ("oracle", "worker", 1)


def test_a_line_about_another_process_is_given_back_when_the_right_one_comes(world: World) -> None:
    cid = world.run(pid=1)
    world.wait(5)
    world.event(cid, "oom")
    world.line("", 99, "backup", constraint="none", limit_of="")
    world.line(cid, 8, "worker", constraint="none", limit_of="")
    world.wait(30)
    assert [(one.kind, one.data["oom_verdict"]["process"]) for one in rows(world)] == [
        ("container.oom", "worker"),
        ("daemon.oom", "backup"),
    ]
    assert counted(world) == 1


def test_a_limit_that_was_met_without_a_kill_is_no_kill(world: World) -> None:
    cid = world.run(pid=1)
    world.wait(5)
    world.event(cid, "oom")
    world.fold(OomSeen(world.now, world.mono, "events", cid, kills=0))
    world.wait(30)
    assert verdict(world)["kills"] == 0
    assert "the kernel killed nothing: it stands still until there is room" in rows(world)[0].data["text"]
    other = world.run("other")
    world.fold(OomSeen(world.now, world.mono, "events", other, kills=0))
    world.wait(30)
    assert len(rows(world)) == 1


@pytest.mark.parametrize("order", [("met", "die"), ("die", "met"), ("engine", "met", "die")])
def test_a_limit_that_was_met_by_a_container_that_ends_right_then_was_a_kill(
    world: World, order: tuple[str, ...]
) -> None:
    cid = world.run(pid=MAIN)
    world.wait(5)
    for source in order:
        if source == "met":  # its group is gone before anybody could read what it counted
            world.fold(OomSeen(world.now, world.mono, "events", cid, constraint="memcg", kills=0))
        else:
            says(world, cid, source)
    world.wait(30)
    assert (verdict(world)["kills"], verdict(world)["victim"], counted(world)) == (1, "main", 1)


# ---------------------------------------------------------------- hostile, and lost


@pytest.mark.parametrize("name", ["a\nb\x1b[31m", "x" * 5000, "\u202eevil", "'; DROP", ""])
def test_a_process_may_call_itself_what_it_likes(world: World, name: str) -> None:
    cid = world.run(pid=1)
    world.wait(5)
    world.line(cid, 8, name, limit_of=f"/docker/{cid}/{name}")
    text = rows(world)[0].data["text"]
    assert text.isprintable()
    assert len(text) < 400
    assert verdict(world)["constraint"] == "own_limit"
    assert len(str(verdict(world))) < 6000


def test_the_engines_flag_alone_explains_only_an_end_that_nobody_saw(world: World) -> None:
    cid = world.run(pid=1)
    world.wait(5)
    world.deliver = False
    world.end(cid, 137, look=False)
    world.deliver = True
    world._set(cid, oom_killed=True)
    world.sweep()
    assert world.service().deaths == 1
    assert world.service().trouble_told == "oom"
    assert rows(world) == []
    assert counted(world) == 0, "when it was, and how often, the flag does not say"


@pytest.mark.parametrize(("code", "trouble"), [(137, "oom"), (1, "app")])
def test_the_engines_flag_makes_a_kill_by_somebody_one_for_want_of_memory(
    world: World, code: int, trouble: str
) -> None:
    cid = world.run(pid=1)
    world._set(cid, oom_killed=True)
    world.wait(5)
    world.end(cid, code)
    evidence = next(one for one in world.told if one.kind == "container.evidence")
    assert evidence.data["oom_verdict"]["confidence"] == ("likely" if code == 137 else "possible")
    assert world.service().trouble_told == trouble
    assert counted(world) == 0


def test_the_flag_says_nothing_of_an_end_that_was_well(world: World) -> None:
    cid = world.run(pid=1)
    world._set(cid, oom_killed=True)
    world.wait(5)
    world.end(cid, 0)
    evidence = next(one for one in world.told if one.kind == "container.evidence")
    assert not evidence.data["oom"]
    assert world.service().trouble_told == "ended"


def test_who_told_of_how_many(world: World) -> None:
    cid = world.run(pid=1)
    world.wait(5)
    for source in ("engine", "line", "events", "vmstat"):
        says(world, cid, source)
    world.line("", 99, limit_of="", constraint="none")
    found = {}
    for sample in world.registry.heard(full=True):
        has = dict(sample.labels)
        found[(has["scope"], has["source"])] = sample.value
    assert found == {
        ("container", "engine"): 1,
        ("container", "events"): 1,
        ("container", "kernel-log"): 1,
        ("host", "kernel-log"): 1,
        ("host", "vmstat"): 1,
    }
    assert world.registry.heard(full=False) == ()
