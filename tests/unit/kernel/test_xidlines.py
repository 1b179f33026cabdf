"""What NVIDIA's driver writes to the kernel's log: the grammar, its older forms, and names that pretend to be more."""

import random

import pytest

from supervisor.kernel.xidlines import XidLine, XidLines, address

BUS = "00000000:17:00.0"
UUID = "GPU-1f0c7a52-6f0e-4b7a-9d39-5f0a4a7f2c11"


def read(*messages: str | bytes, stamp: float = 5.0) -> list[XidLine]:
    """What a fresh reader makes of these, one after another in one breath."""
    lines = XidLines()
    raw = [one.encode() if isinstance(one, str) else one for one in messages]
    return [found for one in raw if (found := lines.feed(one, stamp)) is not None]


def one(message: str | bytes) -> XidLine:
    (found,) = read(message)
    return found


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            "NVRM: Xid (PCI:0000:17:00): 31, pid=812, name=python3, Ch 00000008, intr 00000000. MMU Fault: ENGINE",
            XidLine(31, "", BUS, "", 812, "python3", text="Ch 00000008, intr 00000000. MMU Fault: ENGINE"),
        ),
        (
            "NVRM: Xid (PCI:0000:17:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.",
            XidLine(79, "", BUS, text="GPU has fallen off the bus."),
        ),
        (
            "NVRM: Xid (PCI:0000:17:00): 79, GPU has fallen off the bus.",
            XidLine(79, "", BUS, text="GPU has fallen off the bus."),
        ),
        ("NVRM: Xid (PCI:0000:17:00): 43, pid=9, Ch 00000010", XidLine(43, "", BUS, "", 9, text="Ch 00000010")),
        ("NVRM: Xid (PCI:0000:17:00): 43, pid='9', name=a, Ch 0", XidLine(43, "", BUS, "", 9, "a", text="Ch 0")),
        ("NVRM: Xid (0000:17:00): 13, 0001 00000000", XidLine(13, "", BUS, text="0001 00000000")),
        ("NVRM: Xid (PCI:0000:17:00): 62, ", XidLine(62, "", BUS)),
        ("NVRM: Xid (PCI:0000:17:00): 62", XidLine(62, "", BUS)),
        (
            "NVRM: Xid (PCI:0008:01:00): 48, pid=1, name=x, DBE",
            XidLine(48, "", "00000008:01:00.0", "", 1, "x", text="DBE"),
        ),
        ("NVRM: Xid (PCI:0000:C1:00): 8, pid=1, name=x, y", XidLine(8, "", "00000000:c1:00.0", "", 1, "x", text="y")),
        (
            "NVRM: Xid (PCI:0000:17:00 GPU-I:05): 31, pid=7, name=py, MMU",
            XidLine(31, "", BUS, "", 7, "py", slice="GPU-I:05", text="MMU"),
        ),
        (
            "NVRM: Xid (PCI:0000:17:00 GPU-I:05 GPU-CI:0a): 31, pid=7, name=py, MMU",
            XidLine(31, "", BUS, "", 7, "py", slice="GPU-I:05 GPU-CI:0a", text="MMU"),
        ),
        (
            "NVRM: Xid (PCI:0000:17:00): 45, pid=7, name=py, Ch 00000009 caused by previous Xid 119",
            XidLine(45, "", BUS, "", 7, "py", 119, text="Ch 00000009 caused by previous Xid 119"),
        ),
    ],
)
def test_a_numbered_fault_is_read_whole(message: str, expected: XidLine) -> None:
    assert one(message) == expected


@pytest.mark.parametrize(
    ("to", "expected"),
    [
        ("0x0 (None)", "none"),
        ("0x1 (GPU Reset Required)", "reset"),
        ("0x2 (Node Reboot Required)", "reboot"),
        ("0x2 (OS Reboot)", "reboot"),
        ("0x1 (PF FLR)", "reset"),
        ("0x3 (Drain P2P)", "drain"),
        ("0x4 (Drain and Reset)", "drain_reset"),
        ("0x5 (Recover IMEX Domain)", "imex"),
        ("0x6 (Some words of tomorrow)", "bus_reset"),
        ("0x7 (Some words of tomorrow)", "power_cycle"),
        ("0x2a (Some words of tomorrow)", ""),
    ],
)
@pytest.mark.parametrize("who", ["", "pid='<unknown>', name=<unknown>, "])
def test_the_drivers_verdict_is_read_by_its_words_else_by_its_number(to: str, expected: str, who: str) -> None:
    found = one(f"NVRM: Xid (PCI:0000:17:00): 154, {who}GPU recovery action changed from 0x0 (None) to {to}")
    assert (found.xid, found.recovery) == (154, expected)


