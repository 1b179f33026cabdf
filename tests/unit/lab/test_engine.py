"""The simulated engine: it passes the suite every engine passes, and has faults, kill points and fates of its own."""

import asyncio

import pytest

from supervisor.errors import Conflict, EngineError, EngineGone, EngineTimeout
from supervisor.lab.engine import NEVER, Behaviour, Fault, SimEngine, SimImage
from supervisor.lab.loop import SimLoop

pytest.register_assert_rewrite("tests.support.engine_suite")
from tests.support.engine_suite import CHECKS, Check, watching  # noqa: E402 - after its asserts were made readable

IMAGES = {
    "serve": Behaviour(),
    "stubborn": Behaviour(stop_takes=None),
    "loop": Behaviour(exit_after=0.2, exit_code=139),
    "checked": Behaviour(healthy_after=1.0),
    "sick": Behaviour(healthy_after=NEVER, unhealthy_at=1.0),
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

    async def crash(self, name: str) -> None:
        self.engine.crash(name, 137)


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
