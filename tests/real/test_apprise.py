"""Apprise itself, through the sender, against a local server."""

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from supervisor.bus.notify.apprise import AppriseSender
from supervisor.bus.notify.message import Item, Message
from supervisor.bus.notify.sending import SendFailed
from supervisor.bus.notify.template import Wording
from supervisor.config.telling import TemplateSettings
from supervisor.journal import Row

pytestmark = pytest.mark.real
SECRET = "s3cr3t"


def alert() -> Message:
    about = {"labels": {"alertname": "A", "severity": "critical"}, "fingerprint": "f"}
    row = Row(1, 0.0, "alert.firing", "oracle", {"alert": about, "text": "A is bad"}, True, "")
    return Message("k", items=(Item.of(row),))


async def test_apprise_itself_tells_a_local_server_and_never_logs_an_address(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    got: list[dict[str, Any]] = []

    async def hook(request: web.Request) -> web.Response:
        got.append(await request.json())
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", hook)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    file = tmp_path / "urls"
    lines = [f"json://user:{SECRET}@127.0.0.1:{port}/hook", f"json://127.0.0.1:{port}/none/{SECRET}", f"no{SECRET}://x"]
    file.write_text("\n".join(lines))
    file.chmod(0o600)
    tells = AppriseSender(str(file), Wording(TemplateSettings(), "box"))
    caplog.set_level(logging.DEBUG)
    with pytest.raises(SendFailed) as caught:
        async with asyncio.timeout(20):
            await tells.send(alert())
    await runner.cleanup()
    assert [(one["title"], one["type"]) for one in got] == [("[box] FIRING oracle: A (critical): A is bad", "failure")]
    assert got[0]["message"].startswith("firing: oracle: A")
    written = "".join(capfd.readouterr()) + str(caught.value)
    written += "".join(record.getMessage() for record in caplog.records if not record.name.startswith("aiohttp"))
    assert "line 2, json does not take our messages" in written
    assert SECRET not in written.replace(f"no{SECRET}", "")
