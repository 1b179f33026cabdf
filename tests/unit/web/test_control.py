"""The control socket: who may use it, what it tells, what it passes on."""

import asyncio
import contextlib
import json
import os
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from supervisor.errors import AlreadyRunning, ResurgamError
from supervisor.facts import Rollout, Stage
from supervisor.verdicts import Reason, no
from supervisor.web.control import Control
from supervisor.web.where import control_path
from tests.support.boxes import phoenix
from tests.support.house import FakeHouse, short_folder

PATIENCE = 5.0


@asynccontextmanager
async def opened(house: FakeHouse, **options: Any) -> AsyncIterator[aiohttp.ClientSession]:
    with short_folder() as folder:
        control = Control(house, folder / "control.sock", **options)
        await control.start()
        connector = aiohttp.UnixConnector(str(folder / "control.sock"))
        async with aiohttp.ClientSession("http://localhost", connector=connector) as session:
            try:
                yield session
            finally:
                await control.close()


async def get(session: aiohttp.ClientSession, path: str) -> tuple[int, Any]:
    async with session.get(path) as response:
        return response.status, await response.json()


async def send(session: aiohttp.ClientSession, **body: Any) -> tuple[int, Any]:
    async with session.post("/v1/command", json=body) as response:
        return response.status, await response.json()


async def line(response: aiohttp.ClientResponse) -> Any:
    return json.loads(await asyncio.wait_for(response.content.readline(), PATIENCE))


# ---------------------------------------------------------------- who


async def test_a_stranger_reads_and_does_nothing() -> None:
    house = FakeHouse()
    async with opened(house, admit=lambda _peer: False) as session:
        status, said = await get(session, "/v1/status")
        assert status == 403
        assert f"uid:{os.getuid()} may not use this socket" in said["error"]
        assert (await send(session, verb="stop", target="oracle"))[0] == 403
    assert house.asked == []


async def test_the_socket_is_for_owner_and_group_only_and_goes_with_the_daemon() -> None:
    with short_folder() as folder:
        path = folder / "control.sock"
        control = Control(FakeHouse(), path)
        await control.start()
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        await control.close()
        assert not path.exists()


async def test_a_socket_left_by_a_kill_is_replaced_and_a_living_one_is_not() -> None:
    with short_folder() as folder:
        path = folder / "control.sock"
        first = Control(FakeHouse(), path)
        await first.start()
        with pytest.raises(AlreadyRunning, match="another daemon answers"):
            await Control(FakeHouse(), path).start()
        path.unlink()
        with socket.socket(socket.AF_UNIX) as dead:  # as after SIGKILL: a name nobody listens at
            dead.bind(str(path))
        second = Control(FakeHouse(), path)
        await second.start()
        await first.close()
        assert path.exists(), "closing one daemon took the other's socket away"
        await second.close()


async def test_a_path_too_long_for_a_socket_is_said_in_words() -> None:
    with pytest.raises(ResurgamError, match="shorter state_dir"):
        await Control(FakeHouse(), Path("/tmp/" + "x" * 120 + "/control.sock")).start()


def test_the_socket_lies_in_the_runtime_folder_where_there_is_one() -> None:
    assert control_path({"RUNTIME_DIRECTORY": "/run/resurgam:/run/other"}, Path("/s")) == Path(
        "/run/resurgam/control.sock"
    )
    assert control_path({}, Path("/s")) == Path("/s/control.sock")


# ---------------------------------------------------------------- reading


async def test_status_is_the_whole_snapshot() -> None:
    async with opened(FakeHouse()) as session:
        status, document = await get(session, "/v1/status")
        assert status == 200
        assert document["daemon"]["host"] == "omni"
        assert document["now"].startswith("2025-10-09T08:53:20")


async def test_events_gives_the_last_ones_or_those_after_a_number() -> None:
    house = FakeHouse()
    seqs = [house.happen("container.started", f"s{i}", {}) for i in range(5)]
    house.happen("action.begin", "s1", {"plan": 41}, public=False)
    async with opened(house) as session:
        _status, document = await get(session, "/v1/events?limit=2")
        assert [event["seq"] for event in document["events"]] == seqs[3:5]
        _status, document = await get(session, f"/v1/events?after={seqs[0]}")
        assert [event["seq"] for event in document["events"]] == seqs[1:]
        _status, document = await get(session, "/v1/events?all=1&kind=action,alert")
        assert [event["kind"] for event in document["events"]] == ["action.begin"]
        _status, document = await get(session, "/v1/events?subject=s3")
        assert [event["subject"] for event in document["events"]] == ["s3"]
        assert (await get(session, "/v1/events?limit=many"))[0] == 400


