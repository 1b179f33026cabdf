"""The blueprints in docs/examples/homeassistant: what they send is a command we take, and what they read is there."""

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from supervisor.bus.commands import read
from supervisor.bus.homeassistant.entities import PRINCIPAL, Place
from supervisor.bus.homeassistant.host import ACTION_KINDS, device
from supervisor.core.silences import written
from tests.support.ha import rendered

FOLDER = Path(__file__).resolve().parents[4] / "docs" / "examples" / "homeassistant"
CONTEXT = SimpleNamespace(id="01JQXYZ")


class Loader(yaml.SafeLoader):
    """Knows `!input`."""


Loader.add_constructor("!input", lambda loader, node: f"input:{loader.construct_scalar(node)}")  # type: ignore[arg-type]


def blueprint(name: str) -> Any:
    return yaml.load((FOLDER / f"{name}.yaml").read_text(), Loader)


def sent(name: str, /, **variables: Any) -> tuple[str, Any]:
    body = blueprint(name)
    steps = body.get("actions") or body["sequence"]
    (data,) = [step["data"] for step in steps if step.get("action") == "mqtt.publish"]
    assert data["retain"] is False
    topic, payload = (rendered(data[key], context=CONTEXT, **variables) for key in ("topic", "payload"))
    command, wrong = read(payload.encode())
    assert wrong == ""
    return topic, command


@pytest.mark.parametrize("name", ["notify", "approve", "silence"])
def test_every_input_is_declared_and_used(name: str) -> None:
    text = (FOLDER / f"{name}.yaml").read_text()
    used = set(re.findall(r"!input (\w+)", text))
    assert used == set(blueprint(name)["blueprint"]["input"])


@pytest.mark.parametrize(("word", "verb"), [("yes", "approve"), ("no", "deny")])
def test_an_answer_on_the_phone_is_a_command(word: str, verb: str) -> None:
    pressed = SimpleNamespace(trigger=SimpleNamespace(event=SimpleNamespace(data=SimpleNamespace(action=word))))
    topic, command = sent("approve", host="box", question="ap-3", yes_word="yes", no_word="no", wait=pressed)
    assert topic == f"resurgam/box/cmd/{PRINCIPAL}/{verb}"
    assert (command.target, command.at is not None) == ("ap-3", True)


def test_a_silence_is_about_the_alert_and_nothing_else() -> None:
    for name in ("Loop", 'odd "name", severity="critical"'):
        topic, command = sent("silence", host="box", lasts="1h", name=name)
        assert topic == f"resurgam/box/cmd/{PRINCIPAL}/silence"
        assert command.params["for"] == "1h"
        assert len(written(command.target)) == 1


def test_what_they_read_is_what_the_events_have() -> None:
    entities = device(Place("n", "box")).entities
    for name, key in (("notify", "alert"), ("approve", "action"), ("silence", "alert")):
        template = entities[key]["value_template"]
        text = json.dumps(blueprint(name))
        for field in set(re.findall(r"(?:event|attributes)\.(\w+)|state_attr\(alert, '(\w+)'\)", text)):
            assert f"'{field[0] or field[1]}':" in template or field[0] in ("data",), field
    assert "approval" in ACTION_KINDS
