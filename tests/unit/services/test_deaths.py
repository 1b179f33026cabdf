"""What is a death, how often it is counted (once), and what follows from it."""

import pytest

from supervisor.config import Settings
from tests.unit.services.world import OPT_IN, World, plan


@pytest.fixture
def world() -> World:
    made = World()
    made.engine(True)
    made.sweep()
    return made


def test_a_crash_is_one_death_and_one_restart_with_its_evidence(world: World) -> None:
    cid = world.run()
    world.crash(cid, 139)
    found = world.service()
    assert (found.deaths, found.streak, found.last_exit) == (1, 1, 139)
    died = next(one for one in world.told if one.kind == "container.died")
    assert died.data["signal"] == "SIGSEGV"
    assert died.data["uptime"] == pytest.approx(0.3)
    assert "SIGSEGV" in died.data["text"]
    kept = next(one for one in world.told if one.kind == "container.evidence")
    assert kept.data["log"] == ["last words"]
    assert not kept.public
    assert world.series()["resurgam_container_restarts_total"] == 1


@pytest.mark.parametrize(
    ("signal", "code", "deaths"),
    [
        ("15", 143, 0),
        ("SIGTERM", 0, 0),
        ("3", 131, 0),
        ("37", 0, 0),  # SIGRTMIN+3, how systemd in a container is asked
        ("9", 137, 1),
        ("1", 129, 1),
        ("SIGHUP", 1, 1),
        ("10", 1, 1),
        ("12", 1, 1),
        ("28", 1, 1),
        ("", 143, 0),
    ],
)
def test_an_end_that_was_asked_for_is_no_death(world: World, signal: str, code: int, deaths: int) -> None:
    cid = world.run()
    world.event(cid, "kill", signal=signal)
    world.end(cid, code, restarts=deaths == 1)
    assert world.service().deaths == deaths
    assert ("container.died" in world.kinds()) is (deaths == 1)


def test_a_request_counts_only_for_the_run_it_was_made_in(world: World) -> None:
    cid = world.run(restart_policy="unless-stopped")
    world.event(cid, "kill", signal="15")
    world.wait(1)
    world.start(cid)  # it had ignored it, and was restarted later
    world.end(cid, 1)
    assert world.service().deaths == 1


@pytest.mark.parametrize(
    ("policy", "code", "deaths"),
    [
        ("no", 0, 0),
        ("no", 1, 1),
        ("on-failure", 0, 0),
        ("on-failure:3", 2, 1),
        ("always", 0, 1),
        ("unless-stopped", 0, 1),
    ],
)
def test_a_finished_job_is_no_death(world: World, policy: str, code: int, deaths: int) -> None:
    cid = world.run(restart_policy=policy)
    world.end(cid, code)
    assert world.service().deaths == deaths
    assert world.kinds("container.")[-2 if deaths else -1] == ("container.died" if deaths else "container.stopped")


def test_what_our_plan_does_is_no_death_but_what_happens_before_it_writes_is(world: World) -> None:
    cid = world.run()
    world.plans = {cid: plan(begun=("look",))}
    world.crash(cid)
    assert world.service().deaths == 1
    assert world.service().plan == 7
    world.plans = {cid: plan(begun=("look", "stop"))}
    world.crash(cid)
    assert world.service().deaths == 1
    world.plans = {}
    world.sweep()
    assert world.service().deaths == 1, "nor afterwards, by the engine's counter"
    assert world.service().plan == 0


def test_a_harmless_plan_hides_nothing(world: World) -> None:
    cid = world.run()
    world.plans = {cid: plan(verb="protect", begun=("stop",))}
    world.crash(cid)
    assert world.service().deaths == 1
    assert world.service().plan == 0


def test_plans_that_come_and_go_without_facts_are_shown(world: World) -> None:
    cid = world.run()
    world.registry.mark({cid: plan()})
    assert world.service().plan == 7
    world.registry.mark({})
    assert world.service().plan == 0


def test_a_label_cannot_forge_the_exit_code(world: World) -> None:
    cid = world.run(labels={"exitCode": "0", "signal": "15"}, restart_policy="no")
    world.end(cid, 139)
    assert world.service().deaths == 1
    assert world.service().last_exit == 139, "from the inspect"