def test_the_uuid_that_was_told_before_belongs_to_every_later_fault_of_that_card() -> None:
    found = read(
        f"NVRM: GPU at PCI:0000:17:00: {UUID.upper().replace('GPU-', 'GPU-')}",
        "NVRM: GPU Board Serial Number: 1234",
        "NVRM: Xid (PCI:0000:17:00): 13, pid=1, name=a, b",
        "NVRM: Xid (PCI:0000:65:00): 13, pid=1, name=a, b",
        "NVRM: GPU 0000:17:00.0: RmInitAdapter failed! (0x62:0xffff:2165)",
    )
    assert [(line.bus_id, line.uuid) for line in found] == [(BUS, UUID), ("00000000:65:00.0", ""), (BUS, UUID)]


# ---------------------------------------------------------------- without a number


@pytest.mark.parametrize(
    ("message", "kind", "bus"),
    [
        ("NVRM: GPU 0000:17:00.0: GPU has fallen off the bus.", "lost", BUS),
        ("NVRM: GPU at PCI:0000:17:00 has fallen off the bus.", "lost", ""),
        ("NVRM: _kgspRpcRecvPoll: GSP RM heartbeat timed out for GPU0", "heartbeat", ""),
        ("NVRM: krcWatchdog_IMPL: RC watchdog: GPU is probably locked!  Notify Timeout Seconds: 7", "locked_up", ""),
        ("NVRM: GPU0 kgspPrepareForBootstrap: unexpected WPR2 already up, cannot proceed", "latched", ""),
        ("NVRM: GPU 0000:17:00.0: RmInitAdapter failed! (0x62:0x40:2142)", "init_failed", BUS),
        (
            "NVRM: GPU0 nvAssertOkFailedNoLog: Assertion failed: Reset required [NV_ERR_RESET_REQUIRED] (0x0000001F)",
            "reset_required",
            "",
        ),
    ],
)
def test_a_fault_without_a_number_is_known_by_its_words(message: str, kind: str, bus: str) -> None:
    found = one(message)
    assert (found.xid, found.kind, found.bus_id) == (0, kind, bus)


@pytest.mark.parametrize(
    "messages",
    [
        (
            "NVRM: The NVIDIA GPU 0000:17:00.0\nNVRM: (PCI ID: 10de:2bb1) installed in this system has\n"
            "NVRM: fallen off the bus and is not responding to commands.",
        ),
        (
            "NVRM: The NVIDIA GPU 0000:17:00.0",
            "NVRM: (PCI ID: 10de:2bb1) installed in this system has",
            "NVRM: fallen off the bus and is not responding to commands.",
        ),
        (
            "NVRM: The NVIDIA GPU 0000:17:00.0",
            "               (PCI ID: 10de:2bb1) installed in this system has",
            "               fallen off the bus and is not responding to commands.",
        ),
        (
            "NVRM: The NVIDIA GPU 0000:17:00.0 (PCI ID: 10de:2d04) installed in this system has",
            "NVRM: fallen off the bus and is not responding to commands.",
        ),
        ("NVRM: The NVIDIA GPU 0000:17:00.0 (PCI ID: 10de:2d04) installed in this system has fallen off the bus",),
    ],
)
def test_a_card_that_is_gone_is_told_over_one_line_or_three(messages: tuple[str, ...]) -> None:
    (found,) = read(*messages)
    assert (found.xid, found.kind, found.bus_id) == (0, "lost", BUS)


def test_lines_that_come_much_later_belong_to_nothing() -> None:
    lines = XidLines()
    assert lines.feed(b"NVRM: The NVIDIA GPU 0000:17:00.0", 1.0) is None
    assert lines.feed(b"fallen off the bus and is not responding", 9.0) is None


