"""What waits for a person's word: asked once, answered once, and never lost."""

import asyncio

import pytest

from supervisor.core.approvals import LASTS
from supervisor.facts import Command, PlanEnded, StepAsked
from supervisor.lab.boxes import SimImage
from supervisor.verdicts import Reason, Verdict, no, yes
from tests.support.words import ASKS, Words, told

ONE = ASKS.replace("  - do: stop\n", "  reset: 5m\n")
BUDGET = ASKS.replace("  approval: always", "  approval: always\n  budget: 1 in 6h\n  cooldown: 0s")


def restarts(words: Words) -> int:
    return len([row for row in words.rows("action.verified") if row.body["verb"] == "restart"])


def test_a_rung_that_needs_a_word_becomes_one_question_and_a_yes_does_exactly_that_once() -> None:
    async def story(words: Words) -> None:
        await words.fire()
        (asked,) = words.open
        assert (asked.id, asked.intent.verb, asked.intent.target) == ("ap-1", "restart", "oracle")
        await words.run(600)
        assert words.kinds("action.") == ["action.approval"], "asked once, and the refusal itself is no second message"
        (row,) = words.rows("action.approval")
        for words_in_it in (
            "ap-1: playbook:tight needs a person's word before it may restart oracle. Tight fires for oracle.",
            "`resurgam approve ap-1` lets it be done, once",
            "`resurgam deny ap-1` refuses it and goes on with the ladder's next step",
            "(in 1d) and counts as denied",
        ):
            assert words_in_it in row.body["text"]
        decision = await words.life.ask("approve", "ap-1")
        assert (decision.verdict.ok, decision.plan > 0, decision.intent.approved) == (True, True, "uid:0")
        await words.run(60)
        assert words.open == ()
        assert restarts(words) == 1
        assert words.kinds("action.appr") == ["action.approval", "action.approved"]

    told(story)


def test_the_name_of_the_service_will_do_where_one_question_is_open() -> None:
    async def story(words: Words) -> None:
        assert await words.says("approve", "oracle") == (
            False,
            "no_target",
            "Nothing waits for a word about 'oracle'; `resurgam status` lists what does.",
        )
        await words.fire()
        assert (await words.says("approve", "oracle"))[0]
        await words.run(60)
        assert restarts(words) == 1
        ok, reason, text = await words.says("approve", "ap-1")
        assert (ok, reason) == (False, "no_target")
        assert "`resurgam show ap-1`" in text

    told(story)


def test_a_no_counts_as_a_try_and_the_ladder_goes_up() -> None:
    async def story(words: Words) -> None:
        await words.fire()
        ok, _, text = await words.says("deny", "ap-1", reason="not now")
        assert ok
        assert "uid:0 denied ap-1: not now: restart oracle is not done." in text
        await words.run(5)
        (asked,) = words.open
        assert (asked.id, asked.intent.verb) == ("ap-2", "stop")
        assert "denied" in [one.verdict.reason.value for one in words.life.core.snapshot.decisions]
        await words.says("deny", "ap-2")
        await words.run(600)
        assert words.open == ()
        assert words.kinds("action.planned") == []
        (incident,) = words.life.core.snapshot.incidents
        assert incident.state == "degraded"
        assert "its last step was denied" in words.rows("action.refused")[-1].body["text"]

    told(story)


