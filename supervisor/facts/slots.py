"""Slots: an address that callers use, the models that may hold it, and how they stand.

`Slot` and `SlotModel` are what `resurgam.yaml` declares. The rest is seen or decided: what a server says of itself,
what a model did when it was measured, how a slot stands. Bytes, seconds, tokens per second; times are unix seconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from supervisor.facts.words import Json

SLOT = "slot:"
"""before a slot's name where the target of an intent, a plan or a row is a slot"""

LOADED, LOADING, ASLEEP, UNLOADED, FAILED, UNKNOWN = "loaded", "loading", "asleep", "unloaded", "failed", "unknown"
STATES = (LOADED, LOADING, ASLEEP, UNLOADED, FAILED, UNKNOWN)
"""how a model stands with its server; unknown is never taken for unloaded"""

EXCLUSIVE, BESIDE, SLEEP = "exclusive", "beside", "sleep"
"""stop A, then start B | start B, move callers, stop A | A sleeps, B wakes (or is loaded in the same server)"""


# ------------------------------------------------------------ declared


@dataclass(frozen=True, slots=True)
class Canary:
    """One question whose answer shows whether a model is still in its senses."""

    prompt: str
    matches: str = ""
    """a regular expression (RE2) that the answer must contain"""
    equals: str = ""
    """the exact answer at temperature 0, white space at the ends aside"""
    tokens: int = 64
    name: str = ""
    """the golden file it came from; '' for one in the configuration"""


@dataclass(frozen=True, slots=True)
class Criteria:
    """What a model must show before the slot is its own. 0, '' and () ask for nothing."""

    runs: int = 3
    """measured answers; their median counts"""
    warmup: int = 1
    """answers before them that do not count"""
    tokens: int = 128
    prompt: str = ""
    """what is asked; '' for a text of ours that no cache knows"""
    within: float = 300.0
    """seconds for one answer"""
    rate: float = 0.0
    """tokens per second of generation at least (`at-least`)"""
    rate_wanted: float = 0.0
    """what was hoped for: less is said in the report, and is no NO-GO"""
    prompt_rate: float = 0.0
    prompt_rate_wanted: float = 0.0
    ratio: float = 0.0
    """generation at least so many times what the one before it made in this slot"""
    first_token: float = 0.0
    """seconds to the first token at most"""
    canaries: tuple[Canary, ...] = ()
    log: tuple[str, ...] = ()
    """regular expressions (RE2): a line of its log that has one is a NO-GO"""
    errors: int = -1
    """answers of 500 and above that callers may get in probation; -1 for any number"""
    memory: int = 0
    """bytes of memory it may use at most; 0: what is declared for it, where anything is"""
    vram: tuple[tuple[str, int], ...] = ()
    """(GPU, bytes) it may use at most"""


@dataclass(frozen=True, slots=True)
class SlotModel:
    """One model that may hold a slot: a container service, or a model inside a server that loads and unloads."""

    name: str
    service: str = ""
    """the service that carries it; '' where its server is no container of ours (then it is `inside`)"""
    inside: bool = False
    """it is loaded into and unloaded from a running server, which other models may share"""
    server: str = ""
    """which kind of server: an adapter's name; '' finds out"""
    url: str = ""
    """where its server answers: `http://:8000` is its own container, else a host; '' as its probe says, else the only
    port it has"""
    model: str = ""
    """the name its server knows it by; '' for a server with one model"""
    key_file: str = ""
    """a file whose line is sent as the header that its adapter names"""
    sleep: int = 0
    """1 | 2: it leaves by sleeping, at this level, and comes back by waking; 0: its container stops"""
    files: tuple[str, ...] = ()
    """its files or folders on this machine"""
    source: str = ""
    """an address of a file that is not here yet, whose header can be read"""
    dry_run: tuple[str, ...] = ()
    """what its own image is run with to say whether it knows the model and what it needs, without loading it"""
    context: int = 0
    """tokens of context it is run with; 0 where nobody said"""
    memory: int = 0
    """of one `inside`; a service declares its own"""
    vram: tuple[tuple[str, int], ...] = ()
    """of one `inside`"""
    startup: float = 0.0
    """seconds: its longest normal load; 0: as its service declares"""
    compose: str = ""
    """a compose file that its container can be made from where it has none"""
    keep: bool = False
    """it is never put away to make room"""
    ttl: float = 0.0
    """seconds without a request after which it is put away; 0 never"""
    criteria: Criteria | None = None
    """its own; None: the slot's"""


