"""Several plans, one after the other, on a virtual clock: projects, containers that share a namespace, boots.

Each story asserts what a person relies on: the order, where it ends, what is left alone, and what is said of it.
"""

import asyncio
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest

from supervisor.facts import Decision
from supervisor.journal import Row
from supervisor.lab.engine import Behaviour
from supervisor.verdicts import Reason
from tests.sim.stage import CRASHES, GOOD, OWNED, Stage, compose, play, read

FIVE = {"db": "", "cache": "", "app": "db:service_healthy:false,cache:service_started:true", "web": "app", "extra": ""}
ORDERED = {**OWNED, "resurgam.boot": "ordered"}


async def five(stage: Stage, **labels: dict[str, str]) -> None:
    """A project of five: web needs app, app needs db and cache. By size extra would go first, then db."""
    for word, depends in FIVE.items():
        stage.image(f"local/{word}:1")
        said = {**OWNED, "com.docker.compose.depends_on": depends, **labels.get(word, {})}
        if word == "db":
            said["resurgam.memory"] = "4GiB"
        if word == "extra":
            said["resurgam.memory"] = "8GiB"
        await stage.up(word, said)
    await stage.begin()
    await stage.world.run(5)


def rollouts(stage: Stage) -> list[Row]:
    return stage.rows("action.rollout")


async def over(stage: Stage, count: int = 1, seconds: float = 600) -> Row:
    """The last row of the so many-th rollout."""

    def look() -> list[Row]:
        return [row for row in rollouts(stage) if row.body["state"] != "planned"]

    await stage.until(lambda: len(look()) >= count, seconds, f"end of rollout {count}")
    return look()[-1]


def planned(stage: Stage, verb: str = "") -> list[str]:
    """The services of the plans so far, in order."""
    return [row.subject for row in stage.rows("action.planned") if row.public and verb in ("", row.body["verb"])]


async def ask(stage: Stage, verb: str, target: str, **params: str) -> Decision:
    return await stage.ask(verb, target, **params)


# ---------------------------------------------------------------- projects


def test_a_project_is_recreated_in_the_order_of_its_dependencies_each_verified_before_the_next() -> None:
    async def story(stage: Stage) -> None:
        await five(stage, extra={"resurgam.enable": "false"})
        before = {box.name: box.id for box in stage.engine.containers()}
        answer = await ask(stage, "phoenix", "box", image="current")
        assert answer.verdict.ok, answer.verdict.text
        assert (answer.rollout, bool(answer.plan)) == (1, True)
        assert "box.db, box.cache, box.app and box.web" in answer.verdict.text
        assert "box.extra (not owned)" in answer.verdict.text
        end = await over(stage)
        assert end.body["state"] == "verified", stage.tail()
        assert planned(stage) == ["box.db", "box.cache", "box.app", "box.web"]
        ends = [row.subject for row in stage.ended()]
        assert ends == planned(stage)
        for first, second in zip(stage.ended(), stage.rows("action.planned")[1:], strict=False):
            assert first.at <= second.at, "each is verified before the next begins"
        after = {box.name: box.id for box in stage.engine.containers()}
        assert [name for name in before if after[name] == before[name]] == ["box-extra-1"]
        assert end.body["counts"] == {"done": 4, "failed": 0, "left": 1, "untouched": 0}
        assert "4 of 4 verified" in stage.heard("action.rollout")[-1]["data"]["text"]
        assert stage.space("rollout") == {}
        await stage.world.run(120)
        stage.holds()

    play(story)


def test_a_bad_one_ends_the_project_there_and_the_rest_is_not_touched() -> None:
    async def story(stage: Stage) -> None:
        await five(stage)
        app = stage.box("box-app-1")
        stage.image("local/app:1", CRASHES)
        web = stage.box("box-web-1")
        assert (await ask(stage, "phoenix", "box", image="current")).verdict.ok
        end = await over(stage)
        assert end.body["state"] == "failed"
        assert planned(stage) == ["box.extra", "box.db", "box.cache", "box.app"]
        assert stage.outcome().kind == "action.rolled_back"
        assert end.body["untouched"] == ["box.web"]
        assert end.body["failed"] == ["box.app"]
        assert "Not touched: box.web" in end.body["text"]
        assert (stage.box("box-web-1"), stage.box("box-app-1").id) == (web, app.id)  # type: ignore[union-attr]
        await stage.world.run(120)
        stage.holds()

    play(story)


