"""What people want, which image proved good, what drifted, and what a restart remembers."""

from dataclasses import replace

import pytest

from supervisor.config import Settings
from supervisor.facts import Wanted
from supervisor.services import temp_name
from supervisor.services.proof import GRACE
from tests.unit.services.world import BAD, GOOD, OPT_IN, World, compose, plan

REF = "local/oracle:1"


@pytest.fixture
def world() -> World:
    made = World()
    made.engine(True)
    made.sweep()
    return made


# ---------------------------------------------------------------- wanted


def test_a_persons_stop_is_a_wish_and_their_start_takes_it_back(world: World) -> None:
    cid = world.run()
    assert world.service().wanted.state == "any"
    world.stop(cid)
    found = world.service().wanted
    assert (found.state, found.by) == ("stopped", "person")
    assert world.service().deaths == 0
    world.wait(5)
    world.start(cid)
    assert world.service().wanted.state == "running"
    assert world.keep()["wanted"]["oracle"]["state"] == "running"


def test_a_stop_in_the_pause_between_two_crashes_is_a_wish_too(world: World) -> None:
    cid = world.run()
    world.wait(1)
    world.end(cid)
    world.stop(cid)
    assert world.service().wanted.state == "stopped"
    assert world.service().container.status == "exited"


def test_a_crash_and_a_kill_are_no_wish(world: World) -> None:
    cid = world.run()
    world.crash(cid)
    world.event(cid, "kill", signal="15")
    world.end(cid, 143, restarts=False)
    assert world.service().wanted.state == "any"


def test_what_our_plan_stops_is_no_persons_wish(world: World) -> None:
    cid = world.run()
    world.plans = {cid: plan()}
    world.stop(cid)
    assert world.service().wanted.state == "any"
    world.registry.want("oracle", Wanted("stopped", "rule:X", world.now, "loop", "always"))
    world.start(cid)
    assert world.service().wanted.by == "rule:X"


def test_events_slower_than_the_end_of_their_plan_are_still_its_doing(world: World) -> None:
    cid = world.run()
    world.plans = {cid: plan()}
    world.registry.mark(world.plans)
    world.deliver = False
    world.wait(1)
    world.stop(cid)
    late = world.facts[-4:]
    world.deliver = True
    world.wait(1)
    world.plans = {}
    world.registry.tick(world.now, world.mono)
    world.registry.mark({})
    for fact in late:
        world.fold(fact)
    assert world.service().wanted.state == "any"
    assert world.service().deaths == 0
    world.start(cid)
    world.wait(1)
    world.stop(cid)
    assert world.service().wanted.by == "person", "what comes after it is not"


def test_the_engines_own_restart_does_not_take_back_a_wish(world: World) -> None:
    cid = world.run()
    world.crash(cid)
    world.registry.want("oracle", Wanted("stopped", "rule:X", world.now, "loop"))
    world.crash(cid)  # the stop is on its way
    world.sweep()
    assert world.service().wanted.state == "stopped"


@pytest.mark.parametrize(("policy", "state"), [("no", "running"), ("unless-stopped", "running"), ("always", "stopped")])
def test_a_start_that_was_missed_is_seen_unless_it_may_be_the_engines(world: World, policy: str, state: str) -> None:
    cid = world.run(restart_policy=policy)
    world.stop(cid)
    fresh = world.again()
    fresh.deliver = False
    fresh.wait(10)
    fresh.start(cid)
    fresh.deliver = True
    fresh.sweep()
    assert fresh.service().wanted.state == state


def test_the_policy_we_took_is_kept_until_the_container_has_one_again(world: World) -> None:
    cid = world.run(restart_policy="no")
    world.stop(cid)
    world.registry.want("oracle", replace(world.service().wanted, policy="always"))
    world.start(cid)
    assert world.service().wanted.policy == "always"
    world.stop(cid)
    world._set(cid, restart_policy="always")
    world.look(cid)
    world.start(cid)
    assert world.service().wanted.policy == ""


# ---------------------------------------------------------------- proof


def test_an_image_is_proved_by_a_whole_proof_time_of_health(world: World) -> None:
    world.run()
    assert world.wait(599) == ()
    told = world.wait(2)
    assert [one.kind for one in told] == ["drift.proved"]
    assert told[0].data["image_id"] == GOOD
    assert told[0].data["ref"] == REF
    assert world.service().proved_image == GOOD
    assert world.wait(100_000) == (), "said once"
    assert world.registry.due() is None


def test_with_a_health_check_only_healthy_counts(world: World) -> None:
    cid = world.run(health="starting")
    assert not world.service().healthy
    assert world.wait(1000) == ()
    world.health(cid, "healthy")
    assert world.service().healthy
    world.wait(500)
    world.health(cid, "unhealthy")
    world.health(cid, "healthy")
    assert world.wait(599) == ()
    assert [one.kind for one in world.wait(2)] == ["drift.proved"]
    assert world.kinds("container.")[-3:] == ["container.healthy", "container.unhealthy", "container.healthy"]


