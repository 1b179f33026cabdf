"""What was seen of a broker, as findings; and what of it may be cleared."""

import json
from dataclasses import replace

import pytest

from supervisor.bus.doctor import Finding, House, Seen, everything, judge, leftovers
from supervisor.bus.homeassistant.names import config_topic, host_device, service_device
from supervisor.bus.link.address import Address
from supervisor.bus.managed.configuration import Layout, configuration
from supervisor.bus.messages import topic

HOUSE = House("box", node="aaa", services=("ai.oracle",), connected=True, text="connected")
LAN = Address("tls", "broker.lan", 8883, "resurgam")
FINE = Seen(LAN, HOUSE, anonymous="refused")


def found(seen: Seen, check: str) -> Finding:
    (one,) = [one for one in judge(seen) if one.check == check]
    return one


def kept(**documents: object) -> dict[str, bytes]:
    return {topic("box", *where.split("__")): json.dumps(body).encode() for where, body in documents.items()}


def test_a_broker_on_which_all_is_well_has_no_finding() -> None:
    assert [one.level for one in judge(FINE)] == ["ok"] * 5 + ["unknown"] + ["ok"] * 3
    assert found(FINE, "persistence").level == "unknown"


def test_one_that_cannot_be_reached_is_all_there_is_to_say() -> None:
    assert judge(replace(FINE, trouble="nothing listens at x")) == (
        Finding("connection", "finding", "nothing listens at x"),
    )


def test_a_daemon_that_is_not_connected_is_a_finding_though_we_are() -> None:
    seen = replace(FINE, house=replace(HOUSE, connected=False, text="it does not let us in"))
    one = found(seen, "connection")
    assert one.level == "finding"
    assert "not the daemon: it does not let us in" in one.text


def test_the_old_protocol_names_the_day_it_matters() -> None:
    one = found(replace(FINE, five=False), "protocol")
    assert (one.level, "2027.1" in one.text) == ("finding", True)


@pytest.mark.parametrize(
    ("address", "level"),
    [
        (LAN, "ok"),
        (Address("tcp", "broker.lan", 1883), "finding"),
        (Address("tcp", "192.168.1.2", 1883), "finding"),
        (Address("tcp", "127.0.0.1", 1883), "ok"),
        (Address("tcp", "::1", 1883), "ok"),
        (Address("tcp", "localhost", 1883), "ok"),
        (Address("unix", "/run/mqtt.sock"), "ok"),
    ],
)
def test_what_crosses_a_network_readable_is_a_finding(address: Address, level: str) -> None:
    assert found(replace(FINE, address=address), "privacy").level == level


@pytest.mark.parametrize(
    ("how_far", "commands", "level", "words"),
    [
        ("refused", True, "ok", "nobody comes in"),
        ("connects", True, "ok", "not write under our name"),
        ("commands", True, "finding", "can command this box"),
        ("commands", False, "finding", "keep `commands` off"),
        ("forges", False, "finding", "can forge our state"),
        ("", True, "unknown", "may open the socket"),
    ],
)
def test_how_far_a_stranger_comes(how_far: str, commands: bool, level: str, words: str) -> None:
    one = found(replace(FINE, anonymous=how_far, house=replace(HOUSE, commands=commands)), "strangers")
    assert one.level == level
    assert words in one.text


def test_rights_that_we_lack_are_named() -> None:
    one = found(replace(FINE, unwritable={"state": "not authorized"}), "our rights")
    assert one == Finding("our rights", "finding", "we may not write state: not authorized")
    assert found(replace(FINE, unreadable="no"), "our rights").level == "finding"


READER = {"write state": False, "write event": False, "write cmd": False, "read reply": False, "read state": True}


@pytest.mark.parametrize(
    ("reader", "level", "words"),
    [
        (READER, "ok", "writes nothing"),
        (READER | {"write cmd": True}, "finding", "`listener` can write cmd"),
        (READER | {"read reply": True}, "finding", "can read reply"),
        (READER | {"read state": False}, "finding", "reads nothing"),
        (None, "unknown", "could not be tried"),
    ],
)
def test_the_access_list_is_judged_by_what_came_of_trying(reader: dict | None, level: str, words: str) -> None:
    one = found(replace(FINE, configuration="", reader=reader), "access list")
    assert one.level == level
    assert words in one.text


def test_on_a_broker_of_others_the_access_list_is_only_theirs_to_tell() -> None:
    seen = replace(FINE, house=replace(HOUSE, commands=True))
    assert found(seen, "access list").level == "unknown"