def test_a_project_stops_in_the_other_order_and_starts_again() -> None:
    async def story(stage: Stage) -> None:
        await five(stage)
        assert (await ask(stage, "stop", "box")).verdict.ok
        await over(stage)
        assert planned(stage, "stop") == ["box.web", "box.app", "box.cache", "box.db", "box.extra"]
        assert {box.status for box in stage.engine.containers()} == {"exited"}
        again = await ask(stage, "stop", "box")
        assert again.verdict.reason is Reason.ALREADY_DONE
        assert (await ask(stage, "start", "box")).verdict.ok
        end = await over(stage, 2)
        assert end.body["state"] == "verified", stage.tail()
        assert planned(stage, "start") == ["box.extra", "box.db", "box.cache", "box.app", "box.web"]
        assert {(box.status, box.restart_policy) for box in stage.engine.containers()} == {("running", "always")}
        stage.holds()

    play(story)


def test_nobody_comes_in_between_the_stages() -> None:
    async def story(stage: Stage) -> None:
        await five(stage)
        await ask(stage, "restart", "box")
        await stage.until(lambda: planned(stage)[-1] == "box.db", 60, "second stage")
        answer = await ask(stage, "restart", "box.web")
        assert answer.verdict.ok
        assert "waits for" in answer.verdict.text
        await over(stage)
        assert planned(stage) == ["box.extra", "box.db", "box.web", "box.cache", "box.app", "box.web"]
        ended = [(row.subject, bool(row.body.get("rollout"))) for row in stage.ended("restart")]
        assert ended == [(f"box.{word}", True) for word in ("extra", "db", "cache", "app", "web")]
        await stage.until(lambda: len(stage.ended("restart")) == 6, 60, "restart that waited")

    play(story)


def test_what_is_stopped_on_purpose_is_left_alone_also_when_that_comes_in_the_middle() -> None:
    async def story(stage: Stage) -> None:
        await five(stage)
        await ask(stage, "stop", "box.cache")
        await stage.until(lambda: stage.ended("stop"), 60, "stop")
        answer = await ask(stage, "restart", "box")
        assert "box.cache (stopped on purpose)" in answer.verdict.text
        stopped = await ask(stage, "stop", "box.web")
        assert stopped.verdict.text.endswith("was started."), "an emergency does not wait for what is only reserved"
        end = await over(stage)
        assert end.body["state"] == "verified", stage.tail()
        assert "box.web (stopped on purpose meanwhile)" in end.body["text"]
        assert planned(stage, "restart") == ["box.extra", "box.db", "box.app"]
        assert {stage.box(f"box-{word}-1").status for word in ("cache", "web")} == {"exited"}  # type: ignore[union-attr]
        stage.holds()

    play(story)


@pytest.mark.parametrize("how", ["pause", "sigterm"])
def test_a_pause_ends_it_there_and_a_restart_of_ours_does_not(how: str) -> None:
    async def story(stage: Stage) -> None:
        await five(stage)
        await ask(stage, "restart", "box")
        await stage.until(lambda: planned(stage)[-1] == "box.db", 60, "second stage")
        if how == "pause":
            await stage.until(lambda: stage.plans()[0].phase == "inside", 10, "inside")
            await ask(stage, "pause", "*")
            end = await over(stage)
            assert end.body["state"] == "failed"
            assert "is paused" in end.body["text"]
            assert end.body["untouched"] == ["box.cache", "box.app", "box.web"]
            assert [row.subject for row in stage.ended("restart")] == ["box.extra", "box.db"]
        else:
            await stage.stop()
            await stage.begin()
            end = await over(stage)
            assert end.body["state"] == "verified", stage.tail()

    play(story)


def test_for_the_host_a_rollout_counts_once_and_for_each_service_its_plan() -> None:
    async def story(stage: Stage) -> None:
        await five(stage)
        for count in (1, 2):
            assert (await ask(stage, "restart", "box")).verdict.ok
            await over(stage, count)
        refused = await ask(stage, "restart", "box.db")
        assert refused.verdict.reason is Reason.BUDGET_HOST, refused.verdict.text

    play(story, read(budget={"service": ["9 in 1h"], "host": ["2 in 1d"]}))


