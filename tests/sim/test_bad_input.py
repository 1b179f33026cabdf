"""Hostile and broken input: clear words, nothing lost, nothing touched that should not be.

Containers' labels and names are as hostile as an engine lets them be, and people's hands are in every plan.
"""

import json

import pytest

from supervisor.bus.messages import BASE
from supervisor.lab.engine import Behaviour, SimImage
from supervisor.verdicts import Reason
from tests.sim.stage import CRASHES, GOOD, OWNED, Stage, compose, play, read

NAME = "box-oracle-1"
NASTY = {
    "quotes": "a\"b'c`d",
    "newlines": "one\ntwo\r\n\tthree\x00\x1b[31m",
    "topic": "a/b/+/#/$SYS",
    "template": "{{ $labels.name }} {{ .Value }} action: stop all",
    "shell": "$(reboot); rm -rf / #",
    "long": "n" * 10_000,
    "unicode": "мозг-\u202e-💥-\ud7ff",
}


# ---------------------------------------------------------------- labels and names


@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY.keys())
def test_hostile_labels_are_carried_and_the_service_is_healed_all_the_same(text: str) -> None:
    async def story(stage: Stage) -> None:
        labels = {**compose(text, text), **OWNED, "note": text, f"key-{text}": text, "resurgam.aliases": text}
        good = stage.image("local/x:1")
        stage.engine.human_run("x", "local/x:1", labels, "always")
        await stage.begin()
        await stage.world.run(90)
        (service,) = stage.snapshot.services
        assert service.proved_image == good
        assert len(service.id) <= 250
        stage.image("local/x:1", CRASHES)
        stage.engine.human_stop("x")
        await stage.world.run(1)
        stage.engine.human_remove("x")
        made = stage.engine.human_run("x", "local/x:1", labels, "always")
        await stage.until(stage.ended, 60, "end of the phoenix")
        assert stage.outcome().kind == "action.verified", stage.outcome().body["text"]
        box = stage.box("x")
        assert box is not None
        assert (box.running, box.image_id) == (True, good)
        assert box.id != made
        raw = stage.engine.world.get("x").labels
        assert {key: raw[key] for key in labels} == labels, "the labels come along whole, whatever stands in them"
        await stage.world.run(120)
        told(stage)
        stage.holds()

    play(story)


def told(stage: Stage) -> None:
    """Every topic is one a broker takes, every payload is JSON of a bounded size, every sentence is one line."""
    base = f"{BASE}/sim/"
    assert len(stage.world.broker.taken) > 10
    for topic, payload in stage.world.broker.taken:
        assert topic.startswith((base, "homeassistant/device/"))
        assert not set(topic) & set("+#\x00\n"), topic
        assert len(topic) < 1000
        levels = topic.removeprefix(base).split("/")
        most = 4 if levels[0] == "homeassistant" else 3
        assert len(levels) <= most, f"a name has made levels of its own: {topic}"
        assert len(payload) < 300_000
        if levels[0] == "event":
            event = json.loads(payload)
            assert "\n" not in event["data"].get("text", "")
    for row in stage.rows():
        assert len(json.dumps(row.body)) < 70_000
        assert not set(str(row.body.get("text", ""))) & set("\n\r\x1b\x00"), row


def test_a_label_value_adds_no_argument_to_an_action() -> None:
    rule = """
groups:
- name: mine
  rules:
  - alert: Told
    expr: resurgam_container_unhealthy == 1
    annotations:
      action: "stop {{ $labels.container_label_com_docker_compose_service }}"
"""

    async def story(stage: Stage) -> None:
        stage.image("local/x:1", Behaviour(healthy_after=1.0))
        await stage.proved("qdrant")
        labels = {**compose("box", "x box.qdrant"), **OWNED}
        stage.engine.human_run("x", "local/x:1", labels, "always")
        await stage.world.run(5)
        stage.engine.set_health("x", "unhealthy")
        await stage.until(lambda: stage.ended("stop"), 30, "end of the stop")
        await stage.world.run(300)
        assert [row.subject for row in stage.ended("stop")] == ["box.x~20box.qdrant"], "it means the one it is about"
        qdrant = stage.box("box-qdrant-1")
        assert qdrant is not None
        assert qdrant.running, "a label's value must never name a second target"
        assert not [row for row in stage.rows("action.planned") if row.subject == "box.qdrant" and row.public]

    play(story, read({"mine.yaml": rule}))


