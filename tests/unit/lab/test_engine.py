"""The simulated engine: it passes the suite every engine passes, and has faults, kill points and fates of its own."""

import asyncio

import pytest

from supervisor.errors import Conflict, EngineError, EngineGone, EngineTimeout
from supervisor.lab.engine import NEVER, Behaviour, Fault, SimEngine, SimFile, SimImage
from supervisor.lab.loop import SimLoop
from supervisor.ports import ExecResult

pytest.register_assert_rewrite(
    "tests.support.engine_suite", "tests.support.engine_files", "tests.support.engine_refusals"
)
from tests.support import engine_files, engine_refusals  # noqa: E402, F401 - more checks, that join the suite
from tests.support.engine_suite import CHECKS, Check, watching  # noqa: E402 - after its asserts were made readable

IMAGES = {
    "serve": Behaviour(),
    "stubborn": Behaviour(stop_takes=None),
    "loop": Behaviour(exit_after=0.2, exit_code=139),
    "checked": Behaviour(healthy_after=1.0),
    "sick": Behaviour(healthy_after=NEVER, unhealthy_at=1.0),
    "toolless": Behaviour(check_missing="nosuchtool"),
    "done": Behaviour(exit_after=0.1, exit_code=3, log=("one", "two")),
}
CONFIG = {"Env": ["FROM_IMAGE=image", "KEPT=image"], "Labels": {"resurgam.image": "yes"}}


class SimLab:
    """A simulated engine with the images the suite asks for."""

    def __init__(self, loop: SimLoop) -> None:
        self.engine = SimEngine(loop.clock)
        for kind, run in IMAGES.items():
            self.engine.add_image(SimImage(tags=(self.image(kind),), config=dict(CONFIG), run=run))

    def name(self, word: str) -> str:
        return f"suite-{word}"

    def image(self, kind: str) -> str:
        return f"suite/{kind}:1"

    def image_id(self, kind: str) -> str:
        return self.engine.world.shelf.tags[self.image(kind)]

    def network(self, word: str) -> str:
        self.engine.add_network(f"suite-{word}")
        return f"suite-{word}"

    def fixed(self, word: str) -> tuple[str, str]:
        return self.network(word), "10.213.7.9"

    def missing_folder(self) -> str:
        self.engine.world.place.missing.add("/nosuch/folder")
        return "/nosuch/folder"

    async def crash(self, name: str) -> None:
        self.engine.crash(name, 137)

    async def delete_path(self, name: str, path: str) -> None:
        self.engine.world.get(name).files.delete(path)


@pytest.fixture
def loop():
    made = SimLoop()
    yield made
    made.close()


@pytest.fixture
def engine(loop):
    made = SimEngine(loop.clock)
    for kind, run in IMAGES.items():
        made.add_image(SimImage(tags=(f"local/{kind}:1",), run=run))
    return made


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_it_behaves_like_every_engine(loop: SimLoop, check: Check) -> None:
    loop.run_until_complete(check(SimLab(loop)))


# ---------------------------------------------------------------- restart policies on the clock


def test_the_backoff_doubles_and_forgets_after_a_long_run(loop, engine):
    engine.human_run("a", "local/loop:1", policy="always")

    async def story():
        async with watching(engine) as seen:
            await asyncio.sleep(400)
            died = [event.at for event in seen.events if event.kind == "die"]
            began = [event.at for event in seen.events if event.kind == "start"]
            gaps = [round(start - end, 1) for end, start in zip(died, began, strict=False)]
            assert gaps[:5] == [0.1, 0.2, 0.4, 0.8, 1.6]
            assert max(gaps) == gaps[-1] == 60.0
            await engine.stop("a", 1)
            engine.break_container("a", exit_after=11.0)
            seen.events.clear()
            await engine.start("a")
            await asyncio.sleep(40)
            died = [event.at for event in seen.events if event.kind == "die"]
            began = [event.at for event in seen.events if event.kind == "start"]
            assert [round(start - end, 1) for end, start in zip(died, began[1:], strict=False)] == [0.1, 0.1, 0.1]

    loop.run_until_complete(story())