def test_a_spent_budget_of_one_service_refuses_the_whole_before_anything_is_touched() -> None:
    async def story(stage: Stage) -> None:
        await five(stage)
        assert (await ask(stage, "restart", "box.web")).verdict.ok
        await stage.until(lambda: stage.ended("restart"), 60, "restart")
        refused = await ask(stage, "restart", "box")
        assert refused.verdict.reason is Reason.BUDGET_SERVICE
        assert refused.verdict.text.startswith("Nothing of box was begun, because of box.web")
        assert rollouts(stage) == []
        answer = await stage.ask("restart", "box", override="it is mine")
        assert answer.verdict.ok

    play(story, read(budget={"service": ["1 in 1h"]}))


def test_only_some_verbs_are_for_a_project_and_a_service_of_that_name_goes_first() -> None:
    async def story(stage: Stage) -> None:
        stage.image("local/box:1")
        await five(stage)
        await stage.up("box")
        await stage.world.run(5)
        assert (await ask(stage, "restart", "box")).intent.target == "box.box"
        await stage.until(lambda: stage.ended("restart"), 60, "restart")
        refused = await ask(stage, "rollback", "project:box")
        assert refused.verdict.reason is Reason.UNSUPPORTED
        assert (await ask(stage, "phoenix", "project:box", image="local/db:1")).verdict.reason is Reason.BAD_PARAMETER
        unproved = await ask(stage, "phoenix", "project:box")
        assert unproved.verdict.reason is Reason.NO_KNOWN_GOOD
        assert (await ask(stage, "restart", "project:box")).rollout == 1
        assert (await ask(stage, "restart", "project:nobody")).verdict.reason is Reason.NO_TARGET

    play(story)


# ---------------------------------------------------------------- shared namespaces


async def vpn(stage: Stage, child: dict[str, str] | None = None, policy: str = "always") -> None:
    """A container with a network, and one that lives in it, as compose makes it: by the other one's id."""
    stage.image("local/vpn:1")
    stage.image("local/torrent:1")
    await stage.up("vpn")
    join(stage, child or dict(OWNED), policy)
    await stage.begin()
    await stage.world.run(5)
    assert stage.service("box.torrent").parents == {"box.vpn": "network"}


def join(stage: Stage, labels: dict[str, str], policy: str = "always") -> None:
    parent = stage.box("box-vpn-1")
    assert parent is not None
    host = {"NetworkMode": f"container:{parent.id}"}
    said = {**compose("box", "torrent"), **labels}
    stage.engine.human_run("box-torrent-1", "local/torrent:1", said, policy, host=host)


def joined(stage: Stage, child: str = "box-torrent-1", parent: str = "box-vpn-1") -> bool:
    """Whether the child lives in the network of the container that is called so now."""
    found, made = stage.engine.world.find(child), stage.engine.world.find(parent)
    return found is not None and made is not None and found.host["NetworkMode"] == f"container:{made.id}"


def test_who_shares_a_network_is_made_anew_after_the_one_that_made_it() -> None:
    async def story(stage: Stage) -> None:
        await vpn(stage)
        stage.image("local/torrent:1", CRASHES)  # its tag has moved on: that is nothing to this maneuver
        await stage.world.run(1)
        old = stage.box("box-torrent-1")
        assert (await ask(stage, "phoenix", "box.vpn", image="current")).rollout == 1
        end = await over(stage)
        assert end.body["state"] == "verified", stage.tail()
        assert planned(stage) == ["box.vpn", "box.torrent"]
        assert joined(stage)
        new = stage.box("box-torrent-1")
        assert old is not None
        assert new is not None
        assert (new.id != old.id, new.image_id) == (True, old.image_id)
        assert stage.service("box.torrent").cut_off == ""
        await stage.world.run(300)
        fired = {row.body["alert"]["labels"]["alertname"] for row in stage.rows("alert.firing")}
        assert fired == {"ContainerImageDrift"}, "it was not cut off for as long as a rule waits"
        stage.holds()

    play(story)


