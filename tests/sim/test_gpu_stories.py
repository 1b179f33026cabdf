"""Stories 2, 12 and 13 by the shipped rules alone: what a broken card or driver may not lead to is counted."""

from supervisor.lab.engine import Behaviour
from supervisor.lab.gpu import GIB, SimCard, SimVram
from tests.sim.stage import Stage, play, read

SERVICES = {"box.oracle": {"vram": "0:80GiB", "startup": "30s", "kube": {"deployment": "inference-engine"}}}
LOST = "NVRM: Xid (PCI:0000:17:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus."
REBOOT = "NVRM: Xid (PCI:0000:17:00): 154, GPU recovery action changed from 0x0 (None) to 0x2 (Node Reboot Required)"
ENDED = "NVRM: Xid (PCI:0000:17:00): 45, pid={pid}, name=python3, Ch 00000010"
OWNERS = """
groups:
- name: own
  rules:
  - alert: BlackwellResetLoopRisk
    expr: DCGM_FI_DEV_XID_ERRORS == 79
    annotations:
      action: "kubectl scale deployment inference-engine --replicas=0"
"""


async def serving(stage: Stage) -> SimCard:
    """The oracle on its card, a database beside it, both proved."""
    card = stage.world.cards.add()
    stage.world.cards.vram["oracle"] = SimVram({0: 80 * GIB})
    for name in ("oracle", "db"):
        stage.image(f"local/{name}:1", Behaviour(healthy_after=1.0))
        await stage.up(name)
    await stage.begin()
    await stage.until(lambda: len(stage.space("proved")) == 2 and not stage.space("plan"), 100, "proof", step=5)
    await stage.until(lambda: stage.snapshot.gpus and stage.snapshot.gpus.cards[0].users, 60, "reading", step=5)
    return card


def begun(stage: Stage) -> list[str]:
    """Every plan that was begun, by verb."""
    return [row.body["verb"] for row in stage.rows("action.planned")]


def test_a_card_that_falls_off_the_bus_is_told_and_nothing_is_churned() -> None:
    async def story(stage: Stage) -> None:
        await serving(stage)
        before, box = begun(stage), stage.box()
        stage.world.log.write(LOST)
        asked = len(stage.world.cards.asked)
        stage.world.cards.strip("oracle")
        for _ in range(20):
            stage.world.log.write(ENDED.format(pid=box.pid if box is not None else 1))
        await stage.world.run(900)
        assert begun(stage) == before
        assert stage.box() == box
        assert stage.alert("GpuDriverQuiet")
        assert stage.alert("GpuXidApplication") is None
        for verb in ("restart", "phoenix"):
            assert (await stage.ask(verb)).verdict.reason == "veto"
        assert len(stage.world.cards.asked) == asked
        assert (await stage.ask("restart", "box.db")).verdict.ok, "what uses no card is none of its concern"

    play(story, read(services=SERVICES, proof="10s"))


def test_by_the_drivers_word_the_model_is_quiesced_once_and_the_restart_is_left_to_a_person() -> None:
    async def story(stage: Stage) -> None:
        await serving(stage)
        before = begun(stage)
        stage.world.log.write(LOST)
        stage.world.log.write(REBOOT)
        await stage.world.run(3600)
        assert begun(stage)[len(before) :] == ["quiesce"]
        assert stage.service().wanted.state == "stopped"
        assert not stage.ended("reboot")
        assert stage.refusals("switched_off")

    play(story, read(services=SERVICES, proof="10s"))


def test_the_owners_word_that_it_stays_down_holds_on_a_card_that_is_broken() -> None:
    async def story(stage: Stage) -> None:
        await serving(stage)
        stage.world.log.write(LOST)
        await stage.until(lambda: stage.ended("scale"), 120, "scale", step=5)
        assert stage.outcome("scale").body["reason"] == "verified"
        assert stage.service().wanted.state == "stopped"
        box = stage.box()
        assert box is not None
        assert box.status == "exited"
        assert (await stage.ask("scale", replicas="1")).verdict.reason == "veto"

    play(story, read({"omni.yaml": OWNERS}, services=SERVICES, proof="10s"))


def test_library_and_driver_of_two_versions_hold_every_start_on_a_card_until_they_agree() -> None:
    async def story(stage: Stage) -> None:
        await serving(stage)
        before, box = begun(stage), stage.box()
        stage.world.cards.library = "999.1"
        await stage.until(lambda: stage.alert("GpuDriverMismatch"), 90, "alert", step=5)
        stage.world.cards.strip("oracle")
        await stage.world.run(900)
        assert begun(stage) == before
        assert stage.box() == box
        assert (await stage.ask("restart")).verdict.reason == "veto"
        assert "Restart the machine" in stage.alert("GpuDriverMismatch").annotations["description"]  # type: ignore[union-attr]
        stage.world.cards.library = stage.world.cards.driver
        await stage.until(lambda: stage.ended("phoenix"), 900, "the recreation that was held back", step=5)
        assert stage.outcome("phoenix").body["reason"] == "verified"

    play(story, read(services=SERVICES, proof="10s"))