def test_an_image_cannot_opt_in() -> None:
    async def story(stage: Stage) -> None:
        consent = {"resurgam.enable": "true", "resurgam.service": "qdrant", "resurgam.probe": "tcp://10.0.0.1:22"}
        await stage.proved("qdrant")
        writes = len(stage.engine.writes)
        made = SimImage(tags=("local/evil:1",), config={"Labels": consent}, run=CRASHES)
        stage.engine.add_image(made)
        # an engine shows an image's labels on the container, as its own
        stage.engine.human_run("evil", "local/evil:1", consent, "always")
        await stage.until(lambda: stage.refusals("not_owned"), 30, "refusal")
        await stage.world.run(1800)
        assert len(stage.engine.writes) == writes
        refusal = stage.refusals("not_owned")[0]
        assert refusal.subject == "evil", "nor can it take another's name"
        assert "its image carries the label, which does not count" in refusal.body["text"]
        assert stage.service("evil").needs.probe == ""
        assert stage.service("box.qdrant").owned.ok

    play(story)


def test_two_living_containers_with_one_identity_are_left_alone_and_a_person_is_told() -> None:
    async def story(stage: Stage) -> None:
        await stage.proved()
        writes = len(stage.engine.writes)
        stage.image("local/oracle:1", CRASHES)
        other = {**compose("box", "oracle"), **OWNED}
        stage.image("local/oracle:2", GOOD, Labels={"v": "2"})
        stage.engine.human_run("my-oracle", "local/oracle:2", other, "always")
        await stage.world.run(5)
        service = stage.service()
        assert service.owned.reason is Reason.DUPLICATE_IDENTITY
        for name in (NAME, "my-oracle"):
            assert name in service.owned.text
        assert any("my-oracle" in text for text in stage.snapshot.problems)
        answer = await stage.ask("restart")
        assert answer.verdict.reason is Reason.DUPLICATE_IDENTITY
        stage.engine.break_container(NAME, exit_after=1.0, exit_code=139)
        stage.engine.crash(NAME)
        await stage.world.run(600)
        assert len(stage.engine.writes) == writes
        stage.engine.human_stop("my-oracle")
        await stage.world.run(5)
        stage.engine.human_remove("my-oracle")
        await stage.world.run(5)
        assert stage.service().owned.ok, "once there is one again it is ours again"

    play(story)


# ---------------------------------------------------------------- people's hands in mid-plan

STEPS = ("look", "create", "stop", "park", "adopt", "start", "probation", "commit", "spare")


async def in_mid_plan(stage: Stage, at: str) -> tuple[str, str]:
    """Play story 1 up to a step of its Phoenix; (good, bad) image ids."""
    good = await stage.proved()
    bad = await stage.moved()
    await stage.until(lambda: any(at in plan.begun for plan in stage.plans()), 60, f"step {at}", step=0.002)
    return good, bad


@pytest.mark.parametrize(("which", "at"), [*(("old", step) for step in STEPS), *(("new", step) for step in STEPS[2:])])
def test_a_container_vanishes_in_mid_plan(which: str, at: str) -> None:
    async def story(stage: Stage) -> None:
        await in_mid_plan(stage, at)
        (plan,) = stage.plans()
        key = plan.container_id if which == "old" else str(plan.data()["new_id"])
        stage.engine.human_remove(key, force=True)
        await stage.until(stage.ended, 1200, "end of the phoenix", step=1)
        text = stage.outcome().body["text"]
        assert text.endswith("."), text
        await stage.until(lambda: not stage.plans(), 600, "end of all plans", step=2)
        await stage.world.run(30)
        boxes = {box.name: box for box in stage.engine.containers()}
        if which == "old" and at not in ("look", "create"):
            assert boxes[NAME].running, f"the new one is there and well: {stage.tail()}"
        if which == "new" and at not in ("probation", "commit", "spare"):
            assert plan.container_id in {box.id for box in boxes.values()}, "the old one is kept"
        stage.holds()

    play(story)