def test_who_shares_a_network_is_restarted_after_the_one_that_was_restarted() -> None:
    async def story(stage: Stage) -> None:
        await vpn(stage)
        child = stage.box("box-torrent-1")
        assert (await ask(stage, "restart", "box.vpn")).rollout == 1
        end = await over(stage)
        assert end.body["state"] == "verified", stage.tail()
        assert [row.body["verb"] for row in stage.rows("action.planned")] == ["restart", "restart"]
        after = stage.box("box-torrent-1")
        assert child is not None
        assert after is not None
        assert after.id == child.id
        assert after.started_at > stage.box("box-vpn-1").started_at  # type: ignore[union-attr]
        stage.holds()

    play(story)


def test_after_a_parent_that_was_put_back_its_children_are_started_anew() -> None:
    async def story(stage: Stage) -> None:
        await vpn(stage)
        stage.image("local/vpn:1", CRASHES)
        await stage.world.run(1)
        assert (await ask(stage, "phoenix", "box.vpn", image="current")).verdict.ok
        end = await over(stage)
        assert end.body["state"] == "failed"
        ends = stage.rows("action.verified", "action.rolled_back")
        assert [(row.subject, row.body["verb"], row.kind) for row in ends] == [
            ("box.vpn", "phoenix", "action.rolled_back"),
            ("box.torrent", "restart", "action.verified"),
        ]
        assert stage.service("box.torrent").cut_off == ""
        assert stage.box("box-torrent-1").running  # type: ignore[union-attr]
        stage.holds()

    play(story)


@pytest.mark.parametrize("sick", [False, True])
def test_children_that_are_not_ours_forbid_it_for_a_healthy_parent_and_are_named_for_a_sick_one(sick: bool) -> None:
    async def story(stage: Stage) -> None:
        await vpn(stage, {"resurgam.enable": "false"})
        if sick:
            await ask(stage, "pause", "*")
            stage.engine.set_health("box-vpn-1", "unhealthy")
            await stage.world.run(5)
            await ask(stage, "resume", "*")
        answer = await ask(stage, "restart", "box.vpn")
        if not sick:
            assert answer.verdict.reason is Reason.UNSUPPORTED
            assert "box.torrent" in answer.verdict.text
            assert stage.starts() == []
            return
        assert answer.verdict.ok, answer.verdict.text
        end = await over(stage)
        assert "box.torrent (not owned" in end.body["text"]
        assert [row.subject for row in stage.ended("restart")] == ["box.vpn"]

    health = {"Healthcheck": {"Test": ["CMD", "true"]}}

    async def with_check(stage: Stage) -> None:
        original = stage.image
        stage.image = lambda tag, run=GOOD, **config: original(tag, run, **{**config, **health})  # type: ignore[method-assign]
        await story(stage)

    play(with_check)


def test_a_restart_of_the_parent_by_hand_is_healed_by_the_shipped_rule() -> None:
    async def story(stage: Stage) -> None:
        await vpn(stage)
        stage.engine.human_stop("box-vpn-1")
        await stage.world.run(1)
        stage.engine.human_start("box-vpn-1")
        await stage.until(lambda: stage.service("box.torrent").cut_off, 10, "cut off")
        await stage.until(lambda: stage.ended("restart"), 120, "restart of the child")
        assert stage.outcome("restart").subject == "box.torrent"
        assert stage.service("box.torrent").cut_off == ""
        await stage.until(lambda: not stage.alert("ContainerCutOff"), 30, "end of the alert")
        stage.holds()

    play(story)


def test_a_parent_made_anew_by_hand_leads_to_a_recreation_since_a_restart_cannot_work() -> None:
    async def story(stage: Stage) -> None:
        await vpn(stage)
        await stage.up("vpn")
        await stage.until(lambda: stage.service("box.torrent").cut_off, 10, "cut off")
        assert list(stage.service("box.torrent").reattach.values()) == ["box-vpn-1"]
        await stage.kill()
        await stage.begin()
        await stage.until(lambda: stage.ended("phoenix"), 120, "recreation of the child")
        end = stage.outcome("phoenix")
        assert (end.subject, end.kind, end.body["by"]) == ("box.torrent", "action.verified", "playbook:cut-off")
        assert joined(stage)
        assert stage.service("box.torrent").cut_off == ""
        stage.holds()

    play(story)


