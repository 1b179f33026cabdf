"""`notify:` as notifiers: in their order, each with its own way out, kept and named by what the settings call it."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from supervisor.bus import notify
from supervisor.bus.notify import apprise
from supervisor.bus.notify.alertmanager import Outlet
from supervisor.bus.notify.apprise import AppriseSender
from supervisor.bus.notify.making import sender_of
from supervisor.bus.notify.webhook import WebhookSender
from supervisor.bus.telling import Telling
from supervisor.clock import ManualClock
from supervisor.config.settings import Settings
from supervisor.journal import Journal, JournalThread
from supervisor.lab.loop import SimLoop
from tests.support.notifying import Receiver

ENTRIES: list[dict[str, Any]] = [
    {"webhook": {"url": "https://h/x"}},
    {"name": "phone", "apprise": {"url_file": "urls"}, "when": "unheard"},
    {"alertmanager": {"url": "http://am:9093"}},
]


def test_each_entry_becomes_a_notifier_under_its_name() -> None:
    clock = ManualClock()
    journal = Journal.open(None, clock)
    settings = Settings.model_validate({"host": "box", "notify": ENTRIES})
    receivers: list[Receiver] = []

    def sender(_entry: object) -> Receiver:
        receivers.append(Receiver(clock))
        return receivers[-1]

    made = notify.make(settings, JournalThread(journal), clock, bus=False, sender=sender)
    assert [type(one) for one in made] == [notify.Notifier, notify.Notifier, Outlet]
    assert list(notify.names(made)) == ["notify 0", "notify phone", "notify 2"]

    async def life() -> None:
        running = [asyncio.ensure_future(one.run()) for one in made[:2]]
        await asyncio.sleep(1)
        batch = journal.batch()
        alert = {"labels": {"alertname": "A", "severity": "critical"}, "fingerprint": "f"}
        batch.row("alert.firing", "oracle", {"alert": alert}, clock.wall(), True)
        journal.commit(batch)
        receivers[0].refuses = True
        for one in made:
            one.knock()
        await asyncio.sleep(10)
        for one in made:
            await one.close()
        assert all(task.done() for task in running)

    SimLoop(clock).run_until_complete(life())
    assert [one.told for one in receivers] == [[], ["firing A"]], "what the first gave up on fell through"
    assert set(journal.space("meta")) == {"notify/0", "notify/phone"}


def test_what_would_tell_nobody_is_said_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock()
    entry = {"apprise": {"url_file": str(tmp_path / "urls")}}
    settings = Settings.model_validate({"host": "box", "notify": [entry]})

    def said() -> str:
        (one,) = notify.make(settings, JournalThread(Journal.open(None, clock)), clock, bus=True)
        return one.state.text

    assert "urls:0:0: this secret cannot be read: No such file or directory" in said()
    (tmp_path / "urls").write_text("json://localhost")
    (tmp_path / "urls").chmod(0o600)
    assert said() == ""
    monkeypatch.setattr(apprise, "missing", lambda: True)
    assert said().endswith("this installation has no Apprise: pip install 'resurgam[notify]'")


def test_what_is_wrong_says_with_which_notifier(tmp_path: Path) -> None:
    clock = ManualClock()
    entry = {"name": "phone", "apprise": {"url_file": str(tmp_path / "urls")}}
    said = {"host": "box", "state_dir": tmp_path, "mqtt": {"url": "none"}, "notify": [entry]}
    thread = JournalThread(Journal.open(None, clock))

    async def ask(_fact: object) -> None:
        raise AssertionError("nobody asks")

    telling = Telling(Settings.model_validate(said), thread, clock, lambda _fact: None, ask)
    assert telling.troubles()["notify phone"].startswith("notify phone: nothing is told through Apprise: ")
    (tmp_path / "urls").write_text("json://localhost")
    (tmp_path / "urls").chmod(0o600)
    telling = Telling(Settings.model_validate(said), thread, clock, lambda _fact: None, ask)
    assert telling.troubles()["notify phone"] == ""


def test_the_ways_out() -> None:
    settings = Settings.model_validate({"host": "box", "notify": ENTRIES})
    found = [type(sender_of(entry, settings, "ep")) for entry in settings.notify[:2]]
    assert found == [WebhookSender, AppriseSender]
