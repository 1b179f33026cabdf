"""The settings of slots: the key `slots` of `resurgam.yaml`.

Part of settings.py, which says where they come from. `slots_of` makes the values that travel (facts.Slot) of them.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from supervisor import units
from supervisor.config import fields
from supervisor.config.fields import Argv, Duration, HostPath, Listen, PositiveDuration, ServiceId, Size, Vram, WebUrl
from supervisor.config.model import Model
from supervisor.facts import Canary, Criteria, Slot, SlotModel

if TYPE_CHECKING:
    from supervisor.config.settings import Settings

MOST_MODELS = 64
LONGEST_ANSWER = 4096
"""tokens of one measured answer"""


def _pattern(value: Any) -> str:
    if not isinstance(value, str) or not value or len(value) > 1000:
        raise ValueError(f"{str(value)[:100]!r} is not a regular expression; write it like 'CUDA error'")
    units.regex(value)
    return value


def _server_url(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("url is an address like http://:8000 (its own container) or http://127.0.0.1:11434")
    parts = fields.split_url(value, ("http", "https"), "a model server; write it like http://:8000")
    if parts.port is None and not parts.hostname:
        raise ValueError(f"{value!r} has no port; write it like http://:8000")
    if parts.query or parts.fragment or parts.username:
        raise ValueError(f"{value!r} has more than a host, a port and a path; leave the rest away")
    return value.rstrip("/")


Pattern = Annotated[str, BeforeValidator(_pattern)]
ServerUrl = Annotated[str, BeforeValidator(_server_url)]


class CanarySettings(Model):
    """One question with the answer that shows that a model is in its senses."""

    prompt: str = Field(min_length=1, max_length=20_000)
    matches: Pattern | None = None
    """a regular expression that the answer must contain"""
    equals: str | None = Field(default=None, min_length=1, max_length=20_000)
    """the exact answer at temperature 0"""
    tokens: int = Field(default=64, ge=1, le=LONGEST_ANSWER)

    @model_validator(mode="after")
    def _expects_something(self) -> "CanarySettings":
        if (self.matches is None) == (self.equals is None):
            raise ValueError("a canary expects one thing: matches (a regular expression) or equals (the exact answer)")
        return self


class CriteriaSettings(Model):
    """What a model must show before it holds the slot. What is left out asks for nothing."""

    at_least: float = Field(default=0.0, alias="at-least", ge=0, le=1_000_000)
    """tokens per second of generation; below it goes back"""
    wanted: float = Field(default=0.0, ge=0, le=1_000_000)
    """what is hoped for: less is said, and is no reason to go back"""
    prompt_at_least: float = Field(default=0.0, alias="prompt-at-least", ge=0, le=100_000_000)
    prompt_wanted: float = Field(default=0.0, alias="prompt-wanted", ge=0, le=100_000_000)
    ratio: float = Field(default=0.0, ge=0, le=1000)
    """generation at least so many times that of the model before it"""
    first_token: Duration = Field(default=0.0, alias="first-token")
    """seconds to the first token at most"""
    runs: int = Field(default=3, ge=1, le=50)
    """measured answers; the median counts"""
    warmup: int = Field(default=1, ge=0, le=10)
    tokens: int = Field(default=128, ge=1, le=LONGEST_ANSWER)
    prompt: str = Field(default="", max_length=100_000)
    within: PositiveDuration = 300.0
    """seconds for one answer"""
    canaries: tuple[CanarySettings, ...] = Field(default=(), max_length=64)
    golden: HostPath | None = None
    """a folder of files NAME.prompt with NAME.expect (a regular expression) or NAME.answer (the exact answer)"""
    log: tuple[Pattern, ...] = Field(default=(), max_length=32)
    """a line of its log with one of these is a reason to go back"""
    errors: int = Field(default=-1, ge=-1, le=1_000_000)
    """answers of 500 and above that callers may get in probation; -1: any number"""
    memory: Size = 0
    """bytes it may use at most; left out: what is declared for it"""
    vram: Vram = ()


class SlotModelSettings(Model):
    """One model that may hold the slot."""

    service: ServiceId | None = None
    """the service that carries it; left out: the model's own name, unless it is in a server elsewhere (`url`)"""
    inside: bool = False
    """true: it is loaded into, and unloaded from, a server that keeps running"""
    server: str = Field(default="", pattern=r"^[a-z0-9-]{0,40}$")
    """the kind of server (`resurgam check` lists them); left out: it is found out"""
    url: ServerUrl | None = None
    model: str = Field(default="", max_length=500)
    """the name its server knows it by"""
    key_file: HostPath | None = Field(default=None, alias="key-file")
    sleep: Literal[1, 2] | None = None
    """it leaves by sleeping at this level instead of by a stop of its container"""
    files: tuple[HostPath, ...] = Field(default=(), max_length=512)
    source: WebUrl | None = None
    dry_run: Argv | None = Field(default=None, alias="dry-run")
    """what its image is run with to say whether it knows the model, without loading it"""
    context: int = Field(default=0, ge=0, le=100_000_000)
    memory: Size = 0
    """of a model that is inside a server"""
    vram: Vram = ()
    startup: PositiveDuration | None = None
    compose: HostPath | None = None
    """a compose file that its container is made from where there is none"""
    keep: bool = False
    ttl: Duration = 0.0
    criteria: CriteriaSettings | None = None
    """instead of the slot's"""

    @field_validator("files", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _hangs_together(self) -> "SlotModelSettings":
        elsewhere = self.url is not None and not self.url.split("//", 1)[1].startswith(":")
        if elsewhere and self.service is None and not self.inside:
            raise ValueError("a model on a server elsewhere is loaded and unloaded there: say inside: true")
        if self.inside and self.service is None and not elsewhere:
            raise ValueError("say where its server is: service: NAME, or url: http://host:port")
        if self.inside and self.sleep:
            raise ValueError("a model inside a server is loaded and unloaded; take sleep out")
        if not self.inside and (self.memory or self.vram):
            raise ValueError("memory and vram of a service are declared in services:")
        if not self.inside and self.startup is not None:
            raise ValueError("the startup of a service is declared in services:")
        return self


class GateSettings(Model):
    """The gate's bounds."""

    hold: PositiveDuration = 900.0
    """seconds a request is held at most; then 503 with Retry-After"""
    held: int = Field(default=256, ge=0, le=100_000)
    """requests that are held at most"""
    in_flight: int = Field(default=0, alias="in-flight", ge=0, le=100_000)
    """requests that are passed at the same time at most; 0: any number"""
    timeout: Duration = 0.0
    """seconds without a byte from the model after which a request is ended; 0 never"""


class SlotSettings(Model):
    """An address that callers use, and the models that may hold it, the first choice first."""

    models: Mapping[ServiceId, SlotModelSettings | None] = Field(min_length=1, max_length=MOST_MODELS)
    listen: Listen = "none"
    """address:port of the gate in front of it, or `none`"""
    gate: GateSettings = GateSettings()
    rename: str = Field(default="", pattern=r"^([a-zA-Z0-9][a-zA-Z0-9_.-]{0,127})?$")
    """the container name that the holder bears (without a gate, for callers that use it)"""
    shape: Literal["exclusive", "beside", "sleep"] | None = None
    """left out: what fits"""
    together: int = Field(default=1, ge=1, le=MOST_MODELS)
    criteria: CriteriaSettings = CriteriaSettings()
    drain: Duration = 120.0
    """seconds for requests in flight to end"""
    cut: bool = False
    """true: after that they are cut, and told so; else the swap ends before anything was touched"""
    on_fail: Literal["pivot", "keep", "stop"] = Field(default="pivot", alias="on-fail")
    probation: Duration = 600.0
    probation_every: Duration = Field(default=0.0, alias="probation-every")
    fallback: tuple[ServiceId, ...] = Field(default=(), max_length=MOST_MODELS)
    fallback_after: PositiveDuration = Field(default=60.0, alias="fallback-after")
    hand_back: PositiveDuration = Field(default=3600.0, alias="hand-back")
    evict_above: float = Field(default=0.9, alias="evict-above", gt=0, le=1)
    residency: Duration = 300.0

    @field_validator("fallback", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _hangs_together(self) -> "SlotSettings":
        first = next(iter(self.models))
        for name in self.fallback:
            if name not in self.models or name == first:
                raise ValueError(f"fallback names {name!r}, which is not one of its other models")
        if self.listen != "none" and self.rename:
            raise ValueError(
                "callers come by the gate (listen) or by the container's name (rename); give one of the two"
            )
        for name, model in self.models.items():
            if self.listen != "none" and model is not None and (model.url or "").startswith("https:"):
                raise ValueError(
                    f"the gate (listen) speaks plain HTTP to the model server, and the url of {name} says https; "
                    "write an http:// address that only this machine reaches, or take listen out"
                )
        if self.together > 1 and not all(one is not None and one.inside for one in self.models.values()):
            raise ValueError("together is for models inside servers (inside: true)")
        return self


def slots_of(settings: "Settings") -> tuple[Slot, ...]:
    """The declared slots, in order; golden files are read by whoever measures (`criteria.golden` is in `golden_of`)."""
    return tuple(_slot(name, one) for name, one in settings.slots.items())


def golden_of(settings: "Settings", slot: str, model: str) -> str:
    """The folder of golden files that counts for a model of a slot; '' for none."""
    entry = settings.slots.get(slot)
    own = entry.models.get(model) if entry is not None else None
    criteria = own.criteria if own is not None and own.criteria is not None else None
    if criteria is None and entry is not None:
        criteria = entry.criteria
    return (criteria.golden or "") if criteria is not None else ""


def _slot(name: str, one: SlotSettings) -> Slot:
    return Slot(
        name,
        tuple(_model(word, entry or SlotModelSettings()) for word, entry in one.models.items()),
        listen="" if one.listen == "none" else one.listen,
        rename=one.rename,
        shape=one.shape or "",
        together=one.together,
        criteria=_criteria(one.criteria),
        drain=one.drain,
        cut=one.cut,
        on_fail=one.on_fail,
        probation=one.probation,
        probation_every=one.probation_every,
        hold=one.gate.hold,
        held=one.gate.held,
        in_flight=one.gate.in_flight,
        timeout=one.gate.timeout,
        fallback=one.fallback,
        fallback_after=one.fallback_after,
        hand_back=one.hand_back,
        evict_above=one.evict_above,
        residency=one.residency,
    )


def _model(name: str, one: SlotModelSettings) -> SlotModel:
    elsewhere = one.service is None and one.url is not None and not one.url.split("//", 1)[1].startswith(":")
    return SlotModel(
        name,
        service="" if elsewhere else one.service or name,
        inside=one.inside,
        server=one.server,
        url=one.url or "",
        model=one.model,
        key_file=one.key_file or "",
        sleep=one.sleep or 0,
        files=one.files,
        source=one.source or "",
        dry_run=one.dry_run or (),
        context=one.context,
        memory=one.memory,
        vram=one.vram,
        startup=one.startup or 0.0,
        compose=one.compose or "",
        keep=one.keep,
        ttl=one.ttl,
        criteria=_criteria(one.criteria) if one.criteria is not None else None,
    )


def _criteria(one: CriteriaSettings) -> Criteria:
    canaries = (
        Canary(canary.prompt, canary.matches or "", canary.equals or "", canary.tokens) for canary in one.canaries
    )
    return Criteria(
        runs=one.runs,
        warmup=one.warmup,
        tokens=one.tokens,
        prompt=one.prompt,
        within=one.within,
        rate=one.at_least,
        rate_wanted=one.wanted,
        prompt_rate=one.prompt_at_least,
        prompt_rate_wanted=one.prompt_wanted,
        ratio=one.ratio,
        first_token=one.first_token,
        canaries=tuple(canaries),
        log=one.log,
        errors=one.errors,
        memory=one.memory,
        vram=one.vram,
    )