def test_a_restart_of_the_engine_obeys_the_policies(loop, engine):
    for name, policy in (("always", "always"), ("manual", "always"), ("unless", "unless-stopped"), ("no", "no")):
        engine.human_run(name, "local/serve:1", policy=policy)
    engine.human_run("unless-manual", "local/serve:1", policy="unless-stopped")
    engine.human_run("created", "local/serve:1", policy="always", start=False)

    async def story():
        before = await engine.info()
        await engine.stop("manual", 5)
        await engine.stop("unless-manual", 5)
        async with watching(engine) as seen:
            engine.restart_engine(down=3.0)
            await asyncio.sleep(0.1)
            assert seen.ended.is_set()
            with pytest.raises(EngineGone):
                await engine.list()
        await asyncio.sleep(5)
        assert (await engine.info()).identity != before.identity
        status = {one.name: one.status for one in await engine.list()}
        assert status == {
            "always": "running",
            "manual": "running",
            "unless": "running",
            "no": "exited",
            "unless-manual": "exited",
            "created": "created",
        }
        assert not [event for event in engine.world.ring if event.kind == "die"]

    loop.run_until_complete(story())


# ---------------------------------------------------------------- faults


@pytest.mark.parametrize(
    ("fault", "error", "done"),
    [
        (Fault.refuse(500, "no space left on device"), EngineError, False),
        (Fault.refuse(409), Conflict, False),
        (Fault.timeout_before_effect(), EngineTimeout, False),
        (Fault.effect_then_timeout(), EngineTimeout, True),
        (Fault.cut(), EngineGone, False),
        (Fault.effect_then_cut(), EngineGone, True),
        (Fault.delay(5.0), None, True),
    ],
)
def test_a_fault_hits_one_call(loop, engine, fault, error, done):
    engine.human_run("a", "local/serve:1")
    engine.fault = lambda op, key: fault if (op, key) == ("rename", "a") else None

    async def story():
        if error:
            with pytest.raises(error):
                await engine.rename("a", "b")
        else:
            await engine.rename("a", "b")
        assert (engine.container("b") is not None) is done
        assert [write[:2] for write in engine.writes] == ([("rename", "a")] if done else [])

    loop.run_until_complete(story())


def test_a_delay_beyond_the_limit_is_a_timeout_with_a_late_effect(loop, engine):
    engine.human_run("a", "local/serve:1")
    engine.fault = lambda op, key: Fault.delay(100) if op == "stop" else None

    async def story():
        with pytest.raises(EngineTimeout):
            await engine.stop("a", 10)
        assert engine.container("a").running
        await asyncio.sleep(100)
        assert engine.container("a").status == "exited"

    loop.run_until_complete(story())


def test_a_call_whose_caller_is_gone_still_has_its_effect(loop, engine):
    engine.human_run("a", "local/serve:1")

    async def story():
        call = asyncio.ensure_future(engine.stop("a", 10))
        await asyncio.sleep(0.001)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.sleep(1)
        assert engine.container("a").status == "exited"

    loop.run_until_complete(story())


def test_the_world_outlives_the_loop(engine, loop):
    engine.human_run("a", "local/loop:1", policy="always")

    async def kill_soon():
        asyncio.ensure_future(engine.stop("a", 10))  # noqa: RUF006 - dropped with its loop, as in a kill
        await asyncio.sleep(0.001)

    loop.run_until_complete(kill_soon())
    second = SimLoop(loop.clock)

    async def look():
        await asyncio.sleep(5)
        return await engine.inspect("a")

    found = second.run_until_complete(look())
    assert (found.status, [write[0] for write in engine.writes]) == ("exited", ["stop"])
    second.close()


