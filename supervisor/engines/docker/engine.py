"""The hands on Docker: ports.Engine over docker-py's low-level client.

From: the runner (writes) and signals/docker.py (looks, events). To: the engine, through link.py, one call each.
Containers are created from raw JSON, because typed arguments lose what they do not know. A call is never cancelled:
when its caller is gone the thread ends it, and whoever cares looks at the engine afterwards.
"""

import math
import platform
from collections import OrderedDict
from collections.abc import AsyncGenerator, Mapping
from dataclasses import replace
from typing import Any

import docker.errors

from supervisor.clock import Clock
from supervisor.engines.docker import disk, files, output, shape, versions
from supervisor.engines.docker.link import Link
from supervisor.engines.docker.stream import Stream
from supervisor.errors import Conflict, EngineTimeout
from supervisor.facts import Container, EngineEvent, Image, Json
from supervisor.kernel.groups import Group, cpu_seconds, find
from supervisor.kernel.tree import KernelFiles, Tree
from supervisor.ports import DiskUse, EngineInfo, ExecResult, FileChange, FileStat, Usage

LOOK, WRITE, CREATE, START, REMOVE = 20.0, 30.0, 120.0, 300.0, 120.0
"""seconds of silence after which a call counts as late: reads, small writes, and the writes that may take long"""
STOP_MARGIN = 20.0
"""seconds on top of a container's grace until a stop counts as late"""
FILES = 60.0
"""seconds of silence while files are listed or copied"""
WALK = 1200.0
"""seconds of silence while the engine walks through everything it keeps"""
SIZE_LIMIT = 10.0
"""seconds for measuring a writable layer; one that takes longer is left unmeasured"""
_KEPT = 500


