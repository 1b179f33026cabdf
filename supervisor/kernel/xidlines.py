r"""What NVIDIA's driver writes to the kernel's log when a card is in trouble, understood. Pure.

From: kernel/log.py, one message after another, as bytes. To: signals/gpu/faults.py. The grammar is that of the driver's
own sources (open-gpu-kernel-modules 595: kernel_rc.c, gpu.c, nv-pci.c), and of the older forms that are still about:

    NVRM: GPU at PCI:0000:17:00: GPU-1f0c…                      once per card, before its first Xid: its UUID
    NVRM: Xid (PCI:0000:17:00 GPU-I:05 GPU-CI:00): 31, pid=812, name=python3, MMU Fault: … caused by previous Xid 79
    NVRM: Xid (PCI:0000:17:00): 154, …, GPU recovery action changed from 0x0 (None) to 0x1 (GPU Reset Required)
    NVRM: GPU 0000:17:00.0: GPU has fallen off the bus.         without a number; also told over several lines
    NVRM: … GSP RM heartbeat timed out | RC watchdog: GPU is probably locked | unexpected WPR2 already up | …

A process calls itself what it likes (15 bytes: commas, line ends), so nothing is searched for where a name may stand:
what matters is read from the two ends of a message, which only the driver writes.
"""

import re
from dataclasses import dataclass

from supervisor.facts import RECOVERIES
from supervisor.units import plain

LOST, HEARTBEAT, LOCKED, LATCHED, NO_INIT, NEEDS_RESET = (
    "lost",
    "heartbeat",
    "locked_up",
    "latched",
    "init_failed",
    "reset_required",
)
KINDS = (LOST, HEARTBEAT, LOCKED, LATCHED, NO_INIT, NEEDS_RESET)
"""faults that the driver tells of without a number"""
VERDICT = 154
"""the XID by which the driver says what a card needs from now on"""
GONE = 79
"""the XID of a card that fell off the bus"""

_PREFIX = b"NVRM: "
_BUS = rb"(?:PCI:)?([0-9a-fA-F]{4,8}):([0-9a-fA-F]{2}):([0-9a-fA-F]{2})(?:\.([0-9a-fA-F]))?"
_UUID = re.compile(rb"GPU at " + _BUS + rb": (GPU-[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})", re.S)
_XID = re.compile(
    rb"Xid \(" + _BUS + rb"(?: GPU-I:([0-9a-fA-F]{1,8}))?(?: GPU-CI:([0-9a-fA-F]{1,8}))?\): ([0-9]{1,5})(?:,(.*))?",
    re.S,
)
_WHO = re.compile(rb" ?pid='?(<unknown>|[0-9]{1,10})'?(?:, (.*))?", re.S)
_NAME = re.compile(rb"name=(.{0,15}?)(?:, (.*))?", re.S)
_CAUSE = re.compile(rb".*\bcaused by previous Xid ([0-9]{1,5})\.?\s*", re.S)
_ACTION = re.compile(
    rb".*GPU recovery action changed from 0x[0-9a-fA-F]+ \([^()]*\) to 0x([0-9a-fA-F]{1,8}) \(([^()]*)\)\.?\s*", re.S
)
_OF_CARD = re.compile(rb"(?:The NVIDIA )?GPU " + _BUS + rb"(.*)", re.S)
_TOLD = (
    (LOST, re.compile(rb"fallen off the bus", re.I)),
    (HEARTBEAT, re.compile(rb"GSP (?:RM )?heartbeat (?:timed out|timeout|lost|stopped)", re.I)),
    (LOCKED, re.compile(rb"RC watchdog: GPU is probably locked", re.I)),
    (LATCHED, re.compile(rb"unexpected WPR2 already up", re.I)),
    (NO_INIT, re.compile(rb"RmInitAdapter failed", re.I)),
    (NEEDS_RESET, re.compile(rb"Reset required \[NV_ERR_RESET_REQUIRED\]", re.I)),
)
_WORDS = {
    b"none": "none",
    b"gpu reset required": "reset",
    b"gpu reset": "reset",
    b"pf flr": "reset",
    b"node reboot required": "reboot",
    b"node reboot": "reboot",
    b"os reboot": "reboot",
    b"drain p2p": "drain",
    b"drain and reset": "drain_reset",
    b"recover imex domain": "imex",
    b"gpu bus reset required": "bus_reset",
    b"bus reset": "bus_reset",
    b"system reboot": "power_cycle",
}
"""the driver's own words for what it wants; they are steadier than its numbers"""
_TOGETHER = 1.0
"""seconds within which the lines of one message come"""
_SPAN = 4
"""lines of one message at most"""
_MOST = 64
"""cards whose UUID is remembered"""
_TEXT = 500
"""characters of a message that are kept"""


