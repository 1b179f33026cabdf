"""One behavioural suite for every ports.Engine: the simulated one and the real one must pass the same checks.

A check is `async def check(lab: Lab)`. A Lab is an engine plus what a person would do to it;
tests/unit/lab/test_engine.py gives it the simulated engine on a virtual clock, tests/real/test_engine.py a real one.
"""

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Protocol

import pytest

from supervisor.errors import Conflict, EngineError, NotFound
from supervisor.facts import Container, EngineEvent, Json
from supervisor.ports import Engine


class Lab(Protocol):
    """An engine to be checked, and a person's hands on it."""

    engine: Engine

    def name(self, word: str) -> str:
        """A container, image or network name that only this test uses."""

    def image(self, kind: str) -> str:
        """The reference of an image: serve (obeys TERM, exits 0), stubborn (ignores TERM), loop (exits 139 after
        0.2 s), checked (healthy once its check ran), sick (its check fails), toolless (its check's tool is missing),
        done (prints `one`, `two`, exits 3). Each has a folder /data."""

    def image_id(self, kind: str) -> str:
        """That image's id."""

    def network(self, word: str) -> str:
        """A user-defined network."""

    def fixed(self, word: str) -> tuple[str, str]:
        """(a user-defined network where addresses can be asked for, one such address)."""

    def missing_folder(self) -> str:
        """A folder of the host that is not there."""

    async def crash(self, name: str) -> None:
        """The main process is killed, by nobody the engine knows."""

    async def delete_path(self, name: str, path: str) -> None:
        """A process inside deletes a file or folder."""


Check = Callable[[Lab], Awaitable[None]]
CHECKS: list[Check] = []


def check(function: Check) -> Check:
    """Make it part of the suite."""
    CHECKS.append(function)
    return function


def body(lab: Lab, kind: str, policy: str = "no", **more: object) -> Json:
    """A create body on a user-defined network."""
    name, _, retries = policy.partition(":")
    host: Json = {"RestartPolicy": {"Name": name, "MaximumRetryCount": int(retries or 0)}}
    host["NetworkMode"] = lab.network("net")
    host |= more.pop("HostConfig", {})  # type: ignore[arg-type]
    return {"Image": lab.image(kind), "HostConfig": host, **more}


async def until(engine: Engine, key: str, wanted: Callable[[Container], bool], limit: float = 60.0) -> Container:
    """Look until the container is as wanted; AssertionError shows how it is instead."""
    found: Container | None = None
    for _ in range(int(limit / 0.02)):
        found = await engine.inspect(key)
        if found is not None and wanted(found):
            return found
        await asyncio.sleep(0.02)
    raise AssertionError(f"{key} never became as wanted; it is {found}")


class Seen:
    """Events collected beside a check."""

    def __init__(self) -> None:
        self.events: list[EngineEvent] = []
        self.ended = asyncio.Event()

    def kinds(self, container_id: str) -> list[str]:
        """What happened to one object, in order."""
        return [event.kind for event in self.events if event.object_id == container_id]

    async def until(self, wanted: Callable[[EngineEvent], bool], limit: float = 60.0) -> EngineEvent:
        """Wait for an event."""
        for _ in range(int(limit / 0.01)):
            for event in self.events:
                if wanted(event):
                    return event
            await asyncio.sleep(0.01)
        raise AssertionError(f"no such event among {[(event.kind, event.object_id[:6]) for event in self.events]}")


@asynccontextmanager
async def watching(engine: Engine, since_ns: int = 0) -> AsyncIterator[Seen]:
    """Collect events; the subscription stands when the block begins. A subscription reaches back a moment, so what
    happened before it is left out unless it was asked for."""
    seen, stood = Seen(), asyncio.Event()

    async def read() -> None:
        begun = since_ns
        async for event in engine.events(since_ns):
            if event.kind == "subscribed":
                begun = begun or event.time_ns
                stood.set()
            elif event.time_ns >= begun:
                seen.events.append(event)
        seen.ended.set()

    task = asyncio.ensure_future(read())
    try:
        await asyncio.wait_for(stood.wait(), 20)
        yield seen
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def made(lab: Lab, word: str, kind: str, policy: str = "no", **more: object) -> tuple[str, str]:
    """(id, name) of a container that was created and started."""
    name = lab.name(word)
    container_id = await lab.engine.create(name, body(lab, kind, policy, **more))
    await lab.engine.start(container_id)
    return container_id, name


