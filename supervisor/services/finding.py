"""Which service is meant: from a word a person wrote, or an alert's labels, to service ids.

Comes from the core's commands, rules and playbooks; the registry calls it with the services as they stand. More than
one answer means that the word is ambiguous: the caller then does nothing and says so.
"""

from collections.abc import Callable, Mapping, Sequence

from supervisor.facts import Service
from supervisor.services.names import PROJECT_KEY, SERVICE_KEY

Known = tuple[Service, Mapping[str, str]]
"""a service, and the labels its series carry (which outlive its container)"""
Test = Callable[[Known], bool]


def find(services: Sequence[Known], target: str | Mapping[str, str]) -> tuple[str, ...]:
    """The ids meant by a word, or by labels (`name`, `project`, `service`, `deployment`, `container`, `pod`,
    `namespace`): those of the first kind of name that matches anything, in order of id."""
    ladder = _by_word(target) if isinstance(target, str) else _by_labels(target)
    for test in ladder:
        found = tuple(known[0].id for known in services if test(known))
        if found:
            return found
    return ()


def _by_word(word: str) -> tuple[Test, ...]:
    if not word:
        return ()
    return (
        lambda known: known[0].id == word,
        lambda known: word in known[0].needs.aliases,
        lambda known: word in (_kube(known, "deployment"), _kube(known, "container")),
        lambda known: known[1].get(SERVICE_KEY) == word,
        lambda known: known[1].get("name") == word,
    )


def _by_labels(given: Mapping[str, str]) -> tuple[Test, ...]:
    asked = {key: value for key, value in given.items() if value}
    namespace = asked.pop("namespace", "")

    def here(test: Test) -> Test:
        return lambda known: test(known) and (not namespace or (_kube(known, "namespace") or "default") == namespace)

    if "pod" in asked:
        return (here(lambda known: known[0].id == asked["pod"]),)
    if "deployment" in asked:
        return (here(lambda known: _kube(known, "deployment") == asked["deployment"]),)
    if "project" in asked:
        project, service = asked["project"], asked.get("service", "")
        return (lambda known: known[1].get(PROJECT_KEY) == project and known[1].get(SERVICE_KEY) == service,)
    if "container" in asked:
        word = asked["container"]
        return tuple(here(test) for test in (lambda known: _kube(known, "container") == word, *_by_word(word)))
    return _by_word(asked.get("name") or asked.get("service") or "")


def _kube(known: Known, key: str) -> str:
    return known[0].needs.kube.get(key, "")
