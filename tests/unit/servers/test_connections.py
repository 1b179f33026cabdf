"""Connections to a server's port, from the kernel's tables: how many stand, and None where nobody can know."""

from pathlib import Path

import pytest

from supervisor.facts import Container
from supervisor.servers import connections as module
from supervisor.servers.connections import connections, established
from tests.support.kernel_files import Files

ID = "c" * 64
BOX = Container(ID, "box", "sha256:x", "x", status="running", pid=77)
HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
MINE = Files({"/proc/77/cgroup": f"0::/docker/{ID}\n"})
ANOTHERS = Files({"/proc/77/cgroup": "0::/docker/another\n"})


def line(local: str, port: int, state: str = "01", peer: str = "0100007F:C001") -> str:
    return f"   0: {local}:{port:04X} {peer} {state} 00000000:00000000 00:00000000 00000000     0        0 1 1 0\n"


LISTENS, STANDS, ENDED = line("00000000", 8000, "0A"), line("0100007F", 8000), line("0100007F", 8000, "06")
TCP = HEAD + LISTENS + STANDS + line("0100007F", 8001) + ENDED
TCP6 = HEAD + line("0" * 24 + "01000000", 8000)


def table(folder: Path, tcp: str = TCP, tcp6: str = TCP6) -> str:
    """A /proc in which process 77 and ours have these tables."""
    for name in ("77", "self"):
        (folder / name / "net").mkdir(parents=True)
        for file, text in (("tcp", tcp), ("tcp6", tcp6)):
            if text:
                (folder / name / "net" / file).write_text(text)
    return str(folder)


def lines(text: str) -> list[bytes]:
    return text.encode().splitlines(keepends=True)


def test_only_what_stands_at_this_port_counts() -> None:
    assert established(lines(TCP), 8000) == 1
    assert established(lines(TCP), 8001) == 1
    assert established(lines(TCP), 1) == 0
    assert established(lines(TCP6), 8000) == 1
    ours = HEAD + line("0100007F", 50000, peer="0100007F:1F40")
    assert established(lines(ours), 8000) == 0  # the other end of one: a client's


def test_what_is_no_table_has_no_connections() -> None:
    for text in ("", "x", "\n\n\n", HEAD, HEAD + "a b\n", HEAD + "\x00" * 100):
        assert established(lines(text), 8000) == 0


def test_a_table_beyond_all_measure_proves_nothing_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST", 3)
    assert established(lines(TCP), 8000) is None


async def test_a_containers_own_network_is_looked_at(tmp_path: Path) -> None:
    proc = table(tmp_path)
    assert await connections(MINE, BOX, "172.18.0.3", 8000, proc) == 2
    assert MINE.forgotten == ["/proc/77/cgroup"]


async def test_one_table_is_enough_and_none_is_not(tmp_path: Path) -> None:
    assert await connections(MINE, BOX, "", 8000, table(tmp_path / "a", tcp6="")) == 1
    assert await connections(MINE, BOX, "", 8000, table(tmp_path / "b", tcp="", tcp6="")) is None


async def test_another_containers_process_of_that_number_is_not_looked_at(tmp_path: Path) -> None:
    proc = table(tmp_path)
    assert await connections(ANOTHERS, BOX, "", 8000, proc) is None
    assert await connections(Files({}), BOX, "", 8000, proc) is None
    assert await connections(MINE, Container(ID, "box", "sha256:x", "x"), "", 8000, proc) is None


async def test_a_server_beside_us_is_looked_at_in_our_own_network_and_one_elsewhere_is_not(tmp_path: Path) -> None:
    proc = table(tmp_path)
    assert await connections(MINE, None, "127.0.0.1", 8000, proc) == 2
    assert await connections(MINE, None, "192.168.1.7", 8000, proc) is None
