"""What a service is in trouble with: which cause stands, for how long, and what a log must not do."""

from dataclasses import replace

import pytest

from tests.unit.services.world import World

PORT = "driver failed programming external connectivity: Bind for 0.0.0.0:8000 failed: port is already allocated"


@pytest.fixture
def world() -> World:
    made = World()
    made.engine(True)
    made.sweep()
    return made


def told(world: World) -> tuple[str, str]:
    found = world.service()
    return found.trouble, found.trouble_told


def troubles(world: World) -> dict[str, float]:
    """cause -> value, of what is given out between two repeats."""
    found = {}
    for sample in world.registry.samples(full=False):
        has = dict(sample.labels)
        if has["__name__"] == "resurgam_service_trouble":
            found[has["cause"]] = sample.value
    return found


def fails_to_start(world: World, cid: str, error: str) -> None:
    """The engine gave up starting it again: no event tells, only the next look."""
    world._set(cid, status="exited", exit_code=128, error=error)
    world.look(cid)


def test_deaths_that_nobody_saw_are_a_trouble_too(world: World) -> None:
    """The engine started it again meanwhile: how it ended nobody knows, that it did is certain."""
    cid = world.run()
    world._set(cid, restart_count=3, started_at=world.now)
    world.look(cid)
    assert told(world) == ("ended", "ended")
    assert "nobody looked" in world.service().trouble_text
    world.crash(cid, 139)
    assert told(world) == ("crash", "crash"), "what is known goes first"
    world._set(cid, status="running", restart_count=6, started_at=world.now + 1)
    world.look(cid)
    assert told(world) == ("crash", "crash")


def test_a_death_is_told_at_once_and_forgotten_once_it_ran_well(world: World) -> None:
    cid = world.run()
    assert told(world) == ("", "")
    world.crash(cid, 139)
    assert told(world) == ("crash", "crash")
    assert "exit 139 (SIGSEGV)" in world.service().trouble_text
    died = next(one for one in world.told if one.kind == "container.died")
    assert died.data["cause"] == "crash"
    assert troubles(world) == {"crash": 1}
    assert world.again().service().trouble == "crash", "a restart of ours forgets nothing"
    world.wait(599)
    assert told(world) == ("crash", "crash")
    world.wait(610)
    assert told(world) == ("", "")
    assert world.service().trouble_text == ""
    assert troubles(world) == {"crash": 0}
    world.wait(60)
    assert troubles(world) == {}


def test_an_out_of_memory_kill_is_known_from_its_event(world: World) -> None:
    cid = world.run()
    world.event(cid, "oom")
    assert told(world) == ("oom", "oom")
    assert "runs on without it" in world.service().trouble_text
    world.end(cid, 137)
    assert told(world) == ("oom", "oom")
    world.start(cid, by_hand=False)
    world.crash(cid, 137)
    assert told(world) == ("killed", "killed"), "137 alone is no OOM"


def test_a_log_makes_the_word_better_and_decides_nothing(world: World) -> None:
    cid = world.run()
    world._set(cid, status="restarting", exit_code=1, finished_at=world.now)
    world.event(cid, "die", exitCode="1")
    world.look(cid, ("loading", "RuntimeError: CUDA driver version is insufficient", "bye"))
    assert told(world) == ("gpu_runtime", "app")
    assert troubles(world) == {"app": 1}, "no rule acts on what a container writes into its log"
    assert world.service().trouble_text.startswith("By its own log, the GPU driver is too old")
    kept = next(one for one in world.told if one.kind == "container.evidence")
    assert kept.data["cause"] == "gpu_runtime"


def test_a_log_does_not_hide_a_crash(world: World) -> None:
    cid = world.run()
    world._set(cid, status="restarting", exit_code=139, finished_at=world.now)
    world.event(cid, "die", exitCode="139")
    world.look(cid, ("No space left on device",))
    assert told(world) == ("crash", "crash")


def test_a_failed_start_names_the_port_and_its_holder_and_ends_with_the_start(world: World) -> None:
    cid = world.run()
    world.run("web", ports=("0.0.0.0:8000/tcp",))
    world.end(cid, 1)
    fails_to_start(world, cid, PORT)
    found = world.service()
    assert (found.trouble_told, found.trouble_by) == ("port_held", "web")
    assert "Port 8000 of this machine is held by web" in found.trouble_text
    world.start(cid)
    assert told(world) == ("", "")


def test_what_was_made_in_vain_or_stopped_by_a_person_is_no_trouble(world: World) -> None:
    made = world.create()
    world._set(made, exit_code=128, error=PORT)
    world.look(made)
    assert told(world) == ("", "")
    cid = world.run("other")
    world.stop(cid)
    world._set(cid, error=PORT)
    world.look(cid)
    assert world.service("other").trouble == ""


