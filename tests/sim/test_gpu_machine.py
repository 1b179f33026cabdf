"""What is done to a card and to the machine: from the driver's verdict to the model that serves again, and everything
that must stay undone."""

import asyncio

import pytest

from tests.sim.gpus import BUS, down, loaded, prepared, serving
from tests.sim.stage import Stage, Told, play


def told(story: Told, **settings: object) -> None:
    """Tell it; then every invariant holds."""

    async def whole(stage: Stage) -> None:
        await story(stage)
        stage.holds()

    play(whole, loaded(**settings))  # type: ignore[arg-type]


def test_a_card_that_needs_a_reset_is_quiesced_reset_and_its_model_serves_again() -> None:
    async def story(stage: Stage) -> None:
        card, watcher = await prepared(stage)
        db = stage.box("box-db-1")
        card.recovery = "reset"
        await stage.until(lambda: stage.ended("gpu-reset"), 300, "reset", step=5)
        ends = [(row.body["verb"], row.kind) for row in stage.rows("action.verified") if row.public]
        assert ends == [("quiesce", "action.verified"), ("gpu-reset", "action.verified")]
        assert stage.heard("alert.firing"), "people heard of it first"
        assert stage.outcome("gpu-reset").body["reason"] == "verified"
        assert down(stage), "it stays down until the card has been well for a while"
        await stage.until(lambda: serving(stage), 200, "model that serves", step=5)
        assert [bus for _at, bus in stage.world.hands.resets] == [BUS]
        assert stage.world.hands.reboots == []
        assert stage.box("box-db-1") == db, "what is not on the card is left alone"
        assert watcher.found == []

    told(story, reset=True, reboot=True)


def test_switched_off_it_only_tells_and_says_what_to_type() -> None:
    async def story(stage: Stage) -> None:
        card, watcher = await prepared(stage)
        card.recovery = "reset"
        await stage.until(lambda: stage.refusals("ladder_spent"), 300, "end of the ladder", step=5)
        said = {row.body["verb"]: row.body["text"] for row in stage.refusals("switched_off")}
        assert f"nvidia-smi --gpu-reset -i {BUS}" in said["gpu-reset"]
        assert "systemctl reboot" in said["reboot"]
        assert (stage.world.hands.resets, stage.world.hands.reboots) == ([], [])
        assert down(stage)
        asked = await stage.ask("gpu-reset", "gpu:0")
        assert asked.verdict.reason == "switched_off", "a person cannot do it either"
        await stage.world.run(600)
        assert down(stage), "for as long as it takes"
        card.recovery = "none"  # a person did it
        await stage.until(lambda: serving(stage), 200, "model that serves", step=5)
        assert watcher.found == []

    told(story)


def test_the_machine_is_restarted_and_the_next_start_says_so_and_brings_the_model_back() -> None:
    async def story(stage: Stage) -> None:
        card, watcher = await prepared(stage)
        card.recovery = "reboot"
        await stage.until(lambda: stage.world.hands.reboots, 300, "restart", step=1)
        lives = stage.world.lives
        assert stage.rows("action.planned")[-1].body["verb"] == "reboot", "it is in the journal before it is done"
        await stage.until(lambda: stage.ended("reboot"), 200, "word about it", step=5)
        assert stage.world.lives == lives + 1
        row = stage.outcome("reboot")
        assert row.body["reason"] == "verified"
        assert "was restarted and is back" in row.body["text"]
        await stage.until(lambda: serving(stage), 300, "model that serves", step=5)
        assert len(stage.world.hands.reboots) == 1
        assert stage.world.hands.resets == [], "its driver asked for a restart, not for a reset"
        assert watcher.found == []

    told(story, reset=True, reboot=True)


def test_a_reset_that_does_not_help_is_not_repeated_and_the_next_rung_is_a_restart() -> None:
    async def story(stage: Stage) -> None:
        card, watcher = await prepared(stage)
        stage.world.hands.heals = False
        card.recovery = "reset"
        await stage.until(lambda: stage.ended("gpu-reset"), 600, "end of the reset", step=5)
        text = stage.outcome("gpu-reset").body["text"]
        assert "the driver asks for more: reset" in text
        assert "not reset again" in text
        await stage.until(lambda: stage.ended("reboot"), 300, "restart", step=5)
        await stage.until(lambda: serving(stage), 400, "model that serves", step=5)
        assert (len(stage.world.hands.resets), len(stage.world.hands.reboots)) == (1, 1)
        assert watcher.found == []

    told(story, reset=True, reboot=True)


