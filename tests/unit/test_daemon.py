"""What a person reads when the daemon cannot even begin."""

import asyncio
from pathlib import Path
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from supervisor import daemon
from supervisor.clock import SystemClock
from supervisor.config import Settings
from supervisor.core.assembling import assemble
from supervisor.core.standing import Loaded
from supervisor.errors import UsageError
from supervisor.facts import BusState, Snapshot
from supervisor.journal import Journal
from supervisor.journal.recorder import Recorder
from supervisor.signals.gpu import NamedDriver
from tests.support.boxes import NOW, box
from tests.support.rules import ruleset


def test_a_state_folder_that_cannot_be_made_is_one_sentence_that_says_what_to_do() -> None:
    with pytest.raises(UsageError, match=r"/proc/nope cannot be used: .* Run as root, or set RESURGAM_STATE_DIR"):
        asyncio.run(daemon.run(Settings(state_dir=Path("/proc/nope")), None))


def test_the_log_says_once_that_the_bus_is_away_and_that_it_is_back() -> None:
    def shown(connected: bool, text: str, broker: str = "mqtt://box") -> Snapshot:
        return box(bus=BusState(NOW, 1.0, connected, broker, text))

    with capture_logs() as lines:
        words = daemon.bus_words(box(bus=None), (), "")
        for snapshot in (
            shown(False, "the password is wrong"),
            shown(False, "the password is wrong"),
            shown(True, "connected to mqtt://box"),
            shown(True, "connected to mqtt://box"),
            shown(False, "another machine has our name"),
        ):
            words = daemon.bus_words(snapshot, ("another machine has our name",), words)
        daemon.bus_words(shown(False, "mqtt.url is none", "none"), (), words)
    assert [(line["log_level"], line["text"]) for line in lines] == [
        ("warning", "the bus is not connected: the password is wrong"),
        ("info", "the bus is connected to mqtt://box"),
        ("info", "the bus is not connected: mqtt.url is none"),
    ]


def test_what_came_or_went_is_armed_with_the_snapshot_that_shows_it() -> None:
    """A container that takes its limit within its first second is not missed."""
    told: list[str] = []
    house = SimpleNamespace(
        telling=SimpleNamespace(show=lambda _snapshot: told.append("bus")),
        edges=SimpleNamespace(changed=lambda: told.append("edges")),
        probes=SimpleNamespace(changed=lambda: told.append("probes")),
        elsewhere=SimpleNamespace(changed=lambda: told.append("elsewhere")),
        gpu=SimpleNamespace(watch=SimpleNamespace(changed=lambda: told.append("gpu"))),
        slots=SimpleNamespace(changed=lambda: told.append("slots")),
    )
    daemon.House.show(house, box())  # type: ignore[arg-type]
    assert told == ["bus", "edges", "probes", "elsewhere", "gpu", "slots"]


async def test_hands_and_previews_ask_a_driver_that_says_whose_the_processes_are(tmp_path: Path) -> None:
    """What a model gives back of a card is measured by it, before the model is stopped."""
    said = {"state_dir": tmp_path, "rules": [], "http": {"listen": "none"}, "mqtt": {"url": "none"}}
    settings, clock = Settings.model_validate(said), SystemClock()
    journal = Journal.open(None, clock)
    decider = assemble(Loaded(settings, ruleset(), ()), journal, clock)
    house = daemon.House(decider, journal, Recorder.open(tmp_path / "recorder.db", clock), clock, settings)
    try:
        assert isinstance(house.gpu.driver, NamedDriver)
        assert house.runner._hands_on[-1] is house.gpu.driver
        assert house.control._foresight._driver is house.gpu.driver
    finally:
        journal.close()
