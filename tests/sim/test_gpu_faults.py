"""Faults of GPUs in a whole daemon: the line in the kernel's log, the driver that is left alone, a kill in between, and
a drill in which everything is told and nothing is done."""

from tests.sim.stage import Stage, play, read

SERVICES = {"box.oracle": {"vram": "40GiB"}}
LOADED = read(services=SERVICES)
GONE = "NVRM: Xid (PCI:0000:17:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus."
REBOOT = "NVRM: Xid (PCI:0000:17:00): 154, GPU recovery action changed from 0x0 (None) to 0x2 (Node Reboot Required)"


async def prepared(stage: Stage) -> None:
    """A box with one card and a service that uses it."""
    stage.world.cards.add()
    stage.image("local/oracle:1")
    await stage.up("oracle")
    await stage.begin()
    await stage.until(lambda: stage.world.life.core.snapshot.gpus is not None, 60, "a look at the card", step=1)


def faults(stage: Stage) -> list[str]:
    """What was told of faults, by kind."""
    return [row.kind for row in stage.world.disk.rows(after=0) if row.kind.startswith("gpu.fault")]


def test_a_lost_card_quiets_the_driver_and_a_kill_forgets_nothing() -> None:
    async def story(stage: Stage) -> None:
        await prepared(stage)
        stage.world.log.write(GONE)
        assert stage.world.life.gpu.held, "at once, before the core has had its turn"
        await stage.world.run(5)
        stage.world.log.write(REBOOT)
        await stage.world.run(30)
        asked = len(stage.world.cards.asked)
        await stage.world.bury()
        await stage.world.begin()
        await stage.world.run(60)
        snapshot = stage.world.life.core.snapshot
        assert len(stage.world.cards.asked) == asked, "nobody asks the driver any more"
        assert "not asked any more" in snapshot.gpus.quiet
        assert [(one.root, one.remedy) for one in snapshot.gpus.episodes] == [(79, "reboot")]
        assert faults(stage) == ["gpu.fault", "gpu.fault_changed"], "told once, whoever tells it"
        await stage.world.run(200)
        assert not stage.life.trouble, stage.life.trouble
        assert faults(stage) == ["gpu.fault", "gpu.fault_changed", "gpu.fault_over"]
        assert stage.world.life.core.snapshot.gpus.quiet
        assert stage.world.hands.reboots == []

    play(story, LOADED)


def test_another_boot_of_the_machine_ends_it() -> None:
    async def story(stage: Stage) -> None:
        await prepared(stage)
        stage.world.log.write(GONE)
        await stage.world.run(5)
        assert stage.snapshot.gpus.quiet
        asked = len(stage.world.cards.asked)
        stage.world.restart(30)
        await stage.world.run(120)
        assert stage.snapshot.gpus.quiet == ""
        assert len(stage.world.cards.asked) > asked, "the driver of another boot is asked as any other"
        assert faults(stage) == ["gpu.fault", "gpu.fault_over"]

    play(story, LOADED)


def test_in_a_drill_everything_is_told_and_the_driver_is_asked_as_before() -> None:
    async def story(stage: Stage) -> None:
        await prepared(stage)
        before = stage.box("box-oracle-1")
        answer = await stage.world.life.ask("gpu-drill", "0", xid="119")
        assert answer.verdict.ok, answer.verdict.text
        await stage.world.run(60)
        snapshot = stage.world.life.core.snapshot
        assert [(one.root, one.drill) for one in snapshot.gpus.episodes] == [(119, True)]
        assert (snapshot.gpus.quiet, stage.world.life.gpu.held) == ("", "")
        assert all(alert.labels.get("drill") == "true" for alert in snapshot.alerts if alert.name.startswith("Gpu"))
        now = stage.box("box-oracle-1")
        assert (now.id, now.started_at, now.status) == (before.id, before.started_at, "running")
        assert [plan.verb for plan in snapshot.plans if plan.verb != "protect"] == []

    play(story, LOADED)
