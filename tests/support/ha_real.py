"""Asks a real Home Assistant: run with the Python that it is installed in, never imported by tests.

`python ha_real.py record > ha_schema.json` writes down what its MQTT schemas take, for tests/support/ha.py.
`python ha_real.py validate` reads [[topic, payload], ...] from stdin and tells what is wrong with each.
`python ha_real.py blueprints` reads texts of blueprints and tells what is wrong with each.
`python ha_real.py render` reads [{"template", "kind": value | command, "payload", "value", "attributes"}, ...] and
writes what its templates give. It works without a running Home Assistant; 2026.2 (voluptuous) and later (probatio).
"""

import asyncio
import copy
import importlib
import json
import sys
import tempfile

import yaml
from homeassistant.components.blueprint import schemas as blueprint_schemas
from homeassistant.components.mqtt import discovery, schemas, util
from homeassistant.const import __version__
from homeassistant.core import HomeAssistant
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.template import Template

PLATFORMS = ("binary_sensor", "button", "event", "select", "sensor", "switch", "update")
KINDS = {
    cv.template: "template",
    cv.string: "text",
    cv.boolean: "flag",
    cv.positive_int: "count",
    cv.icon: "icon",
    util.valid_subscribe_topic: "subscribe",
    util.valid_publish_topic: "publish",
    util.valid_qos_schema: "qos",
}
ENUMS = {"device_class", "state_class", "entity_category"}


def platform_schema(platform):
    return importlib.import_module(f"homeassistant.components.mqtt.{platform}").DISCOVERY_SCHEMA


def mapping(schema):
    """The keys of a schema, through whatever is wrapped around it."""
    found = getattr(schema, "schema", None)
    if isinstance(found, dict):
        return found
    for inner in getattr(schema, "validators", ()):
        if (below := mapping(inner)) is not None:
            return below
    return None


def words(platform, key):
    """The words that may be an enum's value, by whatever Home Assistant calls them."""
    if key == "entity_category":
        from homeassistant.const import EntityCategory

        return [str(one) for one in EntityCategory]
    home = importlib.import_module(f"homeassistant.components.{platform}")
    name = {"device_class": "DeviceClass", "state_class": "StateClass"}[key]
    enums = [getattr(home, one) for one in dir(home) if one.endswith(name)]
    return sorted({str(word) for enum in enums for word in enum})


def kind(platform, key, validator):
    if str(key) in ENUMS and platform:
        return [word for word in words(platform, str(key)) if passes(validator, word)]
    try:
        return KINDS[validator]
    except (KeyError, TypeError):
        if passes(validator, None) and passes(validator, "x") and not passes(validator, {}):
            return "text"
        return "any"


def passes(validator, value):
    try:
        (validator if callable(validator) else schemas.DEVICE_DISCOVERY_SCHEMA.__class__(validator))(value)
    except Exception:
        return False
    return True


def keys(schema, platform=""):
    found = mapping(schema)
    return {
        "required": sorted(str(key) for key in found if type(key).__name__ == "Required"),
        "keys": {str(key): kind(platform, key, found[key]) for key in sorted(found, key=str)},
    }


def record():
    from homeassistant.components.sensor import const

    units = {str(name): sorted(str(unit) for unit in taken) for name, taken in const.DEVICE_CLASS_UNITS.items()}
    return {
        "homeassistant": __version__,
        "root": keys(schemas.DEVICE_DISCOVERY_SCHEMA),
        "device": keys(
            schemas.MQTT_DEVICE_INFO_SCHEMA
            if hasattr(schemas, "MQTT_DEVICE_INFO_SCHEMA")
            else schemas.MQTT_ENTITY_DEVICE_INFO_SCHEMA
        ),
        "origin": keys(schemas.MQTT_ORIGIN_INFO_SCHEMA),
        "shared": sorted(schemas.SHARED_OPTIONS),
        "topic": discovery.TOPIC_MATCHER.pattern,
        "platforms": {platform: keys(platform_schema(platform), platform) for platform in PLATFORMS},
        "units": dict(sorted(units.items())),
    }


