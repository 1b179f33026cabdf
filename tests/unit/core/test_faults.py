"""The core's hand on faults of GPUs: told once, folded into episodes, remembered over restarts, practised in drills."""

from dataclasses import replace
from typing import Any

import pytest

from supervisor.config import Settings
from supervisor.core.assembling import assemble
from supervisor.core.decider import Decider
from supervisor.core.standing import Loaded
from supervisor.facts import (
    Container,
    EngineState,
    GpuCard,
    GpuReading,
    Json,
    Readings,
    Sweep,
    XidEpisode,
    XidSeen,
)
from supervisor.gpu.episodes import SILENCE
from supervisor.journal import Journal
from supervisor.lab.loop import SimLoop
from supervisor.signals.gpu import series
from supervisor.units import Matcher
from supervisor.verdicts import Verdict
from tests.support.rules import ruleset

A, B = "00000000:17:00.0", "00000000:65:00.0"
CARDS = tuple(
    GpuCard(index, f"GPU-{name}", bus, "NVIDIA H200", total=1 << 36, free=1 << 35)
    for index, (name, bus) in enumerate((("aaaa", A), ("bbbb", B)))
)
ORACLE = Container("id-oracle", "oracle", "sha256:o", "img", status="running", started_at=1.0, pid=812, gpu=True)


class Desk:
    """A decider of a machine with two cards, and faults that are told to it."""

    def __init__(self, journal: Journal | None = None, machine: str = "boot-1", clock: Any = None) -> None:
        self.clock = clock or SimLoop().clock
        self.journal = journal or Journal.open(None, self.clock)
        settings = Settings.model_validate(
            {"host": "sim", "consent": "listed", "services": {"oracle": {"enable": True}}}
        )
        self.core: Decider = assemble(Loaded(settings, ruleset(), ()), self.journal, self.clock, machine=machine)
        self.wall, self.mono = self.clock.wall(), self.clock.mono()
        self.rows: list[tuple[str, Json]] = []
        self.subjects: list[str] = []
        self.effects: list[Any] = []
        self.verdicts: list[Verdict] = []

    def turn(self, *facts: Any, seconds: float = 1.0, also: Any = None) -> None:
        self.wall, self.mono = self.wall + seconds, self.mono + seconds
        batch = self.journal.batch()
        self.core.begin(batch, self.wall, self.mono)
        for fact in facts:
            self.core.take(fact, None)
        if also is not None:
            also()
        self.core.finish()
        self.effects += self.core.effects
        self.core.effects.clear()
        self.core.replies.clear()
        self.rows += [(row.kind, row.body) for row in batch.rows if row.kind.startswith("gpu.")]
        self.subjects += [row.subject for row in batch.rows if row.kind.startswith("gpu.")]
        self.journal.commit(batch)

    def known(self) -> "Desk":
        self.turn(
            EngineState(0, 0, "docker", True, "up", "life", "20.10"),
            Sweep(0, 0, "docker", (ORACLE,)),
            Readings(self.wall, self.mono, "gpu", (), gpu=GpuReading(CARDS)),
        )
        return self

    def fault(self, xid: int, bus: str = A, *, ago: float = 0.0, seconds: float = 1.0, **more: Any) -> None:
        at = self.wall + seconds - ago
        self.turn(XidSeen(at, self.mono, "kernel-log", xid, bus, **more), seconds=seconds)

    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.rows if kind != "gpu.xid"]

    def series(self, name: str) -> list[tuple[dict[str, str], list[float]]]:
        found = self.core.store.select((Matcher("__name__", "=", name),))
        return [(dict(one.labels), list(one.values)) for one in found]

    @property
    def episodes(self) -> tuple[XidEpisode, ...]:
        return self.core.gpu.faults.open()

    @property
    def quiet(self) -> str:
        return self.core.gpu.faults.quiet

    def again(self, machine: str = "boot-1") -> "Desk":
        """The next process of ours."""
        made = Desk(self.journal, machine, self.clock)
        made.wall, made.mono = self.wall, self.mono
        return made


# ---------------------------------------------------------------- one episode


def test_a_fault_is_told_with_its_card_its_service_and_what_to_do() -> None:
    desk = Desk().known()
    desk.fault(31, container_id="id-oracle", pid=812, process="python3", text="MMU Fault")
    (kind, body) = next(row for row in desk.rows if row[0] == "gpu.fault")
    assert kind == "gpu.fault"
    assert (body["xid"], body["class"], body["remedy"], body["service"]) == (31, "app", "restart", "oracle")
    assert (body["uuid"], body["gpu"], body["card"]) == ("GPU-aaaa", 0, "NVIDIA H200")
    assert "at the work of oracle" in str(body["text"])
    assert set(desk.subjects) == {"gpu:GPU-aaaa"}
    ((under, values),) = desk.series("resurgam_gpu_xid_total")
    assert (under["name"], under["UUID"], under["gpu"], under["xid"]) == ("oracle", "GPU-aaaa", "0", "31")
    assert values == [0.0, 1.0]
    assert desk.quiet == ""