def test_no_answer_within_a_day_is_a_no(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("supervisor.core.approvals.LASTS", 600.0)  # a day of turns takes four seconds

    async def story(words: Words) -> None:
        await words.fire()
        await words.run(560)
        assert [one.id for one in words.open] == ["ap-1"]
        await words.run(60)
        assert [one.id for one in words.open] == ["ap-2"], "the next rung is asked for"
        (row,) = words.rows("action.denied")
        assert "ap-1 lapsed, since nobody answered within a day" in row.body["text"]

    told(story)


def test_the_end_of_its_alert_takes_the_question_back() -> None:
    async def story(words: Words) -> None:
        await words.fire()
        await words.calm()
        assert words.open == ()
        (row,) = words.rows("action.withdrawn")
        assert "its cause has ended" in row.body["text"]
        await words.fire()
        assert [one.id for one in words.open] == ["ap-2"], "a new firing is a new question"

    told(story)


def test_a_yes_lifts_nothing_else_and_the_question_stays_open() -> None:
    async def story(words: Words) -> None:
        await words.fire()
        await words.life.ask("pause", "*")
        ok, reason, text = await words.says("approve", "ap-1")
        assert (ok, reason) == (False, "paused")
        assert text.endswith("ap-1 stays open; say it again then.")
        assert [one.id for one in words.open] == ["ap-1"]
        await words.life.ask("resume", "*")
        assert (await words.says("approve", "ap-1"))[0]
        await words.run(60)
        assert restarts(words) == 1

    told(story)


def test_the_playbooks_own_budget_counts_an_approved_run() -> None:
    async def story(words: Words) -> None:
        await words.fire()
        await words.says("approve", "ap-1")
        await words.run(60)
        await words.calm()
        await words.run(60)
        await words.fire()
        assert words.open == (), "what would be refused all the same is not asked"
        assert "budget_playbook" in [one.verdict.reason.value for one in words.life.core.snapshot.decisions]

    told(story, BUDGET)


def test_a_restart_forgets_neither_the_question_nor_the_answer() -> None:
    async def story(words: Words) -> None:
        await words.fire()
        text = words.open[0].text
        await words.restart()
        await words.run(60)
        assert [(one.id, one.text) for one in words.open] == [("ap-1", text)]
        assert words.kinds("action.approval") == ["action.approval"]
        await words.says("deny", "ap-1")
        await words.restart()
        await words.run(60)
        assert [one.id for one in words.open] == ["ap-2"]
        assert (await words.says("approve", "ap-2"))[0]
        await words.run(60)
        assert [row.body["verb"] for row in words.rows("action.verified")] == ["stop"]

    told(story)


@pytest.mark.parametrize("jump", [90_000.0, -90_000.0])
def test_a_jump_of_the_clock_neither_ends_a_question_nor_makes_it_last(jump: float) -> None:
    async def story(words: Words) -> None:
        await words.fire()
        before = words.open[0].expires_at - words.clock.wall()
        words.clock.jump(jump)
        await words.run(30)
        (asked,) = words.open
        assert asked.id == "ap-1"
        assert before - 60 <= asked.expires_at - words.clock.wall() <= before

    told(story)


def test_a_clock_put_back_while_nobody_ran_gives_it_a_day_again_and_no_more() -> None:
    async def story(words: Words) -> None:
        await words.fire()
        await words.world.finish()
        words.clock.jump(-400_000.0)
        words.life = await words.world.begin()
        await words.run(30)
        for asked in words.open:
            assert asked.expires_at - words.clock.wall() <= LASTS

    told(story)


def test_a_ladder_of_one_rung_is_spent_by_a_no() -> None:
    async def story(words: Words) -> None:
        await words.fire()
        await words.says("deny", "oracle")
        await words.run(60)
        assert words.open == ()
        await words.calm()
        await words.run(400)
        await words.fire()
        assert [one.id for one in words.open] == ["ap-2"], "quiet for long enough: from the first rung again"

    told(story, ONE)


def test_what_a_plan_of_a_person_finds_to_need_a_word_is_asked_of_that_person() -> None:
    async def story(words: Words) -> None:
        plan = await words.life.ask("restart", "oracle")
        told_so = no(Reason.NEEDS_APPROVAL, "It would give the container the socket of the engine.")
        words.life.runner.end(plan.plan, told_so)
        words.life.core.submit(PlanEnded(words.clock.wall(), words.clock.mono(), plan.plan, told_so))
        await asyncio.sleep(0.5)
        (asked,) = words.open
        assert (asked.plan, asked.intent.by, asked.intent.verb) == (0, "uid:0", "restart")
        (row,) = words.rows("action.ended_early")
        assert row.body["text"].endswith("ap-1 waits for your word: `resurgam approve ap-1` or `resurgam deny ap-1`.")
        done = await words.life.ask("approve", "ap-1")
        await words.run(60)
        assert done.plan > plan.plan
        assert restarts(words) == 1

    told(story, playbooks="")


@pytest.mark.parametrize(("verb", "ok"), [("approve", True), ("deny", False)])
def test_an_open_plan_waits_for_a_word_about_one_step(verb: str, ok: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    wants = no(Reason.NEEDS_APPROVAL, "The new version may have changed the data.")
    monkeypatch.setattr("supervisor.core.admission.may_step", lambda _plan, step, *_: wants if step.back else yes())

    async def story(words: Words) -> None:
        plan = (await words.life.ask("phoenix", "oracle", image="current")).plan
        await asyncio.sleep(0.5)
        step = next(step.name for one in words.life.core.snapshot.plans for step in one.steps if step.back)

        async def may() -> Verdict:
            return await words.life.core.ask(StepAsked(words.clock.wall(), words.clock.mono(), plan, step))

        first, again = await may(), await may()
        assert first.reason is again.reason is Reason.NEEDS_APPROVAL
        assert "ap-1 waits for your word" in first.text
        assert words.kinds("action.approval", "action.halt", public=None) == ["action.approval", "action.halt"]
        (asked,) = words.open
        assert (asked.plan, asked.step) == (plan, step)
        assert f"plan {plan} (phoenix oracle" in asked.text
        assert (await words.says(verb, "oracle"))[0]
        said = await may()
        assert (said.ok, said.reason) == (ok, Reason.ALLOWED if ok else Reason.DENIED)
        assert words.open == ()
        assert "already" in (await words.says(verb, "ap-1"))[2]
        words.life.core.submit(PlanEnded(words.clock.wall(), words.clock.mono(), plan, yes()))
        await asyncio.sleep(0.5)
        assert words.world.disk.space("approval") == {"#": {"last": 1}}, "a plan that is over asks nothing"

    told(story, playbooks="")


@pytest.mark.parametrize(("verb", "then"), [("approve", "restart"), ("deny", "stop")])
def test_what_a_plan_of_a_rule_finds_to_need_a_word_is_asked_once_and_not_tried_meanwhile(verb: str, then: str) -> None:
    async def story(words: Words) -> None:
        words.world.host.memory["MemAvailable"] = 10e9
        while not words.life.core.snapshot.plans:
            await asyncio.sleep(0.001)
        (plan,) = words.life.core.snapshot.plans
        told_so = no(Reason.NEEDS_APPROVAL, "The new image runs as root. It needs a person's yes.")
        words.life.runner.end(plan.id, told_so)
        words.life.core.submit(PlanEnded(words.clock.wall(), words.clock.mono(), plan.id, told_so))
        await words.run(60)
        (asked,) = words.open
        assert asked.intent.key == plan.key
        assert "runs as root" in asked.text
        assert len(words.rows("action.planned")) == 1
        assert (await words.says(verb, "oracle"))[0]
        await words.run(60)
        assert [row.body["verb"] for row in words.rows("action.verified")][:1] == [then]
        assert words.open == ()

    told(story, ASKS.replace("  approval: always\n", ""))


def test_what_acts_on_the_end_of_an_alert_can_be_approved_after_that_end() -> None:
    async def story(words: Words) -> None:
        await words.fire()
        assert words.open == ()
        await words.calm()
        (asked,) = words.open
        assert "Tight has ended for oracle" in asked.text
        await words.run(120)
        assert (await words.says("approve", asked.id))[0]
        await words.run(60)
        assert restarts(words) == 1

    told(story, ASKS.replace("  steps:", "  on: resolved\n  steps:").replace("  - do: stop\n", ""))


@pytest.mark.parametrize(("who", "override"), [("uid:0", "the game is on"), ("bus:phone", "")])
def test_what_lifts_a_budget_is_never_said_over_the_bus(who: str, override: str) -> None:
    async def story(words: Words) -> None:
        plan = await words.life.ask("restart", "oracle", override="the game is on")
        told_so = no(Reason.NEEDS_APPROVAL, "It would widen rights.")
        words.life.runner.end(plan.plan, told_so)
        words.life.core.submit(PlanEnded(words.clock.wall(), words.clock.mono(), plan.plan, told_so))
        await asyncio.sleep(0.5)
        door = "bus" if who.startswith("bus") else "socket"
        fact = Command(words.clock.wall(), words.clock.mono(), "approve", "ap-1", {}, who, door, "x")
        decision = await words.life.core.ask(fact)
        assert decision.intent.override == override
        (made,) = words.life.core.snapshot.plans
        assert (made.override, made.approved) == (override, who)
        await words.run(60)

    told(story, playbooks="")


def test_nothing_of_a_person_s_word_takes_other_parameters() -> None:
    async def story(words: Words) -> None:
        assert (await words.says("approve", "ap-1", colour="red"))[1] == "bad_parameter"
        assert (await words.says("ack", "oracle", colour="red"))[1] == "bad_parameter"
        assert (await words.says("silence", 'name="x"', colour="red"))[1] == "bad_parameter"

    told(story)


ANEW = ASKS.replace("  - do: restart\n  - do: stop\n", "  - do: phoenix image=current\n")


def test_a_yes_is_to_the_image_that_was_named_and_a_tag_that_moves_makes_another_question() -> None:
    async def story(words: Words) -> None:
        await words.fire()
        (asked,) = words.open
        assert asked.image == words.life.core.snapshot.services[0].container.image_id  # type: ignore[union-attr]
        words.world.engine.add_image(SimImage(tags=("local/oracle:1",), config={"Env": ["V=2"]}).full())
        await words.run(5)
        ok, reason, text = await words.says("approve", asked.id)
        assert (ok, reason) == (False, "stale")
        assert "another image" in text
        await words.run(60)
        (again,) = words.open
        assert (again.id, again.image != asked.image) == ("ap-2", True)
        assert (await words.says("approve", again.id))[0]
        (plan,) = words.life.core.snapshot.plans
        assert plan.image_id == again.image
        await words.run(120)

    told(story, ANEW)