def test_a_start_of_a_child_whose_parent_is_another_container_by_now_is_a_recreation_too() -> None:
    async def story(stage: Stage) -> None:
        await vpn(stage)
        await ask(stage, "stop", "box.torrent")
        await stage.until(lambda: stage.ended("stop"), 60, "stop")
        await stage.up("vpn")
        await stage.world.run(5)
        answer = await ask(stage, "start", "box.torrent")
        assert answer.verdict.ok, answer.verdict.text
        await stage.until(lambda: stage.ended("phoenix"), 60, "recreation")
        assert stage.outcome("phoenix").kind == "action.verified", stage.outcome("phoenix").body["text"]
        box, wanted = stage.box("box-torrent-1"), stage.service("box.torrent").wanted
        assert box is not None
        assert (box.running, box.restart_policy, wanted.state, wanted.policy) == (True, "always", "running", "")
        stage.holds()

    play(story)


def test_a_child_of_a_container_that_nobody_knows_is_said_and_left() -> None:
    async def story(stage: Stage) -> None:
        await vpn(stage)
        stage.engine.human_remove("box-vpn-1", force=True)
        await stage.world.run(5)
        assert stage.service("box.torrent").cut_off == "", "what made its network may come back any moment"
        refused = await ask(stage, "restart", "box.torrent")
        assert refused.verdict.reason is Reason.UNSUPPORTED
        assert "docker compose up" in refused.verdict.text
        await stage.world.run(300)
        assert "nobody knows" in stage.service("box.torrent").cut_off
        assert stage.alert("ContainerCutOff") is not None
        assert stage.box("box-torrent-1").running  # type: ignore[union-attr]

    play(story)


# ---------------------------------------------------------------- boot


async def four(stage: Stage) -> None:
    """Four that are ours to start: small needs huge; large and mid need nobody."""
    sizes = {"mid": "20GiB", "small": "1GiB", "large": "40GiB", "huge": "60GiB"}
    for word, size in sizes.items():
        stage.image(f"local/{word}:1")
        needs = {"resurgam.depends": "huge"} if word == "small" else {}
        await stage.up(word, {**ORDERED, "resurgam.memory": size, **needs}, policy="no")
    await stage.begin()
    await stage.world.run(5)


async def reboot(stage: Stage, *, orderly: bool = False) -> None:
    """The machine goes down and comes up again: everything is dead, the engine obeys its policies, we are started."""
    if stage.world.life is not None:
        await (stage.stop() if orderly else stage.kill())
    stage.engine.restart_engine(20, orderly=orderly)
    await asyncio.sleep(21)
    stage.world.machine += "'"
    await stage.begin()


def test_after_a_boot_they_come_back_one_at_a_time_dependencies_first_then_the_largest() -> None:
    async def story(stage: Stage) -> None:
        await four(stage)
        await ask(stage, "stop", "box.mid")
        await stage.until(lambda: stage.ended("stop"), 60, "stop")
        await reboot(stage)
        end = await over(stage)
        assert end.body["kind"] == "boot"
        assert end.body["state"] == "verified", stage.tail()
        assert planned(stage, "start") == ["box.huge", "box.large", "box.small"], "mid stays down, on purpose"
        assert {row.body["by"] for row in stage.ended("start")} == {"resurgam"}
        assert not stage.rows("alert.firing"), "nothing is missed while its turn is still to come"
        starts = [at for _key, at in stage.starts()]
        assert all(later - sooner >= 5 for sooner, later in pairwise(starts)), "one at a time"
        await stage.kill()
        await stage.begin()
        await stage.world.run(120)
        assert len(rollouts(stage)) == 2, "our own restart is no boot"
        assert stage.box("box-mid-1").status == "exited"  # type: ignore[union-attr]
        stage.holds()

    play(story)


