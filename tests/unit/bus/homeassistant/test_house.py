"""A whole box and a Home Assistant that does as the real one does: it reads what we tell, and presses what we show."""

import asyncio
import json
from typing import Any

import pytest

from tests.support.ha import complaints, rendered
from tests.support.words import Words, told

PREFIX = "homeassistant/device/"
MAY = {"principals": {"homeassistant": ["pause", "resume", "restart", "phoenix"]}}


class Person:
    """In front of Home Assistant's dashboard."""

    def __init__(self, words: Words) -> None:
        self.words, self.broker = words, words.world.broker
        self.got = self.broker.subscribe("ha", "resurgam/sim/reply/homeassistant/#")

    @property
    def devices(self) -> dict[str, Any]:
        found = {topic: json.loads(body) for topic, body in self.broker.retained.items() if topic.startswith(PREFIX)}
        return {body["device"]["name"]: body for body in found.values()}

    @property
    def now(self) -> float:
        return self.words.world.clock.wall()

    def entity(self, device: str, key: str) -> Any:
        body = self.devices[device]
        return {"state_topic": body["state_topic"], **body["components"][key]}

    def shows(self, device: str, key: str) -> str:
        entity = self.entity(device, key)
        return rendered(entity["value_template"], json.loads(self.broker.retained[entity["state_topic"]]))

    async def presses(self, device: str, key: str, word: str = "PRESS") -> dict[str, Any]:
        """Press a button or move a switch; what is answered."""
        entity = self.entity(device, key)
        attributes = {}
        if "json_attributes_topic" in entity:
            about = json.loads(self.broker.retained[entity["json_attributes_topic"]])
            attributes = json.loads(rendered(entity["json_attributes_template"], about))
        text = rendered(entity["command_template"], value=word, attributes=attributes, now=self.now)
        return await self.sends(entity["command_topic"], text)

    async def sends(self, topic: str, text: str) -> dict[str, Any]:
        before = len(self.got.got)
        self.broker.take(topic, text.encode(), False)
        await asyncio.sleep(1.0)
        (answer,) = self.got.got[before:]
        found: dict[str, Any] = json.loads(answer.payload)
        return found


def test_the_switch_pauses_and_shows_it() -> None:
    async def story(words: Words) -> None:
        person = Person(words)
        switch = person.entity("sim", "healing_paused")
        assert person.shows("sim", "healing_paused") == "OFF"
        assert (await person.presses("sim", "healing_paused", switch["payload_on"]))["status"] == "ok"
        assert "*" in words.life.core.snapshot.pauses
        assert person.shows("sim", "healing_paused") == "ON"
        answer = await person.presses("sim", "healing_paused", switch["payload_off"])
        assert answer["data"]["reason"] == "needs_approval", "to let everything go on again needs a second word"
        assert (await words.says("approve", words.open[-1].id))[0]
        await asyncio.sleep(1.0)
        assert person.shows("sim", "healing_paused") == "OFF"

    told(story, commands=MAY)


def test_a_button_asks_for_a_second_word_and_a_repeat_of_what_was_seen_before_is_refused() -> None:
    async def story(words: Words) -> None:
        person = Person(words)
        entity = person.entity("oracle", "restart")
        about = json.loads(person.broker.retained[entity["json_attributes_topic"]])
        answer = await person.presses("oracle", "restart")
        assert answer["data"]["reason"] == "needs_approval"
        ok, _reason, _text = await words.says("approve", words.open[-1].id)
        assert ok
        await words.run(60.0)
        assert "action.verified" in words.kinds("action.")
        old = rendered(entity["command_template"], attributes={"rev": about["rev"]}, now=person.now)
        assert (await person.sends(entity["command_topic"], old))["data"]["reason"] == "stale"

    told(story, commands=MAY)


def test_a_moved_tag_is_offered_and_installed() -> None:
    from supervisor.lab.boxes import SimImage

    async def story(words: Words) -> None:
        person = Person(words)
        before = json.loads(person.shows("oracle", "image"))
        assert before["installed_version"] == before["latest_version"]
        words.world.engine.add_image(SimImage(id="sha256:" + "9" * 64, tags=("local/oracle:1",)).full())
        await words.run(60.0)
        moved = json.loads(person.shows("oracle", "image"))
        assert moved["installed_version"] == before["installed_version"] != moved["latest_version"]
        update = person.entity("oracle", "image")
        answer = await person.sends(update["command_topic"], update["payload_install"])
        assert answer["data"]["reason"] == "needs_approval", answer
        ok, _reason, _text = await words.says("approve", words.open[-1].id)
        assert ok
        await words.run(120.0)
        after = json.loads(person.shows("oracle", "image"))
        assert after["installed_version"] == after["latest_version"] == moved["latest_version"]

    told(story, commands=MAY)


def test_nothing_can_be_pressed_where_nobody_was_allowed_to() -> None:
    async def story(words: Words) -> None:
        person = Person(words)
        assert "command_topic" not in json.dumps(person.devices)
        person.broker.take("resurgam/sim/cmd/homeassistant/healing", b'{"verb":"pause","id":"a"}', False)
        await asyncio.sleep(1.0)
        assert "*" not in words.life.core.snapshot.pauses

    told(story)


def test_what_a_service_uses_is_shown() -> None:
    async def story(words: Words) -> None:
        person = Person(words)
        await words.run(180.0)
        used = words.life.core.snapshot.memory["oracle"]
        assert used > 0
        assert float(person.shows("oracle", "memory")) == round(used / 2**20, 1)
        words.world.engine.human_stop("oracle")
        await words.run(60.0)
        assert person.shows("oracle", "memory") == "None"

    told(story)


@pytest.mark.parametrize("unreachable", [False, True])
def test_a_service_that_is_removed_between_two_lives_leaves_nothing_behind(unreachable: bool) -> None:
    """Also where it was removed while we lived and the broker was away, and we ended before it came back."""

    async def story(words: Words) -> None:
        person = Person(words)
        words.world.engine.human_run("guest", "local/oracle:1")
        await words.run(30.0)
        assert set(person.devices) == {"sim", "oracle", "guest"}
        document = "resurgam/sim/state/container/guest"
        assert document in person.broker.retained
        for topic, body in person.broker.retained.items():
            assert not topic.startswith(PREFIX) or complaints(topic, json.loads(body)) == []
        if unreachable:
            person.broker.kill()
            words.world.engine.human_remove("guest", force=True)
            await words.run(120.0)
        await words.world.finish()
        if unreachable:
            person.broker.start()
        else:
            words.world.engine.human_remove("guest", force=True)
        words.life = await words.world.begin()
        await words.run(180.0)
        assert set(person.devices) == {"sim", "oracle"}
        assert document not in person.broker.retained

    told(story)
