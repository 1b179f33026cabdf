"""Which kind of server answers at an address: found out by questions that wake, load and disturb nothing.

From: hands.py, where nobody declared it. To: the adapter. Its list of models comes first, since most say there whose
it is; then each kind's own address, in the order in which they are told apart; a server that only lists a model as
OpenAI does is taken for that.
"""

from collections.abc import Mapping

from supervisor.clock import Clock
from supervisor.errors import ServerError
from supervisor.servers import described, generic, llama, ollama, vllm
from supervisor.servers.adapter import LOGIN, POLL, Adapter, document, entries, wants_key
from supervisor.servers.generic import Generic
from supervisor.servers.llama import Llama
from supervisor.servers.ollama import Ollama
from supervisor.servers.places import Asking
from supervisor.servers.resident import owner, status
from supervisor.servers.understood import Said
from supervisor.servers.vllm import Vllm

_LAST = "openai"
_AFTER = 42
"""rank of the described kinds that are asked before Ollama: some of them speak its API, too"""
_GREETING = "Ollama is running"
_OWNERS = {"llamacpp": llama.NAME, "vllm": vllm.NAME}


class Loading(ServerError):
    """It answers, and says that it loads; which kind it is can be told later."""


def adapters(clock: Clock, poll: float = POLL) -> Mapping[str, Adapter]:
    """All kinds, by the word in `server:`. `poll`: seconds between two looks while something is awaited."""
    own: tuple[Adapter, ...] = (Llama(clock, poll), Ollama(clock, poll), Vllm(clock, poll))
    return {one.name: one for one in own} | {
        name: Generic(one, clock, poll) for name, one in described.shipped().items()
    }


def kinds() -> tuple[str, ...]:
    """What may stand in `server:`, for `resurgam check`."""
    return (llama.NAME, ollama.NAME, vllm.NAME, *described.shipped())


async def find(known: Mapping[str, Adapter], door: Asking, key: str, within: float, clock: Clock) -> Adapter:
    """Who answers there. ServerError where nobody does, or what answers is no model server that is known."""
    ends = clock.mono() + within

    def left() -> float:
        return max(0.05, ends - clock.mono())

    bearer = {"Authorization": f"Bearer {key}"} if key else {}
    said = await door.ask("GET", "/v1/models", None, bearer, left())
    if said.status == 503 and "load" in said.text.lower():
        raise Loading("It is loading its model.")
    name = by_list(known, said)
    if name:
        return known[name]
    data = [one for one in known.values() if isinstance(one, Generic) and one.name != _LAST]
    early = [one for one in data if one.kind.rank < _AFTER]
    found = await generic.found(early, door, key, left())
    if found is None and await _greets(door, left()):
        return known[ollama.NAME]
    found = found or await generic.found([one for one in data if one not in early], door, key, left())
    if found is not None:
        return found
    if "default_generation_settings" in document(await door.ask("GET", "/props", None, bearer, left())):
        return known[llama.NAME]
    if entries(said, "data"):
        return known[_LAST]
    if said.status in LOGIN:
        raise ServerError(f"{wants_key('The server', said)}.")
    raise ServerError("It is no model server that is known here; name its kind with server:, or take the model out.")


def by_list(known: Mapping[str, Adapter], said: Said) -> str:
    """The kind, by what its list of models says of itself; '' where that does not tell."""
    listed = entries(said, "data")
    whose = owner(listed)
    if whose in _OWNERS:
        return _OWNERS[whose]
    for one in known.values():
        if isinstance(one, Generic) and one.kind.owner and one.kind.owner.lower() == whose:
            return one.name
    return llama.NAME if any(status(one) for one in listed) else ""


async def _greets(door: Asking, within: float) -> bool:
    try:
        said = await door.ask("GET", "/", None, {}, within)
    except ServerError:
        return False
    return said.status == 200 and said.text.startswith(_GREETING)
