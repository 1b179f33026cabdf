"""A decider with some services and readings of the cards of their machine, for the tests of the core's hand on them."""

from typing import Any

from supervisor.config import Settings
from supervisor.core.assembling import assemble
from supervisor.core.decider import Decider
from supervisor.core.standing import Loaded
from supervisor.facts import Container, GpuReading, GpuState, Readings, Sample, labels
from supervisor.journal import Journal
from supervisor.lab.loop import SimLoop
from tests.support.cards import PRO, SMALL, card, ident, process, reading
from tests.support.desk import Turns
from tests.support.rules import ruleset

ORACLE = {"vram": "0:90GiB,1:30GiB", "exclusive": ["gpu:0", "gpu:1"]}


def box(
    name: str, *gpus: str, status: str = "running", started: float = 1.0, gpu: bool = True, **more: Any
) -> Container:
    return Container(
        ident(name),
        name,
        f"sha256:{name}",
        "img",
        status=status,
        started_at=started if status == "running" else 0.0,
        gpu=gpu,
        gpus=gpus,
        **more,
    )


class Desk(Turns):
    """A decider with some services, and readings of the cards of their machine."""

    def __init__(self, *rules: str, journal: Journal | None = None, gpu: Any = None, boot: str = "1", **services: Any):
        self.clock = SimLoop().clock
        self.journal = journal or Journal.open(None, self.clock)
        entries = {name: {"enable": True, **more} for name, more in services.items()}
        said = {"host": "sim", "consent": "listed", "services": entries, "gpu": gpu or {}}
        loaded = Loaded(Settings.model_validate(said), ruleset(*rules), ())
        self.core: Decider = assemble(loaded, self.journal, self.clock, machine=boot)
        self.begin(self.core, self.journal, self.clock.wall(), self.clock.mono())

    def word(self, say: Any) -> None:
        """Something a person says, within a turn."""
        batch = self.journal.batch()
        self.core.begin(batch, self.wall, self.mono)
        say(self.core)
        self.core.finish()
        self.journal.commit(batch)

    def read(self, *cards: Any, seconds: float = 5.0, **more: Any) -> None:
        self.tell(reading(*cards, **more), seconds=seconds)

    def tell(self, found: GpuReading, *samples: Sample, seconds: float = 5.0) -> None:
        self.turn(Readings(0.0, 0.0, "gpu", samples, gpu=found), seconds=seconds)

    def value(self, metric: str, **pairs: str) -> float | None:
        return dict(self.core.metrics(self.core.now)).get(labels(metric, **pairs))

    def alerts(self) -> list[str]:
        return sorted(alert.name for alert in self.core.alerts() if alert.state == "firing")

    @property
    def state(self) -> GpuState:
        found = self.core.snapshot({}).gpus
        assert found is not None
        return found

    def again(self, *rules: str, **more: Any) -> "Desk":
        """The next life on the same journal."""
        return Desk(*rules, journal=self.journal, **more)


def omni(*rules: str, **more: Any) -> Desk:
    """The owner's box: the oracle runs on both cards, the candidate stands still."""
    desk = Desk(*rules, oracle=ORACLE, mxfp4={"vram": "0:90GiB,1:30GiB"}, tts={}, **more)
    desk.listed(box("oracle", "all"), box("mxfp4", "all", status="exited"), box("tts", "1", status="exited"))
    return desk


def loaded() -> tuple[Any, Any]:
    return card(PRO, process("oracle", 88)), card(SMALL, process("oracle", 29))