def test_a_lost_card_that_is_told_of_twice_in_one_breath_is_one_fault() -> None:
    gone = b"NVRM: GPU 0000:17:00.0: GPU has fallen off the bus."
    lines = XidLines()
    assert lines.feed(b"NVRM: Xid (PCI:0000:17:00): 79, GPU has fallen off the bus.", 5.0) is not None
    assert lines.feed(gone, 5.01) is None
    assert lines.feed(gone.replace(b":17:", b":65:"), 5.02) is not None, "another card"
    assert lines.feed(gone, 9.0) is not None, "it is still so"


def test_what_repeats_for_ever_is_heard_once_a_second() -> None:
    lines = XidLines()
    said = b"NVRM: The NVIDIA GPU 0000:17:00.0 (PCI ID: 10de:2d04) installed in this system has fallen off the bus"
    heard = [at / 5 for at in range(50) if lines.feed(said, at / 5) is not None]
    assert 8 <= len(heard) <= 10, "every 0.2 s for ten seconds"


# ---------------------------------------------------------------- names that pretend


@pytest.mark.parametrize(
    "name",
    [
        "a, b",
        "x, name=y",
        ", ",
        "\nNVRM: Xid (",
        "):79,",
        "by previous Xid",
        "p\xff\xfe",
        "",
        "caused by Xid 7",
        "fallen off bus",
    ],
)
def test_a_process_name_changes_nothing_but_the_name(name: str) -> None:
    raw = b"NVRM: Xid (PCI:0000:17:00): 13, pid=812, name=" + name.encode("latin-1")[:15] + b", Graphics Exception"
    found = one(raw)
    assert (found.xid, found.bus_id, found.pid, found.caused_by, found.recovery, found.kind) == (
        13,
        BUS,
        812,
        0,
        "",
        "",
    )
    assert "\n" not in found.process


def test_a_name_cannot_bring_a_verdict() -> None:
    said = b"GPU recovery action changed from 0x1 (GPU Reset Required) to 0x0 (None)"
    found = one(b"NVRM: Xid (PCI:0000:17:00): 154, pid=1, name=to 0x1 (GPU Re, " + said)
    assert found.recovery == "none"


@pytest.mark.parametrize(
    "message",
    [
        "oom-kill: NVRM: Xid (PCI:0000:17:00): 79, GPU has fallen off the bus.",
        "audit: comm=NVRM: Xid (PCI:0000:17:00): 79",
        " NVRM: Xid (PCI:0000:17:00): 79, x",
        "GPU has fallen off the bus.",
        "NVRM: Xid : 32, pid=2280636",
        "NVRM: Xid (PCI:0000:66:00): abc, pid=1",
        "NVRM: Xid (PCI:0000:66:00): 999999, pid=1",
        "NVRM: loading NVIDIA UNIX Open Kernel Module for x86_64 595.45.04",
        "NVRM: GPU at PCI:0000:17:00: GPU-not-a-uuid",
        "",
    ],
)
def test_what_the_driver_did_not_write_at_the_beginning_of_a_message_is_no_fault(message: str) -> None:
    assert read(message) == []


def test_no_message_can_break_the_reader() -> None:
    rng = random.Random(7)
    words = [
        b"NVRM: ",
        b"Xid (",
        b"PCI:0000:17:00",
        b"): ",
        b"154",
        b", pid=",
        b"name=",
        b"The NVIDIA GPU 0000:17:00.0",
        b"\n",
        b"\xff",
        b"fallen off the bus",
        b"caused by previous Xid 9",
        b" to 0x1 (",
        b")",
    ]
    lines = XidLines()
    for number in range(2_000):
        made = b"".join(rng.choice(words) for _ in range(rng.randint(0, 9)))
        found = lines.feed(made, number / 10)
        assert found is None or (found.xid > 0) != bool(found.kind)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("0000:17:00.0", BUS),
        ("PCI:0000:17:00", BUS),
        ("00000000:17:00.0", BUS),
        ("0000:C1:00.1", "00000000:c1:00.1"),
        ("00010000:01:00.0", "00010000:01:00.0"),
        ("", ""),
        ("17:00.0", ""),
        ("rubbish", ""),
    ],
)
def test_a_bus_id_has_one_form(written: str, meant: str) -> None:
    assert address(written) == meant