def test_our_own_configuration_tells_of_persistence_and_queues() -> None:
    from pathlib import Path

    text = configuration(Layout(Path("/x"), 1883, None))
    seen = replace(
        FINE, configuration=text, reader=READER, kept=dict.fromkeys([f"resurgam/{n}" for n in range(1500)], b"x")
    )
    assert found(seen, "persistence").level == "ok"
    assert found(seen, "queues") == Finding(
        "queues", "ok", "1500 kept messages below resurgam/; a subscriber gets up to 10000"
    )
    assert found(replace(seen, configuration=text.replace("persistence true", "")), "persistence").level == "finding"


@pytest.mark.parametrize(("count", "level"), [(799, "ok"), (800, "finding")])
def test_near_the_cliff_of_a_default_mosquitto_it_is_said(count: int, level: str) -> None:
    seen = replace(FINE, kept=dict.fromkeys([f"resurgam/{n}" for n in range(count)], b"x"))
    assert found(seen, "queues").level == level


def test_a_broker_that_takes_only_small_messages_is_named() -> None:
    assert [one for one in judge(replace(FINE, largest=1_048_576)) if one.check == "size"] == []
    assert found(replace(FINE, largest=10_000), "size").level == "finding"


def test_a_twin_is_known_by_the_watermark() -> None:
    twin = kept(journal={"machine": "bbb"}) | {"resurgam/box/availability": b"online"}
    one = found(replace(FINE, kept=twin), "our name")
    assert "another machine (node bbb; we are aaa)" in one.text
    assert found(replace(FINE, kept=twin | {"resurgam/box/availability": b"offline"}), "our name").level == "ok"
    own = kept(journal={"machine": "aaa"}) | {"resurgam/box/availability": b"online"}
    assert found(replace(FINE, kept=own), "our name").level == "ok"


def test_online_without_a_daemon_is_a_finding() -> None:
    alone = replace(HOUSE, connected=None, services=None)
    seen = replace(FINE, house=alone, kept={"resurgam/box/availability": b"online"})
    assert "no daemon answers here" in found(seen, "our name").text
    assert found(seen, "leftovers").level == "unknown"


def test_a_client_id_that_was_taken_over_is_named() -> None:
    taken = replace(HOUSE, text="another client took over our client id; x")
    assert found(replace(FINE, house=taken), "our name").level == "finding"


KEPT = {
    "resurgam/box/availability": b"online",
    "resurgam/box/state/daemon": b"{}",
    "resurgam/box/state/container/ai.oracle": b"{}",
    "resurgam/box/state/container/ai.gone": b"{}",
    "resurgam/box/cmd/phone/restart": b"{}",
    "resurgam/box/reply/phone/restart": b"{}",
    "resurgam/boxer/state/container/ai.gone": b"{}",
    "resurgam/other/cmd/phone/restart": b"{}",
}


DEVICES = tuple(
    config_topic("homeassistant", name)
    for name in (
        host_device("aaa"),
        service_device("aaa", "ai.oracle"),
        service_device("aaa", "ai.gone"),
        service_device("bbb", "ai.gone"),
        "somebody_else",
    )
)


def test_only_what_nothing_stands_behind_is_a_leftover_and_only_of_our_own() -> None:
    seen = replace(FINE, kept=KEPT, discovery=DEVICES)
    kept_for_nothing = ("resurgam/box/cmd/phone/restart", "resurgam/box/reply/phone/restart")
    assert leftovers(seen) == (DEVICES[2], *kept_for_nothing, "resurgam/box/state/container/ai.gone")
    assert leftovers(replace(seen, house=replace(HOUSE, services=None))) == kept_for_nothing
    assert DEVICES[2] not in leftovers(replace(seen, house=replace(HOUSE, node="")))
    one = found(seen, "leftovers")
    assert (one.level, "and 3 more" in one.text, "bus purge" in one.text) == ("finding", True, True)


def test_everything_of_a_box_is_nothing_of_another() -> None:
    gone = everything(replace(FINE, kept=KEPT, discovery=DEVICES))
    assert len(gone) == 9
    assert set(gone[:3]) == set(DEVICES[:3])
    assert all(where.startswith("resurgam/box/") for where in gone[3:])


def test_names_with_reserved_characters_are_found_again() -> None:
    name = "a~2Fb"
    house = replace(HOUSE, services=(name,))
    assert leftovers(replace(FINE, house=house, kept={f"resurgam/box/state/container/{name}": b"{}"})) == ()
