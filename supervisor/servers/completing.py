"""One answer of a model, streamed and timed: how long to the first piece of text, how fast after it.

From: hands.py, with the ways to ask of the server's adapter. To: a facts.Completion. An answer counts only when it is
whole: the server's end of a stream, or its word that it is finished. One cut short is a ServerError, whatever text it
had; what the server counts and times itself goes before our own clock.
"""

from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from supervisor import units
from supervisor.clock import Clock
from supervisor.errors import ServerError
from supervisor.facts import Completion
from supervisor.servers import asking
from supervisor.servers.adapter import LOGIN, wants_key
from supervisor.servers.asking import NOT_HERE, WRONG_QUESTION, Way
from supervisor.servers.places import Place
from supervisor.servers.understood import Said, short

LONGEST = 4 << 20
"""characters of one answer"""
_DONE = "[DONE]"


@dataclass(slots=True)
class _Answer:
    """What has come of an answer so far. Times are monotonic."""

    began: float
    first: float = 0.0
    last: float = 0.0
    said: list[str] = field(default_factory=list)
    thought: list[str] = field(default_factory=list)
    size: int = 0
    pieces: int = 0
    tokens: int = 0
    prompt_tokens: int = 0
    rate: float = 0.0
    prompt_rate: float = 0.0
    model: str = ""
    whole: bool = False
    events: int = 0

    @property
    def streamed(self) -> bool:
        """It came piece by piece, not as one document."""
        return self.events > 1


async def complete(
    place: Place,
    ways: Sequence[Way],
    model: str,
    prompt: str,
    tokens: int,
    within: float,
    clock: Clock,
    *,
    exact: bool = False,
) -> Completion:
    """The answer, by the first of the ways that the server knows. `model`: the name to ask for, '' for none."""
    ends, turned_away = clock.mono() + within, ""
    for way in ways:
        left = ends - clock.mono()
        if left <= 0:
            break
        body = way.question(model, prompt, tokens, stream=True, exact=exact)
        answer = await _ask(place, way, body, left, clock)
        if isinstance(answer, _Answer):
            return _completion(answer, tokens, clock.mono())
        turned_away = answer
    raise ServerError(f"The server knows no way to complete text: {units.plain(turned_away, 200)}.")


async def _ask(place: Place, way: Way, body: Mapping[str, object], within: float, clock: Clock) -> _Answer | str:
    """The answer; or why this way leads nowhere and the next is to be tried."""
    answer = _Answer(clock.mono())
    async with aclosing(place.door.events("POST", way.path, body, place.headers, within)) as events:
        async for said in events:
            if said.status != 200:
                return _refused(way, said)
            if said.text.strip() == _DONE:
                answer.whole = True
                break
            _take(answer, said, clock.mono())
    if not answer.whole:
        raise ServerError(
            f"Its answer broke off after {answer.pieces} {'piece' if answer.pieces == 1 else 'pieces'}, before the "
            "server said that it was finished; its log may say why."
        )
    return answer


def _refused(way: Way, said: Said) -> str:
    if said.status in LOGIN:
        raise ServerError(f"It cannot be asked: {wants_key('the server', said)}.")
    text = said.text.lower()
    if said.status in NOT_HERE and not (said.status == 404 and "model" in text):
        return f"{way.path}: {short(said)}"
    if said.status in WRONG_QUESTION and "context" not in text:
        return f"{way.path}: {short(said)}"
    raise ServerError(f"It gave no answer: {short(said)}.")


def _take(answer: _Answer, said: Said, now: float) -> None:
    """One piece of an answer, or all of it."""
    data = said.document
    if not isinstance(data, dict):
        raise ServerError(f"It answers with something that is no completion: {units.plain(said.text, 60)!r}.")
    if data.get("error"):
        raise ServerError(f"It broke off: {units.mask(units.plain(asking.message(data) or said.text, 200))}.")
    spoken, thought = asking.spoken(data)
    if spoken or thought:
        answer.first, answer.last = answer.first or now, now
        answer.said.append(spoken)
        answer.thought.append(thought)
        answer.pieces += 1
        answer.size += len(spoken) + len(thought)
        if answer.size > LONGEST:
            raise ServerError("It answers without an end, far beyond the tokens asked for.")
    rate, prompt_rate = asking.rates_of(data)
    answer.rate, answer.prompt_rate = rate or answer.rate, prompt_rate or answer.prompt_rate
    answer.tokens = max(answer.tokens, asking.tokens_of(data))
    answer.prompt_tokens = max(answer.prompt_tokens, asking.prompt_tokens_of(data))
    if isinstance(data.get("model"), str):
        answer.model = units.plain(data["model"], 500)
    answer.whole = answer.whole or asking.finished(data)
    answer.events += 1


def _completion(answer: _Answer, wanted: int, now: float) -> Completion:
    text = "".join(answer.said) or "".join(answer.thought)
    if not text and not (wanted == 1 and answer.tokens):
        raise ServerError("It answered without a single token of text.")
    made = answer.tokens or answer.pieces
    first = answer.first - answer.began if answer.streamed and answer.first else 0.0
    rate = answer.rate
    if not rate and first and made > 1 and answer.last > answer.first:
        rate = (made - 1) / (answer.last - answer.first)
    if not rate and not first and answer.tokens:
        rate = answer.tokens / max(now - answer.began, 1e-6)
    prompt_rate = answer.prompt_rate or (answer.prompt_tokens / first if first and answer.prompt_tokens else 0.0)
    seconds = now - answer.began
    return Completion(text, seconds, first, made, answer.prompt_tokens, rate, prompt_rate, answer.model)