def problems(topic, payload):
    """What Home Assistant would say of a discovery message, and which keys it would throw away."""
    found = []
    match = discovery.TOPIC_MATCHER.match(topic.split("/", 1)[1])
    if not match or match["component"] != "device" or not topic.endswith(f"{match['object_id']}/config"):
        return [f"no topic of a device: {topic}"]
    given = json.loads(json.dumps(payload))
    before = copy.deepcopy(given)
    discovery._replace_all_abbreviations(given)
    if given != before:
        found.append("an abbreviation was replaced")
    try:
        config = schemas.DEVICE_DISCOVERY_SCHEMA(given)
        if check := getattr(schemas, "validate_device_discovery_components", None):
            check(config)
    except Exception as err:
        return [*found, f"{type(err).__name__}: {err}"]
    for name, component in config["components"].items():
        whole = dict(component)
        platform = whole.pop("platform")
        if not whole:
            continue  # to be forgotten
        for option in schemas.SHARED_OPTIONS:
            if option in config and option not in whole:
                whole[option] = config[option]
        whole |= {"device": config["device"], "origin": config["origin"]}
        try:
            taken = platform_schema(platform)(copy.deepcopy(whole))
        except Exception as err:
            found.append(f"{name}: {type(err).__name__}: {err}")
            continue
        unknown = [key for key in component if key != "platform" and key not in taken]
        found += [f"{name}: {key} is not a key of {platform}" for key in unknown]
    return found


async def validate(messages):
    with tempfile.TemporaryDirectory() as folder:
        hass = HomeAssistant(folder)  # templates want one
        found = [problems(*one) for one in messages]
        await hass.async_stop(force=True)
    return {"version": __version__, "problems": found}


async def render(jobs):
    done = []
    with tempfile.TemporaryDirectory() as folder:
        hass = HomeAssistant(folder)
        for job in jobs:
            template = Template(job["template"], hass)
            try:
                if job["kind"] == "value":
                    done.append(template.async_render_with_possible_json_value(job["payload"], "ERROR"))
                else:
                    hass.states.async_set("button.x", "unknown", job.get("attributes") or {})
                    values = {"entity_id": "button.x", "value": job.get("value"), "name": "x"}
                    done.append(template.async_render(values, parse_result=False))
            except Exception as err:
                done.append(f"ERROR {type(err).__name__}: {err}")
        await hass.async_stop(force=True)
    return done


class _Loader(yaml.SafeLoader):
    """Reads a blueprint; an input stands for a word."""


_Loader.add_constructor("!input", lambda loader, node: f"sensor.{loader.construct_scalar(node)}")


def blueprint(text):
    """What Home Assistant would say of a blueprint with words for its inputs."""
    body = yaml.load(text, _Loader)
    parts = [
        (blueprint_schemas.BLUEPRINT_SCHEMA, {"blueprint": body["blueprint"]}),
        (cv.SCRIPT_SCHEMA, body.get("actions", body.get("sequence"))),
        (cv.TRIGGER_SCHEMA, body.get("triggers", [])),
        (cv.CONDITIONS_SCHEMA, body.get("conditions", [])),
        (cv.SCRIPT_VARIABLES_SCHEMA, body.get("variables", {})),
    ]
    found = []
    for schema, part in parts:
        try:
            schema(part)
        except Exception as err:
            found.append(f"{type(err).__name__}: {err}")
    return found


async def blueprints(texts):
    with tempfile.TemporaryDirectory() as folder:
        hass = HomeAssistant(folder)
        found = [blueprint(text) for text in texts]
        await hass.async_stop(force=True)
    return found


def main():
    what = sys.argv[1]
    if what == "record":
        print(json.dumps(record(), indent=1, sort_keys=True))
    elif what == "validate":
        print(json.dumps(asyncio.run(validate(json.load(sys.stdin)))))
    elif what == "blueprints":
        print(json.dumps(asyncio.run(blueprints(json.load(sys.stdin)))))
    else:
        print(json.dumps(asyncio.run(render(json.load(sys.stdin)))))


if __name__ == "__main__":
    main()