@pytest.mark.parametrize("broken_by", ["crash", "pause", "engine", "twin", "recreate"])
def test_anything_that_breaks_health_starts_the_proof_anew(world: World, broken_by: str) -> None:
    labels = {"resurgam.service": "oracle"}
    cid = world.run(labels=labels)
    world.wait(500)
    if broken_by == "crash":
        world.crash(cid)
    elif broken_by == "pause":
        world.event(cid, "pause")
        world.event(cid, "unpause")
    elif broken_by == "engine":
        world.engine(False)
        world.engine(True)
    elif broken_by == "twin":
        twin = world.run("other", labels=labels)
        world.stop(twin)
    else:
        world.stop(cid)
        world.remove(cid)
        world.run(labels=labels)
    world.wait(500)
    assert world.service().proved_image == ""
    world.wait(101)
    assert world.service().proved_image == GOOD


def test_while_a_plan_watches_it_time_alone_proves_nothing(world: World) -> None:
    """Plainly running is not well where the plan's probe says no: the time counts anew."""
    world.plans = {"oracle": plan(begun=("start",))}
    world.run()
    assert world.wait(1000) == ()
    assert world.service().proved_image == ""
    world.plans = {}
    world.registry.tick(world.now, world.mono)
    world.registry.mark(world.plans)
    assert world.wait(199) == (), "the time counts anew"
    assert [one.kind for one in world.wait(2)] == ["drift.proved"]


def test_proof_ends_a_streak_at_once() -> None:
    world = World(Settings.model_validate({"proof": "5s"}))
    cid = world.run()
    world.crash(cid)
    world.crash(cid)
    assert world.series()["resurgam_container_death_streak"] == 2
    world.wait(6)
    assert world.series(full=False)["resurgam_container_death_streak"] == 0
    world.crash(cid)
    assert world.service().streak == 1
    world.wait(6)
    assert world.service().streak == 0, "also where the image was proved already"
    assert world.kinds("drift.") == ["drift.proved"]


def test_a_long_declared_load_proves_nothing_while_nobody_can_see_health() -> None:
    world = World(Settings.model_validate({"services": {"oracle": {"startup": "25m"}}}))
    world.run()
    world.wait(1500 + 590)
    assert world.service().proved_image == "", "the load is no proof: ten minutes after it are"
    world.wait(11)
    assert world.service().proved_image == GOOD


def test_a_quarantined_image_is_not_last_known_good_until_it_is_proved_anew(world: World) -> None:
    world.run()
    world.wait(601)
    world.registry.quarantine("oracle", GOOD, "it looped", world.now)
    assert world.service().proved_image == ""
    assert world.service().quarantined == (GOOD,)
    assert GOOD in str(world.keep()["quarantine"])
    old = world.service().container.id
    world.stop(old)
    world.start(old)
    world.wait(601)
    assert world.service().proved_image == GOOD
    assert world.service().quarantined == ()
    assert "oracle" not in world.keep().get("quarantine", {})


# ---------------------------------------------------------------- drift


def test_a_tag_that_moves_is_told_once_and_cleared_when_it_comes_back(world: World) -> None:
    world.run()
    assert [one.kind for one in world.tag(REF, BAD)] == ["drift.tag_moved"]
    assert world.service().drift == "tag_moved"
    assert world.service().container.ref_image_id == BAD
    assert world.sweep() == ()
    assert world.series()['resurgam_container_image_drift{kind="tag_moved"}'] == 1
    assert [one.kind for one in world.tag(REF, GOOD)] == ["drift.cleared"]
    assert world.series()['resurgam_container_image_drift{kind="tag_moved"}'] == 0


def test_another_spelling_of_the_reference_is_the_same_one(world: World) -> None:
    world.run(image_ref="busybox")
    assert [one.kind for one in world.tag("docker.io/library/busybox:latest", BAD)] == ["drift.tag_moved"]


@pytest.mark.parametrize("ref", [GOOD, f"oracle@{GOOD}"])
def test_what_is_pinned_cannot_drift_by_its_tag(world: World, ref: str) -> None:
    world.run(image_ref=ref, ref_image_id="")
    world.tag(REF, BAD)
    assert world.service().drift == ""


def test_a_sweep_as_old_as_a_tag_event_does_not_take_it_back(world: World) -> None:
    cid = world.run()
    old = world.there[cid]
    world.wait(100)
    world.tag(REF, BAD)
    new, world.there[cid] = world.there[cid], old
    world.wait(0.5)
    assert world.sweep() == ()
    world.there[cid] = new
    world.wait(300)
    assert world.sweep() == ()
    assert world.service().drift == "tag_moved"