def test_a_failing_check_is_told_with_its_output_and_ends_with_it(world: World) -> None:
    cid = world.run(health="starting")
    world.health(cid, "healthy")
    world._set(cid, health_output="HTTP 503: password=hunter2")
    world.health(cid, "unhealthy")
    assert told(world) == ("unhealthy", "unhealthy")
    assert "HTTP 503" in world.service().trouble_text
    assert "hunter2" not in world.service().trouble_text
    world.wait(10)
    before = world.keep()["tally"]["oracle"]
    world._set(cid, health_output="HTTP 504")
    world.look(cid)
    assert world.keep()["tally"]["oracle"] == before, "another output each time is no news"
    world.health(cid, "healthy")
    assert told(world) == ("", "")


def test_a_check_whose_tool_is_missing_is_broken(world: World) -> None:
    cid = world.run(health="starting", health_output="the check cannot run: /bin/sh: curl: not found")
    world.health(cid, "unhealthy")
    assert told(world) == ("check_broken", "check_broken")
    world.health(cid, "healthy")
    assert told(world) == ("", "")


def test_a_lost_gpu_is_known_from_the_check_and_still_only_unhealthy(world: World) -> None:
    cid = world.run(health="starting", health_output="Failed to initialize NVML: Unknown Error")
    world.health(cid, "unhealthy")
    assert told(world) == ("gpu_lost", "unhealthy")
    assert "a restart gives it back" in world.service().trouble_text


def test_a_failing_check_does_not_hide_the_death_of_a_child(world: World) -> None:
    cid = world.run(health="starting")
    world.health(cid, "healthy")
    world.wait(5)
    world.event(cid, "oom")
    world.wait(5)
    world.health(cid, "unhealthy")
    assert told(world) == ("oom", "oom")


# ---------------------------------------------------------------- loops that are slow


@pytest.mark.parametrize(("health", "streak"), [("starting", 3), ("none", 1)])
def test_a_load_that_takes_long_and_dies_is_a_loop_where_its_check_says_it_never_got_well(
    world: World, health: str, streak: int
) -> None:
    cid = world.run(health=health)
    for _ in range(3):
        world.crash(cid, 1, ran=1500, back=1)
    assert world.service().streak == streak


def test_a_declared_load_chains_deaths_without_any_check(world: World) -> None:
    made = World(settings=world.settings.model_validate({"services": {"oracle": {"startup": "25m"}}}))
    made.engine(True)
    made.sweep()
    cid = made.run()
    for _ in range(3):
        made.crash(cid, 1, ran=1500, back=1)
    assert made.service().streak == 3
    again = made.again()
    again.engine(True)
    again.sweep()
    again.crash(cid, 1, ran=1500, back=1)
    assert again.service().streak == 4, "a restart of ours does not break the chain"


def test_a_recreation_between_deaths_does_not_break_the_chain(world: World) -> None:
    first = world.run()
    world.crash(first, 1)
    world.end(first, 1)
    world.remove(first)
    second = world.run()
    world.crash(second, 1)
    assert world.service().streak == 3


def test_an_hour_of_running_ends_a_streak_though_it_was_never_healthy(world: World) -> None:
    cid = world.run(health="starting")
    world.crash(cid, 1)
    world.wait(3590)
    assert world.service().streak == 1
    world.wait(20)
    assert world.service().streak == 0


def test_a_broken_check_does_not_make_a_loop_of_deaths_hours_apart(world: World) -> None:
    cid = world.run(health="starting", health_output="the check cannot run: curl: not found")
    for _ in range(3):
        world.crash(cid, 1, ran=7200, back=1)
    assert world.service().streak == 1
    assert replace(world.service(), streak=0) != world.service()


def test_deaths_that_nobody_saw_have_a_cause_where_the_engine_still_says_how_the_last_one_ended(world: World) -> None:
    cid = world.run()
    world.deliver = False
    world.crash(cid)
    world.end(cid, 139, look=False)
    world.deliver = True
    world.sweep()
    assert world.service().deaths == 2
    assert told(world) == ("crash", "crash")
    assert [one.data["missed"] for one in world.told if one.kind == "container.died"] == [2]


def test_deaths_that_nobody_saw_and_a_stop_after_them_blame_nothing(world: World) -> None:
    cid = world.run()
    world.deliver = False
    world.crash(cid)
    world.end(cid, 143, restarts=False, look=False)
    world.deliver = True
    world.sweep()
    assert world.service().deaths == 1
    assert told(world) == ("", "")
