"""What a simulated model does when it is loaded, asked, put to sleep or put away: data, so that a test can say "this
one talks nonsense" or "this one gives its memory back a minute late".

From: tests and simulated worlds. To: lab/models.py, which lives by it. How its container behaves stands in images.py.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

NONSENSE = "zq zq zq zq zq zq zq zq"
"""what a model says that is out of its senses"""
SENSE = "The capital of France is Paris."
"""what one says that is in them, where nothing else was said"""
FOR_EVER = math.inf


@dataclass(frozen=True, slots=True)
class SimModel:
    """How a model behaves. The default is loaded at once, in its senses, and takes no memory."""

    load: float = 0.0
    """seconds from its container's start, or from the call, until it is loaded; infinity: never"""
    wake: float = 0.5
    """seconds from the call until it is awake"""
    says: str = ""
    """the name it gives itself; '' for the one by which its server is asked"""
    context: int = 4096
    build: str = "sim-1"
    rate: float = 100.0
    """tokens per second"""
    prompt_rate: float = 1000.0
    first_token: float = 0.1
    answers: Mapping[str, str] = field(default_factory=dict)
    """what a prompt has in it -> the answer; SENSE to any other"""
    senseless: bool = False
    """every answer is NONSENSE"""
    wakes_senseless: bool = False
    """the same after it slept: its weights were not put back"""
    dies_in: int = 0
    """its so many-th answer since the start ends its process half-way; 0: none does"""
    breaks_in: int = 0
    """its so many-th answer stops half-way, and its server lives on"""
    sticky: bool = False
    """once an answer broke, its server calls it failed until it is started anew"""
    hides_sleep: bool = False
    """while it sleeps its server says that all is well, and answers nobody"""
    counts: bool = True
    """its server tells how many requests it works on"""
    memory: float = 0.0
    """bytes of memory"""
    vram: Mapping[int, int] = field(default_factory=dict)
    """card index -> bytes"""
    late: float = 0.0
    """seconds after its end, or its unload, until that is free; infinity: never"""
    refuses: Mapping[str, str] = field(default_factory=dict)
    """load | unload | sleep | wake -> what its server says instead of doing it"""
    ignores: tuple[str, ...] = ()
    """verbs to which its server says yes, and does nothing"""

    def changed(self, **changes: Any) -> "SimModel":
        """The same with some things different."""
        return replace(self, **changes)

    def answer(self, prompt: str, woken: bool) -> str:
        """What it says to this. `woken`: it slept since it was loaded."""
        if self.senseless or (woken and self.wakes_senseless):
            return NONSENSE
        return next((text for piece, text in self.answers.items() if piece in prompt), SENSE)