@pytest.mark.parametrize("code", ["", "abc", "99999", "-1", "²"])
def test_an_exit_code_that_cannot_be_read_is_unknown_until_the_inspect(world: World, code: str) -> None:
    cid = world.run()
    world._set(cid, status="restarting", exit_code=7, finished_at=world.now, restart_count=1)
    world.event(cid, "die", exitCode=code)
    assert (world.service().deaths, world.service().last_exit) == (1, None)
    world.look(cid)
    assert world.service().last_exit == 7


def test_an_out_of_memory_kill_is_counted_and_told_with_the_death(world: World) -> None:
    cid = world.run()
    world.event(cid, "oom")
    world.end(cid, 137)
    assert world.series()["container_oom_events_total"] == 1
    died = next(one for one in world.told if one.kind == "container.died")
    assert died.data["oom"]
    assert "memory" in died.data["text"]


def test_an_out_of_memory_kill_of_a_child_is_told_though_nothing_dies(world: World) -> None:
    cid = world.run()
    world.event(cid, "oom")
    assert world.series()["container_oom_events_total"] == 1, "rules see it at once"
    world.wait(3)
    assert world.kinds()[-1] == "container.oom"
    assert world.service().deaths == 0


def test_events_of_a_container_wait_for_its_first_inspect_and_none_is_lost(world: World) -> None:
    world.deliver = False
    cid = world.create(restart_policy="always")
    del world.facts[-1]  # the inspect comes last
    world.start(cid, look=False)
    world.wait(0.2)
    world.end(cid, 139, look=False)
    world.deliver = True
    for fact in list(world.facts[-3:]):
        world.fold(fact)
    assert world.ids() == []
    world.look(cid, ("last words",))
    assert world.service().deaths == 1
    assert world.service().container.status == "restarting"
    assert world.kinds() == ["container.appeared", "container.started", "container.died", "container.evidence"]


# ---------------------------------------------------------------- exactly once


def test_a_repeated_event_changes_nothing(world: World) -> None:
    cid = world.run()
    world.wait(1)
    world.end(cid, 1)
    die = next(fact for fact in world.facts if getattr(fact, "kind", "") == "die")
    assert world.fold(die) == ()
    assert world.service().deaths == 1


def test_missed_deaths_are_the_growth_of_the_restart_count(world: World) -> None:
    cid = world.run()
    world.deliver = False
    for _ in range(3):
        world.crash(cid)
    world.deliver = True
    world.sweep()
    assert world.service().deaths == 3
    assert world.service().streak == 3
    assert world.series()["resurgam_container_restarts_total"] == 3
    told = [one for one in world.told if one.kind == "container.died"]
    assert [one.data["missed"] for one in told] == [3]
    world.sweep()
    assert world.service().deaths == 3


def test_a_death_first_seen_by_a_sweep_is_not_counted_again_when_its_event_comes(world: World) -> None:
    cid = world.run()
    world.deliver = False
    world.crash(cid)
    late = [fact for fact in world.facts if getattr(fact, "kind", "") in ("die", "start")][-2:]
    world.deliver = True
    world.sweep()
    assert world.service().deaths == 1
    for fact in late:
        world.fold(fact)
    assert world.service().deaths == 1
    assert world.service().container.running
    world.crash(cid)
    assert world.service().deaths == 2
    assert world.series()["resurgam_container_restarts_total"] == 2


def test_an_inspect_older_than_the_event_takes_nothing_back(world: World) -> None:
    cid = world.run()
    old = world.there[cid]
    world.wait(1)
    world.end(cid, 1, look=False)
    new, world.there[cid] = world.there[cid], old
    world.look(cid)
    assert world.service().container.status == "restarting"
    world.there[cid] = new
    world.look(cid)
    assert world.service().deaths == 1


def test_an_old_inspect_cannot_count_runs_from_before_a_start_by_hand(world: World) -> None:
    cid = world.run()
    for _ in range(3):
        world.crash(cid)
    world.wait(5)
    old = world.there[cid]
    world.stop(cid)
    world.wait(5)
    world.start(cid, look=False)
    new, world.there[cid] = world.there[cid], old
    world.look(cid)
    world.look(cid)  # the second is believed, but not for counting
    world.there[cid] = new
    world.look(cid)
    assert world.service().deaths == 3