def test_kill_points_surround_every_write(loop, engine):
    engine.human_run("a", "local/serve:1")
    points = []

    class Killed(BaseException):
        pass

    def note(op, key, when):
        points.append((op, key, when))
        if op == "rename" and when == "after":
            raise Killed

    engine.on_call = note

    async def story():
        await engine.inspect("a")
        await engine.stop("a", 5)
        with pytest.raises(Killed):
            await engine.rename("a", "b")
        assert engine.container("b") is not None

    loop.run_until_complete(story())
    assert points == [
        ("stop", "a", "before"),
        ("stop", "a", "after"),
        ("rename", "a", "before"),
        ("rename", "a", "after"),
    ]


# ---------------------------------------------------------------- the engine's fate and its events


def test_while_it_is_away_its_containers_live_on(loop, engine):
    engine.human_run("a", "local/loop:1", policy="always")

    async def story():
        identity = (await engine.info()).identity
        slow = asyncio.ensure_future(engine.stop("nobody", 10))
        await asyncio.sleep(0.001)
        engine.go_away()
        with pytest.raises(EngineGone):
            await slow
        await asyncio.sleep(3)
        engine.come_back()
        assert (await engine.info()).identity == identity
        assert (await engine.inspect("a")).restart_count >= 3

    loop.run_until_complete(story())


def test_the_ring_keeps_256_events(loop, engine):
    async def story():
        for number in range(300):
            engine.human_run(f"c{number}", "local/serve:1", start=False)
        async with watching(engine, since_ns=1) as seen:
            await asyncio.sleep(1)
            assert len(seen.events) == 256
            assert seen.events[-1].attributes["name"] == "c299"

    loop.run_until_complete(story())


def test_a_reader_that_is_too_slow_loses_its_stream(loop, engine):
    async def story():
        stream = engine.events()
        assert (await anext(stream)).kind == "subscribed"
        for number in range(1100):
            engine.human_run(f"c{number}", "local/serve:1", start=False)
        assert len([event async for event in stream]) == 1024

    loop.run_until_complete(story())


def test_labels_shadow_what_an_event_says(loop, engine):
    async def story():
        async with watching(engine) as seen:
            engine.human_run("a", "local/loop:1", labels={"exitCode": "0", "name": "lie"})
            event = await seen.until(lambda event: event.kind == "die")
            assert event.attributes["exitCode"] == "0"
            assert event.attributes["name"] == "a"

    loop.run_until_complete(story())


def test_an_oom_kill_is_an_oom_then_a_death(loop, engine):
    engine.add_image(SimImage(tags=("local/greedy:1",), run=Behaviour(exit_after=1, oom=True)))
    engine.add_image(SimImage(tags=("local/forker:1",), run=Behaviour(oom_child_after=1)))

    async def story():
        async with watching(engine) as seen:
            main, child = engine.human_run("a", "local/greedy:1"), engine.human_run("b", "local/forker:1")
            await asyncio.sleep(2)
            assert seen.kinds(main) == ["create", "start", "oom", "die"]
            assert seen.kinds(child) == ["create", "start", "oom"]
            assert (await engine.inspect("a")).oom_killed
            assert not (await engine.inspect("b")).oom_killed

    loop.run_until_complete(story())


def test_a_static_address_is_refused_while_another_has_it(loop, engine):
    engine.add_network("lan")
    fixed = {"NetworkingConfig": {"EndpointsConfig": {"lan": {"IPAMConfig": {"IPv4Address": "10.1.2.3"}}}}}

    async def story():
        for name in ("a", "b"):
            await engine.create(name, {"Image": "local/serve:1", "HostConfig": {"NetworkMode": "lan"}, **fixed})
        await engine.start("a")
        with pytest.raises(EngineError, match="Address already in use"):
            await engine.start("b")
        await engine.stop("a", 5)
        await engine.start("b")
        assert engine.container("b").address == "10.1.2.3"

    loop.run_until_complete(story())