def test_a_burst_is_one_episode_whose_root_and_remedy_are_told_when_they_change() -> None:
    desk = Desk().known()
    desk.fault(45, pid=812)
    desk.fault(119)
    desk.fault(45, caused_by=119)
    desk.fault(154, recovery="reboot")
    assert desk.kinds() == ["gpu.fault", "gpu.fault_changed", "gpu.fault_changed"]
    (episode,) = desk.episodes
    assert (episode.root, episode.remedy, dict(episode.counts)) == (119, "reboot", {45: 2, 119: 1, 154: 1})
    assert desk.core.gpu.faults.recovery("GPU-aaaa") == "reboot"
    assert [value for under, values in desk.series("resurgam_gpu_episode") if under["xid"] == "45" for value in values][
        -1
    ] == 0.0


def test_silence_ends_it_and_the_next_fault_is_another_one() -> None:
    desk = Desk().known()
    desk.fault(13)
    desk.turn(seconds=SILENCE - 2)
    assert len(desk.episodes) == 1
    due = desk.core.gpu.faults.due()
    assert due is not None
    assert desk.wall < due <= desk.wall + 2
    desk.turn(seconds=2)
    assert desk.episodes == ()
    assert desk.kinds() == ["gpu.fault", "gpu.fault_over"]
    ((_, values),) = desk.series("resurgam_gpu_episode")
    assert (values[0], values[-1]) == (1.0, 0.0)
    ((_, ended),) = desk.series("resurgam_gpu_episodes_total")
    assert ended == [0.0, 1.0]
    desk.fault(13)
    (episode,) = desk.episodes
    assert episode.id == "gpu-2"


def test_two_cards_have_an_episode_each() -> None:
    desk = Desk().known()
    desk.fault(13, A)
    desk.fault(48, B)
    assert [(one.uuid, one.root) for one in desk.episodes] == [("GPU-aaaa", 13), ("GPU-bbbb", 48)]


def test_a_message_that_names_no_card_joins_the_card_that_speaks_next() -> None:
    desk = Desk().known()
    desk.fault(0, "", kind="heartbeat")
    desk.fault(119, B)
    (episode,) = desk.episodes
    assert (episode.uuid, episode.root) == ("GPU-bbbb", 119)
    desk.fault(0, "", kind="locked_up")
    assert len(desk.episodes) == 1


def test_of_a_flood_twenty_lines_are_written_and_all_are_counted() -> None:
    desk = Desk().known()
    desk.turn(*(XidSeen(desk.wall, desk.mono, "kernel-log", 45, A, pid=number) for number in range(500)))
    assert [kind for kind, _ in desk.rows].count("gpu.xid") == 20
    assert desk.episodes[0].counts == {45: 500}
    assert desk.series("resurgam_gpu_xid_total")[0][1][-1] == 500.0


def test_what_is_open_is_told_again_before_it_is_forgotten() -> None:
    desk = Desk().known()
    desk.fault(79)
    for _ in range(2):
        desk.turn(seconds=60)
    assert len(desk.series("resurgam_gpu_episode")[0][1]) >= 3


# ---------------------------------------------------------------- the driver is not asked


@pytest.mark.parametrize("fact", [{"xid": 79}, {"xid": 119}, {"xid": 120}, {"xid": 0, "kind": "lost"}])
def test_after_these_the_driver_is_left_alone_until_it_says_that_the_card_is_well(fact: dict[str, Any]) -> None:
    desk = Desk().known()
    desk.fault(**fact)
    assert "not asked any more" in desk.quiet
    desk.fault(154, recovery="none")
    assert desk.quiet == ""


def test_a_restart_of_ours_forgets_neither_the_fault_nor_that_asking_would_hang() -> None:
    desk = Desk().known()
    desk.fault(79, sequence=7)
    desk.fault(154, recovery="reboot", sequence=8)
    later = desk.again()
    later.turn()
    assert later.quiet == desk.quiet
    assert later.core.gpu.faults.recovery("GPU-aaaa") == "reboot"
    assert later.core.gpu.faults.sequence == 8
    assert [one.id for one in later.episodes] == ["gpu-1"]
    assert later.kinds() == []
    assert later.series("resurgam_gpu_episode")[0][1] == [1.0]


