"""The ways to ask a model server for text, and what its answers hold, whole or streamed. Pure.

OpenAI's chat and plain completions, llama.cpp's own, Ollama's own. From: completing.py and the probes, which ask. No
two questions of a probe are the same text, so that no cache on the way has the answer: `mark` stands in front.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from supervisor.facts import Json

TEXT, CHAT, NATIVE = "/v1/completions", "/v1/chat/completions", "/completion"
OLLAMA, TRITON = "/api/generate", "/v2/models/{model}/generate"
NOT_HERE = (404, 405, 501)
"""answers that mean that the server does not know this way"""
WRONG_QUESTION = (400, 422)
"""answers that may mean it"""
_ENDINGS = (("/chat/completions", CHAT), ("/completions", TEXT), ("/completion", NATIVE))


@dataclass(frozen=True, slots=True)
class Way:
    """One way to ask. `extra`: what this server wants in the body beside what the way itself says."""

    kind: str
    path: str
    extra: Mapping[str, object] = field(default_factory=dict)

    def question(self, model: str, prompt: str, tokens: int, *, stream: bool, exact: bool = True) -> dict[str, object]:
        """The request for so many tokens. `exact`: temperature 0; else as the server is set up."""
        cold: dict[str, object] = {"temperature": 0} if exact else {}
        if self.kind == NATIVE:
            fresh = {"cache_prompt": False}
            return {"prompt": prompt, "n_predict": tokens, **cold, "stream": stream, **fresh, **self.extra}
        if self.kind == TRITON:  # its backends read these at different places; it does not stream here
            more = {"max_tokens": tokens, **cold, "stream": False}
            return {"text_input": prompt, "max_tokens": tokens, "parameters": more}
        asked: dict[str, object] = {"model": model} if model else {}
        if self.kind == OLLAMA:
            kept = self.extra.get("options")
            options = {"num_predict": tokens, **cold, **(kept if isinstance(kept, dict) else {})}
            return {**asked, "prompt": prompt, "stream": stream, **self.extra, "options": options}
        if self.kind == TEXT:
            asked["prompt"] = prompt
        else:
            asked["messages"] = [{"role": "user", "content": prompt}]
        asked |= {"max_tokens": tokens, **cold, "stream": stream}
        if stream:
            asked["stream_options"] = {"include_usage": True}
        return {**asked, **self.extra}


def ways(path: str) -> tuple[Way, ...]:
    """The ways to ask for the path of an address, in order: one that ends like a way is the only one, another one
    stands in front of all."""
    base = path.rstrip("/")
    for ending, kind in _ENDINGS:
        if base.endswith(ending):
            return (Way(kind, base),)
    base = base.removesuffix("/v1")
    return tuple(Way(kind, base + kind) for kind in (TEXT, CHAT, NATIVE))


def triton(model: str) -> Way:
    """How Triton is asked for a model's text."""
    return Way(TRITON, TRITON.replace("{model}", quote(model, safe="")))


def base_of(path: str) -> str:
    """The path in front of the server's own paths: '' mostly."""
    base = ways(path)[0].path
    for ending, _kind in _ENDINGS:
        base = base.removesuffix(ending)
    return base.removesuffix("/v1")


# ------------------------------------------------------------ answers


def text_of(data: Mapping[str, object]) -> str:
    """The text of a completion, in any of the shapes, whole or a streamed piece; '' where there is none. Where a model
    thinks aloud and says nothing else, its thoughts."""
    said, thought = spoken(data)
    return said or thought


def spoken(data: Mapping[str, object]) -> tuple[str, str]:
    """(what it says, what it thinks)."""
    for key in ("content", "response", "text_output"):
        if isinstance(data.get(key), str):
            return str(data[key]), _text(data, "thinking")
    choice = _choice(data)
    if isinstance(choice.get("text"), str):
        return str(choice["text"]), ""
    said = choice.get("message") or choice.get("delta")
    if not isinstance(said, dict):
        return "", ""
    return _text(said, "content"), _text(said, "reasoning_content") or _text(said, "reasoning")


def tokens_of(data: Mapping[str, object]) -> int:
    """How many tokens the server says it made; 0 where it does not say."""
    usage = data.get("usage")
    if isinstance(usage, dict):
        return _count(usage.get("completion_tokens"))
    return _count(data.get("tokens_predicted")) or _count(data.get("eval_count"))


def prompt_tokens_of(data: Mapping[str, object]) -> int:
    """How many tokens the question had, by the server's count; 0 where it does not say."""
    usage = data.get("usage")
    if isinstance(usage, dict):
        return _count(usage.get("prompt_tokens"))
    return _count(data.get("tokens_evaluated")) or _count(data.get("prompt_eval_count"))


def rates_of(data: Mapping[str, object]) -> tuple[float, float]:
    """(tokens per second of generation, of the question) by the server's own clock: llama.cpp's and Ollama's; 0 where
    it does not say."""
    timings = data.get("timings")
    if isinstance(timings, dict):
        return _number(timings.get("predicted_per_second")), _number(timings.get("prompt_per_second"))
    return _per_second(data, "eval_count", "eval_duration"), _per_second(
        data, "prompt_eval_count", "prompt_eval_duration"
    )


def finished(data: Mapping[str, object]) -> bool:
    """The server says that this was all."""
    reason = _choice(data).get("finish_reason")
    if isinstance(reason, str) and reason:
        return True
    return data.get("stop") is True or data.get("done") is True or isinstance(data.get("text_output"), str)


def message(data: Json) -> str:
    """What an error document says: `{"error": {"message": …}}`, `{"error": …}` or `{"detail": …}`; '' if nothing."""
    error = data.get("error") or data.get("detail") or data.get("message") or ""
    if isinstance(error, dict):
        error = error.get("message") or error.get("type") or ""
    return error[:200] if isinstance(error, str) else ""


def _choice(data: Mapping[str, object]) -> Mapping[str, object]:
    choices = data.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    return first if isinstance(first, dict) else {}


def _text(entry: Mapping[str, object], key: str) -> str:
    found = entry.get(key)
    return found if isinstance(found, str) else ""


def _count(found: object) -> int:
    return found if isinstance(found, int) and not isinstance(found, bool) and 0 < found < 1_000_000 else 0


def _number(found: object) -> float:
    """A finite rate; 0 for anything else."""
    if isinstance(found, bool) or not isinstance(found, int | float):
        return 0.0
    return float(found) if 0 < found < 1e9 else 0.0


def _per_second(data: Mapping[str, object], count: str, took: str) -> float:
    seconds = _number(_nanoseconds(data.get(took)))
    return _count(data.get(count)) / seconds if seconds else 0.0


def _nanoseconds(found: object) -> float:
    """Seconds; 0 for anything else."""
    if isinstance(found, bool) or not isinstance(found, int | float):
        return 0.0
    return found / 1e9 if 0 < found < 1e18 else 0.0
