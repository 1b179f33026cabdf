"""The templates (Jinja) by which Home Assistant reads our documents and makes our commands.

In: keys of our own documents, and verbs. Out: text for the entities in host.py and service.py. Home Assistant runs
them with what we publish as `value_json`; a key that is missing there (an older daemon, a document that was cleared)
gives "unknown", never an error in its log. Keys and words here are ours; what a container chose comes in by
`names.quoted` alone.
"""

from collections.abc import Sequence

from supervisor.bus.homeassistant.names import quoted

DOCUMENT = "(value_json|default({}))"
"""what came, or nothing"""
EXPIRY = 60
"""seconds after which a command that could not be delivered is no longer meant (Home Assistant 2026.6 and later)"""


def at(*keys: str) -> str:
    """An expression: what stands under these keys, or none."""
    found = DOCUMENT
    for key in keys[:-1]:
        found = f"({found}.{key}|default({{}}))"
    return f"{found}.{keys[-1]}|default(none)"


def value(*keys: str) -> str:
    """What stands under these keys; `None`, which Home Assistant takes for unknown, where nothing does."""
    return f"{{{{ {at(*keys)} }}}}"


def scaled(*keys: str, by: float, digits: int) -> str:
    """A number under these keys, divided by `by`."""
    return f"{{% set n={at(*keys)} %}}{{{{ (n/{by:g})|round({digits}) if n is number else none }}}}"


def one_of(words: Sequence[str], *keys: str) -> str:
    """A word under these keys that is one of `words`; another one is unknown."""
    return f"{{% set w={at(*keys)} %}}{{{{ w if w in {_list(words)} else none }}}}"


def on_off(condition: str) -> str:
    """`ON` or `OFF`."""
    return f"{{{{ 'ON' if {condition} else 'OFF' }}}}"


def without(*keys: str) -> str:
    """The document as attributes, without what changes with every reading."""
    left = "".join(f"|rejectattr(0,'eq','{key}')" for key in keys)
    return f"{{{{ dict({DOCUMENT}.items(){left})|tojson }}}}"


def event(kinds: Sequence[str], what: dict[str, str]) -> str:
    """A CloudEvent as Home Assistant's event: its type is the last part of ours. `what`: attribute -> an expression
    over `e` (the event) and `d` (its data). Kinds that are not declared give nothing, and nothing happens then."""
    attributes = ",".join(f"'{name}':{expression}|default(none)" for name, expression in what.items())
    return (
        f"{{% set e={DOCUMENT} %}}{{% set d=e.data|default({{}}) %}}"
        "{% set k=(e.type|default('')|string).split('.')|last %}"
        f"{{% if k in {_list(kinds)} %}}{{{{ {{'event_type':k,{attributes}}}|tojson }}}}{{% endif %}}"
    )


def command(verb: str, target: str = "", guarded: bool = False, params: dict[str, str] | None = None) -> str:
    """The payload of a command: a new id for every press, the time, so that a late one is refused, and with `guarded`
    the `rev` of the document that the entity shows (its attribute), so that nothing is done to what has changed."""
    parts = [
        f'"id":"ha-{verb}-{{{{ now().timestamp() }}}}"',
        '"at":{{ now().timestamp() }}',
        f'"target":{quoted(target)}',
    ]
    if params:
        pairs = ",".join(f"{quoted(name)}:{quoted(word)}" for name, word in params.items())
        parts.append(f'"params":{{{pairs}}}')
    if guarded:
        parts.append("\"if_rev\":{{ state_attr(entity_id,'rev')|int(-1) }}")
    return "{" + ",".join(parts) + "}"


def _list(words: Sequence[str]) -> str:
    return "[" + ",".join(f"'{word}'" for word in words) + "]"


REV = f"{{{{ {{'rev':{at('rev')}}}|tojson }}}}"
"""the attribute that `command(guarded=True)` reads"""
