"""What a box with slots says over the bus, a GO, a NO-GO and a measurement among it, is what the contract promises."""

import json

from supervisor.lab.minds import SimModel
from tests.sim.slots import GOOD, A, B, Slots, loaded, told
from tests.support.contract import breaches, ours

SEEN = {"swap_began", "phase", "swapped", "no_go", "benchmark", "probation_over"}


def test_a_box_with_slots_says_only_what_was_promised() -> None:
    heard: list[tuple[str, bytes]] = []

    async def story(stage: Slots) -> None:
        await stage.prepared(a=SimModel(load=10.0, rate=1.0), b=GOOD)
        await stage.swap(to=B)
        await stage.world.run(400)
        await stage.swap(to=A)
        await stage.world.run(400)
        heard.extend((one.topic, one.payload) for one in stage.world.broker.subscribers["everybody"].got)

    told(story, loaded(), invariants=False)
    got = ours(iter(heard))
    assert breaches(got) == []
    events = [json.loads(payload) for topic, payload in got if "/event/model" in topic]
    assert sorted(SEEN - {event["type"].removeprefix("resurgam.model.") for event in events}) == []
    assert {topic for topic, _payload in got if "/state/slot/" in topic} == {"resurgam/sim/state/slot/oracle"}
