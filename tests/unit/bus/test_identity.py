"""Who we are: the same over restarts, another one for every installation, and never the machine's own id."""

from pathlib import Path

from supervisor.bus import identity
from supervisor.bus.identity import INSTALL, LENGTH, client_id, install_id, machine_id, node_from, node_of
from supervisor.clock import ManualClock

MACHINE = "4d1c6f0a9b8e7d6c5b4a392817065f4e"


def test_a_daemon_keeps_its_node_over_restarts_and_another_folder_is_another_one(tmp_path: Path) -> None:
    first = node_of(tmp_path / "a", ManualClock(seed=1))
    assert node_of(tmp_path / "a", ManualClock(seed=2)) == first
    assert node_of(tmp_path / "b", ManualClock(seed=3)) != first


def test_a_cloned_machine_with_a_fresh_folder_differs_and_so_does_a_folder_on_another_machine() -> None:
    assert node_from(MACHINE, "one") != node_from(MACHINE, "two")
    assert node_from(MACHINE, "one") != node_from("other", "one")
    assert node_from("ab", "c") != node_from("a", "bc")


def test_the_machines_own_id_is_not_told() -> None:
    node = node_from(MACHINE, "one")
    assert len(node) == LENGTH
    assert node not in MACHINE
    assert set(node) <= set("0123456789abcdef")


def test_nobody_can_take_our_place_at_the_broker_by_what_we_tell(tmp_path: Path) -> None:
    name, node = client_id(tmp_path, ManualClock(seed=1)), node_of(tmp_path, ManualClock(seed=1))
    assert node not in name, "the node stands in the watermark, for everybody to read"
    assert client_id(tmp_path, ManualClock(seed=2)) == name
    assert client_id(tmp_path / "other", ManualClock(seed=3)) != name
    assert len(name) <= 23, "what an MQTT 3.1.1 broker must take"


def test_the_word_of_an_installation_is_private_and_whole(tmp_path: Path) -> None:
    word = install_id(tmp_path, ManualClock())
    file = tmp_path / INSTALL
    assert file.read_text() == word + "\n"
    assert file.stat().st_mode & 0o077 == 0
    assert [path.name for path in tmp_path.iterdir()] == [INSTALL]


def test_an_empty_file_of_a_crash_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / INSTALL).write_text("")
    word = install_id(tmp_path, ManualClock())
    assert word
    assert install_id(tmp_path, ManualClock(seed=9)) == word


def test_a_folder_that_cannot_be_written_to_leaves_the_machine_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert install_id(tmp_path / "file", ManualClock()) == ""
    one, two = (node_of(tmp_path / "file", ManualClock(seed=seed)) for seed in (1, 2))
    assert (one == two) is bool(machine_id())


def test_the_machine_id_is_the_first_that_says_something(tmp_path: Path) -> None:
    empty, fresh, good = tmp_path / "a", tmp_path / "b", tmp_path / "c"
    empty.write_text("")
    fresh.write_text("uninitialized\n")
    good.write_text(MACHINE + "\n")
    assert machine_id((tmp_path / "none", empty, fresh, good), "linux") == MACHINE
    assert machine_id((empty,), "linux") == ""


def test_a_mac_is_asked_by_ioreg(tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    tool = tmp_path / "ioreg"
    tool.write_text('#!/bin/sh\necho \'    "IOPlatformUUID" = "0F3C2A11-1111-2222-3333-444455556666"\'\n')
    tool.chmod(0o755)
    monkeypatch.setattr(identity, "_IOREG", (str(tool),))
    assert machine_id((), "darwin") == "0F3C2A11-1111-2222-3333-444455556666"
    monkeypatch.setattr(identity, "_IOREG", (str(tmp_path / "none"),))
    assert machine_id((), "darwin") == ""