def test_story_one_a_recreation_from_a_moved_tag_is_unproved_until_it_proves_itself(world: World) -> None:
    old = world.run()
    world.wait(601)
    world.tag(REF, BAD)
    world.stop(old)
    world.remove(old)
    new = world.run(image_id=BAD)
    assert world.service().drift == "unproved"
    assert world.service().proved_image == GOOD
    assert world.kinds("drift.") == ["drift.proved", "drift.tag_moved", "drift.unproved"]
    text = next(one.data["text"] for one in world.told if one.kind == "drift.unproved")
    assert "bbbbbbbbbbbb" in text
    assert "aaaaaaaaaaaa" in text
    values = world.series()
    assert values['resurgam_container_image_drift{kind="unproved"}'] == 1
    assert values['resurgam_container_image_drift{kind="tag_moved"}'] == 0
    world.crash(new)
    world.stop(new)
    world.remove(new)
    world.run(image_id=GOOD, image_ref=GOOD, ref_image_id="")
    assert world.service().drift == ""
    assert world.kinds("drift.")[-1] == "drift.cleared"


def test_drift_is_not_told_again_by_a_fresh_process(world: World) -> None:
    world.run()
    world.tag(REF, BAD)
    fresh = world.again()
    fresh.sweep()
    assert fresh.kinds("drift.") == []
    assert fresh.service().drift == "tag_moved"


# ---------------------------------------------------------------- coming and going


def test_a_service_outlives_a_recreation_and_ends_after_a_while(world: World) -> None:
    cid = world.run(labels=compose())
    world.registry.samples(full=True)
    world.remove(cid)
    assert world.kinds()[-1] == "container.removed"
    assert world.service("box.oracle").container is None
    assert world.series()["resurgam_container_running"] == 0
    world.wait(GRACE - 1)
    assert world.registry.gone() == ()
    world.wait(2)
    assert world.ids() == []
    ended = world.registry.gone()
    assert {"name": "oracle"}.items() <= ended[0].items()
    assert ended[1]["pod"] == "box.oracle"
    assert world.series() == {}


def test_what_was_only_watched_and_never_proved_leaves_nothing_behind(world: World) -> None:
    cid = world.run("nosy_hopper", restart_policy="no")
    world.end(cid, 1)
    world.remove(cid)
    world.wait(GRACE + 1)
    assert all(not entries for entries in world.keep().values())


def test_what_is_ours_is_remembered_by_this_process_and_the_next(world: World) -> None:
    cid = world.run(labels=dict(OPT_IN))
    world.wait(601)
    world.crash(cid)
    world.remove(cid)
    world.wait(GRACE + 1)
    assert world.ids() == []
    for here in (world, world.again()):
        assert here.ids() == []
        here.run(labels=dict(OPT_IN), image_id=BAD)
        assert here.service().deaths == 1
        assert here.service().proved_image == GOOD
        assert here.service().drift == "unproved"


def test_a_fresh_process_knows_its_services_before_it_has_seen_them(world: World) -> None:
    world.run(labels=dict(OPT_IN))
    parked = temp_name("oracle", "parked", "ab12")
    cid = world.service().container.id
    world.rename(cid, parked)
    fresh = world.again()
    assert fresh.service().owned.ok, "its open plan must be able to go on"
    assert fresh.registry.samples(full=True) == ()
    fresh.wait(1000)
    assert fresh.ids() == ["oracle"], "nobody has looked yet"
    fresh.sweep()
    fresh.wait(GRACE + 1)
    assert fresh.ids() == []


def test_unreadable_memory_is_left_out_and_named() -> None:
    world = World(kept={"tally": {"oracle": {"deaths": "many"}}, "wanted": {"oracle": {"state": 5}}})
    world.run()
    assert world.service().deaths == 0
    assert len(world.registry.problems()) == 2


def test_a_lost_engine_keeps_its_services_and_silences_their_series(world: World) -> None:
    world.run()
    world.registry.samples(full=True)
    world.engine(False)
    world.wait(1000)
    assert world.ids() == ["oracle"]
    assert world.registry.samples(full=True) == ()
    world.engine(True)
    world.sweep()
    assert world.series(full=False)["resurgam_container_running"] == 1, "given out again though nothing changed"


def test_a_list_made_before_a_container_came_does_not_take_it_away(world: World) -> None:
    world.wait(100)
    cid = world.run()
    kept = world.there.pop(cid)
    world.sweep()
    assert world.ids() == ["oracle"]
    world.wait(10)
    world.sweep()
    assert world.service().container is None
    world.there[cid] = kept


def test_after_a_lost_connection_the_first_list_is_the_truth(world: World) -> None:
    cid = world.run()
    world.engine(False)
    del world.there[cid]
    world.wait(0.1)
    world.engine(True)
    world.sweep()
    assert world.service().container is None