@dataclass(frozen=True, slots=True)
class Slot:
    """An address that callers use, and the models that may hold it, the first choice first."""

    name: str
    models: tuple[SlotModel, ...]
    listen: str = ""
    """address:port of the gate; '' for none"""
    rename: str = ""
    """the container name that the holder bears, so that callers who use it find it; '' for none"""
    shape: str = ""
    """exclusive | beside | sleep; '' chooses what fits"""
    together: int = 1
    """models that may be loaded at the same time"""
    criteria: Criteria = field(default_factory=Criteria)
    drain: float = 120.0
    """seconds for requests in flight to end"""
    cut: bool = False
    """after that they are cut (and told so); else the swap ends before anything was touched"""
    on_fail: str = "pivot"
    """pivot: back to the one before | keep: it stays, and is told | stop: nothing holds the slot"""
    probation: float = 600.0
    """seconds after the commit in which its criteria still count; 0 for none"""
    probation_every: float = 0.0
    """seconds between two measurements in probation; 0: its criteria without a measurement"""
    hold: float = 900.0
    """seconds a request is held at the gate at most"""
    held: int = 256
    """requests that are held at the gate at most"""
    in_flight: int = 0
    """requests that are passed at the same time at most; 0 for any number"""
    timeout: float = 0.0
    """seconds without a byte from the model after which a request is ended; 0 for never"""
    fallback: tuple[str, ...] = ()
    """models that stand in, in this order, while the first choice cannot be brought back"""
    fallback_after: float = 60.0
    """seconds the first choice must be down"""
    hand_back: float = 3600.0
    """seconds between two tries to hand back to the first choice"""
    evict_above: float = 0.9
    """share of the memory (and of a card) beyond which the least recently used model goes first"""
    residency: float = 300.0
    """seconds a model stays at least before it is put away for another one"""

    @property
    def id(self) -> str:
        """As a target: `slot:oracle`."""
        return f"{SLOT}{self.name}"

    @property
    def elsewhere(self) -> bool:
        """Whether no container of ours carries any of its models: no engine has a word in it."""
        return not any(one.service for one in self.models)

    def model(self, name: str) -> SlotModel | None:
        """The model of that name."""
        return next((one for one in self.models if one.name == name), None)

    def criteria_of(self, name: str) -> Criteria:
        """What that model must show."""
        one = self.model(name)
        return one.criteria if one is not None and one.criteria is not None else self.criteria


# ------------------------------------------------------------ seen


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a server says it serves; '' and 0 where it does not say."""

    model: str = ""
    aliases: tuple[str, ...] = ()
    context: int = 0
    build: str = ""
    path: str = ""
    """the file or folder it was loaded from"""


@dataclass(frozen=True, slots=True)
class ServerLook:
    """What a model server says of one model, without being disturbed by the question."""

    state: str
    """one of STATES"""
    text: str
    """the end of a sentence: what it says"""
    server: str = ""
    """the adapter that understood it; '' for none"""
    identity: Identity = field(default_factory=Identity)
    loaded: tuple[str, ...] = ()
    """every model in its memory, where it tells"""
    progress: float = -1.0
    """0..1 of a load, -1 where it does not tell"""
    in_flight: int | None = None
    """requests it works on or keeps waiting; None: nobody knows, which counts as busy"""
    memory: float = 0.0
    vram: float = 0.0
    """bytes the model takes by the server's own word; 0 where it does not say"""
    used: float = -1.0
    """a counter of its work (tokens, requests) that grows with every request; -1 where it has none"""
    until: float = 0.0
    """when it will put the model away by itself, unix seconds; 0 for never, or not told"""


@dataclass(frozen=True, slots=True)
class Completion:
    """One answer. Rates are the server's own where it tells them, else by our clock; 0 where nobody can say."""

    text: str
    seconds: float
    first_token: float
    """seconds until the first piece of text; 0 where it did not stream"""
    tokens: int = 0
    prompt_tokens: int = 0
    rate: float = 0.0
    prompt_rate: float = 0.0
    model: str = ""
    """who answered, by its own word"""