async def test_events_reaches_back_over_more_than_one_read() -> None:
    house = FakeHouse()
    batch = house.journal.batch()
    for number in range(1300):
        batch.row("container.started", f"s{number}", {}, 1.0, True)
    house.journal.commit(batch)
    async with opened(house) as session:
        for query in ("limit=1200", "after=0&limit=1200"):
            _status, document = await get(session, f"/v1/events?{query}")
            assert len({event["seq"] for event in document["events"]}) == 1200
            assert document["events"] == sorted(document["events"], key=lambda event: event["seq"])


async def test_following_tells_every_later_event_once_and_in_order() -> None:
    house = FakeHouse()
    first = house.happen("container.started", "a", {})
    async with opened(house) as session, session.get("/v1/events?follow=1") as response:
        assert (await line(response))["seq"] == first
        for number in range(3):
            house.happen("action.begin", "x", {"plan": 1}, public=False)
            seq = house.happen("container.died", f"b{number}", {"exit_code": 139})
            told = await line(response)
            assert (told["seq"], told["text"]) == (seq, "died: exit 139 (SIGSEGV)")


async def test_a_follower_that_left_is_let_go() -> None:
    house = FakeHouse()
    async with opened(house) as session:
        for _ in range(70):  # more than may follow at the same time
            async with session.get("/v1/events?follow=1&after=0") as response:
                assert response.status == 200
                response.close()
            await asyncio.sleep(0)


async def test_history_has_what_ended_and_show_knows_each_by_its_number() -> None:
    house = FakeHouse()
    house.happen("action.planned", "stack.oracle", {"plan": 7, "verb": "restart", "service": "stack.oracle"})
    house.happen("action.begin", "stack.oracle", {"plan": 7, "step": "stop"}, public=False)
    end = house.happen("action.verified", "stack.oracle", {"plan": 7, "verb": "restart", "text": "healthy"})
    house.happen("action.refused", "stack.oracle", {"verb": "restart", "reason": "cooldown"})
    house.happen("incident.opened", "stack.oracle", {"incident": {"id": "i-9", "title": "Loop"}}, public=False)
    async with opened(house) as session:
        _status, document = await get(session, "/v1/history?service=stack.oracle")
        assert [event["seq"] for event in document["history"]] == [end]
        _status, found = await get(session, "/v1/show/7")
        assert (found["kind"], found["plan"]["state"], len(found["plan"]["events"])) == ("plan", "verified", 3)
        _status, found = await get(session, "/v1/show/seq:1")
        assert (found["kind"], found["row"]["kind"]) == ("row", "action.planned")
        _status, found = await get(session, "/v1/show/i-9")
        assert (found["kind"], found["incident"]["title"]) == ("incident", "Loop")
        for nothing in ("999", "plan:3", "nope", "seq:0", "9" * 40):
            status, said = await get(session, f"/v1/show/{nothing}")
            assert status == 404
            assert "resurgam history" in said["error"]


async def test_an_open_plan_is_shown_with_its_steps() -> None:
    house = FakeHouse()
    house.happen("action.planned", "stack.oracle", {"plan": 41}, plans=(phoenix(),), waiting=((41, "waits for gpu:0"),))
    async with opened(house) as session:
        _status, found = await get(session, "/v1/show/41")
        assert found["plan"]["state"] == "waiting"
        assert found["plan"]["steps"][0] == {"name": "create", "phase": "before", "back": False, "state": "done"}


async def test_explain_answers_for_services_and_says_so_where_there_is_none() -> None:
    async with opened(FakeHouse()) as session:
        status, document = await get(session, "/v1/explain/stack.oracle")
        assert (status, document["service"]["service"]) == (200, "stack.oracle")
        assert (await get(session, "/v1/explain/HostMemoryHigh"))[0] == 200
        status, document = await get(session, "/v1/explain/nothing%2Flike")
        assert status == 404
        assert "nothing here is called" in document["sentence"]


# ---------------------------------------------------------------- acting


async def test_a_command_reaches_the_core_with_the_callers_uid() -> None:
    house = FakeHouse()
    async with opened(house) as session:
        status, document = await send(session, verb="phoenix", target="oracle", params={"image": "x:1"}, override="now")
        assert (status, document["plan"], document["decision"]["allowed"]) == (200, 41, True)
    (command,) = house.asked
    assert (command.verb, command.target, dict(command.params)) == ("phoenix", "oracle", {"image": "x:1"})
    assert (command.principal, command.door, command.override) == (f"uid:{os.getuid()}", "socket", "now")