# ---------------------------------------------------------------- creating


@check
async def create_shows_a_container_that_never_ran(lab: Lab) -> None:
    name = lab.name("a")
    container_id = await lab.engine.create(name, body(lab, "serve", "unless-stopped", Labels={"who": "me"}))
    found = await lab.engine.inspect(name)
    assert found is not None
    assert (found.id, found.name, found.status, found.running) == (container_id, name, "created", False)
    assert (found.image_id, found.image_ref) == (lab.image_id("serve"), lab.image("serve"))
    assert found.ref_image_id == lab.image_id("serve")
    assert found.labels["who"] == "me"
    assert found.restart_policy == "unless-stopped"
    assert found.started_at == 0.0
    assert found.created_at > 0
    assert found.address == ""


@check
async def create_by_image_id_keeps_no_reference(lab: Lab) -> None:
    spec = body(lab, "serve") | {"Image": lab.image_id("serve")}
    container_id = await lab.engine.create(lab.name("a"), spec)
    found = await lab.engine.inspect(container_id)
    assert found is not None
    assert (found.image_id, found.ref_image_id) == (lab.image_id("serve"), "")


@check
async def create_of_a_taken_name_is_a_conflict(lab: Lab) -> None:
    name = lab.name("a")
    await lab.engine.create(name, body(lab, "serve"))
    with pytest.raises(Conflict, match="already in use") as caught:
        await lab.engine.create(name, body(lab, "serve"))
    assert caught.value.status == 409


@check
async def create_of_a_missing_image_finds_nothing(lab: Lab) -> None:
    spec = body(lab, "serve") | {"Image": lab.name("nosuch") + ":1"}
    with pytest.raises(NotFound, match="No such image"):
        await lab.engine.create(lab.name("a"), spec)
    assert await lab.engine.inspect(lab.name("a")) is None


@check
async def create_on_several_networks_connects_them_all(lab: Lab) -> None:
    one, two = lab.network("net"), lab.network("other")
    ends = {one: {"Aliases": ["first"]}, two: {"Aliases": ["second"]}}
    spec = body(lab, "serve", NetworkingConfig={"EndpointsConfig": ends})
    container_id = await lab.engine.create(lab.name("a"), spec)
    await lab.engine.start(container_id)
    networks = (await lab.engine.raw(container_id))["NetworkSettings"]["Networks"]
    assert set(networks) == {one, two}
    assert "first" in networks[one]["Aliases"]
    assert "second" in networks[two]["Aliases"]
    found = await lab.engine.inspect(container_id)
    assert found is not None
    assert found.address == networks[one]["IPAddress"] != ""


@check
async def create_with_a_missing_second_network_fails_at_the_start(lab: Lab) -> None:
    ends: Mapping[str, Json] = {lab.network("net"): {}, lab.name("nosuch"): {}}
    name = lab.name("a")
    await lab.engine.create(name, body(lab, "serve", NetworkingConfig={"EndpointsConfig": ends}))
    with pytest.raises(NotFound, match="not found"):
        await lab.engine.start(name)


@check
async def create_on_networks_that_exclude_each_other_leaves_nothing(lab: Lab) -> None:
    ends: Mapping[str, Json] = {lab.network("net"): {}, "host": {}}
    with pytest.raises(EngineError):
        await lab.engine.create(lab.name("a"), body(lab, "serve", NetworkingConfig={"EndpointsConfig": ends}))
    assert await lab.engine.inspect(lab.name("a")) is None


