"""The loop of a notifier on a virtual clock: order, retries, grouping, escalation, falling through, restarts."""

import asyncio

import pytest

from supervisor.bus.notify import notifier
from supervisor.bus.notify.watch import OVER
from supervisor.errors import JournalError
from tests.support.notifying import CRITICAL, NotifyBox

GROUPED = {"group_by": ["severity"], "group_wait": "10s", "group_interval": "5m"}


def kept(box: NotifyBox, name: str = "0") -> dict[str, object]:
    return box.journal.space("meta")[f"notify/{name}"]


# ------------------------------------------------------------ each by itself, at once


def test_without_grouping_everything_is_told_at_once_and_in_order() -> None:
    async def story(box: NotifyBox) -> None:
        box.write("alert.firing")
        box.write("alert.pending", public=False)
        box.write("container.started")
        box.write("action.verified")
        box.write("alert.resolved")
        await asyncio.sleep(1)
        assert box.receiver.told == ["firing A", "action.verified", "resolved A"]
        assert box.at(0) < 0.2
        keys = [message.key for _, message in box.receiver.got]
        assert keys == [f"{box.journal.epoch}-{seq}" for seq in (1, 4, 5)]

    NotifyBox().play(story)


def test_of_slots_people_are_told_what_no_plan_says() -> None:
    """How a swap ended is said by its plan's own row, and its phases are no news for a phone."""

    async def story(box: NotifyBox) -> None:
        for kind in ("swap_began", "phase", "no_go", "swapped", "benchmark", "evicted"):
            box.write(f"model.{kind}")
        for kind in ("stand_in", "handed_back", "probation_over"):
            box.write(f"model.{kind}")
        await asyncio.sleep(1)
        assert box.receiver.told == ["model.stand_in", "model.handed_back", "model.probation_over"]

    NotifyBox().play(story)


def test_only_the_severities_asked_for_are_told() -> None:
    async def story(box: NotifyBox) -> None:
        box.fire("A", severity="info")
        box.fire("B", severity="critical")
        box.write("action.verified")
        box.write("action.failed")
        await asyncio.sleep(1)
        assert box.receiver.told == ["firing B", "action.failed"]

    NotifyBox({"severity": ("critical",)}).play(story)


def test_a_receiver_that_is_down_gets_everything_later_in_order() -> None:
    async def story(box: NotifyBox) -> None:
        box.receiver.down = True
        box.fire("A")
        box.write("action.verified")
        await asyncio.sleep(30)
        assert "answers 503; it is tried again" in box.notifier.state.text
        assert {words.key for words in box.receiver.tries} == {f"{box.journal.epoch}-1"}
        box.receiver.down = False
        await asyncio.sleep(120)
        assert box.receiver.told == ["firing A", "action.verified"]
        assert (box.notifier.state.sent, box.notifier.state.text) == (2, "")

    NotifyBox().play(story)


def test_a_refused_message_is_given_up_and_the_next_is_told() -> None:
    async def story(box: NotifyBox) -> None:
        box.receiver.refuses = True
        box.fire("A")
        await asyncio.sleep(10)
        assert len(box.receiver.tries) == 1
        assert box.notifier.state.given_up == 1
        assert "refuses our messages with 401" in box.notifier.state.text
        box.receiver.refuses = False
        box.write("action.verified")
        await asyncio.sleep(1)
        assert box.receiver.told == ["action.verified"]

    NotifyBox().play(story)