async def test_a_refusal_is_an_answer_with_its_reason() -> None:
    house = FakeHouse()
    house.verdicts["restart"] = no(Reason.COOLDOWN, "restarted 10 s ago; the next is possible at 12:40")
    async with opened(house) as session:
        status, document = await send(session, verb="restart", target="oracle")
        assert (status, document["plan"]) == (200, 0)
        assert document["decision"]["reason"] == "cooldown"


async def test_what_is_no_command_never_reaches_the_core() -> None:
    house = FakeHouse()
    async with opened(house) as session:
        assert (await send(session, verb="exec", target="oracle"))[0] == 400
        async with session.post("/v1/command", data="verb=stop") as response:
            assert response.status == 415
        async with session.post(
            "/v1/command", data="{}" * 60_000, headers={"Content-Type": "application/json"}
        ) as response:
            assert response.status == 413
            assert "error" in await response.json()
        assert (await get(session, "/v2/else"))[0] == 404
    assert house.asked == []


async def test_waiting_for_a_plan_tells_its_steps_and_then_its_end() -> None:
    house = FakeHouse()
    house.happen("action.planned", "stack.oracle", {"plan": 41, "verb": "phoenix"}, plans=(phoenix(),))
    async with opened(house) as session, session.get("/v1/plans/41?wait") as response:
        assert (await line(response))["event"]["kind"] == "action.planned"
        house.happen("action.begin", "stack.oracle", {"plan": 41, "step": "probe"}, public=False)
        house.happen("action.begin", "other", {"plan": 42, "step": "probe"}, public=False)
        assert (await line(response))["event"]["body"]["step"] == "probe"
        house.happen("action.verified", "stack.oracle", {"plan": 41, "verb": "phoenix", "text": "healthy"}, plans=())
        assert (await line(response))["event"]["kind"] == "action.verified"
        assert (await line(response))["plan"]["state"] == "verified"
        assert await asyncio.wait_for(response.content.read(), PATIENCE) == b""


async def test_waiting_for_a_rollout_tells_its_plans_too_and_then_its_end() -> None:
    house = FakeHouse()
    open_one = Rollout(3, "restart", "stack", "uid:0", "", 1.0, (Stage("stack.oracle", "restart", plan=41),))
    house.happen("action.rollout", "stack", {"rollout": 3, "state": "planned", "text": "one"}, rollouts=(open_one,))
    async with opened(house) as session:
        assert (await get(session, "/v1/rollouts/3"))[1]["at"] == "stack.oracle"
        assert (await get(session, "/v1/rollouts/4"))[0] == 404
        async with session.get("/v1/rollouts/3?wait") as response:
            assert (await line(response))["event"]["text"] == "rollout 3: one"
            house.happen("action.verified", "stack.oracle", {"plan": 41, "rollout": 3, "verb": "restart"})
            house.happen("action.verified", "other", {"plan": 42, "verb": "restart"})
            assert (await line(response))["event"]["body"]["plan"] == 41
            house.happen("action.rollout", "stack", {"rollout": 3, "state": "verified", "text": "all"}, rollouts=())
            assert (await line(response))["event"]["text"] == "rollout 3 verified: all"
            assert (await line(response))["rollout"]["state"] == "verified"
        shown = (await get(session, "/v1/show/rollout:3"))[1]
        assert (shown["kind"], len(shown["rollout"]["events"])) == ("rollout", 3)


async def test_a_plan_that_ended_before_is_told_at_once_and_an_unknown_one_is_not_there() -> None:
    house = FakeHouse()
    house.happen("action.failed", "stack.oracle", {"plan": 5, "verb": "stop"})
    async with opened(house) as session:
        async with session.get("/v1/plans/5?wait=1") as response:
            assert (await line(response))["event"]["kind"] == "action.failed"
            assert (await line(response))["plan"]["state"] == "failed"
        assert (await get(session, "/v1/plans/5"))[1]["state"] == "failed"
        assert (await get(session, "/v1/plans/6"))[0] == 404


async def test_closing_ends_those_who_follow() -> None:
    with short_folder() as folder:
        control = Control(FakeHouse(), folder / "control.sock")
        await control.start()
        connector = aiohttp.UnixConnector(str(folder / "control.sock"))
        async with (
            aiohttp.ClientSession("http://localhost", connector=connector) as session,
            session.get("/v1/events?follow=1") as response,
        ):
            await asyncio.wait_for(control.close(), PATIENCE)
            with contextlib.suppress(aiohttp.ClientError):
                assert await asyncio.wait_for(response.content.read(), PATIENCE) == b""