def test_a_card_that_a_stranger_uses_is_not_reset_and_he_is_named() -> None:
    async def story(stage: Stage) -> None:
        card, watcher = await prepared(stage)
        stage.world.hands.strangers[BUS] = ("Xorg (pid 812)",)
        card.recovery = "reset"
        await stage.until(lambda: stage.ended("gpu-reset"), 300, "try", step=5)
        row = stage.outcome("gpu-reset")
        assert row.kind == "action.ended_early"
        assert "Xorg (pid 812)" in row.body["text"]
        assert stage.world.hands.resets == []
        del stage.world.hands.strangers[BUS]
        await stage.until(lambda: serving(stage), 600, "model that serves", step=5)
        assert len(stage.world.hands.resets) == 1
        assert watcher.found == []

    told(story, reset=True)


def test_what_is_not_ours_to_stop_keeps_the_card_and_is_named() -> None:
    async def story(stage: Stage) -> None:
        card, _watcher = await prepared(stage)
        card.recovery = "reset"
        await stage.until(lambda: stage.refusals("gpu_busy"), 300, "refusal", step=5)
        text = stage.refusals("gpu_busy")[0].body["text"]
        assert "box.db" in text
        assert down(stage), "what is ours was stopped"
        assert stage.box("box-db-1").status == "running"  # type: ignore[union-attr]
        assert stage.world.hands.resets == []

    services = {"box.oracle": {"exclusive": ["gpu:0"]}, "box.db": {"enable": False, "vram": "0:1GiB"}}
    told(story, reset=True, services=services)


def test_a_pause_in_the_last_moment_holds_up_a_restart() -> None:
    async def story(stage: Stage) -> None:
        await prepared(stage)
        question = asyncio.ensure_future(stage.life.ask("reboot", "host"))
        await stage.world.run(4)
        assert question.result().verdict.ok
        await stage.ask("pause", "")
        await stage.world.run(60)
        assert stage.world.hands.reboots == []
        assert stage.outcome("reboot").kind == "action.ended_early"
        await stage.ask("resume", "")

    told(story, reboot=True)


@pytest.mark.parametrize("who", ["stop", "start", "docker start"])
def test_what_a_person_says_of_a_quiesced_service_holds(who: str) -> None:
    async def story(stage: Stage) -> None:
        await prepared(stage)
        decision = await stage.ask("quiesce", "gpu:0")
        assert decision.rollout, decision
        await stage.until(lambda: down(stage), 60, "stop")
        if who == "docker start":
            stage.engine.human_start("box-oracle-1")
        else:
            await stage.ask(who)
        await stage.world.run(400)
        runs = stage.box().status == "running"  # type: ignore[union-attr]
        assert runs is (who != "stop")
        assert stage.service().wanted.by != "resurgam", "nobody of us starts what a person decided on"

    told(story)


def test_a_service_alone_is_stopped_for_the_cards_that_it_uses() -> None:
    async def story(stage: Stage) -> None:
        card, watcher = await prepared(stage)
        card.recovery = "drain"  # no shipped rule asks for anything
        await stage.world.run(30)
        decision = await stage.ask("quiesce")
        assert decision.verdict.ok, decision.verdict
        await stage.until(lambda: down(stage), 60, "stop")
        assert stage.service().wanted.by == f"quiesce:{card.uuid}"
        await stage.world.run(200)
        assert down(stage)
        card.heal()
        await stage.until(lambda: serving(stage), 200, "model that serves", step=5)
        assert watcher.found == []

    told(story)


def test_a_verdict_that_comes_and_goes_stops_a_service_a_few_times_and_no_more() -> None:
    async def story(stage: Stage) -> None:
        card, watcher = await prepared(stage)
        for _ in range(8):
            card.recovery = "reset"
            await stage.world.run(120)
            card.recovery = "none"
            await stage.world.run(900)
        stops = [plan for plan in stage.ended("quiesce") if plan.kind == "action.verified"]
        assert 1 <= len(stops) <= 4, len(stops)
        assert serving(stage)
        assert watcher.found == []

    told(story)


