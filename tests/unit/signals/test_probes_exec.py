"""Commands inside the container: what their end says about the service, and what about the probe itself."""

import pytest

from supervisor.clock import ManualClock
from supervisor.errors import Conflict, EngineError, EngineGone, EngineTimeout
from supervisor.facts import Container, Needs
from supervisor.ports import ExecResult
from supervisor.signals.probes import ServiceProber

BOX = Container("a" * 64, "qdrant", "sha256:1", "qdrant:1", status="running")
NEEDS = Needs(probe_argv=("pg_isready", "-U", "postgres"))


class OneAnswer:
    """An engine of which only exec and inspect are asked."""

    def __init__(self, answer, has=True) -> None:
        self.answer, self.has = answer, has
        self.asked = []

    async def exec(self, key, argv, limit):
        self.asked.append((key, argv, limit))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def inspect(self, key):
        return BOX if self.has else None


async def ask(answer, needs=NEEDS):
    engine = OneAnswer(answer)
    found = await ServiceProber(ManualClock(), {"docker": engine}).probe(needs, BOX, 5.0)
    return found, engine


@pytest.mark.parametrize(
    ("answer", "ok", "broken", "words"),
    [
        (ExecResult(0, "accepting connections"), True, False, "ended with 0"),
        (ExecResult(2, "no response\n"), False, False, "ended with 2: no response"),
        (ExecResult(1, ""), False, False, "ended with 1"),
        (ExecResult(124, ""), False, False, "did not end within 5s"),
        (ExecResult(127, "sh: curl: not found"), False, True, "cannot run in this image: sh: curl: not found"),
        (ExecResult(126, ""), False, True, "may not be run"),
        (ExecResult(0, "", "executable file not found in $PATH"), False, True, "executable file not found"),
        (EngineTimeout("no answer"), False, False, "no answer"),
        (Conflict("the container is paused", 409), False, False, "paused"),
        (EngineGone("the engine is away"), False, True, "could not be run"),
        (EngineError("no such feature", 501), False, True, "no such feature"),
    ],
)
async def test_what_its_end_means(answer, ok, broken, words):
    found, engine = await ask(answer)
    assert (found.ok, found.broken) == (ok, broken)
    assert words in found.text
    assert engine.asked == [(BOX.id, NEEDS.probe_argv, 5.0)]


async def test_a_command_is_asked_instead_of_an_address():
    found, engine = await ask(ExecResult(0, ""), Needs(probe="http://:1/", probe_argv=("true",)))
    assert found.ok
    assert engine.asked


async def test_what_a_command_says_is_masked_and_short():
    found, _engine = await ask(ExecResult(1, "x" * 900 + " token=abcdefghijklmnop1234567890"))
    assert len(found.text) <= 300
    assert "abcdefghijklmnop1234567890" not in found.text


async def test_of_several_engines_the_one_that_has_it_is_asked():
    mine, other = OneAnswer(ExecResult(0, "")), OneAnswer(ExecResult(1, ""), has=False)
    prober = ServiceProber(ManualClock(), {"a": other, "b": mine})
    assert (await prober.probe(NEEDS, BOX, 5.0)).ok
    assert not other.asked