def test_each_waits_until_there_is_room_for_it() -> None:
    async def story(stage: Stage) -> None:
        await four(stage)
        sizes = {f"box-{word}-1": size for word, size in (("mid", 20), ("small", 1), ("large", 40), ("huge", 60))}
        loading: dict[str, float] = {}
        began: list[tuple[str, float]] = []

        def load(operation: str, key: str, when: str) -> None:
            box = stage.engine.container(key)
            if operation == "start" and when == "after" and box is not None:
                loading[box.name] = stage.clock.mono()
                began.append((box.name, stage.clock.mono()))

        async def held(*_asked: Any) -> str:
            busy = [name for name, at in loading.items() if stage.clock.mono() < at + 30]
            return f"{busy[0]} still loads" if busy else ""

        await reboot(stage)
        stage.world.watching.append(load)
        stage.world.room.held = held  # type: ignore[method-assign]
        await over(stage)
        assert [name for name, _at in began] == ["box-huge-1", "box-large-1", "box-mid-1", "box-small-1"]
        gaps = [later - sooner for (_n, sooner), (_m, later) in pairwise(began)]
        assert all(gap >= 30 for gap in gaps), gaps
        assert set(sizes) == {name for name, _at in began}

    play(story)


def test_one_that_does_not_come_up_does_not_keep_the_others_down() -> None:
    async def story(stage: Stage) -> None:
        await four(stage)
        stage.engine.break_container("box-huge-1", exit_after=1.0, exit_code=1)
        await reboot(stage)
        end = await over(stage)
        assert end.body["state"] == "failed"
        assert end.body["failed"] == ["box.huge"]
        up = [word for word in ("huge", "large", "mid", "small") if stage.box(f"box-{word}-1").running]  # type: ignore[union-attr]
        assert up == ["large", "mid", "small"]

    play(story)


def test_a_restart_of_the_engine_alone_brings_them_back_in_order_too() -> None:
    async def story(stage: Stage) -> None:
        await four(stage)
        stage.engine.restart_engine(5, orderly=True)
        end = await over(stage)
        assert end.body["state"] == "verified", stage.tail()
        assert planned(stage, "start") == ["box.huge", "box.large", "box.mid", "box.small"]
        stage.holds()

    play(story)


def test_what_somebody_stopped_while_we_were_away_is_not_started() -> None:
    async def story(stage: Stage) -> None:
        await four(stage)
        await stage.kill()
        stage.engine.human_stop("box-mid-1")
        stage.engine.crash("box-large-1", 139)
        await asyncio.sleep(5)
        await stage.begin()
        await stage.world.run(300)
        assert stage.box("box-mid-1").status == "exited"  # type: ignore[union-attr]
        assert planned(stage) == ["box.large"], "a crash is no wish"
        await reboot(stage)
        await over(stage)
        assert stage.box("box-mid-1").status == "exited"  # type: ignore[union-attr]

    play(story)


def test_its_policy_is_taken_over_by_a_maneuver_and_a_death_is_answered_by_a_start() -> None:
    async def story(stage: Stage) -> None:
        stage.image("local/oracle:1")
        await stage.up("oracle", ORDERED, "unless-stopped")
        await stage.begin()
        await stage.world.run(5)
        assert (await ask(stage, "phoenix", "box.oracle", image="current")).verdict.ok
        await stage.until(stage.ended, 60, "phoenix")
        box = stage.box()
        assert box is not None
        assert (box.restart_policy, stage.service().wanted.policy) == ("no", "unless-stopped")
        stage.engine.crash("box-oracle-1", 1)
        await stage.until(lambda: stage.ended("start"), 120, "start")
        assert stage.outcome("start").kind == "action.verified"
        await stage.kill()
        await stage.begin()
        await stage.world.run(5)
        assert stage.service().wanted.policy == "unless-stopped", "kept for the day it is given back"
        await ask(stage, "stop", "box.oracle")
        await stage.until(lambda: stage.ended("stop"), 60, "stop")
        answer = await ask(stage, "release", "*")
        assert "Given back: box.oracle (unless-stopped)" in answer.verdict.text, answer.verdict.text
        await stage.world.run(5)
        after = stage.box()
        assert after is not None
        assert (after.status, after.restart_policy, stage.service().wanted.policy) == ("exited", "unless-stopped", "")
        assert "docker rm box-oracle-1.resurgam-spare-" in answer.verdict.text
        stage.holds()

    play(story)