@check
async def create_merges_what_the_image_brings(lab: Lab) -> None:
    spec = body(lab, "serve", Env=["OWN=1", "FROM_IMAGE=mine"], Labels={"own": "1"})
    raw = await lab.engine.raw(await lab.engine.create(lab.name("a"), spec))
    env = raw["Config"]["Env"]
    assert "OWN=1" in env
    assert "FROM_IMAGE=mine" in env
    assert "FROM_IMAGE=image" not in env
    assert "KEPT=image" in env
    assert raw["Config"]["Labels"]["own"] == "1"
    assert raw["Config"]["Labels"]["resurgam.image"] == "yes"
    assert raw["Config"]["Hostname"] == raw["Id"][:12]
    assert raw["Config"]["Cmd"]
    assert raw["HostConfig"]["NetworkMode"] == lab.network("net")


@check
async def labels_of_the_image_are_told_apart(lab: Lab) -> None:
    found = await lab.engine.inspect(await lab.engine.create(lab.name("a"), body(lab, "serve")))
    assert found is not None
    assert found.labels["resurgam.image"] == "yes"
    assert dict(found.image_labels) == {"resurgam.image": "yes"}


# ---------------------------------------------------------------- starting and stopping


@check
async def start_runs_it_and_twice_is_fine(lab: Lab) -> None:
    container_id, name = await made(lab, "a", "serve")
    await lab.engine.start(name)
    found = await lab.engine.inspect(container_id)
    assert found is not None
    assert found.running
    assert found.pid > 0
    assert found.address
    assert found.started_at >= found.created_at - 0.001
    assert found.health == "none"


@check
async def start_without_its_network_is_not_found(lab: Lab) -> None:
    spec = body(lab, "serve", HostConfig={"NetworkMode": lab.name("nosuch")})
    container_id = await lab.engine.create(lab.name("a"), spec)
    with pytest.raises(NotFound, match="not found"):
        await lab.engine.start(container_id)
    found = await lab.engine.inspect(container_id)
    assert found is not None
    assert (found.status, found.running) == ("created", False)


