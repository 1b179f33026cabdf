"""The engine's word of a container that lives on: a kill where its group's counter or anybody else says so, and none
where the counter was read and stands still. At a limit of a group around them, version 1 makes the engine tell of every
container below it; an innocent one must not be restarted for that."""

import itertools

import pytest

from supervisor.facts import GroupMemory, OomSeen
from supervisor.services.oom.kill import DOUBT, Counters
from tests.unit.services.oom.test_telling import counted, died, rows, says, verdict
from tests.unit.services.world import World

MAIN = 4242


class Box(World):
    """A world in which memory is read."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.groups: dict[str, GroupMemory] = {}
        self.counters = Counters()
        self.registry.informed(lambda: None, lambda: self.counters)
        self.engine(True)
        self.sweep()

    def read(self, *innocent: str, **kills: float) -> None:
        """Memory is read: these count so many kills (by a name in `kills`: `c<id>`), those none."""
        found = {**dict.fromkeys(innocent, 0.0), **{key[1:]: number for key, number in kills.items()}}
        self.mono, self.now = self.mono + 0.01, self.now + 0.01
        groups = {cid: GroupMemory(oom_kills=number) for cid, number in found.items()}
        self.counters = Counters(True, self.now, self.mono, groups)
        self.wait(0.0)


@pytest.fixture
def box() -> Box:
    return Box()


def started(box: Box, name: str = "oracle") -> str:
    """A container that has run for a while and whose counter was read."""
    cid = box.run(name, pid=MAIN)
    box.wait(5)
    box.read(*box.there)
    box.wait(1)
    return cid


def nothing(box: Box) -> None:
    """Nobody says that anything was killed."""
    assert rows(box) == []
    assert counted(box) == 0
    assert box.service().trouble_told == ""
    assert box.series()["container_oom_events_total"] == 0


def test_an_innocent_one_is_neither_told_of_nor_counted(box: Box) -> None:
    cid = started(box)
    for _ in range(4):
        box.event(cid, "oom")
        box.wait(0.6)
        box.read(cid)
    box.wait(30)
    nothing(box)
    assert {sample.value for sample in box.registry.heard(full=True)} == {0.0}


def test_what_is_confirmed_counts_at_once(box: Box) -> None:
    cid = started(box)
    box.event(cid, "oom")
    assert counted(box) == 0
    box.counter(cid)
    assert counted(box) == 1, "the counter's word waits for nobody"
    box.wait(30)
    assert (verdict(box)["sources"], verdict(box)["confidence"]) == (["events", "engine"], "certain")
    other = started(box, "other")
    box.event(other, "oom")
    box.line(other, 8)
    assert len(rows(box)) == counted(box) == 2, "nor does the line of the kernel's log"


def test_a_counter_that_is_seen_to_have_risen_confirms_by_itself(box: Box) -> None:
    """Its own watch may have begun after the kill, and says nothing."""
    cid = started(box)
    box.event(cid, "oom")
    box.read(**{f"c{cid}": 1.0})
    assert counted(box) == 1
    box.wait(30)
    assert (len(rows(box)), verdict(box)["victim"]) == (1, "child")


@pytest.mark.parametrize("spread", [0.02, 0.3])
def test_one_kill_is_one_verdict_in_whatever_order_it_is_told_and_read(spread: float) -> None:
    said = ("engine", "line", "events", "vmstat", "die", "read")
    orders = [*itertools.permutations(said)]
    fewer = [one for count in (2, 3) for one in itertools.permutations(said, count) if "engine" in one]
    for order in [*orders[:: 31 if spread > 0.1 else 29], *fewer]:
        box = Box()
        cid = started(box)
        for source in order:
            if source != "read":
                says(box, cid, source)
            elif box.there[cid].running:
                box.read(**{f"c{cid}": 1.0})
            box.wait(spread)
        box.wait(30)
        assert len(rows(box)) == 1, order
        assert rows(box)[0].service == "oracle", order
        assert counted(box) == 1, order


@pytest.mark.parametrize("code", [137, 1])
def test_an_end_right_then_makes_it_a_kill(box: Box, code: int) -> None:
    cid = started(box)
    box.event(cid, "oom")
    box.wait(0.5)
    box.end(cid, code)
    assert died(box)["oom"]
    assert counted(box) == 1
    box.wait(30)
    assert len(rows(box)) == 1


def test_a_first_process_that_is_killed_before_its_counter_was_read_again(box: Box) -> None:
    """137 goes before a reading that came a moment too early."""
    cid = started(box)
    box.event(cid, "oom")
    box.read(cid)
    box.wait(0.5)
    box.end(cid, 137)
    assert (died(box)["oom"], counted(box)) == (True, 1)


def test_an_innocent_one_that_ends_by_itself_right_then_ends_by_itself(box: Box) -> None:
    cid = started(box)
    box.event(cid, "oom")
    box.read(cid)
    box.wait(0.5)
    box._set(cid, oom_killed=True)
    box.end(cid, 1)
    box.wait(30)
    assert (died(box)["oom"], rows(box), counted(box)) == (False, [], 0)
    evidence = next(one for one in box.told if one.kind == "container.evidence")
    assert not evidence.data["oom"]


def test_an_innocent_one_that_is_stopped_right_then_was_not_killed(box: Box) -> None:
    cid = started(box)
    box.event(cid, "oom")
    box.read(cid)
    box.wait(0.2)
    box.stop(cid)
    box.wait(30)
    assert (rows(box), counted(box)) == ([], 0)


@pytest.mark.parametrize("code", [137, 1, 0])
def test_the_engines_flag_means_nothing_more_at_the_end_of_an_innocent_one(box: Box, code: int) -> None:
    cid = started(box)
    box.event(cid, "oom")
    box.read(cid)
    box.wait(300)
    box._set(cid, oom_killed=True)
    box.end(cid, code)
    box.wait(30)
    assert not died(box)["oom"]
    assert box.service().trouble_told != "oom"
    assert not box.service().container.oom_killed
    evidence = next(one for one in box.told if one.kind == "container.evidence")
    assert not evidence.data["oom"]
    box._set(cid, oom_killed=False)
    box.start(cid, by_hand=False)
    box.wait(300)
    box._set(cid, oom_killed=True)
    box.end(cid, 137)
    assert box.service().trouble_told == "oom", "of another life nothing is known"


def test_it_counts_as_before_where_nobody_reads_the_counter(box: Box) -> None:
    cid = box.run(pid=MAIN)
    box.wait(5)
    box.event(cid, "oom")
    assert counted(box) == 1, "groups cannot be read here"
    other = started(box, "elsewhere")
    box.read(cid)
    box.event(other, "oom")
    assert counted(box) == 2, "nor this one's, of another machine"
    box.read(cid, other)
    box.wait(5)
    box.event(other, "oom")
    box.wait(DOUBT - 0.1)
    assert counted(box) == 2
    box.wait(0.2)
    assert counted(box) == 3, "it was read and is no more: whoever cannot look must believe it"


def test_a_container_younger_than_the_last_reading_is_waited_for(box: Box) -> None:
    box.read("f" * 64)
    box.wait(1)
    cid = box.run(pid=MAIN)
    box.wait(0.5)
    box.event(cid, "oom")
    box.read(cid)
    box.wait(30)
    nothing(box)
    box.event(cid, "oom")
    box.read(**{f"c{cid}": 1.0})
    assert counted(box) == 1


def test_a_kill_of_before_confirms_nothing(box: Box) -> None:
    cid = started(box)
    box.event(cid, "oom")
    box.counter(cid)
    box.read(**{f"c{cid}": 1.0})
    box.wait(60)
    box.event(cid, "oom")
    box.read(**{f"c{cid}": 1.0})
    box.wait(60)
    assert len(rows(box)) == counted(box) == 1


def test_kills_one_after_the_other_are_each_confirmed(box: Box) -> None:
    cid = started(box)
    for number in (1.0, 2.0):
        box.event(cid, "oom")
        box.counter(cid)
        box.read(**{f"c{cid}": number})
        box.wait(1)
    box.wait(30)
    assert len(rows(box)) == counted(box) == 2


def test_what_was_killed_beside_it_is_not_given_to_an_innocent_one(box: Box) -> None:
    cid = started(box)
    box.event(cid, "oom")
    box.line("", 99, "backup", constraint="none", limit_of="")
    box.counter()
    box.read(cid)
    box.wait(30)
    (row,) = rows(box)
    assert (row.kind, row.data["oom_verdict"]["process"], row.data["container"]) == ("daemon.oom", "backup", "")
    assert counted(box) == 0


def test_of_two_below_one_limit_the_right_one_is_named(box: Box) -> None:
    first, second = started(box), started(box, "leak")
    for cid in (first, second):
        box.event(cid, "oom")
    box.counter()
    box.end(second, 137)
    box.read(first)
    box.wait(30)
    (row,) = rows(box)
    assert (row.service, counted(box)) == ("leak", 1)
    assert box.service().trouble_told == ""


def test_a_limit_that_is_met_and_held_is_told_as_that(box: Box) -> None:
    cid = started(box)
    box.event(cid, "oom")
    box.read(cid)
    box.wait(2.0)
    box.fold(OomSeen(box.now, box.mono, "events", cid, constraint="memcg", kills=0))
    box.wait(30)
    assert verdict(box)["kills"] == counted(box) == 0
    assert "it stands still until there is room" in rows(box)[0].data["text"]


@pytest.mark.parametrize(("kills", "told"), [(0.0, 0), (1.0, 1)])
def test_a_restart_of_ours_in_between_looks_again(box: Box, kills: float, told: int) -> None:
    cid = started(box)
    box.event(cid, "oom")
    kept = box.keep()
    again = Box(kept=kept)
    again.there, again.now = dict(box.there), box.now + 60
    again.sweep()
    again.wait(0.1)
    assert rows(again) == []
    again.read(**{f"c{cid}": kills})
    again.wait(30)
    assert len(rows(again)) == counted(again) == told
    third = Box(kept=again.keep())
    third.wait(30)
    assert rows(third) == []


def test_a_clock_that_is_set_changes_nothing(box: Box) -> None:
    for kills, seconds in ((0.0, 3600.0), (1.0, -7200.0)):
        cid = started(box, "one" if seconds > 0 else "two")
        box.event(cid, "oom")
        box.now += seconds
        box.registry.gap(seconds)
        if seconds < 0:  # nobody can tell its run from another: it is believed
            box.wait(0.5)
        box.read(**{f"c{cid}": kills})
        box.wait(30)
        assert len(rows(box)) == counted(box) == kills
