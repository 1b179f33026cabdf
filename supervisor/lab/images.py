"""What a simulated image does when it runs: data, so that a test can say "this one exits 139 after 0.2 s".

From: tests and simulated worlds. To: lab/dockerd.py, which lives by it.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from supervisor.facts import Json
from supervisor.lab.files import SimFile


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How a container of an image behaves. Seconds count from its start. The default runs for ever and is well."""

    exit_after: float | None = None
    """it ends by itself after so long; None: never"""
    exit_code: int = 0
    healthy_after: float | None = None
    """it becomes well after so long (infinity: never); None: at once, or after 1 s where it has a health check"""
    unhealthy_at: float | None = None
    """it becomes unwell after so long, without ending"""
    oom: bool = False
    """its end is the kernel's out-of-memory killer's doing (exit code 137)"""
    oom_child_after: float | None = None
    """a child is killed by the kernel: an `oom` event, no death, and inspect says nothing"""
    check_missing: str = ""
    """its health check is there, but this tool of it is not: always `unhealthy`, while it may well serve"""
    check_output: str = ""
    """what its health check prints when it fails"""
    needs_env: tuple[str, ...] = ()
    """without these variables it ends with exit code 1 at once"""
    stop_takes: float | None = 0.05
    """how long it takes to obey its stop signal; None: it ignores it and has to be killed"""
    stop_code: int = 0
    """its exit code when it obeys (143: it does not handle the signal but an init does)"""
    start_error: str = ""
    """the engine cannot start it: its sentence (exit 128, still `created`)"""
    log: tuple[str, ...] = ()
    """what it prints at each start"""
    memory: float = 50 * 2**20
    cpu: float = 0.01
    """CPU seconds it uses each second"""
    speed: float = 100.0
    """tokens per second, where it is a model that is measured"""
    commands: tuple[tuple[str, "Behaviour"], ...] = ()
    """(first word of a command, how it behaves when it is run with that instead of its own)"""

    def changed(self, **changes: Any) -> "Behaviour":
        """The same with some things different."""
        return replace(self, **changes)


@dataclass(frozen=True, slots=True)
class SimImage:
    """One simulated image. With an empty `id` one is made from its tags and behaviour."""

    id: str = ""
    tags: tuple[str, ...] = ()
    config: Json = field(default_factory=dict)
    """the image's Config: Env, Cmd, Entrypoint, Labels, Healthcheck, ExposedPorts, Volumes …"""
    run: Behaviour = Behaviour()
    digests: tuple[str, ...] = ()
    architecture: str = "amd64"
    files: Mapping[str, bytes | SimFile] = field(default_factory=dict)
    """path -> content; the folders around them, and a few that every image has, come by themselves"""

    def full(self) -> "SimImage":
        """The same with its id, and with a health check where the behaviour speaks of health."""
        config = dict(self.config)
        speaks = (self.run.healthy_after is not None, self.run.unhealthy_at is not None, bool(self.run.check_missing))
        if "Healthcheck" not in config and any(speaks):
            config["Healthcheck"] = {"Test": ["CMD", "/check"], "Interval": 1_000_000_000, "Retries": 1}
        config.setdefault("Cmd", ["/serve"])
        seed = repr((self.tags, sorted(config.items(), key=lambda item: item[0]), self.run))
        seed += repr(sorted(self.files.items(), key=lambda item: item[0])) if self.files else ""
        made = "sha256:" + hashlib.sha256(seed.encode()).hexdigest()
        return replace(self, id=self.id or made, config=config)

    def raw(self, tags: tuple[str, ...]) -> Json:
        """Docker's inspect of it, with the tags that stand for it now."""
        return {
            "Id": self.id,
            "RepoTags": list(tags),
            "RepoDigests": list(self.digests),
            "Config": dict(self.config),
            "Architecture": self.architecture,
            "Os": "linux",
        }


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with one engine call."""

    kind: str
    """refuse | timeout_before_effect | effect_then_timeout | delay | cut | effect_then_cut"""
    status: int = 500
    text: str = "the engine had an internal error"
    seconds: float = 0.0

    @classmethod
    def refuse(cls, status: int = 500, text: str = "the engine had an internal error") -> "Fault":
        """The engine says no; nothing was done."""
        return cls("refuse", status, text)

    @classmethod
    def timeout_before_effect(cls) -> "Fault":
        """No answer in time; nothing was done."""
        return cls("timeout_before_effect")

    @classmethod
    def effect_then_timeout(cls) -> "Fault":
        """It is done, but no answer came in time."""
        return cls("effect_then_timeout")

    @classmethod
    def delay(cls, seconds: float) -> "Fault":
        """It is done so much later. Beyond the call's limit the caller gets a timeout first."""
        return cls("delay", seconds=seconds)

    @classmethod
    def cut(cls) -> "Fault":
        """The connection breaks; nothing was done."""
        return cls("cut")

    @classmethod
    def effect_then_cut(cls) -> "Fault":
        """It is done, then the connection breaks before the answer."""
        return cls("effect_then_cut")


NEVER = math.inf
"""for `healthy_after`: it never becomes well"""
