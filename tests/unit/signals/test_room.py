"""What a container would have to wait for on this machine, read off recorded text of /proc."""

import asyncio

import pytest

from supervisor.facts import Container, Needs
from supervisor.signals.room import HostRoom, clash, holds, parse, published

TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 34001 1 0 100 0
   1: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 34002 1 0 100 0
   2: 0100007F:1F91 0100007F:C350 01 00000000:00000000 00:00000000 00000000  1000        0 34003 1 0 20 4
   3: not a line
"""
TCP6 = """\
  sl  local_address                         remote_address                        st tx rx tr tm retrnsmt inode
   0: 00000000000000000000000000000000:2382 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 35001 1 0 100
   1: 0000000000000000FFFF00000100007F:2383 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 35002 1 0 100
   2: 00000000000000000000000001000000:2384 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 35003 1 0 100
"""
UDP = """\
   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  101: 00000000:0044 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 36001 2 0000000000000000 0
"""
GIB = 2**30


def shown(text, kind="tcp"):
    return [(each.address, each.port, each.inode) for each in parse(text, kind)]


def test_listening_sockets_are_read_in_the_kernels_byte_order():
    assert shown(TCP) == [("127.0.0.1", 8080, "34001"), ("0.0.0.0", 80, "34002")]
    assert shown(TCP6) == [("::", 9090, "35001"), ("127.0.0.1", 9091, "35002"), ("::1", 9092, "35003")]
    assert shown(UDP, "udp") == [("0.0.0.0", 68, "36001")]


@pytest.mark.parametrize(
    "text", ["", "no table at all", "a\nb\nc", "h\n  0: zz:zz 0 0A 1 2 3 4 5 6 7", "h\n" + "x " * 40]
)
def test_text_that_is_no_table_holds_nothing(text):
    assert parse(text, "tcp") == ()


@pytest.mark.parametrize(
    ("port", "held"),
    [
        ("8080/tcp", True),  # on all addresses, so also on 127.0.0.1
        ("127.0.0.1:8080/tcp", True),
        ("10.0.0.7:8080/tcp", False),
        ("10.0.0.7:80/tcp", True),  # somebody has every address
        ("80/udp", False),
        ("8081/tcp", False),  # a connection, not a listener
        ("nonsense", False),
    ],
)
def test_what_a_socket_of_ipv4_holds(port, held):
    assert any(holds(socket, port) for socket in parse(TCP, "tcp")) is held


@pytest.mark.parametrize(
    ("port", "held"),
    [
        ("9090/tcp", True),
        ("[::1]:9090/tcp", True),
        ("127.0.0.1:9090/tcp", False),  # it may be for IPv6 alone: the table does not say
        ("127.0.0.1:9091/tcp", True),
        ("[::1]:9092/tcp", True),
        ("[fe80::1]:9092/tcp", False),
    ],
)
def test_what_a_socket_of_ipv6_holds(port, held):
    assert any(holds(socket, port) for socket in parse(TCP6, "tcp")) is held


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ("8000/tcp", "8000/tcp", False),
        ("8000/tcp", "127.0.0.1:8000/tcp", False),
        ("127.0.0.1:8000/tcp", "127.0.0.2:8000/tcp", True),
        ("8000/tcp", "8000/udp", True),
        ("8000/tcp", "8001/tcp", True),
        ("8000/tcp", "what is this", True),
    ],
)
def test_whether_two_containers_can_both_have_their_ports(one, other, both):
    assert clash(one, other) is not both
    assert clash(other, one) is not both


def test_a_port_is_taken_apart():
    assert published("[::1]:53/udp") == ("::1", 53, "udp")
    assert published("8000/tcp") == ("", 8000, "tcp")


class Machine:
    def __init__(self, **fields):
        self.fields = fields

    def meminfo(self):
        return self.fields


@pytest.fixture
def proc(tmp_path):
    """A /proc in which process 812 (nginx) listens on 80."""
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "tcp").write_text(TCP)
    (tmp_path / "net" / "udp").write_text(UDP)
    fd = tmp_path / "812" / "fd"
    fd.mkdir(parents=True)
    (fd / "3").symlink_to("socket:[34002]")
    (tmp_path / "812" / "comm").write_text("nginx\n")
    return tmp_path


def held(room, needs=None, *ports):
    return asyncio.run(room.held(needs or Needs(), Container("c", "oracle", "i", "r", ports=tuple(ports))))


def test_a_held_port_is_named_with_its_process(proc):
    room = HostRoom(Machine(), proc)
    assert held(room, Needs(), "8000/tcp", "80/tcp") == "port 80/tcp is held by nginx (pid 812)"
    assert held(room, Needs(), "127.0.0.1:8080/tcp") == "port 127.0.0.1:8080/tcp is held by a process of this machine"
    assert held(room, Needs(), "8000/tcp") == ""


def test_memory_is_waited_for_only_where_it_is_declared(proc):
    room = HostRoom(Machine(MemAvailable=40.0 * GIB), proc)
    assert held(room, Needs(memory=90 * GIB)) == "40 GiB of memory are free, it needs 90 GiB"
    assert held(room, Needs(memory=90 * 10**9)) == "42.9 GB of memory are free, it needs 90 GB", "as it was declared"
    assert held(room, Needs(memory=40 * GIB)) == ""
    assert held(room) == ""
    assert held(HostRoom(Machine(), proc), Needs(memory=90 * GIB)) == ""


def test_what_cannot_be_measured_is_not_waited_for(tmp_path):
    class Blind:
        def meminfo(self):
            raise OSError("no /proc here")

    assert held(HostRoom(Blind(), tmp_path / "nowhere"), Needs(memory=1), "80/tcp") == ""


def test_vram_is_asked_for_where_somebody_can_tell(proc):
    class Full:
        async def held(self, needs, container, before):
            return f"2 GiB of VRAM are free, {container.name} needs 90 GiB, after {before}"

        async def doubts(self, needs, container):
            return ("There is no GPU 7.",)

        async def free(self):
            return {"GPU-aa": 2.0 * GIB}

    room, oracle = HostRoom(Machine(), proc, Full()), Container("c", "oracle", "i", "r")
    assert asyncio.run(room.held(Needs(), oracle, "old")) == "2 GiB of VRAM are free, oracle needs 90 GiB, after old"
    assert asyncio.run(room.doubts(Needs(), oracle)) == ("There is no GPU 7.",)
    assert asyncio.run(HostRoom(Machine(), proc).doubts(Needs(vram=(("7", 1),)), oracle)) == ()


def test_what_is_free_is_told_of_the_memory_and_of_each_card(proc):
    class Cards:
        async def free(self):
            return {"GPU-aa": 12.0 * GIB, "GPU-bb": 90.0 * GIB}

    seen = asyncio.run(HostRoom(Machine(MemAvailable=40.0 * GIB), proc, Cards()).free())
    assert (seen.memory, list(seen.vram.items())) == (40.0 * GIB, [("GPU-aa", 12.0 * GIB), ("GPU-bb", 90.0 * GIB)])
    assert asyncio.run(HostRoom(Machine(MemAvailable=1.0), proc).free()).vram == {}


def test_memory_that_cannot_be_measured_is_none_and_no_error(tmp_path):
    class Blind:
        def meminfo(self):
            raise OSError("no /proc here")

    assert asyncio.run(HostRoom(Blind(), tmp_path).free()).memory == 0.0
