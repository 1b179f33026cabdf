"""Model slots on the bus: `data` of the events `model.*`, and the retained document of one slot.

The rows come from core/slots*.py, whose words they must keep to; the document from views/slots.py, kept by the broker
as `resurgam/<host>/state/slot/<slot>`. Times in documents are RFC 3339 text, in events unix seconds (0 for none); rates
are tokens per second, sizes bytes.
"""

from typing import Literal

from pydantic import Field

from supervisor.bus.contract.shapes import Count, Number, Shape, Time, Told

Verdict = Literal["GO", "NO-GO", ""]


# ------------------------------------------------------------ parts of both


class Measured(Shape):
    """What a model did when it was measured: medians over its runs. 0 where nobody can say."""

    at: float
    """unix seconds"""
    slot: str
    model: str
    service: str = ""
    image_id: str = ""
    runs: Count = 0
    rate: float = 0.0
    """tokens per second of generation"""
    prompt_rate: float = 0.0
    first_token: float = 0.0
    """seconds"""
    spread: float = 0.0
    """half the distance between the fastest and the slowest run, as a share of the median"""
    canaries: Count = 0
    """how many were asked"""
    failed: list[str] = Field(default_factory=list)
    """what was wrong with canaries, a sentence each"""
    plan: int = 0
    reason: str = ""
    """swap | probation | asked"""


class Line(Shape):
    """One thing that was looked at."""

    what: str
    found: str = ""
    wanted: str = ""
    ok: bool | None = True
    """null: said, and no reason for a verdict"""


class Report(Shape):
    """The GO/NO-GO report of a swap."""

    plan: int = 0
    at: float = 0.0
    """unix seconds"""
    before_model: str = Field(default="", alias="from")
    after_model: str = Field(default="", alias="to")
    verdict: Verdict = ""
    text: str = ""
    lines: list[Line] = Field(default_factory=list)
    bench: Measured | None = None
    before: Measured | None = None
    seconds: float = 0.0
    """in all"""
    outage: float = 0.0
    """seconds in which nobody held the slot"""


# ------------------------------------------------------------ events


class OfSlot(Told):
    """What every event of a slot has."""

    slot: str
    model: str = ""
    """the model it is about"""
    plan: int = 0
    """the plan that did it; 0 for none"""


class SwapBegan(OfSlot):
    """A swap (load, sleep, wake …) of a slot begins."""

    verb: str = "swap"
    before_model: str = Field(default="", alias="from")
    shape: Literal["exclusive", "beside", "sleep", ""] = ""
    by: str = ""
    cause: str = ""
    expected: float = 0.0
    """when it is expected to end"""


class Phase(OfSlot):
    """It is in another phase now."""

    phase: str
    found: str = ""
    """what that phase found, where it is over"""
    ok: bool = True
    seconds: float = 0.0
    """since the plan began"""
    progress: float = -1.0
    """0 to 1; -1 where nobody can say"""
    expected: float = 0.0
    """when the swap is expected to end"""


class Swapped(OfSlot):
    """A swap ended: with GO the model holds the slot, with NO-GO the one before does again."""

    before_model: str = Field(default="", alias="from")
    holder: str = ""
    """who holds the slot now; empty for nobody"""
    verdict: Verdict = ""
    report: Report = Report()
    probation: float = 0.0
    """until when the one before is still armed"""


class ProbationOver(OfSlot):
    """The time in which the one before was still armed is over: it is released."""

    before: str = ""


class StoodIn(OfSlot):
    """A stand-in was asked for, or the first choice has the slot again."""

    first: str = ""
    """the first choice"""
    stand_in: str = ""
    why: str = ""


class Evicted(OfSlot):
    """A model was put away to make room, or since nobody asked it anything."""

    why: str = ""


class Benchmarked(OfSlot):
    """A model was measured."""

    bench: Measured
    drift: float = 0.0
    """its rate as a share of the median of the earlier ones; 0 where there are none"""


# ------------------------------------------------------------ the document


class Bench(Shape):
    """The latest measurement of a model."""

    at: Time
    rate: Number
    prompt_rate: Number
    first_token: Number
    spread: Number
    runs: Count
    canaries: Count
    failed: list[str]
    plan: int
    reason: str
    image_id: str


class SlotModel(Shape):
    """One model that may hold the slot."""

    name: str
    state: Literal["loaded", "loading", "asleep", "unloaded", "failed", "unknown"]
    service: str
    """the service that carries it; empty for one in a server elsewhere"""
    text: str
    since: Time
    used_at: Time
    """when it last had a request, as far as is known"""
    kept: bool
    """it is not put away to make room"""
    kept_until: Time
    """none while it is kept without an end, or not at all"""
    in_flight: int | None
    """requests; null where nobody knows"""
    memory: Number
    vram: Number
    no_go: str
    """why it is not tried again on this server image; empty if it may be"""
    bench: Bench | None


class SlotGate(Shape):
    """Its gate: counters since the daemon began."""

    listening: bool
    text: str
    """why it does not listen"""
    open: bool
    upstream: str
    held: Count
    in_flight: Count
    requests: Count
    errors: Count
    refused: Count
    cut: Count
    last_at: Time
    longest_hold: Number
    """seconds"""


class SlotProbation(Shape):
    """The time in which the model before is still armed."""

    model: str
    before: str
    began: Time
    until: Time
    next_bench: Time


class SlotReport(Shape):
    """The GO/NO-GO report of the latest swap."""

    plan: int
    at: Time
    before_model: str = Field(alias="from")
    after_model: str = Field(alias="to")
    verdict: Verdict
    text: str
    lines: list[Line]
    seconds: Number
    outage: Number


class Slot(Shape):
    """An address that callers use, and the models that may hold it."""

    host: str
    slot: str
    address: str
    holder: str
    """the model that holds it; empty for nobody, and where nobody knows"""
    first: str
    """the first choice"""
    stand_in: bool
    """the holder stands in for the first choice"""
    since: Time
    phase: str
    """of what works on it; empty for nothing"""
    plan: int
    expected: Time
    """when that is expected to end"""
    problem: str
    """why nobody holds it, or a stand-in does, with what to do"""
    models: list[SlotModel]
    gate: SlotGate | None
    """null for a slot without one"""
    probation: SlotProbation | None
    report: SlotReport | None
    """null before the first swap"""
    rev: Count
    """the newest event about it: what a command's `if_rev` is compared with"""