def test_what_the_counter_had_before_we_came_is_not_ours_to_count() -> None:
    world = World(deliver=False)
    cid = world.run()
    for _ in range(5):
        world.crash(cid)
    world.deliver = True
    world.sweep()
    assert world.service().deaths == 0
    world.crash(cid)
    assert world.service().deaths == 1


def test_what_came_since_the_last_list_is_ours_to_count_from_its_first_restart(world: World) -> None:
    world.deliver = False
    cid = world.run()
    world.crash(cid)
    world.crash(cid)
    world.deliver = True
    world.sweep()
    assert world.service().deaths == 2


def test_a_start_by_hand_that_was_missed_resets_the_counter_not_us(world: World) -> None:
    cid = world.run()
    for _ in range(3):
        world.crash(cid)
    world.deliver = False
    world.stop(cid)
    world.start(cid)
    world.crash(cid)
    world.deliver = True
    world.sweep()
    assert world.service().deaths == 4


def test_a_fresh_process_counts_on_where_the_journal_left_off(world: World) -> None:
    cid = world.run(labels=dict(OPT_IN))
    world.crash(cid)
    world.crash(cid)
    fresh = world.again()
    fresh.deliver = False
    fresh.crash(cid)
    fresh.deliver = True
    fresh.sweep()
    assert fresh.service().deaths == 3
    assert fresh.service().streak == 3
    assert "container.appeared" not in fresh.kinds()
    assert fresh.again().registry.get("oracle").deaths == 3


def test_a_death_replayed_to_a_fresh_process_is_not_counted_again(world: World) -> None:
    cid = world.run()
    world.crash(cid)
    die = next(fact for fact in world.facts if getattr(fact, "kind", "") == "die")
    fresh = world.again()
    fresh.sweep()
    fresh.fold(die)
    assert fresh.service().deaths == 1


def test_a_restart_while_we_were_away_is_counted_once(world: World) -> None:
    cid = world.run(restart_policy="no")
    world.end(cid, 1)
    fresh = world.again()
    fresh.deliver = False
    fresh.wait(1)
    fresh.start(cid)
    fresh.deliver = True
    fresh.sweep()
    fresh.sweep()
    assert fresh.series()["resurgam_container_restarts_total"] == 1


def test_a_recreation_after_a_death_is_a_restart(world: World) -> None:
    old = world.run(restart_policy="no")
    world.end(old, 1)
    world.remove(old)
    world.run(restart_policy="no")
    assert world.series()["resurgam_container_restarts_total"] == 1
    assert world.service().deaths == 1


# ---------------------------------------------------------------- streaks


def test_a_streak_is_chained_by_short_gaps_and_ends_after_a_long_run(world: World) -> None:
    cid = world.run()
    world.crash(cid)
    world.crash(cid, ran=590)
    assert world.service().streak == 2
    world.wait(599)
    assert world.service().streak == 2
    world.wait(2)
    assert world.service().streak == 0
    world.crash(cid)
    assert (world.service().streak, world.service().deaths) == (1, 3)


def test_slow_loaders_are_chained_over_their_loading_time() -> None:
    world = World(Settings.model_validate({"services": {"oracle": {"startup": "25m"}}}))
    cid = world.run()
    for _ in range(3):
        world.crash(cid, ran=1200)
    assert world.service().streak == 3


def test_a_wall_clock_that_jumps_breaks_no_chain(world: World) -> None:
    cid = world.run()
    world.crash(cid)
    world.now += 7200
    world.crash(cid)
    assert world.service().streak == 2


def test_time_in_which_nobody_looked_ends_no_streak(world: World) -> None:
    cid = world.run()
    world.crash(cid)
    world.engine(False)
    world.wait(3600)
    assert world.service().streak == 1
    world.engine(True)
    world.sweep()
    world.wait(601)
    assert world.service().streak == 0


def test_a_person_restarting_what_is_stopped_by_an_odd_signal_makes_no_streak(world: World) -> None:
    cid = world.run()
    for _ in range(3):
        world.stop(cid, code=0, signal="28")  # Apache's stop signal is WINCH
        world.start(cid)
    assert world.service().streak == 0
    assert world.service().wanted.state == "running"


def test_removing_by_force_makes_no_streak(world: World) -> None:
    for _ in range(3):
        cid = world.run()
        world.event(cid, "kill", signal="9")
        world.end(cid, 137, restarts=False)
        world.remove(cid)
    assert world.service().streak == 0
