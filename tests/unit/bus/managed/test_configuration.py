"""What a mosquitto of ours is told, by version and by what there is to listen at."""

from dataclasses import replace
from pathlib import Path

import pytest

from supervisor.bus.managed.configuration import Layout, access, configuration
from supervisor.bus.managed.program import UNKNOWN, find, plugin, read_version

FOLDER = Path("/var/lib/resurgam/bus")
PLAIN = Layout(FOLDER, 1883, FOLDER / "mqtt.sock")


def lines(layout: Layout) -> list[str]:
    return configuration(layout).splitlines()


@pytest.mark.parametrize("version", [(2, 0), (2, 1)])
def test_passwords_and_rights_are_files_as_long_as_that_works(version: tuple[int, int]) -> None:
    found = lines(replace(PLAIN, version=version))
    assert {"allow_anonymous false", f"password_file {FOLDER}/passwords", f"acl_file {FOLDER}/access"} <= set(found)
    assert not [line for line in found if "plugin" in line]


def test_later_versions_get_them_through_their_plugins_in_this_order() -> None:
    found = lines(replace(PLAIN, version=(3, 0), plugins=("/lib/p.so", "/lib/a.so")))
    first = found.index("global_plugin /lib/p.so")
    assert found[first : first + 4] == [
        "global_plugin /lib/p.so",
        f"plugin_opt_password_file {FOLDER}/passwords",
        "global_plugin /lib/a.so",
        f"plugin_opt_acl_file {FOLDER}/access",
    ]
    assert not [line for line in found if line.startswith(("password_file", "acl_file"))]


def test_it_listens_where_it_can_and_nowhere_else() -> None:
    def listeners(layout: Layout) -> list[str]:
        return [line for line in lines(layout) if line.startswith("listener")]

    assert listeners(PLAIN) == ["listener 1883 127.0.0.1", f"listener 0 {FOLDER}/mqtt.sock"]
    assert listeners(replace(PLAIN, socket=None)) == ["listener 1883 127.0.0.1"]
    with_containers = listeners(replace(PLAIN, gateway="172.19.0.1", port=1884))
    assert with_containers[:2] == ["listener 1884 127.0.0.1", "listener 1884 172.19.0.1"]


def test_who_holds_connections_open_leaves_room_for_ourselves() -> None:
    found = lines(replace(PLAIN, gateway="172.19.0.1"))
    bound = {found[place - 1]: int(line.split()[1]) for place, line in enumerate(found) if "max_connections" in line}
    assert list(bound) == ["listener 1883 127.0.0.1", "listener 1883 172.19.0.1"]
    assert sum(bound.values()) < 1024 - 100


def test_what_was_acknowledged_outlives_a_kill_and_a_slow_subscriber_is_not_cut_off() -> None:
    assert {
        "persistence true",
        "autosave_on_changes true",
        "autosave_interval 1",
        "max_queued_messages 10000",
        "max_queued_bytes 67108864",
        "message_size_limit 1048576",
        "memory_limit 268435456",
        "persistent_client_expiration 14d",
    } <= set(lines(PLAIN))


def test_only_root_says_who_it_is() -> None:
    assert "user root" not in lines(PLAIN)
    assert "user root" in lines(replace(PLAIN, as_root=True))


def test_everyone_reads_what_we_tell_and_commands_under_the_own_name_alone() -> None:
    parts = access(["resurgam", "listener", "ha"], "homeassistant").split("\n\n")
    us, reader, other, everyone = (part.strip().splitlines() for part in parts)
    assert us == [
        "user resurgam",
        "topic readwrite resurgam/#",
        "topic readwrite homeassistant/#",
        "topic read $SYS/#",
    ]
    reads = [
        "topic read resurgam/+/availability",
        "topic read resurgam/+/state/#",
        "topic read resurgam/+/event/#",
        "topic read resurgam/+/journal",
        "topic read homeassistant/#",
    ]
    assert reader == ["user listener", *reads, "topic deny resurgam/+/cmd/#"]
    assert other == ["user ha", *reads, "topic write homeassistant/status"]
    assert everyone == ["pattern write resurgam/+/cmd/%u/#", "pattern read resurgam/+/reply/%u/#"]


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("mosquitto version 2.0.11\n\nmosquitto is an MQTT v5.0/v3.1.1/v3.1 broker.", (2, 0)),
        ("mosquitto version 2.1.2", (2, 1)),
        ("mosquitto version 1.6.12", (1, 6)),
        ("I am something else", UNKNOWN),
    ],
)
def test_the_version_is_what_it_prints(said: str, version: tuple[int, int]) -> None:
    assert read_version(said) == version


def test_plugins_are_looked_for_beside_the_program(tmp_path: Path) -> None:
    (tmp_path / "sbin").mkdir()
    (tmp_path / "lib").mkdir()
    program = tmp_path / "sbin" / "mosquitto"
    program.touch(mode=0o755)
    (tmp_path / "lib" / "mosquitto_ours.so").touch()
    assert plugin(str(program), "ours") == str((tmp_path / "lib" / "mosquitto_ours.so").resolve())
    assert plugin(str(program), "of-nobody") == ""
    assert find(str(tmp_path / "sbin")) == str(program)