@check
async def start_with_a_taken_port_fails_and_can_be_tried_again(lab: Lab) -> None:
    port = {"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "19471"}]}}
    exposed: Json = {"80/tcp": {}}
    first, _ = await made(lab, "a", "serve", HostConfig=port, ExposedPorts=exposed)
    second = await lab.engine.create(lab.name("b"), body(lab, "serve", HostConfig=port, ExposedPorts=exposed))
    with pytest.raises(EngineError, match="port is already allocated") as caught:
        await lab.engine.start(second)
    assert caught.value.status == 500
    found = await lab.engine.inspect(second)
    assert found is not None
    assert (found.status, found.exit_code) == ("created", 128)
    assert "port is already allocated" in found.error
    await lab.engine.stop(first, 5)
    await lab.engine.start(second)
    found = await lab.engine.inspect(second)
    assert found is not None
    assert found.running
    assert found.error == ""


@check
async def stop_obeyed_ends_with_its_own_code(lab: Lab) -> None:
    container_id, _ = await made(lab, "a", "serve", "always")
    async with watching(lab.engine) as seen:
        await lab.engine.stop(container_id, 10)
        found = await lab.engine.inspect(container_id)
        assert found is not None
        assert (found.status, found.exit_code, found.pid, found.address) == ("exited", 0, 0, "")
        assert found.finished_at >= found.started_at
        await seen.until(lambda event: event.kind == "stop" and event.object_id == container_id)
        assert seen.kinds(container_id) == ["kill", "die", "stop"]
        mine = [event for event in seen.events if event.object_id == container_id]
        assert mine[1].attributes["exitCode"] == "0"
        assert [event.time_ns for event in mine] == sorted({event.time_ns for event in mine})
    await lab.engine.stop(container_id, 10)


@check
async def stop_ignored_is_killed_after_its_grace(lab: Lab) -> None:
    container_id, _ = await made(lab, "a", "stubborn")
    async with watching(lab.engine) as seen:
        await lab.engine.stop(container_id, 1)
        found = await lab.engine.inspect(container_id)
        assert found is not None
        assert (found.status, found.exit_code, found.oom_killed) == ("exited", 137, False)
        await seen.until(lambda event: event.kind == "stop" and event.object_id == container_id)
        assert seen.kinds(container_id) == ["kill", "kill", "die", "stop"]


@check
async def stop_ends_a_restart_loop(lab: Lab) -> None:
    container_id, _ = await made(lab, "a", "loop", "always")
    await until(lab.engine, container_id, lambda one: one.restart_count >= 2 and one.status == "restarting")
    async with watching(lab.engine) as seen:
        await lab.engine.stop(container_id, 5)
        found = await lab.engine.inspect(container_id)
        assert found is not None
        assert (found.status, found.exit_code) == ("exited", 139)
        await seen.until(lambda event: event.kind == "stop" and event.object_id == container_id)
        await asyncio.sleep(0.5)
        assert "start" not in seen.kinds(container_id)[-2:]


@check
async def start_again_counts_restarts_from_zero(lab: Lab) -> None:
    container_id, _ = await made(lab, "a", "loop", "on-failure:2")
    found = await until(lab.engine, container_id, lambda one: one.status == "exited")
    assert (found.restart_count, found.restart_policy) == (2, "on-failure:2")
    async with watching(lab.engine) as seen:
        await lab.engine.start(container_id)
        found = await until(lab.engine, container_id, lambda one: one.status == "exited")
        await seen.until(lambda event: event.object_id == container_id and seen.kinds(container_id).count("die") == 3)
        assert found.restart_count == 2


# ---------------------------------------------------------------- dying and being well


@check
async def a_loop_is_seen_event_by_event(lab: Lab) -> None:
    async with watching(lab.engine) as seen:
        container_id, name = await made(lab, "a", "loop", "always")
        await until(lab.engine, container_id, lambda one: one.restart_count >= 3)
        await lab.engine.stop(container_id, 5)
        await seen.until(lambda event: event.kind == "stop" and event.object_id == container_id)
        kinds = [kind for kind in seen.kinds(container_id) if kind != "kill"]
        assert kinds[:6] == ["create", "start", "die", "start", "die", "start"]
        died = next(event for event in seen.events if (event.kind, event.object_id) == ("die", container_id))
        assert died.attributes["exitCode"] == "139"
        assert died.attributes["name"] == name
        assert died.attributes["image"] == lab.image("loop")
        assert died.type == "container"
        assert died.engine == lab.engine.name


@check
async def a_crash_is_a_death_without_a_stop(lab: Lab) -> None:
    container_id, name = await made(lab, "a", "serve")
    async with watching(lab.engine) as seen:
        await lab.crash(name)
        await seen.until(lambda event: event.kind == "die" and event.object_id == container_id)
        found = await until(lab.engine, container_id, lambda one: one.status == "exited")
        assert (found.exit_code, seen.kinds(container_id)) == (137, ["die"])


@check
async def the_engines_own_check_is_seen(lab: Lab) -> None:
    async with watching(lab.engine) as seen:
        container_id, _ = await made(lab, "a", "checked")
        found = await lab.engine.inspect(container_id)
        assert found is not None
        assert found.health in ("starting", "healthy")
        event = await seen.until(lambda event: event.kind == "health_status" and event.object_id == container_id)
        assert event.attributes["health_status"] == "healthy"
        found = await lab.engine.inspect(container_id)
        assert found is not None
        assert found.health == "healthy"
        sick, _ = await made(lab, "b", "sick")
        event = await seen.until(lambda event: event.kind == "health_status" and event.object_id == sick)
        assert event.attributes["health_status"] == "unhealthy"


@check
async def the_log_of_a_dead_one_can_be_read(lab: Lab) -> None:
    container_id, _ = await made(lab, "a", "done")
    await until(lab.engine, container_id, lambda one: one.status == "exited")
    assert await lab.engine.logs(container_id, 50) == ("one", "two")
    assert await lab.engine.logs(container_id, 1) == ("two",)
    assert await lab.engine.logs(lab.name("nosuch"), 5) == ()


@check
async def usage_is_told_only_of_running_ones(lab: Lab) -> None:
    container_id, _ = await made(lab, "a", "serve", HostConfig={"Memory": 64 * 2**20})
    used = await lab.engine.usage(container_id)
    assert used is not None
    assert used.memory > 0
    assert used.memory_limit == 64 * 2**20
    await lab.engine.stop(container_id, 5)
    assert await lab.engine.usage(container_id) is None
    assert await lab.engine.usage(lab.name("nosuch")) is None


@check
async def exec_tells_code_and_a_stopped_one_is_a_conflict(lab: Lab) -> None:
    container_id, _ = await made(lab, "a", "serve")
    assert (await lab.engine.exec(container_id, ("true",), 5)).code == 0
    await lab.engine.stop(container_id, 5)
    with pytest.raises(Conflict):
        await lab.engine.exec(container_id, ("true",), 5)


# ---------------------------------------------------------------- renaming, removing, policies


@check
async def rename_moves_the_name_and_twice_is_fine(lab: Lab) -> None:
    container_id, old = await made(lab, "a", "serve")
    new = lab.name("b")
    async with watching(lab.engine) as seen:
        await lab.engine.rename(old, new)
        await lab.engine.rename(container_id, new)
        assert await lab.engine.inspect(old) is None
        found = await lab.engine.inspect(new)
        assert found is not None
        assert (found.id, found.name) == (container_id, new)
        event = await seen.until(lambda event: event.kind == "rename" and event.object_id == container_id)
        assert event.attributes["name"] == new
        assert event.attributes["oldName"].removeprefix("/") == old


@check
async def rename_to_a_taken_name_is_a_conflict(lab: Lab) -> None:
    one = await lab.engine.create(lab.name("a"), body(lab, "serve"))
    await lab.engine.create(lab.name("b"), body(lab, "serve"))
    with pytest.raises(Conflict, match="already in use"):
        await lab.engine.rename(one, lab.name("b"))
    with pytest.raises(NotFound):
        await lab.engine.rename(lab.name("nosuch"), lab.name("c"))


@check
async def remove_refuses_a_running_one(lab: Lab) -> None:
    container_id, name = await made(lab, "a", "serve")
    with pytest.raises(Conflict, match="running container"):
        await lab.engine.remove(container_id)
    await lab.engine.stop(container_id, 5)
    async with watching(lab.engine) as seen:
        await lab.engine.remove(container_id)
        await lab.engine.remove(container_id)
        assert await lab.engine.inspect(name) is None
        await seen.until(lambda event: event.kind == "destroy" and event.object_id == container_id)


@check
async def policy_changes_only_on_stopped_ones(lab: Lab) -> None:
    container_id, _ = await made(lab, "a", "serve", "always")
    with pytest.raises(Conflict, match="only changed while it is stopped"):
        await lab.engine.set_policy(container_id, "no")
    await lab.engine.stop(container_id, 5)
    for policy in ("no", "on-failure:3", "unless-stopped"):
        await lab.engine.set_policy(container_id, policy)
        found = await lab.engine.inspect(container_id)
        assert found is not None
        assert found.restart_policy == policy
    with pytest.raises(NotFound):
        await lab.engine.set_policy(lab.name("nosuch"), "no")


@check
async def calls_on_what_is_not_there_find_nothing(lab: Lab) -> None:
    name = lab.name("nosuch")
    assert await lab.engine.inspect(name) is None
    for call in (lab.engine.raw(name), lab.engine.start(name), lab.engine.stop(name, 1)):
        with pytest.raises(NotFound):
            await call


@check
async def the_list_is_whole_and_ordered(lab: Lab) -> None:
    ids = {await lab.engine.create(lab.name(word), body(lab, "serve")) for word in ("a", "b", "c")}
    listed = await lab.engine.list()
    assert [one.id for one in listed] == sorted(one.id for one in listed)
    assert ids <= {one.id for one in listed}
    mine = next(one for one in listed if one.name == lab.name("b"))
    assert mine == await lab.engine.inspect(lab.name("b"))


@check
async def a_shared_network_has_its_parents_address(lab: Lab) -> None:
    parent, _ = await made(lab, "a", "serve")
    child, _ = await made(lab, "b", "serve", HostConfig={"NetworkMode": f"container:{parent}"})
    found, of = await lab.engine.inspect(child), await lab.engine.inspect(parent)
    assert found is not None
    assert of is not None
    assert found.network_parent == parent
    assert found.address == of.address != ""
    listed = {one.id: one.address for one in await lab.engine.list()}
    assert listed[child] == of.address


# ---------------------------------------------------------------- images


@check
async def tags_move_and_are_told(lab: Lab) -> None:
    ref = lab.name("moved") + ":1"
    await lab.engine.tag(lab.image_id("serve"), ref)
    container_id = await lab.engine.create(lab.name("a"), body(lab, "serve") | {"Image": ref})
    async with watching(lab.engine) as seen:
        await lab.engine.tag(lab.image_id("done"), ref)
        event = await seen.until(lambda event: event.kind == "tag" and event.attributes.get("name") == ref)
        assert (event.type, event.object_id) == ("image", lab.image_id("done"))
        found = await lab.engine.inspect(container_id)
        assert found is not None
        assert (found.image_id, found.ref_image_id) == (lab.image_id("serve"), lab.image_id("done"))
        assert (await lab.engine.images())[ref] == lab.image_id("done")
        await lab.engine.untag(ref)
        await lab.engine.untag(ref)
        await seen.until(lambda event: event.kind == "untag" and event.object_id == lab.image_id("done"))
        assert ref not in await lab.engine.images()
        found = await lab.engine.inspect(container_id)
        assert found is not None
        assert found.ref_image_id == ""
    assert await lab.engine.image(ref) is None
    await lab.engine.start(container_id)


@check
async def an_image_shows_its_config(lab: Lab) -> None:
    found = await lab.engine.image(lab.image("serve"))
    assert found is not None
    assert found.id == lab.image_id("serve")
    assert lab.image("serve") in found.tags
    assert "FROM_IMAGE=image" in found.config["Env"]
    assert found.os == "linux"
    assert await lab.engine.image(found.id) == found
    assert await lab.engine.image(lab.name("nosuch") + ":1") is None


@check
async def untag_never_takes_a_used_image(lab: Lab) -> None:
    ref = lab.image("serve")
    await lab.engine.create(lab.name("a"), body(lab, "serve"))
    with pytest.raises(Conflict):
        await lab.engine.untag(ref)
    assert await lab.engine.image(ref) is not None


@check
async def tag_of_a_missing_image_finds_nothing(lab: Lab) -> None:
    with pytest.raises(NotFound):
        await lab.engine.tag("sha256:" + "0" * 64, lab.name("x") + ":1")


# ---------------------------------------------------------------- events


@check
async def events_kept_since_an_instant_come_again(lab: Lab) -> None:
    async with watching(lab.engine) as seen:
        container_id, _ = await made(lab, "a", "serve")
        first = await seen.until(lambda event: event.kind == "create" and event.object_id == container_id)
    await lab.engine.stop(container_id, 5)
    async with watching(lab.engine, since_ns=first.time_ns) as again:
        await again.until(lambda event: event.kind == "stop" and event.object_id == container_id)
        kinds = again.kinds(container_id)
        assert kinds[-4:] == ["start", "kill", "die", "stop"]


@check
async def only_kinds_we_use_arrive(lab: Lab) -> None:
    container_id, _ = await made(lab, "a", "serve")
    async with watching(lab.engine) as seen:
        await lab.engine.exec(container_id, ("true",), 5)
        await lab.engine.stop(container_id, 5)
        await seen.until(lambda event: event.kind == "stop" and event.object_id == container_id)
        assert set(seen.kinds(container_id)) == {"kill", "die", "stop"}


@check
async def info_names_the_engine(lab: Lab) -> None:
    first, second = await lab.engine.info(), await lab.engine.info()
    assert first == second
    assert first.identity
    assert first.version[0].isdigit()
    assert first.api.startswith("1.")
    assert first.root.startswith("/")


@check
async def the_disk_is_told_by_kind_and_what_is_free_to_go_is_part_of_it(lab: Lab) -> None:
    await made(lab, "a", "serve")
    found = await lab.engine.disk()
    assert sorted(found.used) == sorted(found.reclaimable) == ["build_cache", "containers", "images", "volumes"]
    assert found.used["images"] > 0
    for kind, size in found.used.items():
        assert 0 <= found.reclaimable[kind] <= size, kind


@check
async def labels_lie_over_what_an_event_says(lab: Lab) -> None:
    async with watching(lab.engine) as seen:
        lies = {"exitCode": "0", "name": "lie", "image": "lie"}
        container_id, name = await made(lab, "a", "loop", Labels=lies)
        event = await seen.until(lambda event: event.kind == "die" and event.object_id == container_id)
        assert event.attributes["exitCode"] == "0"
        assert (event.attributes["name"], event.attributes["image"]) == (name, lab.image("loop"))
        found = await until(lab.engine, container_id, lambda one: one.status == "exited")
        assert found.exit_code == 139


@check
async def a_hostname_and_a_shared_network_exclude_each_other(lab: Lab) -> None:
    parent, _ = await made(lab, "a", "serve")
    spec = body(lab, "serve", Hostname="mine", HostConfig={"NetworkMode": f"container:{parent}"})
    with pytest.raises(EngineError, match="conflicting options: hostname and the network mode") as caught:
        await lab.engine.create(lab.name("b"), spec)
    assert caught.value.status == 400


@check
async def a_shared_network_needs_a_parent_that_runs(lab: Lab) -> None:
    parent = await lab.engine.create(lab.name("a"), body(lab, "serve"))
    child = await lab.engine.create(
        lab.name("b"), body(lab, "serve", HostConfig={"NetworkMode": f"container:{parent}"})
    )
    with pytest.raises(EngineError, match="non running container"):
        await lab.engine.start(child)


@check
async def the_gateway_of_a_network_is_an_address_or_nothing(lab: Lab) -> None:
    assert ipaddress.ip_address(await lab.engine.gateway(lab.network("net")))
    assert await lab.engine.gateway("host") == ""
    with pytest.raises(NotFound, match="no-such-network not found"):
        await lab.engine.gateway("no-such-network")


@check
async def one_that_removes_itself_is_gone_after_its_stop(lab: Lab) -> None:
    container_id, name = await made(lab, "a", "serve", HostConfig={"AutoRemove": True})
    found = await lab.engine.inspect(name)
    assert found is not None
    assert found.auto_remove
    async with watching(lab.engine) as seen:
        await lab.engine.stop(container_id, 5)
        await seen.until(lambda event: event.kind == "destroy" and event.object_id == container_id)
        assert await lab.engine.inspect(container_id) is None
        assert set(seen.kinds(container_id)) == {"kill", "die", "stop", "destroy"}


@check
async def volumes_of_an_image_get_names_and_stay(lab: Lab) -> None:
    spec = body(lab, "serve", Volumes={"/data": {}}, HostConfig={"Binds": [f"{lab.name('vol')}:/named"]})
    container_id = await lab.engine.create(lab.name("a"), spec)
    mounts = {mount["Destination"]: mount for mount in (await lab.engine.raw(container_id))["Mounts"]}
    assert mounts["/named"]["Name"] == lab.name("vol")
    assert len(mounts["/data"]["Name"]) == 64
    assert mounts["/data"]["Type"] == "volume"