class DockerEngine:
    """One Docker engine. `endpoint` None: looked for. Nothing is connected before the first call. `tree`: where the
    kernel's files are, for what containers use."""

    def __init__(
        self,
        endpoint: str | None,
        clock: Clock,
        *,
        name: str = "docker",
        env: Mapping[str, str] | None = None,
        tree: Tree | None = None,
    ) -> None:
        self.name = name
        self._clock = clock
        self._link = Link(endpoint, env)
        self._streams: list[Stream] = []
        self._labels: OrderedDict[str, dict[str, str]] = OrderedDict()
        """image id -> its labels; an image never changes"""
        self._tree = tree or KernelFiles()
        self._groups: OrderedDict[str, Group] = OrderedDict()
        """what usage was asked for -> where it is read"""
        self._tags: Mapping[str, str] = {}
        self._tags_fresh = False
        self._host_memory = 0.0

    # ------------------------------------------------------------ looking

    async def info(self) -> EngineInfo:
        raw, version = await self._link.run("info", lambda c: (c.info(), c.version()), LOOK)
        self._host_memory = float(raw.get("MemTotal") or 0)
        life = self._link.life()
        identity = f"{raw.get('ID', '')}:{life}" if life else str(raw.get("ID", ""))
        here = self._link.by_socket() and raw.get("Name") == platform.node()
        return replace(shape.info(raw, version, identity, self.name), local=here)

    async def list(self) -> tuple[Container, ...]:
        def look(client: Any) -> tuple[list[Json], Mapping[str, str]]:
            found: list[Json] = []
            for row in client.containers(all=True):
                raw = _maybe(lambda row=row: client.inspect_container(row["Id"]))
                if raw is not None:
                    found.append(raw)
            return found, _tag_map(client)

        raws, tags = await self._link.run("list", look, LOOK)
        self._know_tags(tags)
        by_id = {raw["Id"]: raw for raw in raws}
        by_name = {str(raw.get("Name", "")).removeprefix("/"): raw for raw in raws}
        made: list[Container] = []
        for _id, raw in sorted(by_id.items()):
            one = await self._container(raw)
            if one.network_parent and one.running:
                parent = by_id.get(one.network_parent) or by_name.get(one.network_parent) or {}
                one = replace(one, address=shape.address(parent))
            made.append(one)
        return tuple(made)

    async def inspect(self, key: str) -> Container | None:
        fresh = self._tags_fresh and bool(self._streams)

        def look(client: Any) -> tuple[Json | None, Mapping[str, str] | None]:
            raw = _maybe(lambda: client.inspect_container(key))
            return raw, None if fresh or raw is None else _tag_map(client)

        raw, tags = await self._link.run("inspect", look, LOOK)
        if tags is not None:
            self._know_tags(tags)
        if raw is None:
            return None
        one = await self._container(raw)
        if one.network_parent and one.running:
            parent_key = one.network_parent
            parent = await self._link.run("inspect", lambda c: _maybe(lambda: c.inspect_container(parent_key)), LOOK)
            one = replace(one, address=shape.address(parent or {}))
        return one

    async def raw(self, key: str) -> Json:
        def sized(client: Any) -> Json:
            url = client._url("/containers/{0}/json", key)
            return dict(client._result(client._get(url, params={"size": "1"}), json=True))

        try:
            return await self._link.run("inspect", sized, SIZE_LIMIT, long=True)
        except EngineTimeout:
            return await self._link.run("inspect", lambda c: dict(c.inspect_container(key)), LOOK)

    async def image(self, ref: str) -> Image | None:
        raw = await self._link.run("image", lambda c: _maybe(lambda: c.inspect_image(ref)), LOOK)
        return None if raw is None else shape.image(raw)

    async def images(self) -> Mapping[str, str]:
        self._know_tags(await self._link.run("images", _tag_map, LOOK))
        return self._tags

    async def logs(self, key: str, lines: int) -> tuple[str, ...]:
        return await self._link.run("logs", lambda client: output.tail(client, key, lines), LOOK)

    async def usage(self, key: str) -> Usage | None:
        """From its control group where it can be seen from here: Docker answers even its one-shot stats only once a
        second per container."""
        known = self._groups.get(key)
        if known is not None:
            try:
                return self._used(known)
            except (OSError, ValueError, KeyError):
                self._forget(key)  # it ended, or its group is another one now
        raw = await self._link.run("inspect", lambda c: _maybe(lambda: c.inspect_container(key)), LOOK)
        state = (raw or {}).get("State") or {}
        if raw is None or state.get("Status") not in ("running", "paused"):
            return None
        place = find(self._tree, int(state.get("Pid") or 0), str(raw["Id"]))
        if place is None or not place.cpu:
            return await self._asked_usage(key)
        found = self._groups[key] = Group(self._tree, place)
        while len(self._groups) > _KEPT:
            self._forget(next(iter(self._groups)))
        try:
            return self._used(found)
        except (OSError, ValueError, KeyError):
            return None  # it ended just now

    def _used(self, group: Group) -> Usage:
        """Microseconds, from files that stay open: quicker here than in another thread."""
        memory, limit = group.working_set()
        return Usage(memory=memory, memory_limit=limit, cpu_seconds=cpu_seconds(self._tree, group.place))

    def _forget(self, key: str) -> None:
        self._tree.forget(self._groups.pop(key).place.folders())

    async def _asked_usage(self, key: str) -> Usage | None:
        def look(client: Any) -> Usage | None:
            one_shot = True if self._link.api_at_least("1.41") else None
            raw = _maybe(lambda: client.stats(key, stream=False, one_shot=one_shot))
            return None if raw is None else shape.usage(raw, self._host_memory)

        return await self._link.run("stats", look, LOOK, long=True)

    async def gateway(self, network: str) -> str:
        return await self._link.run("network", lambda client: shape.gateway(client.inspect_network(network)), LOOK)

    async def changes(self, key: str) -> tuple[FileChange, ...]:
        return await self._link.run("changes", lambda client: files.changes(client, key), FILES, long=True)

    async def stat(self, key: str, path: str) -> FileStat | None:
        return await self._link.run("stat", lambda client: _maybe(lambda: files.stat(client, key, path)), LOOK)

    async def get_archive(self, key: str, path: str, limit: int) -> bytes:
        return await self._link.run(
            "get_archive", lambda client: files.fetch(client, key, path, limit), FILES, long=True
        )

    async def disk(self) -> DiskUse:
        def walk(client: Any) -> Json:
            answer = client._get(client._url("/system/df"), params={"verbose": "1"})  # newer engines tell no rows else
            return dict(client._result(answer, json=True))

        return disk.use(await self._link.run("disk", walk, WALK, long=True))

    # ------------------------------------------------------------ writing

    async def put_archive(self, key: str, path: str, tar: bytes) -> None:
        await self._link.run("put_archive", lambda client: files.unpack(client, key, path, tar), FILES, long=True)

    async def create(self, name: str, spec: Json) -> str:
        def work(client: Any) -> str:
            first, later = versions.fit(spec, self._link.api)
            made = str(client.create_container_from_config(first, name)["Id"])
            for network, endpoint in later.items():
                try:
                    url = client._url("/networks/{0}/connect", network)
                    body = {"Container": made, "EndpointConfig": endpoint or {}}
                    client._raise_for_status(client._post_json(url, data=body))
                except BaseException:
                    _maybe(lambda: client.remove_container(made, v=False, force=False))
                    raise
            return made

        return await self._link.run("create", work, CREATE, long=True)

    async def start(self, key: str) -> None:
        await self._link.run("start", lambda c: c.start(key), START, long=True)

    async def stop(self, key: str, grace: float) -> None:
        whole = max(0, math.ceil(grace))

        def work(client: Any) -> None:
            url = client._url("/containers/{0}/stop", key)
            client._raise_for_status(client._post(url, params={"t": whole}))

        await self._link.run("stop", work, whole + STOP_MARGIN, long=True)

    async def rename(self, key: str, name: str) -> None:
        def work(client: Any) -> None:
            try:
                client.rename(key, name)
            except docker.errors.APIError:  # it may have the name already; to look first would keep a service away
                if str(client.inspect_container(key).get("Name", "")).removeprefix("/") != name:
                    raise

        await self._link.run("rename", work, WRITE)

    async def remove(self, key: str) -> None:
        def work(client: Any) -> None:
            _maybe(lambda: client.remove_container(key, v=False, force=False))

        try:
            await self._link.run("remove", work, REMOVE, long=True)
        except Conflict as err:
            if "already in progress" not in str(err):
                raise

    async def set_policy(self, key: str, policy: str) -> None:
        wanted = shape.policy_json(policy)

        def work(client: Any) -> None:
            raw = client.inspect_container(key)
            if raw["State"].get("Running") or raw["State"].get("Restarting"):
                name = str(raw.get("Name", key)).removeprefix("/")
                raise Conflict(f"container {name} runs; its restart policy is only changed while it is stopped", 409)
            client.update_container(key, restart_policy=wanted)

        await self._link.run("set_policy", work, WRITE)

    async def tag(self, image_id: str, ref: str) -> None:
        repository, tag = shape.split_reference(ref)
        await self._link.run("tag", lambda c: c.tag(image_id, repository, tag), WRITE)
        self._tags_fresh = False

    async def untag(self, ref: str) -> None:
        full = shape.reference(ref)

        def work(client: Any) -> None:
            if full in _tag_map(client):
                _maybe(lambda: client.remove_image(full, force=False, noprune=True))

        await self._link.run("untag", work, WRITE)
        self._tags_fresh = False

    async def exec(self, key: str, argv: tuple[str, ...], limit: float) -> ExecResult:
        return await self._link.run(
            "exec", lambda client: output.execute(client, key, argv, limit, self._clock), limit + 5.0, long=True
        )

    # ------------------------------------------------------------ events

    async def events(self, since_ns: int = 0) -> AsyncGenerator[EngineEvent, None]:
        stream = Stream(self._link, self._clock, self.name)
        self._streams.append(stream)
        self._tags_fresh = False
        try:
            async for event in stream.read(since_ns):
                if event.type == "image":
                    self._tags_fresh = False
                yield event
        finally:
            stream.end()
            self._streams.remove(stream)

    async def close(self) -> None:
        for stream in tuple(self._streams):
            stream.end()
        for key in tuple(self._groups):
            self._forget(key)
        self._link.close()

    # ------------------------------------------------------------ inside

    def _know_tags(self, tags: Mapping[str, str]) -> None:
        self._tags, self._tags_fresh = tags, True

    async def _container(self, raw: Json) -> Container:
        ref = shape.called(raw)
        stands_for = "" if shape.is_id(ref) else self._tags.get(shape.reference(ref), "")
        return shape.container(raw, await self._image_labels(str(raw.get("Image") or "")), stands_for)

    async def _image_labels(self, image_id: str) -> dict[str, str]:
        known = self._labels.get(image_id)
        if known is None:
            raw = await self._link.run("image", lambda c: _maybe(lambda: c.inspect_image(image_id)), LOOK)
            if raw is None:
                return {}  # the image's record is gone (`rmi -f`); its labels cannot be told from the container's own
            known = self._labels[image_id] = shape.own_labels(raw)
            while len(self._labels) > _KEPT:
                self._labels.popitem(last=False)
        return known


def _tag_map(client: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    for row in client.images():
        for ref in row.get("RepoTags") or ():
            if ref != "<none>:<none>":
                found[str(ref)] = str(row["Id"])
    return dict(sorted(found.items()))


def _maybe(call: Any) -> Any:
    """What the call returns; None where the engine says that there is no such thing."""
    try:
        return call()
    except docker.errors.NotFound:
        return None