@dataclass(frozen=True, slots=True)
class XidLine:
    """One fault that the driver told of."""

    xid: int
    """0 for one without a number"""
    kind: str = ""
    """of one without a number: one of KINDS"""
    bus_id: str = ""
    """`00000000:17:00.0`, lower case; '' where it is not said"""
    uuid: str = ""
    """of the card, where the driver named it before; '' else"""
    pid: int = 0
    process: str = ""
    """what it calls itself, made fit to be shown"""
    caused_by: int = 0
    """the XID it says it follows from; 0 for none"""
    recovery: str = ""
    """of an XID 154: what the card needs now, one of facts.RECOVERIES; '' where we do not know the word"""
    slice: str = ""
    """of a card that is cut up (MIG): `GPU-I:05 GPU-CI:00`"""
    text: str = ""
    """the message, bounded and plain"""


class XidLines:
    """Understands one message after another: some belong together. Give it every message of the kernel, in order."""

    def __init__(self) -> None:
        self._uuids: dict[str, str] = {}
        self._begun: tuple[str, float, int] = ("", 0.0, 0)
        """a message over several lines: (bus id, stamp of its first line, lines until now)"""
        self._last: dict[tuple[str, str], float] = {}
        """(kind, bus id) -> stamp of what was told last: the driver says the same with a number and without one in one
        breath, and some of it several times a second for as long as it lasts"""

    def feed(self, message: bytes, stamp: float) -> XidLine | None:
        """One message of the kernel at `stamp` (seconds since the boot); the fault it tells of, if any."""
        if not message.startswith(_PREFIX):
            return self._goes_on(message, stamp)
        rest = message[len(_PREFIX) :]
        if rest.startswith(b"Xid ("):
            return self._numbered(rest, stamp)
        named = _UUID.fullmatch(rest.rstrip())
        if named:
            self._uuids[_bus(named)] = "GPU-" + named[5].decode("ascii").lower()[4:]
            while len(self._uuids) > _MOST:
                self._uuids.pop(next(iter(self._uuids)))
            return None
        return self._goes_on(message, stamp) or self._told(rest, stamp)

    def uuid(self, bus_id: str) -> str:
        """What the driver called the card there; '' where it did not."""
        return self._uuids.get(bus_id, "")

    # ------------------------------------------------------------ with a number

    def _numbered(self, rest: bytes, stamp: float) -> XidLine | None:
        match = _XID.fullmatch(rest)
        if match is None:
            return None
        bus_id, xid, said = _bus(match), int(match[7]), match[8] or b""
        pid, process, said = _who(said)
        caused = _CAUSE.fullmatch(said)
        action = _ACTION.fullmatch(said) if xid == VERDICT else None
        parts = [f"{word}:{part.decode('ascii')}" for word, part in (("GPU-I", match[5]), ("GPU-CI", match[6])) if part]
        if xid == GONE:
            self._last[LOST, bus_id] = stamp
        return XidLine(
            xid,
            bus_id=bus_id,
            uuid=self.uuid(bus_id),
            pid=pid,
            process=process,
            caused_by=int(caused[1]) if caused else 0,
            recovery=_recovery(int(action[1], 16), action[2]) if action else "",
            slice=" ".join(parts),
            text=_plain(said),
        )

    # ------------------------------------------------------------ without one

    def _told(self, rest: bytes, stamp: float) -> XidLine | None:
        """A message about a card as a whole. One that goes on in the next line is remembered."""
        card = _OF_CARD.match(rest)
        bus_id = _bus(card) if card else ""
        kind = next((kind for kind, words in _TOLD if words.search(rest)), "")
        if not kind:
            if bus_id and rest.startswith(b"The NVIDIA GPU"):
                self._begun = bus_id, stamp, 1
            return None
        return self._unnumbered(kind, bus_id, rest, stamp)

    def _goes_on(self, message: bytes, stamp: float) -> XidLine | None:
        """Perhaps the rest of what was begun: `(PCI ID: 10de:2bb1) installed in this system has`, `fallen off …`."""
        bus_id, since, lines = self._begun
        if not bus_id:
            return None
        if stamp - since > _TOGETHER or lines >= _SPAN:
            self._begun = "", 0.0, 0
            return None
        self._begun = bus_id, since, lines + 1
        ours = message.removeprefix(_PREFIX).strip()
        said = ours.lower()
        if not said.startswith((b"fallen off", b"(pci id:", b"installed in")) or b"fallen off the bus" not in said:
            return None
        self._begun = "", 0.0, 0
        return self._unnumbered(LOST, bus_id, ours, stamp)

    def _unnumbered(self, kind: str, bus_id: str, rest: bytes, stamp: float) -> XidLine | None:
        """The fault, unless it was told within the last second."""
        if 0 <= stamp - self._last.get((kind, bus_id), float("-inf")) <= _TOGETHER:
            return None
        self._last[kind, bus_id] = stamp
        while len(self._last) > _MOST:
            self._last.pop(next(iter(self._last)))
        return XidLine(0, kind, bus_id, self.uuid(bus_id), text=_plain(rest))


