"""What a whole box says over the bus, with people who command it, is what the contract promises: no more, no less."""

import json

from supervisor.lab.engine import Behaviour
from supervisor.units import iso
from tests.sim.stage import Stage, play, read
from tests.support.contract import breaches, ours

BASE = "resurgam/sim"
VERBS = ["ack", "silence", "approve", "deny", "pause", "resume", "refresh", "replay", "restart", "phoenix"]
SICK = Behaviour(exit_after=0.2, exit_code=139, log=("Illegal instruction",))
SEEN = {
    *("alert.firing", "alert.resolved"),
    *("action.planned", "action.verified", "action.acked", "action.approval", "action.approved", "action.denied"),
    *("container.appeared", "container.started", "container.died", "container.stopped", "container.removed"),
    *("drift.proved", "drift.unproved", "drift.tag_moved", "drift.quarantined"),
    *("daemon.ready", "daemon.paused", "daemon.resumed", "daemon.command", "daemon.silenced", "daemon.unsilenced"),
    *("daemon.clock_jump", "daemon.engine_lost", "daemon.engine_back"),
}


class Phone:
    """Commands over the bus."""

    def __init__(self, stage: Stage) -> None:
        self._stage, self._number = stage, 0

    async def says(self, verb: str, target: str = "", *, raw: bytes = b"", **params: str) -> None:
        self._number += 1
        body = {"id": f"c{self._number}", "target": target, "params": params}
        topic = f"{BASE}/cmd/phone/{verb}"
        self._stage.world.broker.take(topic, raw or json.dumps(body).encode(), False)
        await self._stage.world.run(2)


async def everything(stage: Stage) -> None:
    """A box is told, heals, is asked, is silenced, loses its engine and its sense of time."""
    phone = Phone(stage)
    await stage.proved()
    await phone.says("pause", "*", reason="lunch", **{"for": "1m"})
    await phone.says("resume", "*")
    await stage.ask("approve", "ap-1")
    await phone.says("silence", 'name="nobody"', **{"for": "30s"})
    await phone.says("restart", "box.oracle")
    await stage.ask("deny", "ap-2")
    await phone.says("restart", "box.oracle", again="x")
    await stage.world.run(40)
    await phone.says("ack", "nothing")
    await phone.says("fly", "box.oracle")
    await phone.says("ack", raw=b"{")
    await phone.says("ack", raw=b"x" * 5000)
    await stage.moved()
    await stage.until(lambda: stage.snapshot.incidents, 60, "an incident")
    await phone.says("ack", stage.snapshot.incidents[0].id)
    await stage.until(lambda: stage.heard("action.verified"), 200, "a way back")
    await stage.world.run(400)
    stage.engine.go_away()
    await stage.world.run(60)
    stage.engine.come_back()
    await stage.world.run(60)
    stage.clock.jump(3600)
    await stage.world.run(60)
    stage.engine.human_stop("box-oracle-1")
    await stage.world.run(5)
    await phone.says("refresh")
    await phone.says("replay", after="0")
    await stage.world.run(30)
    await stage.stop()


def test_a_box_with_people_says_only_what_was_promised() -> None:
    stage = play(everything, read(commands={"principals": {"phone": VERBS}}))
    got = ours((one.topic, one.payload) for one in stage.world.broker.subscribers["everybody"].got)
    assert breaches(got) == []
    events = [json.loads(payload) for topic, payload in got if topic.startswith(f"{BASE}/event/")]
    assert sorted(SEEN - {event["type"].removeprefix("resurgam.") for event in events}) == []
    replies = [json.loads(payload) for topic, payload in got if topic.startswith(f"{BASE}/reply/")]
    assert {reply["status"] for reply in replies if "status" in reply} == {"ok", "error"}
    told_again = [reply for reply in replies if "specversion" in reply]
    assert len(told_again) > 40
    # every event names the one before it, so a listener sees a gap; a replay is the same, byte for byte
    assert [event["prior"] for event in told_again[1:]] == [event["seq"] for event in told_again[:-1]]
    assert [event for event in events if event["seq"] in {one["seq"] for one in told_again}] != []
    marks = [json.loads(payload) for topic, payload in got if topic == f"{BASE}/journal"]
    assert {mark["machine"] for mark in marks} == {"sim"}
    assert max(mark["last"] for mark in marks) >= max(event["seq"] for event in events) - 1
    assert max(mark["at"] for mark in marks) <= iso(stage.clock.wall())


async def a_card(stage: Stage) -> None:
    """A card with a model on it falls off the bus, and its driver has a word on that."""
    stage.world.cards.add()
    stage.image("local/oracle:1")
    await stage.up("oracle")
    await stage.begin()
    await stage.until(lambda: stage.snapshot.gpus is not None, 60, "a look at the card", step=1)
    stage.world.log.write("NVRM: Xid (PCI:0000:17:00): 79, pid=7, name=python3, GPU has fallen off the bus.")
    await stage.world.run(30)
    for verb in ("gpu-release", "gpu-resume"):
        assert (await stage.world.life.ask(verb, "*")).verdict.ok
    await stage.world.run(300)


def test_what_is_said_of_cards_was_promised() -> None:
    stage = play(a_card, read(services={"box.oracle": {"vram": "40GiB"}}))
    got = ours((one.topic, one.payload) for one in stage.world.broker.subscribers["everybody"].got)
    assert breaches(got) == []
    assert f"{BASE}/state/gpu/0" in {topic for topic, _payload in got}
    events = [json.loads(payload) for topic, payload in got if topic == f"{BASE}/event/gpu"]
    kinds = {event["type"].removeprefix("resurgam.") for event in events}
    assert kinds >= {"gpu.fault", "gpu.fault_over", "gpu.released", "gpu.resumed"}
