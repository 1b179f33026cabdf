"""Home Assistant itself judges our discovery messages and runs our templates, where it is installed.

$RESURGAM_HA names the Python it is installed in (any of 2026.2 to 2026.11 was tried). Where there is none, the schema
that was recorded from it judges (tests/support/ha.py), and Jinja runs the templates.
"""

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from supervisor.bus.homeassistant.devices import Devices
from supervisor.bus.homeassistant.entities import Place
from supervisor.bus.messages import cloud_event
from supervisor.bus.state import documents as states
from supervisor.journal import Row
from tests.support.boxes import GOOD, box, oracle, qdrant
from tests.support.ha import ask, complaints, real, rendered

BLUEPRINTS = sorted((Path(__file__).resolve().parents[2] / "docs/examples/homeassistant").glob("*.yaml"))
ALL = ("phoenix", "restart", "pause", "resume")
LATER = ("message_expiry_interval is not a key",)
"""what an older Home Assistant throws away, and we can do without"""
NAMES = ("{{ 1 }}", "a\"b\\c'd", "/+#", "\N{SNOWMAN}", "x" * 400)


def messages() -> list[tuple[str, Any]]:
    moved = replace(oracle(), container=replace(oracle().container, ref_image_id=GOOD))  # type: ignore[type-var]
    snapshot = box(services=(moved, qdrant(), *(replace(qdrant(), id=name) for name in NAMES)))
    return [
        (topic, json.loads(one.message.payload))
        for verbs in ((), ALL)
        for topic, one in Devices("homeassistant")
        .documents(Place("3f9c1e7a52d8", "omni", "0.1.0", verbs), snapshot)
        .items()
    ]


def judged(found: list[tuple[str, Any]]) -> list[list[str]]:
    python = real()
    if python is None:
        return [complaints(topic, body) for topic, body in found]
    answer = ask(python, "validate", found)["problems"]
    return [[text for text in texts if not any(word in text for word in LATER)] for texts in answer]


def broken(key: str, value: Any) -> tuple[str, Any]:
    """Our message for the host with one thing wrong."""
    topic, body = messages()[0]
    wrong = copy.deepcopy(body)
    place = wrong["components"]["memory_available"] if key in ENTITY else wrong
    place[key] = value
    return topic, wrong


ENTITY = ("device_class", "unit_of_measurement", "value_template", "state_topic", "surprise", "options")


def test_home_assistant_takes_every_message() -> None:
    assert judged(messages()) == [[] for _ in messages()]


def test_home_assistant_refuses_what_is_wrong() -> None:
    wrong = [
        broken("device_class", "fridge"),
        broken("unit_of_measurement", "parsec"),
        broken("value_template", "{{ unfinished"),
        broken("state_topic", ""),
        broken("surprise", 1),
        broken("options", ["a"]),
        broken("origin", {}),
        broken("device", {"name": "nobody"}),
        ("homeassistant/device/with.dot/config", messages()[0][1]),
    ]
    assert all(judged(wrong)), judged(wrong)


def test_the_templates_give_the_same_there_and_here() -> None:
    alert = {"labels": {"alertname": 'a<b>"c"'}, "annotations": {"summary": "x"}}
    row = Row(42, 1.76e9, "alert.firing", "oracle", {"alert": alert}, True, "", 41)
    known = {topic: json.loads(one.message.payload) for topic, one in states(box()).items()}
    known["resurgam/omni/event/alert"] = cloud_event(row, "omni", "e1")
    jobs = []
    for _topic, message in messages():
        for entity in message["components"].values():
            for field in ("value_template", "json_attributes_template"):
                where = "json_attributes_topic" if field.startswith("json") else "state_topic"
                about = known.get(entity.get(where, message["state_topic"]))
                jobs += [
                    {"kind": "value", "template": entity[field], "payload": json.dumps(body)}
                    for body in (about, {}, {"image": None, "memory": None, "alerts": None, "paused": None})
                    if field in entity and body is not None
                ]
    here = [rendered(job["template"], json.loads(job["payload"])) for job in jobs]
    python = real()
    there = here if python is None else [str(text) for text in ask(python, "render", jobs)]
    assert there == here
    assert not any("ERROR" in text for text in there)
    assert any("ContainerRestartLoop" in text for text in there)
    assert any("event_type" in text for text in there)


def test_home_assistant_takes_the_blueprints() -> None:
    texts = [file.read_text() for file in BLUEPRINTS]
    assert len(texts) == 3
    python = real()
    if python is None:
        for text in texts:
            yaml.compose(text)
        return
    assert ask(python, "blueprints", texts) == [[], [], []]
    broken = texts[0].replace("trigger: state", "trigger:")
    assert ask(python, "blueprints", [broken]) != [[]]


def test_the_commands_are_the_same_but_for_the_time() -> None:
    jobs = [
        {"kind": "command", "template": entity["command_template"], "value": "pause", "attributes": {"rev": 7}}
        for _topic, message in messages()
        for entity in message["components"].values()
        if "command_template" in entity
    ]
    assert jobs
    here = [rendered(job["template"], value="pause", attributes={"rev": 7}) for job in jobs]
    python = real()
    there = here if python is None else ask(python, "render", jobs)
    for mine, its in zip(here, there, strict=True):
        one, other = json.loads(mine), json.loads(its)
        assert one.pop("id").rpartition("-")[0] == other.pop("id").rpartition("-")[0]
        assert isinstance(one.pop("at"), float)
        assert isinstance(other.pop("at"), float)
        assert one == other