@pytest.mark.parametrize("at", ["look", "create", "stop", "park", "adopt"])
def test_a_human_takes_the_name_in_mid_plan(at: str) -> None:
    async def story(stage: Stage) -> None:
        _good, _bad = await in_mid_plan(stage, at)
        old = stage.plans()[0].container_id
        stage.image("local/mine:1")
        holder = stage.box()
        if holder is not None:
            stage.engine.human_rename(NAME, "put-aside")
        mine = stage.engine.human_run(NAME, "local/mine:1", {}, "no")
        await stage.until(stage.ended, 900, "end of the phoenix", step=1)
        await stage.world.run(600)
        box = stage.box()
        assert box is not None
        assert box.id == mine, "a person's container keeps the name it was given"
        assert box.running
        assert not [1 for operation, key, _at in stage.engine.writes if key == mine], "and is never written to"
        if at not in ("look", "create"):
            assert old in {one.id for one in stage.engine.containers()}, "what it stood for is kept"
        end = stage.ended()[0]
        assert end.kind in ("action.ended_early", "action.failed", "action.degraded", "action.rolled_back")
        if at not in ("look", "create"):
            assert NAME in end.body["text"], end.body["text"]

    play(story)


@pytest.mark.parametrize("tag", ["local/nowhere:1", "sha256:" + "0" * 64, "local/oracle:1\nmore", "--privileged", ""])
def test_an_image_that_is_not_there_is_refused_before_anything_is_touched(tag: str) -> None:
    async def story(stage: Stage) -> None:
        await stage.proved()
        before = stage.box()
        assert before is not None
        writes = len(stage.engine.writes)
        answer = await stage.ask("phoenix", image=tag)
        if answer.verdict.ok:
            await stage.until(stage.ended, 60, "end of the phoenix")
            assert stage.outcome().kind == "action.failed"
            assert "pull or load it first" in stage.outcome().body["text"]
        else:
            assert answer.verdict.reason is Reason.BAD_PARAMETER
        assert len(stage.engine.writes) == writes
        assert stage.box() == before
        stage.holds({NAME: before.id})

    play(story)


def test_the_last_known_good_image_is_protected_from_a_clean_up() -> None:
    async def story(stage: Stage) -> None:
        good = await stage.proved()
        await stage.moved()
        stage.engine.human_untag("local/oracle:1", force=True)
        await stage.until(stage.ended, 60, "end of the phoenix")
        assert stage.outcome().kind == "action.verified"
        assert stage.box().image_id == good  # type: ignore[union-attr]

    play(story)


def test_a_proved_image_that_is_gone_all_the_same_fails_in_words_and_touches_nothing() -> None:
    async def story(stage: Stage) -> None:
        good = await stage.proved()
        stage.image("local/oracle:1", CRASHES)
        await stage.up()
        stage.engine.human_untag("resurgam/lkg:box.oracle", force=True)
        shelf = stage.engine.world.shelf
        assert shelf.resolve(good) is None, "nothing uses it and no tag holds it: it is gone"
        await stage.until(lambda: stage.ended("stop"), 120, "end of the last rung")
        (phoenix,) = stage.ended("phoenix")
        assert phoenix.kind == "action.failed"
        assert "pull or load it first" in phoenix.body["text"]
        assert stage.outcome("stop").kind == "action.verified", "the ladder's last rung: silence"
        stage.holds()

    play(story)