@pytest.mark.parametrize("entry", [{}, GROUPED])
def test_a_message_is_given_up_when_its_time_is_over_and_tried_ever_more_rarely(
    entry: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert OVER == 24 * 3600
    monkeypatch.setattr(notifier, "OVER", 4 * 3600.0)

    async def story(box: NotifyBox) -> None:
        box.receiver.down = True
        box.fire("A")
        await asyncio.sleep(4 * 3600)
        assert box.notifier.state.given_up == 0
        await asyncio.sleep(120)
        assert box.notifier.state.given_up == 1
        assert 100 < len(box.receiver.tries) < 1000
        box.receiver.down = False
        box.end("A")
        await asyncio.sleep(400)
        assert box.receiver.told == ([] if entry else ["resolved A"])

    NotifyBox(entry).play(story)


def test_it_goes_on_where_it_was_after_a_restart_and_never_tells_history() -> None:
    async def first(box: NotifyBox) -> None:
        box.write("action.verified")
        await asyncio.sleep(1)
        box.receiver.down = True
        box.write("action.failed")
        await asyncio.sleep(5)

    async def second(box: NotifyBox) -> None:
        box.receiver.down = False
        await asyncio.sleep(60)
        assert box.receiver.told == ["action.verified", "action.failed"]

    box = NotifyBox()
    box.write("action.refused")
    box.play(first, second)


def test_a_place_that_an_older_version_kept_still_counts() -> None:
    async def story(box: NotifyBox) -> None:
        await asyncio.sleep(1)
        assert box.receiver.told == ["action.failed"]

    box = NotifyBox()
    box.write("action.verified")
    batch = box.journal.batch()
    batch.put("meta", "notify/0", {"seq": 1})
    box.journal.commit(batch)
    box.write("action.failed")
    box.play(story)


def test_a_receiver_that_hangs_holds_up_only_its_own() -> None:
    async def story(box: NotifyBox) -> None:
        box.receivers[0].hangs = True
        box.fire("A")
        await asyncio.sleep(5)
        assert box.receivers[0].told == []
        assert box.receivers[1].told == ["firing A"]

    NotifyBox({"name": "slow"}, {"name": "quick"}).play(story)


def test_a_long_backlog_is_bounded_and_told_in_order_over_a_restart() -> None:
    async def first(box: NotifyBox) -> None:
        box.receiver.down = True
        for number in range(600):
            box.write("action.verified", text=str(number))
        await asyncio.sleep(60)
        assert len(kept(box).get("singles", ())) <= 320  # type: ignore[arg-type]

    async def second(box: NotifyBox) -> None:
        box.receiver.down = False
        await asyncio.sleep(120)
        rows = [message.action for _, message in box.receiver.got]
        assert [row.body["text"] for row in rows if row] == [str(number) for number in range(600)]

    NotifyBox().play(first, second)


def test_a_journal_that_fails_for_a_while_is_said_and_loses_nothing() -> None:
    async def story(box: NotifyBox) -> None:
        real, tries = box.journal.rows, [0]

        def broken(**_: object) -> list[object]:
            tries[0] += 1
            raise JournalError("the disk is gone")

        box.journal.rows = broken  # type: ignore[assignment, method-assign]
        box.fire("A")
        await asyncio.sleep(5)
        assert "the disk is gone" in box.notifier.state.text
        assert 1 < tries[0] < 20
        box.journal.rows = real  # type: ignore[method-assign]
        await asyncio.sleep(120)
        assert box.receiver.told == ["firing A"]

    NotifyBox().play(story)


# ------------------------------------------------------------ groups


def test_alerts_of_a_group_come_together_and_actions_do_not_wait() -> None:
    async def story(box: NotifyBox) -> None:
        box.fire("A")
        await asyncio.sleep(5)
        box.fire("B")
        box.fire("C", severity="critical")
        box.write("action.verified")
        await asyncio.sleep(20)
        assert box.receiver.told == ["action.verified", "firing A B", "firing C"]
        assert (box.at(1), box.at(2)) == (10.1, 15.1)
        assert box.receiver.got[1][1].group_labels == {"severity": "warning"}

    NotifyBox(GROUPED).play(story)


def test_an_end_comes_with_the_next_message_and_a_flap_inside_the_wait_is_not_told() -> None:
    async def story(box: NotifyBox) -> None:
        box.fire("A")
        box.fire("B")
        await asyncio.sleep(2)
        box.end("B")
        await asyncio.sleep(20)
        assert box.receiver.told == ["firing A"]
        box.end("A")
        box.fire("C")
        await asyncio.sleep(280)
        assert len(box.receiver.got) == 1
        await asyncio.sleep(20)
        assert box.receiver.told == ["firing A", "firing C, resolved A"]
        box.end("C")
        await asyncio.sleep(400)
        assert box.receiver.told[2:] == ["resolved C"]
        assert len(kept(box)) == 1, "nothing of a group that is over is kept"

    NotifyBox(GROUPED).play(story)


def test_a_group_that_still_fires_is_repeated_but_not_while_a_silence_mutes_it() -> None:
    async def story(box: NotifyBox) -> None:
        box.fire("A")
        box.fire("B")
        await asyncio.sleep(1200)
        assert box.receiver.told == ["firing A B"]
        await asyncio.sleep(2500)
        assert box.receiver.told == ["firing A B"] * 2
        assert box.receiver.got[0][1].key != box.receiver.got[1][1].key
        box.silence('alertname="A"')
        await asyncio.sleep(3600)
        assert box.receiver.told[2:] == ["firing B"]
        box.silence('alertname=~"A|B"')
        await asyncio.sleep(3 * 3600)
        assert (len(box.receiver.got), box.notifier.state.text) == (3, "")
        box.silence()
        await asyncio.sleep(60)
        assert box.receiver.told[3:] == ["firing A B"]
        box.silence('alertname="A"')
        box.end("A")
        await asyncio.sleep(400)
        assert box.receiver.told[4:] == ["firing B, resolved A"], "who was told that it fires hears that it ended"

    NotifyBox({**GROUPED, "repeat": "1h"}).play(story)


def test_repeat_works_without_groups_and_over_a_restart() -> None:
    async def first(box: NotifyBox) -> None:
        box.fire("A")
        await asyncio.sleep(3000)
        assert box.receiver.told == ["firing A"]
        assert box.at(0) < 0.2

    async def second(box: NotifyBox) -> None:
        await asyncio.sleep(500)
        assert len(box.receiver.got) == 1
        await asyncio.sleep(200)
        assert box.receiver.told == ["firing A"] * 2
        box.end("A")
        await asyncio.sleep(1)
        assert box.receiver.told[2:] == ["resolved A"]
        await asyncio.sleep(4000)
        assert len(box.receiver.got) == 3

    NotifyBox({"repeat": "1h"}).play(first, second)


def test_a_kill_inside_the_wait_neither_loses_nor_repeats() -> None:
    async def first(box: NotifyBox) -> None:
        box.fire("A")
        await asyncio.sleep(4)

    async def second(box: NotifyBox) -> None:
        box.fire("B")
        await asyncio.sleep(10)
        assert box.receiver.told == ["firing A B"]
        assert box.at(0) < 10.5, "the wait goes on from where it was"

    async def third(box: NotifyBox) -> None:
        box.end("A")
        await asyncio.sleep(600)
        assert box.receiver.told == ["firing A B", "firing B, resolved A"]

    NotifyBox(GROUPED).play(first, second, third)


def test_after_an_outage_a_group_tells_how_things_stand_not_what_was() -> None:
    async def story(box: NotifyBox) -> None:
        box.receiver.down = True
        for name in ("A", "B", "C"):
            box.fire(name)
            await asyncio.sleep(600)
        box.end("A")
        box.end("B")
        await asyncio.sleep(60)
        box.receiver.down = False
        await asyncio.sleep(600)
        assert box.receiver.told == ["firing C"]

    NotifyBox(GROUPED).play(story)


# ------------------------------------------------------------ escalation


def test_what_nobody_takes_on_is_escalated_once_and_its_end_is_told() -> None:
    async def story(box: NotifyBox) -> None:
        box.fire("A")
        box.fire("B")
        box.write("action.failed")
        await asyncio.sleep(600)
        box.ack("B")
        await asyncio.sleep(290)
        assert box.receiver.told == []
        await asyncio.sleep(30)
        assert box.receiver.told == ["firing A"]
        assert box.at(0) == 900.1
        (item,) = box.receiver.got[0][1].items
        assert round(item.escalated - box.begun, 1) == 0.1
        await asyncio.sleep(7200)
        box.end("A")
        box.end("B")
        await asyncio.sleep(1)
        assert box.receiver.told == ["firing A", "resolved A"]

    NotifyBox({"escalate": "15m"}).play(story)


def test_what_ends_before_or_is_silenced_is_not_escalated() -> None:
    async def story(box: NotifyBox) -> None:
        box.fire("A")
        box.fire("B")
        await asyncio.sleep(800)
        box.end("A")
        box.silence('alertname="B"')
        await asyncio.sleep(1800)
        assert box.receiver.told == []
        box.silence()
        await asyncio.sleep(5)
        assert box.receiver.told == ["firing B"], "the silence is over, and it fires still"

    NotifyBox({"escalate": "15m"}).play(story)


def test_an_escalation_outlives_a_restart_and_ends_with_an_ack_where_it_repeats() -> None:
    async def first(box: NotifyBox) -> None:
        box.fire("A")
        await asyncio.sleep(600)

    async def second(box: NotifyBox) -> None:
        await asyncio.sleep(290)
        assert box.receiver.told == []
        await asyncio.sleep(60)
        assert box.receiver.told == ["firing A"]

    async def third(box: NotifyBox) -> None:
        await asyncio.sleep(3600)
        assert box.receiver.told == ["firing A"] * 2
        assert all(message.items[0].escalated for _, message in box.receiver.got)
        box.ack("A")
        await asyncio.sleep(3 * 3600)
        assert len(box.receiver.got) == 2

    NotifyBox({"escalate": "15m", "repeat": "1h"}).play(first, second, third)


# ------------------------------------------------------------ when nobody heard


@pytest.mark.parametrize("state", ["unheard", "dead"])
def test_a_critical_alert_that_nobody_heard_over_mqtt_falls_through(state: str) -> None:
    async def story(box: NotifyBox) -> None:
        box.heard(box.fire("A", **CRITICAL), state)
        box.heard(box.fire("B", **CRITICAL), "done")
        box.heard(box.fire("C"), state)
        box.write("action.failed")
        await asyncio.sleep(5)
        assert box.receiver.told == ["firing A"]
        assert box.at(0) < 3
        box.end("A", **CRITICAL)
        box.end("B", **CRITICAL)
        await asyncio.sleep(60)
        assert box.receiver.told == ["firing A", "resolved A"]

    NotifyBox({"when": "unheard"}).play(story)


def test_one_that_waits_half_a_minute_falls_through_and_without_a_bus_at_once() -> None:
    async def story(box: NotifyBox) -> None:
        box.fire("A", **CRITICAL)
        await asyncio.sleep(28)
        assert box.receiver.told == ([] if box.bus else ["firing A"])
        await asyncio.sleep(6)
        assert box.receiver.told == ["firing A"]

    NotifyBox({"when": "unheard"}).play(story)
    NotifyBox({"when": "unheard"}, bus=False).play(story)


def test_one_that_a_notifier_before_delivered_or_mqtt_did_does_not_fall_through() -> None:
    async def story(box: NotifyBox) -> None:
        box.heard(box.fire("A", **CRITICAL), "unheard")
        await asyncio.sleep(120)
        assert [one.told for one in box.receivers] == [["firing A"], []]

    NotifyBox({}, {"when": "unheard"}).play(story)
    NotifyBox({"when": "unheard"}, {"when": "unheard"}).play(story)


def test_what_all_notifiers_before_gave_up_on_falls_through_whatever_mqtt_says() -> None:
    async def story(box: NotifyBox) -> None:
        box.receivers[0].refuses = True
        box.heard(box.fire("A", **CRITICAL), "done")
        await asyncio.sleep(5)
        assert [one.told for one in box.receivers] == [[], ["firing A"]]

    NotifyBox({"name": "first"}, {"when": "unheard"}).play(story)


def test_a_notifier_before_that_is_down_is_not_waited_for_long() -> None:
    async def story(box: NotifyBox) -> None:
        box.receivers[0].down = True
        box.heard(box.fire("A", **CRITICAL), "unheard")
        await asyncio.sleep(25)
        assert box.receivers[1].told == []
        await asyncio.sleep(10)
        assert box.receivers[1].told == ["firing A"]

    NotifyBox({}, {"when": "unheard"}).play(story)


def test_what_waited_for_a_verdict_over_a_long_stop_is_given_up_and_counted() -> None:
    async def first(box: NotifyBox) -> None:
        box.fire("A", **CRITICAL)
        await asyncio.sleep(3)
        box.clock.jump(3 * 24 * 3600.0)

    async def second(box: NotifyBox) -> None:
        await asyncio.sleep(5)
        assert box.receiver.told == []
        assert box.notifier.state.given_up == 1

    NotifyBox({"when": "unheard"}).play(first, second)


def test_each_of_several_such_notifiers_gives_the_one_before_its_time() -> None:
    async def story(box: NotifyBox) -> None:
        box.receivers[0].down = True
        box.fire("A", **CRITICAL)
        await asyncio.sleep(55)
        assert box.receivers[0].tries
        assert box.receivers[1].told == []
        await asyncio.sleep(10)
        assert box.receivers[1].told == ["firing A"]

    NotifyBox({"when": "unheard"}, {"when": "unheard"}).play(story)


def test_the_question_whether_anybody_heard_outlives_a_restart() -> None:
    async def first(box: NotifyBox) -> None:
        box.fire("A", **CRITICAL)
        await asyncio.sleep(3)

    async def second(box: NotifyBox) -> None:
        box.heard(1, "unheard")
        await asyncio.sleep(5)
        assert box.receiver.told == ["firing A"]

    async def third(box: NotifyBox) -> None:
        box.end("A", **CRITICAL)
        await asyncio.sleep(5)
        assert box.receiver.told == ["firing A", "resolved A"]

    NotifyBox({"when": "unheard"}).play(first, second, third)


def test_a_clock_that_was_put_back_does_not_put_off_what_waits() -> None:
    async def story(box: NotifyBox) -> None:
        box.fire("A", **CRITICAL)
        await asyncio.sleep(1)
        box.clock.jump(-7200)
        await asyncio.sleep(40)
        assert box.receiver.told == ["firing A"]

    NotifyBox({"when": "unheard"}).play(story)