def drill_line(bus_id: str, xid: int, pid: int = 0, process: str = "") -> str:
    """What a drill writes into the kernel's log: as the driver would, and saying what it is."""
    domain, place = bus_id.split(":", 1)
    who = f"pid={pid}, name={process}" if pid else "pid='<unknown>', name=<unknown>"
    said = "a drill of resurgam's, nothing is wrong"
    if xid == VERDICT:
        said = "GPU recovery action changed from 0x0 (None) to 0x1 (GPU Reset Required)"
    return f"NVRM: Xid (PCI:{domain[-4:]}:{place.partition('.')[0]}): {xid}, {who}, {said}"


def address(bus_id: str) -> str:
    """A bus id as every part of the house writes it: `00000000:17:00.0`, lower case; '' for what is none. Takes what
    the kernel (`0000:17:00.0`), the driver's log (`PCI:0000:17:00`) and its library (`00000000:17:00.0`) write."""
    match = re.fullmatch(_BUS, bus_id.encode("utf-8", "replace"))
    return _bus(match) if match else ""


def _bus(match: "re.Match[bytes]") -> str:
    domain, bus, device, function = (part.decode("ascii") if part else "0" for part in match.group(1, 2, 3, 4))
    return f"{domain.rjust(8, '0')[-8:]}:{bus}:{device}.{function}".lower()


def _who(said: bytes) -> tuple[int, str, bytes]:
    """(pid, process, the rest) of `pid=812, name=python3, the rest`; older drivers leave one or both out."""
    who = _WHO.fullmatch(said)
    if who is None:
        return 0, "", said.removeprefix(b" ")
    pid, rest = int(who[1]) if who[1].isdigit() else 0, who[2] or b""
    name = _NAME.fullmatch(rest)
    if name is None:
        return pid, "", rest
    process = plain(name[1].decode("utf-8", "replace"), 60)
    return pid, "" if process == "<unknown>" else process, name[2] or b""


def _recovery(number: int, words: bytes) -> str:
    known = _WORDS.get(words.strip().lower())
    if known is not None:
        return known
    return RECOVERIES[number] if number < len(RECOVERIES) else ""


def _plain(raw: bytes) -> str:
    return plain(raw.decode("utf-8", "replace").strip(), _TEXT)