def test_what_was_decided_on_is_passed_over_and_what_was_missed_is_not() -> None:
    desk = Desk().known()
    desk.fault(13, sequence=7)
    later = desk.again()
    later.fault(13, sequence=7, past=True, ago=5.0)
    assert later.rows == []
    later.fault(48, sequence=9, past=True, ago=2.0)
    assert later.kinds() == ["gpu.fault_changed"], "it came while nobody looked, and belongs to the same burst"


def test_another_boot_ends_all_of_it() -> None:
    desk = Desk().known()
    desk.fault(79, sequence=900)
    later = desk.again("boot-2")
    later.turn()
    assert (later.quiet, later.episodes) == ("", ())
    assert later.kinds() == ["gpu.fault_over"]
    assert "the machine was restarted" in str(later.rows[-1][1]["text"])
    later.fault(13, sequence=3)
    assert later.kinds()[-1] == "gpu.fault", "the log of a new boot begins anew"


def test_a_person_may_have_it_asked_again() -> None:
    desk = Desk().known()
    desk.fault(79)
    desk.turn(also=lambda: desk.core.gpu.faults.resume(desk.core))
    assert desk.quiet == ""
    assert desk.again().quiet == ""


def test_a_fault_of_long_before_we_looked_is_told_once_and_starts_nothing() -> None:
    desk = Desk().known()
    desk.fault(79, ago=7200.0, past=True, sequence=4)
    desk.fault(45, ago=7199.0, past=True, sequence=5)
    assert desk.kinds() == []
    desk.turn(seconds=10)
    assert desk.kinds() == ["gpu.fault"]
    body = desk.rows[-1][1]
    assert (body["past"], body["xid"]) == (True, 79)
    assert str(body["text"]).startswith("Before we looked: GPU 0")
    assert desk.series("resurgam_gpu_episode") == []
    assert [values for under, values in desk.series("resurgam_gpu_xid_total") if under["xid"] == "79"] == [[1.0]]
    assert "not asked" in desk.quiet, "asking would hang all the same"


def test_a_driver_that_wants_nothing_is_no_fault() -> None:
    desk = Desk().known()
    desk.fault(154, recovery="none")
    assert (desk.rows, desk.episodes, desk.series("resurgam_gpu_xid_total")) == ([], (), [])


# ---------------------------------------------------------------- drills


def practise(desk: Desk, *arguments: Any, **named: Any) -> Verdict:
    found: list[Verdict] = []
    desk.turn(also=lambda: found.append(desk.core.gpu.faults.practise(desk.core, *arguments, by="uid:0", **named)))
    return found[0]


class Edge:
    def __init__(self) -> None:
        self.lines: list[tuple[str, float]] = []

    def drill(self, text: str, until: float) -> None:
        self.lines.append((text, until))

    def __getattr__(self, _name: str) -> Any:
        return lambda *_arguments: None


def test_a_drill_has_the_line_written_and_marks_what_follows() -> None:
    desk = Desk().known()
    assert practise(desk, 79, "1").ok
    edge = Edge()
    for effect in desk.effects:
        effect(edge)
    ((text, until),) = edge.lines
    assert text.startswith("NVRM: Xid (PCI:0000:65:00): 79, ")
    assert until == desk.core.gpu.faults.drill == desk.wall + 120.0
    desk.fault(79, B, drill=True, sequence=5)
    (episode,) = desk.episodes
    assert (episode.drill, episode.uuid, episode.remedy) == (True, "GPU-bbbb", "reboot")
    assert desk.quiet == "", "the driver is as well as before"
    assert all(under["drill"] == "true" for under, _ in desk.series("resurgam_gpu_xid_total"))
    assert all(under["drill"] == "true" for under, _ in desk.series("resurgam_gpu_episode"))


def test_a_real_fault_during_a_drill_is_real() -> None:
    desk = Desk().known()
    practise(desk, 79)
    desk.fault(79, drill=True)
    desk.fault(79)
    assert [one.drill for one in desk.episodes] == [True, False]
    assert desk.quiet


def test_without_a_drill_nothing_that_a_person_wrote_is_obeyed() -> None:
    desk = Desk().known()
    desk.fault(79, drill=True)
    practise(desk, 79, "0", 5.0)
    desk.turn(seconds=60)
    assert desk.core.gpu.faults.drill == 0.0
    desk.fault(79, drill=True)
    assert desk.episodes == ()