def test_whether_it_is_well_follows_its_behaviour(loop, engine):
    engine.add_image(SimImage(tags=("local/slow:1",), run=Behaviour(healthy_after=5, unhealthy_at=60)))
    engine.human_run("a", "local/slow:1")

    async def story():
        seen = []
        for wait in (1, 5, 60):
            await asyncio.sleep(wait)
            seen.append((engine.well("a"), engine.container("a").health))
        assert seen == [(False, "starting"), (True, "healthy"), (False, "unhealthy")]

    loop.run_until_complete(story())


def test_missing_variables_end_it(loop, engine):
    engine.add_image(SimImage(tags=("local/needy:1",), run=Behaviour(needs_env=("TOKEN",))))
    engine.human_run("without", "local/needy:1")
    engine.human_run("with", "local/needy:1", env=["TOKEN=x"])

    async def story():
        await asyncio.sleep(1)
        assert engine.container("without").exit_code == 1
        assert engine.container("with").running

    loop.run_until_complete(story())


def test_what_people_do_is_seen_as_the_engines_own(loop, engine):
    async def story():
        async with watching(engine) as seen:
            made = engine.human_run("a", "local/serve:1", policy="always")
            engine.human_rename("a", "b")
            engine.human_stop("b")
            await asyncio.sleep(1)
            engine.human_start("b")
            engine.human_kill("b")
            engine.human_remove("b")
            await asyncio.sleep(1)
            assert seen.kinds(made) == [
                *("create", "start", "rename", "kill", "die", "stop", "start", "kill", "die", "destroy")
            ]
            assert await engine.inspect("b") is None

    loop.run_until_complete(story())


# ---------------------------------------------------------------- what the machine has and lacks


def test_a_child_is_dead_inside_once_its_parent_was_started_again(loop, engine):
    engine.human_run("vpn", "local/serve:1")
    engine.human_run("child", "local/serve:1", host={"NetworkMode": "container:vpn"})

    async def story():
        assert engine.well("child")
        await engine.stop("vpn", 5)
        assert (engine.container("child").running, engine.well("child")) == (True, False)
        await engine.start("vpn")
        assert (engine.container("child").running, engine.well("child")) == (True, False)
        await engine.stop("child", 5)
        await engine.start("child")
        assert engine.well("child")

    loop.run_until_complete(story())


def test_a_gpu_is_handed_out_where_there_is_one(loop, engine):
    wants = {"DeviceRequests": [{"Driver": "", "Count": -1, "Capabilities": [["gpu"]]}]}
    engine.human_run("a", "local/serve:1", host=wants)
    assert engine.container("a").gpu
    engine.human_stop("a")
    engine.world.place.gpu = False

    async def story():
        await asyncio.sleep(1)
        with pytest.raises(EngineError, match=r"capabilities: \[\[gpu\]\]"):
            await engine.start("a")

    loop.run_until_complete(story())


def test_a_port_may_be_held_by_something_that_is_no_container(loop, engine):
    engine.world.place.held.add("8000/tcp")
    engine.human_run("a", "local/serve:1", ports={"80/tcp": "8000"}, start=False)

    async def story():
        with pytest.raises(EngineError, match=r"0\.0\.0\.0:8000: bind: address already in use"):
            await engine.start("a")
        engine.world.place.held.clear()
        await engine.start("a")
        assert engine.container("a").ports == ("8000/tcp",)

    loop.run_until_complete(story())


def test_a_full_disk_refuses_creates_and_starts(loop, engine):
    engine.human_run("a", "local/serve:1", start=False)
    engine.world.place.disk_full = True

    async def story():
        with pytest.raises(EngineError, match="no space left on device"):
            await engine.create("b", {"Image": "local/serve:1"})
        assert engine.container("b") is None
        with pytest.raises(EngineError, match="no space left on device"):
            await engine.start("a")
        assert "no space left" in engine.container("a").error
        engine.world.place.disk_full = False
        await engine.start("a")

    loop.run_until_complete(story())