@dataclass(frozen=True, slots=True)
class Bench:
    """What a model did when it was measured: medians over `runs`."""

    at: float
    slot: str
    model: str
    service: str = ""
    image_id: str = ""
    runs: int = 0
    rate: float = 0.0
    prompt_rate: float = 0.0
    first_token: float = 0.0
    spread: float = 0.0
    """half the distance between the fastest and the slowest run, as a share of the median"""
    canaries: int = 0
    """how many were asked"""
    failed: tuple[str, ...] = ()
    """what was wrong with canaries, a sentence each"""
    plan: int = 0
    reason: str = ""
    """swap | probation | asked"""


@dataclass(frozen=True, slots=True)
class WeightsLook:
    """What the files of a model say, read from their headers."""

    kind: str = ""
    """gguf | safetensors | mlx; '' for none that is known"""
    architecture: str = ""
    files: int = 0
    bytes: int = 0
    context: int = 0
    """tokens it was trained with; 0 where it does not say"""
    layers: int = 0
    quant: str = ""
    cache: float = 0.0
    """bytes of key-value cache for each token of context, an estimate; 0 where the header does not tell"""
    cache_most: float = 0.0
    """the same where the server does not keep it compressed (MLA), which can be 70 times as much; 0 where it is one"""
    parts: int = 0
    """files there should be"""
    troubles: tuple[str, ...] = ()
    """what is wrong: a part is missing, a file is cut, the header is bad … each a sentence with the file"""
    notes: tuple[str, ...] = ()
    """what could not be looked at, or may surprise; no reason to refuse"""


@dataclass(frozen=True, slots=True)
class GateState:
    """How a slot's gate stands. Counters are since this process began."""

    slot: str
    listening: bool = False
    text: str = ""
    """why it does not listen, '' if it does"""
    open: bool = False
    upstream: str = ""
    """`http://172.18.0.3:8000`; '' for none"""
    held: int = 0
    in_flight: int = 0
    requests: int = 0
    errors: int = 0
    """answers of 500 and above, and connections the model broke"""
    refused: int = 0
    """503 of our own: held too long, too many, nobody holds the slot"""
    cut: int = 0
    """streams that the model's end cut; they were told so"""
    last_at: float = 0.0
    """when the last request came"""
    longest_hold: float = 0.0


# ------------------------------------------------------------ how it stands


@dataclass(frozen=True, slots=True)
class ModelState:
    """One model of a slot."""

    name: str
    state: str = UNKNOWN
    service: str = ""
    other: str = ""
    """the service that is meant where none has that id, but one that name; '' for none"""
    text: str = ""
    since: float = 0.0
    used_at: float = 0.0
    """when it last had a request, as far as is known"""
    kept_until: float = 0.0
    """a person's `keep`; -1 for ever"""
    in_flight: int | None = None
    memory: float = 0.0
    vram: float = 0.0
    no_go: str = ""
    """why it is not tried again on this server image, '' if it may be"""
    bench: Bench | None = None


@dataclass(frozen=True, slots=True)
class Probation:
    """The time after a swap in which the one before is still armed."""

    model: str
    before: str
    """the model to go back to"""
    until: float
    began: float
    baseline: Bench | None = None
    next_bench: float = 0.0


@dataclass(frozen=True, slots=True)
class SlotState:
    """How a slot stands."""

    name: str
    address: str
    """what callers use: the gate's address, a container name, or the holder's own"""
    holder: str = ""
    """the model that holds it: '' for nobody, or nobody knows"""
    first: str = ""
    """the first choice"""
    stand_in: bool = False
    """the holder stands in for the first choice"""
    since: float = 0.0
    phase: str = ""
    """of the swap that runs: preflight drain stop freed start ready warmup bench canary commit | pivot; '' for none"""
    plan: int = 0
    expected: float = 0.0
    """when that swap is expected to end, unix seconds"""
    models: tuple[ModelState, ...] = ()
    gate: GateState | None = None
    probation: Probation | None = None
    report: Json = field(default_factory=dict)
    """the latest swap's: {plan, at, from, to, verdict: GO | NO-GO, text, lines: [{what, found, wanted, ok}], bench,
    before, seconds, outage}"""
    problem: str = ""
    """why nobody holds it, or the stand-in does: one sentence with what to do"""


@dataclass(frozen=True, slots=True)
class ModelReading:
    """What the watch saw of one model of one slot."""

    slot: str
    model: str
    look: ServerLook


@dataclass(frozen=True, slots=True)
class Free:
    """What is free on the machine at one instant, in bytes."""

    memory: float
    vram: Mapping[str, float] = field(default_factory=dict)
    """GPU UUID -> bytes; empty where nobody knows"""
