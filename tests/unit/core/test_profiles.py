"""What the core keeps of safe profiles: since when without a fault, over restarts and jumps of the clock."""

from dataclasses import replace
from typing import Any

from supervisor.config import Settings
from supervisor.core.assembling import assemble
from supervisor.core.decider import Decider
from supervisor.core.standing import Loaded
from supervisor.facts import Container, EngineState, Plan, Sweep, XidSeen
from supervisor.journal import Journal
from supervisor.lab.loop import SimLoop
from supervisor.services import PROFILE_LABEL
from supervisor.units import Matcher
from tests.support.rules import ruleset

ORACLE = Container(
    "id-new", "oracle", "sha256:o", "img", status="running", started_at=1.0, labels={PROFILE_LABEL: "safe"}
)
SAFE = {"env": {"A": "1"}, "quiet": "1h"}
BEFORE = {"env": {"A": None}}


class Desk:
    """A decider with one service, which a plan brought into its safe profile."""

    def __init__(self, journal: Journal | None = None, clock: Any = None) -> None:
        self.clock = clock or SimLoop().clock
        self.journal = journal or Journal.open(None, self.clock)
        services = {"oracle": {"enable": True, "safe": SAFE}}
        settings = Settings.model_validate({"host": "sim", "consent": "listed", "services": services})
        self.core: Decider = assemble(Loaded(settings, ruleset(), ()), self.journal, self.clock)
        self.wall, self.mono = self.clock.wall(), self.clock.mono()

    def turn(self, *facts: Any, seconds: float = 61.0, jump: float = 0.0, also: Any = None) -> None:
        self.wall, self.mono = self.wall + seconds + jump, self.mono + seconds
        batch = self.journal.batch()
        self.core.begin(batch, self.wall, self.mono)
        for fact in facts:
            self.core.take(fact, None)
        if also is not None:
            also()
        self.core.finish()
        self.core.effects.clear()
        self.journal.commit(batch)

    def seen(self, box: Container = ORACLE, **more: Any) -> "Desk":
        at = self.wall, self.mono
        self.turn(EngineState(*at, "docker", True, "up", "life", "20.10"), Sweep(*at, "docker", (box,)), **more)
        return self

    def ended(self, profile: str = "safe", begun: tuple[str, ...] = ("look", "commit"), told: Any = BEFORE) -> None:
        marks = (("look", True, {"profile": told}),)
        plan = Plan(
            1, "phoenix", "oracle", "docker", {"profile": profile}, "", "uid:0", 0.0, "abc123", "id-old", "oracle"
        )
        self.turn(also=lambda: self.core.profiles.ended(self.core, replace(plan, begun=begun, marks=marks)))

    @property
    def kept(self) -> dict[str, Any]:
        return dict(self.journal.space("profile"))

    def quiet(self) -> float:
        """What rules see now."""
        self.turn()
        (found,) = self.core.store.select((Matcher("__name__", "=", "resurgam_service_safe_profile_quiet"),))
        return float(list(found.values)[-1])

    def before(self) -> Any:
        service = self.core.registry.get("oracle")
        assert service is not None
        return self.core.profiles.before(service)


def in_it() -> Desk:
    desk = Desk()
    desk.ended()
    return desk.seen()


def test_what_stood_before_is_kept_from_the_commit_on_and_only_then() -> None:
    desk = Desk()
    desk.ended(begun=("look", "stop"))
    assert desk.kept == {}
    desk.ended()
    assert desk.seen().before() == BEFORE
    assert Desk(desk.journal, desk.clock).seen().before() == BEFORE, "a restart forgets nothing"
    desk.ended("normal", told={})
    assert desk.kept == {}


def test_after_the_quiet_time_it_may_go_back() -> None:
    desk = in_it()
    assert desk.quiet() == 0.0
    desk.turn(seconds=3600)
    assert desk.quiet() == 1.0


def test_a_fault_of_its_own_begins_the_time_anew_also_over_a_restart() -> None:
    desk = in_it()
    desk.turn(seconds=3000)
    desk.turn(XidSeen(desk.wall, desk.mono, "kernel-log", 8, "00000000:17:00.0", container_id="id-new"))
    assert desk.quiet() == 0.0
    again = Desk(desk.journal, desk.clock)
    again.wall, again.mono = desk.wall, desk.mono
    again.seen(seconds=3000)
    assert again.quiet() == 0.0
    again.turn(seconds=1000)
    assert again.quiet() == 1.0


def test_a_drill_and_the_fault_of_another_service_count_for_nothing() -> None:
    desk = in_it()
    desk.turn(seconds=3500)
    desk.core.gpu.faults.drill = desk.wall + 600
    desk.turn(XidSeen(desk.wall, desk.mono, "kernel-log", 8, "00000000:17:00.0", container_id="id-new", drill=True))
    assert [one.drill for one in desk.core.gpu.faults.open()] == [True]
    assert desk.quiet() == 1.0


def test_a_jump_of_the_clock_is_no_time_without_a_fault() -> None:
    desk = in_it()
    desk.turn(seconds=60, jump=86400)
    assert desk.quiet() == 0.0
    desk.turn(seconds=60, jump=-86400)
    assert desk.quiet() == 0.0
    desk.turn(seconds=3600)
    assert desk.quiet() == 1.0


def test_one_that_compose_made_anew_is_not_in_it_any_more_and_what_was_before_is_forgotten() -> None:
    desk = in_it()
    desk.seen(replace(ORACLE, id="id-compose", labels={}))
    desk.turn()
    assert (desk.before(), desk.kept) == (None, {})


def test_the_old_container_is_no_sign_of_that() -> None:
    desk = Desk()
    desk.ended()
    desk.seen(replace(ORACLE, id="id-old", labels={}))
    assert desk.kept["oracle"]["before"] == BEFORE, "the engine's word of the new one is still under way"


def test_a_label_of_the_image_is_not_our_word() -> None:
    desk = Desk().seen(replace(ORACLE, image_labels={PROFILE_LABEL: "safe"}))
    service = desk.core.registry.get("oracle")
    assert service is not None
    assert service.profile == ""


def test_who_has_it_and_nobody_knows_what_was_before_is_never_said_to_go_back() -> None:
    desk = Desk().seen()
    desk.turn(seconds=7200)
    assert (desk.quiet(), desk.before()) == (0.0, None)
