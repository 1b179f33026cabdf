"""The Apprise sender: with a library of our own that records (Apprise itself: tests/real)."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from supervisor.bus.notify import apprise as rooms
from supervisor.bus.notify.apprise import AppriseSender, Tell, kind_of
from supervisor.bus.notify.message import Item, Message
from supervisor.bus.notify.sending import SendFailed
from supervisor.bus.notify.template import Wording
from supervisor.config.telling import TemplateSettings
from supervisor.journal import Row

SECRET = "s3cr3t"


def alert(severity: str = "critical", kind: str = "firing", key: str = "k") -> Message:
    about = {"labels": {"alertname": "A", "severity": severity}, "fingerprint": "f"}
    body = {"alert": about, "text": "A is bad"}
    return Message(key, items=(Item.of(Row(1, 0.0, f"alert.{kind}", "oracle", body, True, "")),))


def action(kind: str) -> Message:
    return Message("a", action=Row(2, 0.0, f"action.{kind}", "oracle", {}, True, ""))


class Library:
    """Addresses `good://`, `bad://` (does not take it), `boom://` (raises) and `hang://`; others are not understood."""

    def __init__(self) -> None:
        self.got: list[tuple[str, str, str, str]] = []
        self.release = threading.Event()
        self.bad = True

    def __call__(self, url: str) -> Tell | None:
        scheme = url.partition("://")[0]
        if scheme not in ("good", "bad", "boom", "hang"):
            return None

        def tell(title: str, body: str, kind: str) -> bool:
            if scheme == "boom":
                raise RuntimeError(f"cannot reach {url}")
            if scheme == "hang":
                self.release.wait(5)
            if scheme == "bad" and self.bad:
                return False
            self.got.append((url, title, body, kind))
            return True

        return tell


def sender(folder: Path, text: str, library: Library) -> AppriseSender:
    file = folder / "urls"
    file.write_text(text)
    file.chmod(0o600)
    return AppriseSender(str(file), Wording(TemplateSettings(), "box"), lambda: library)


async def test_every_address_gets_title_body_and_how_grave_it_is(tmp_path: Path) -> None:
    library = Library()
    tells = sender(tmp_path, f"# the phone\n\ngood://{SECRET}\n  good://two  \n", library)
    assert await tells.send(alert()) == ""
    assert [(url, kind) for url, _, _, kind in library.got] == [
        (f"good://{SECRET}", "failure"),
        ("good://two", "failure"),
    ]
    assert library.got[0][1].startswith("[box] FIRING oracle: A")


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (alert("warning"), "warning"),
        (alert("info"), "info"),
        (alert("critical", "resolved"), "success"),
        (action("verified"), "success"),
        (action("failed"), "failure"),
        (action("rolled_back"), "warning"),
        (action("planned"), "info"),
    ],
)
def test_how_grave_a_message_is(message: Message, kind: str) -> None:
    assert kind_of(message) == kind


async def test_only_those_that_do_not_have_it_yet_are_tried_again_and_no_secret_is_said(tmp_path: Path) -> None:
    library = Library()
    text = f"good://{SECRET}\nbad://{SECRET}@x\nboom://{SECRET}\nwhat is this {SECRET}\n"
    tells = sender(tmp_path, text, library)
    with pytest.raises(SendFailed) as caught:
        await tells.send(alert())
    said = str(caught.value)
    assert "line 2, bad does not take our messages" in said
    assert "line 3, boom does not take our messages" in said
    assert "line 4 is no address that Apprise understands" in said
    assert SECRET not in said
    library.bad = False
    with pytest.raises(SendFailed):
        await tells.send(alert())
    assert [url.partition(":")[0] for url, *_ in library.got] == ["good", "bad"], "nobody is told twice"
    for _ in range(2):
        with pytest.raises(SendFailed):
            await tells.send(alert())
    trouble = await tells.send(alert())
    assert "line 3, boom" in trouble, "somebody has it: after a few tries the others are only complained about"
    assert SECRET not in trouble
    assert "line 3, boom" in await tells.send(alert(key="next"))
    assert len(library.got) == 4, "the next message is for all of them again, and is not held up any more"
    await tells.send(alert(key="next"))
    assert len(library.got) == 4


async def test_a_message_that_reached_nobody_is_tried_on_however_often_it_failed(tmp_path: Path) -> None:
    tells = sender(tmp_path, "bad://x\nboom://y", Library())
    for _ in range(20):
        with pytest.raises(SendFailed):
            await tells.send(alert())


async def test_an_address_that_hangs_has_a_deadline_and_is_not_asked_again_before_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "LIMIT", 0.02)
    library = Library()
    tells = sender(tmp_path, "hang://x\n", library)
    with pytest.raises(SendFailed, match="took longer than"):
        await tells.send(alert())
    with pytest.raises(SendFailed, match="has not come back"):
        await tells.send(alert())
    library.release.set()
    async with asyncio.timeout(5):
        while tells._busy is not None and not tells._busy.done():
            await asyncio.sleep(0)
    assert await tells.send(alert()) == ""
    assert len(library.got) == 1, "it took the message after all, and does not get it twice"
    await tells.close()


async def test_files_that_cannot_be_used_and_a_missing_library_are_said(tmp_path: Path) -> None:
    library = Library()
    tells = sender(tmp_path, "good://x", library)
    (tmp_path / "urls").chmod(0o644)
    with pytest.raises(SendFailed, match="everyone can read this secret"):
        await tells.send(alert())
    (tmp_path / "urls").chmod(0o600)
    (tmp_path / "urls").write_text("# none\n")
    with pytest.raises(SendFailed, match="1 to 64 lines"):
        await tells.send(alert())

    def gone() -> Any:
        raise ImportError("no apprise")

    without = AppriseSender(str(tmp_path / "urls"), Wording(TemplateSettings(), "box"), gone)
    with pytest.raises(SendFailed, match=r"pip install 'resurgam\[notify\]'"):
        await without.send(alert())