def test_a_drill_can_be_of_a_service() -> None:
    desk = Desk().known()
    assert practise(desk, 31, service="oracle").ok
    edge = Edge()
    for effect in desk.effects:
        effect(edge)
    assert "pid=812, name=oracle," in edge.lines[0][0]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((0,), "no XID"),
        ((70_000,), "no XID"),
        ((79, "7"), "0 (GPU-aaaa), 1 (GPU-bbbb)"),
        ((79, "", 0.1), "1s"),
        ((79, "", 9e9), "1h"),
        ((79, "", 60.0, "uid:0", "nobody"), "nobody"),
    ],
)
def test_a_drill_that_cannot_be_says_why(arguments: tuple[Any, ...], says: str) -> None:
    desk = Desk().known()
    found: list[Verdict] = []
    desk.turn(also=lambda: found.append(desk.core.gpu.faults.practise(desk.core, *arguments)))
    assert not found[0].ok
    assert says in found[0].text
    assert desk.core.gpu.faults.drill == 0.0


# ---------------------------------------------------------------- odd


def test_a_clock_that_is_put_back_does_not_keep_an_episode_open() -> None:
    desk = Desk().known()
    desk.fault(13)
    desk.wall -= 3600.0
    desk.turn()
    desk.turn(seconds=SILENCE + 1)
    assert desk.episodes == ()


def test_what_was_kept_and_makes_no_sense_is_left_out() -> None:
    desk = Desk().known()
    batch = desk.journal.batch()
    batch.put("gpu", "faults", {"boot": 7})
    batch.put("gpu", "episode:gpu-9", {"number": "x"})
    desk.journal.commit(batch)
    later = desk.again()
    later.turn()
    later.fault(13)
    assert len(later.episodes) == 1


def test_episodes_are_bounded() -> None:
    desk = Desk().known()
    buses = [f"00000000:{number:02x}:00.0" for number in range(100)]
    desk.turn(*(XidSeen(desk.wall, desk.mono, "kernel-log", 13, bus) for bus in buses))
    assert len(desk.episodes) == 64


def test_the_same_faults_make_the_same_rows() -> None:
    def run() -> list[tuple[str, Json]]:
        desk = Desk().known()
        desk.fault(45, caused_by=13)
        desk.fault(62)
        desk.fault(154, recovery="reset")
        desk.turn(seconds=SILENCE + 1)
        return desk.rows

    assert run() == run()


def test_a_fact_from_the_future_counts_as_now() -> None:
    desk = Desk().known()
    desk.fault(13, ago=-50.0)
    assert desk.episodes[0].last_at <= desk.wall
    assert replace(desk.episodes[0], text="").root == 13


XID_ERRORS = "DCGM_FI_DEV_XID_ERRORS"


def test_the_last_xid_of_each_card_is_a_gauge_under_the_labels_of_dcgm_exporter() -> None:
    desk = Desk()
    desk.turn(Readings(desk.wall + 1, desk.mono + 1, "gpu", (), gpu=GpuReading(CARDS, driver="580.1")))
    assert [(one["gpu"], values[-1]) for one, values in desk.series(XID_ERRORS)] == [("0", 0.0), ("1", 0.0)]
    desk.fault(31)
    (about, values) = desk.series(XID_ERRORS)[0]
    assert values[-1] == 31.0, "at once, not with the next reading"
    assert set(about) == {"__name__", *series.DCGM_LABELS}
    temperature = GpuCard(0, "GPU-aaaa", A, "NVIDIA H200", values={"DCGM_FI_DEV_GPU_TEMP": 1.0})
    told = series.Series("sim").samples(
        GpuReading((temperature,), driver="580.1"), {"GPU-aaaa": ["DCGM_FI_DEV_GPU_TEMP"]}, 0.0
    )[0].labels  # fmt: skip
    assert {**about, "__name__": ""} == {**dict(told), "__name__": ""}, "as its other series have them"
    desk.fault(45)
    desk.turn(Readings(desk.wall + 1, desk.mono + 1, "gpu", (), gpu=GpuReading(trouble="stopped")))
    assert next((one["gpu"], values[-1]) for one, values in desk.series(XID_ERRORS)) == ("0", 45.0)
    after = desk.again()
    after.known()
    assert [values[-1] for _, values in after.series(XID_ERRORS)] == [45.0, 0.0], "a restart of ours forgets it not"
    assert [values[-1] for _, values in desk.again("boot-2").known().series(XID_ERRORS)] == [0.0, 0.0]


def test_what_is_practised_is_no_last_xid() -> None:
    desk = Desk().known()
    practise(desk, 79)
    desk.fault(79, drill=True)
    assert [values[-1] for _, values in desk.series(XID_ERRORS)] == [0.0, 0.0]