def test_a_folder_that_went_missing_is_noticed_at_the_start(loop, engine):
    mount = {"Mounts": [{"Type": "bind", "Source": "/srv/models", "Target": "/models"}]}
    engine.human_run("a", "local/serve:1", host=mount, start=False)
    engine.world.place.missing.add("/srv/models")

    async def story():
        with pytest.raises(EngineError, match="bind source path does not exist: /srv/models"):
            await engine.start("a")
        assert (engine.container("a").exit_code, engine.container("a").error) == (0, "")

    loop.run_until_complete(story())


def test_several_networks_at_once_are_for_later_versions(loop, engine):
    body = {"Image": "local/serve:1", "NetworkingConfig": {"EndpointsConfig": {"bridge": {}, "lan": {}}}}
    engine.add_network("lan")
    with pytest.raises(EngineError, match="cannot be connected to network endpoints: bridge, lan"):
        engine.world.create("a", body)
    engine.world.place.api = "1.44"
    engine.world.create("a", body)
    loop.run_until_complete(engine.start("a"))
    assert loop.run_until_complete(engine.info()).api == "1.44"


def test_commands_end_as_a_test_says_in_whatever_has_the_name(loop, engine):
    engine.human_run("db", "local/serve:1")
    engine.set_exec("db", ExecResult(0, "saved"), "pg_dump")
    engine.set_exec("db", ExecResult(1, "no room"), "pg_dump", "--big", seconds=2)

    async def story():
        assert await engine.exec("db", ("pg_dump", "-a"), 5) == ExecResult(0, "saved")
        began = loop.clock.mono()
        assert await engine.exec("db", ("pg_dump", "--big"), 5) == ExecResult(1, "no room")
        assert loop.clock.mono() - began >= 2
        assert (await engine.exec("db", ("pg_dump", "--big"), 1)).code == 124
        assert (await engine.exec("db", ("true",), 1)).code == 0
        engine.human_rename("db", "other")
        engine.human_run("db", "local/serve:1")
        assert (await engine.exec("db", ("pg_dump",), 5)).output == "saved"
        assert [(name, argv[0]) for name, argv, _at in engine.execs][-1] == ("db", "pg_dump")
        engine.human_pause("db")
        with pytest.raises(Conflict, match="paused"):
            await engine.exec("db", ("true",), 1)

    loop.run_until_complete(story())


def test_files_of_an_image_and_of_a_container_are_told_apart(loop, engine):
    files = {"/opt/app/main": b"code", "/opt/app/link": SimFile(kind="link", target="main")}
    engine.add_image(SimImage(tags=("local/app:1",), files=files))
    engine.human_run("a", "local/app:1")

    async def story():
        assert await engine.changes("a") == ()
        engine.write_file("a", "/opt/app/main", b"other code")
        engine.write_file("a", "/run/secrets/token", SimFile(b"hush", mode=0o400))
        assert [(change.path, change.kind) for change in await engine.changes("a")] == [
            ("/opt", "modified"),
            ("/opt/app", "modified"),
            ("/opt/app/main", "modified"),
            ("/run", "added"),
            ("/run/secrets", "added"),
            ("/run/secrets/token", "added"),
        ]
        tar = await engine.get_archive("a", "/run/secrets", 100_000)
        engine.human_run("b", "local/app:1", start=False)
        await engine.put_archive("b", "/etc", tar)
        assert engine.world.get("b").files.get("/etc/secrets/token") == SimFile(b"hush", mode=0o400)

    loop.run_until_complete(story())
    assert [op for op, _key, _at in engine.writes] == ["put_archive"]


def test_a_check_without_its_tool_fails_while_the_service_is_well(loop, engine):
    engine.add_image(SimImage(tags=("local/bare:1",), run=Behaviour(check_missing="curl")))
    engine.human_run("a", "local/bare:1")

    async def story():
        await asyncio.sleep(2)
        found = engine.container("a")
        assert (found.health, engine.well("a")) == ("unhealthy", True)
        assert '"curl": executable file not found' in found.health_output

    loop.run_until_complete(story())