def test_release_names_the_command_for_what_runs() -> None:
    async def story(stage: Stage) -> None:
        stage.image("local/oracle:1")
        await stage.up("oracle", ORDERED, "unless-stopped")
        await stage.begin()
        await stage.world.run(5)
        await ask(stage, "phoenix", "box.oracle", image="current")
        await stage.until(stage.ended, 60, "phoenix")
        writes = len(stage.engine.writes)
        answer = await ask(stage, "release", "box.oracle")
        assert "docker update --restart unless-stopped box-oracle-1" in answer.verdict.text
        assert len(stage.engine.writes) == writes
        assert (await ask(stage, "release", "nobody")).verdict.reason is Reason.NO_TARGET

    play(story)


# ---------------------------------------------------------------- killed anywhere


async def trio(stage: Stage) -> None:
    """db, then app, then what shares app's network; a phoenix of the project."""
    for word in ("db", "app"):
        stage.image(f"local/{word}:1", Behaviour(healthy_after=0.5))
        await stage.up(word, {**OWNED, "com.docker.compose.depends_on": "db" if word == "app" else ""})
    stage.image("local/side:1")
    parent = stage.box("box-app-1")
    assert parent is not None
    host = {"NetworkMode": f"container:{parent.id}"}
    stage.engine.human_run("box-side-1", "local/side:1", {**compose("box", "side"), **OWNED}, "always", host=host)
    await stage.begin()
    await stage.world.run(5)


def tell(kills: Sequence[int]) -> tuple[list[str], list[str], int, str]:
    """(what stands, what failed, points, what was found wrong) once the project was recreated, with kills there."""
    found: list[tuple[list[str], list[str], int, str]] = []

    async def story(stage: Stage) -> None:
        await trio(stage)
        begun = stage.world.points
        stage.world.kill_at = frozenset(begun + kill for kill in kills)
        question = asyncio.ensure_future(stage.life.ask("phoenix", "box", image="current"))
        await stage.world.run(3)
        question.cancel()
        if not rollouts(stage):  # it was killed before it had heard
            await ask(stage, "phoenix", "box", image="current")
        await over(stage)
        await stage.world.run(240)
        points = stage.world.points - begun
        wrong = ""
        try:
            stage.holds()
        except AssertionError as err:
            wrong = str(err)
        stands = [f"{box.name} {box.status} {box.restart_policy}" for box in stage.engine.containers()]
        stands = sorted(line for line in stands if "resurgam" not in line)
        bad = [str(row.body["text"]) for row in rollouts(stage) if row.body["state"] == "failed"]
        assert joined(stage, "box-side-1", "box-app-1")
        assert stage.space("rollout") == {}
        found.append((stands, bad, points, wrong))

    play(story)
    return found[0]


def test_a_project_that_is_killed_anywhere_comes_to_the_same_end() -> None:
    stands, bad, points, wrong = tell(())
    assert (bad, wrong) == ([], "")
    assert stands == [f"box-{word}-1 running always" for word in ("app", "db", "side")]
    for kill in range(1, points, 11):
        again = tell((kill,))
        assert (again[0], again[1], again[3]) == (stands, [], ""), f"killed at point {kill}: {again}"


def test_a_boot_that_is_killed_anywhere_brings_back_the_same() -> None:
    def boot(kills: Sequence[int]) -> tuple[list[str], list[str], int]:
        found: list[tuple[list[str], list[str], int]] = []

        async def story(stage: Stage) -> None:
            await four(stage)
            begun = stage.world.points
            stage.world.kill_at = frozenset(begun + kill for kill in kills)
            await reboot(stage)
            await stage.world.run(300)
            up = [f"{box.name} {box.status} {box.restart_policy}" for box in stage.engine.containers()]
            order = [row.subject for row in stage.ended("start") if row.kind == "action.verified"]
            assert (stage.space("rollout"), stage.space("plan")) == ({}, {})
            stage.holds()
            found.append((sorted(up), list(dict.fromkeys(order)), stage.world.points - begun))

        play(story)
        return found[0]

    stands, order, points = boot(())
    assert order == ["box.huge", "box.large", "box.mid", "box.small"]
    assert stands == [f"box-{word}-1 running no" for word in ("huge", "large", "mid", "small")]
    for kill in range(2, min(points, 120), 9):
        assert boot((kill,))[:2] == (stands, order), f"killed at point {kill}"