def test_it_stays_down_while_a_rule_that_wants_it_so_fires() -> None:
    hot = """
groups:
- name: own
  rules:
  - alert: TooHot
    expr: DCGM_FI_DEV_FB_RESERVED > 2000
    annotations: {action: quiesce}
"""

    async def story(stage: Stage) -> None:
        card, _watcher = await prepared(stage)
        card.reserved *= 3
        await stage.until(lambda: down(stage), 100, "stop", step=5)
        await stage.world.run(600)
        assert down(stage), "the card answers and asks for nothing, but the rule still fires"
        card.reserved //= 3
        await stage.until(lambda: serving(stage), 200, "model that serves", step=5)

    told(story, files={"hot.yaml": hot})


def test_the_budget_of_resets_is_counted_over_restarts() -> None:
    async def story(stage: Stage) -> None:
        _card, watcher = await prepared(stage)
        await stage.ask("quiesce", "gpu:0")
        await stage.until(lambda: down(stage), 60, "stop")
        for count in (1, 2):
            decision = await stage.ask("gpu-reset", "0")
            assert decision.verdict.ok, decision.verdict
            await stage.until(lambda count=count: len(stage.ended("gpu-reset")) == count, 60, "reset")  # type: ignore[misc]
            await stage.kill()
            await stage.begin()
            await stage.until(lambda: stage.snapshot.gpus and stage.snapshot.gpus.cards[0].up, 60, "reading")
        decision = await stage.ask("gpu-reset", "0")
        assert decision.verdict.reason == "budget_host"
        assert "2 resets of cards and restarts of the machine in 1d are spent" in decision.verdict.text
        assert len(stage.world.hands.resets) == 2
        assert watcher.found == []

    told(story, reset=True)


def test_a_daemon_that_is_killed_in_the_midst_of_a_reset_looks_and_does_not_begin_anew() -> None:
    async def story(stage: Stage) -> None:
        card, watcher = await prepared(stage)
        card.recovery = "reset"
        await stage.until(lambda: stage.world.hands.resets, 300, "reset", step=1)
        await stage.kill()
        await asyncio.sleep(1)
        await stage.begin()
        await stage.until(lambda: stage.ended("gpu-reset"), 200, "end of the reset", step=5)
        row = stage.outcome("gpu-reset")
        assert row.body["reason"] == "verified"
        assert "was ended while it was being reset" in row.body["text"]
        await stage.until(lambda: serving(stage), 300, "model that serves", step=5)
        assert len(stage.world.hands.resets) == 1
        assert watcher.found == []

    told(story, reset=True, reboot=True)


def test_after_a_fault_that_silences_the_driver_a_reset_lets_it_be_asked_again() -> None:
    async def story(stage: Stage) -> None:
        card, watcher = await prepared(stage)
        card.recovery = "reset"
        for text in (
            "119, pid=1, name=server, Timeout after 6s of waiting for RPC response from GPU0 GSP!",
            "154, pid=1, name=server, GPU recovery action changed from 0x0 (None) to 0x1 (GPU Reset Required)",
        ):
            stage.world.log.write(f"NVRM: Xid (PCI:0000:17:00): {text}")
        await stage.until(lambda: stage.snapshot.gpus.quiet, 30, "silence", step=1)  # type: ignore[union-attr]
        await stage.until(lambda: stage.world.hands.resets, 300, "reset", step=1)
        before = [at for at, _depth in stage.world.cards.asked if at < stage.world.hands.resets[0][0]]
        quiet = stage.world.hands.resets[0][0] - before[-1]
        assert quiet > 45, "nobody asked a driver that would hang, between the fault and the reset"
        await stage.until(lambda: stage.ended("gpu-reset"), 60, "end of the reset", step=1)
        assert stage.outcome("gpu-reset").body["reason"] == "verified"
        assert stage.snapshot.gpus.quiet == ""  # type: ignore[union-attr]
        assert stage.snapshot.gpus.episodes == ()  # type: ignore[union-attr]
        await stage.until(lambda: serving(stage), 300, "model that serves", step=5)
        assert watcher.found == []

    told(story, reset=True)


def test_what_follows_from_a_drill_is_decided_and_told_and_never_done() -> None:
    practised = """
groups:
- name: own
  rules:
  - alert: Practised
    expr: resurgam_gpu_up == 1
    labels: {drill: "true", name: box-oracle-1, severity: critical}
    annotations: {action: restart}
"""

    async def story(stage: Stage) -> None:
        await prepared(stage)
        box = stage.box()
        await stage.world.run(120)
        said = [row.body["text"] for row in stage.refusals("dry_run")]
        assert said == ["It is a drill: rule:Practised would restart box.oracle now."]
        assert stage.box() == box
        assert stage.ended("restart") == []

    told(story, files={"practised.yaml": practised})
