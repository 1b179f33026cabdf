"""From the text of an annotation to a verb with typed parameters: parsed, never executed.

The text comes from an alert's annotation `action` (or from `do:` in a playbook); it is split into words first, so that
no label value can add an argument, and each argument is filled in afterwards. The result goes to `choose`, the mistakes
to `check` and to people.
"""

import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from supervisor.verbs import VERBS
from supervisor.verdicts import Reason, Verdict, no, yes

Expand = Callable[[str], str]
"""Fills in the templates of one argument."""

_PARAMETER = re.compile(r"([A-Za-z_][A-Za-z0-9_-]*)=(.*)", re.DOTALL)
_KINDS = ("deployment", "deployments", "deploy", "deployment.apps", "statefulset", "statefulsets", "sts")
_LONGEST = 4096


@dataclass(frozen=True, slots=True)
class Action:
    """What is asked for. `target` '' and no `kube`: whatever the alert is about."""

    verb: str
    target: str = ""
    kube: tuple[tuple[str, str], ...] = ()
    """Kubernetes names instead of a target: (deployment, …), (namespace, …)"""
    params: tuple[tuple[str, str], ...] = ()

    @property
    def bare(self) -> bool:
        """Whether it names nothing but the verb."""
        given = VERBS[self.verb].params
        return not self.target and not self.kube and all(value == given[name].default for name, value in self.params)


def _as_is(text: str) -> str:
    return text


def bind(text: str, expand: Expand = _as_is) -> Action | Verdict:
    """The action that `text` stands for. A refusal with UNKNOWN_VERB means the text is only a hint for people; one with
    BAD_PARAMETER means it is meant for us and wrong."""
    try:
        words = split(text)
    except ValueError as err:
        return no(Reason.UNKNOWN_VERB, f"The action {_short(text)} cannot be read: {err}.")
    if not words:
        return no(Reason.UNKNOWN_VERB, "The action is empty.")
    try:
        if words[0] == "kubectl":
            return _kubectl(words[1:], expand)
        verb = VERBS.get(words[0])
        if verb is None or verb.internal:
            return no(Reason.UNKNOWN_VERB, _no_verb(text, words[0]))
        return _call(words[0], words[1:], expand)
    except _NotOurs as err:
        return no(Reason.UNKNOWN_VERB, f"{_short(text)} is only a hint for people: {err}.")
    except ValueError as err:
        return no(Reason.BAD_PARAMETER, f"The action {_short(text)} is wrong: {err}.")


def look(text: str) -> Verdict:
    """For `check`: whether the text binds, before any template is filled in; arguments with templates count as fine."""
    found = bind(text, lambda word: "{{}}" if "{{" in word else word)
    if isinstance(found, Verdict):
        return yes() if "{{" in text and found.reason is Reason.BAD_PARAMETER and "'{{}}'" in found.text else found
    return yes()


def split(text: str) -> list[str]:
    """The words of a text: quotes and `{{ … }}` keep one together, quotes are taken off. ValueError if one is open."""
    if len(text) > _LONGEST:
        raise ValueError(f"it is longer than {_LONGEST} characters")
    words: list[str] = []
    word, quote, started, at = "", "", False, 0
    while at < len(text):
        if text.startswith("{{", at):
            end = text.find("}}", at)
            if end < 0:
                raise ValueError("a {{ is not closed")
            word, started, at = word + text[at : end + 2], True, end + 2
            continue
        char = text[at]
        at += 1
        if quote:
            if char == quote:
                quote = ""
            elif char == "\\" and quote == '"' and at < len(text) and text[at] in '"\\':
                word, at = word + text[at], at + 1
            else:
                word += char
        elif char in "\"'":
            quote, started = char, True
        elif char.isspace():
            if started:
                words.append(word)
            word, started = "", False
        else:
            word, started = word + char, True
    if quote:
        raise ValueError(f"a {quote} is not closed")
    return [*words, word] if started else words


class _NotOurs(Exception):
    """It starts like something we know and is something else."""


def _call(name: str, words: Sequence[str], expand: Expand) -> Action:
    """`VERB [TARGET] [key=value …]` after the verb."""
    target = ""
    given: dict[str, str] = {}
    for word in words:
        match = _PARAMETER.fullmatch(word)
        if match:
            if match[1] in given:
                raise ValueError(f"{match[1]} is given twice")
            given[match[1]] = expand(match[2])
        elif target:
            raise ValueError(f"it names two targets, {target!r} and {word!r}; put values in quotes")
        else:
            target = expand(word)
            if not target:
                raise ValueError(f"its target {word!r} is empty here")
    return Action(name, target, (), checked(name, given))


def checked(name: str, given: dict[str, str]) -> tuple[tuple[str, str], ...]:
    """All parameters of a verb with defaults filled in; ValueError says what is wrong."""
    if name == "scale":
        if not given.get("replicas"):
            raise ValueError("scale needs replicas=0 or replicas=1")
        if given["replicas"].isdigit() and int(given["replicas"]) > 1:
            raise ValueError("a service is one container here, so replicas can be 0 or 1")
    return tuple(VERBS[name].check(given).items())


def _kubectl(words: Sequence[str], expand: Expand) -> Action:
    """`[-n NS] scale deployment|deploy|statefulset[/]NAME --replicas=N`, options anywhere."""
    namespace = replicas = ""
    plain: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        option, equals, value = word.partition("=")
        if option in ("-n", "--namespace", "--replicas"):
            if not equals:
                if not rest:
                    raise ValueError(f"{option} has no value")
                value = rest.pop(0)
            if option == "--replicas":
                replicas = value
            else:
                namespace = value
        elif word.startswith("-") and not word.startswith("--replicas"):
            raise _NotOurs(f"the option {option} of kubectl means nothing here")
        else:
            plain.append(word)
    if not plain or plain[0] != "scale":
        raise _NotOurs("of kubectl only `scale` is understood here")
    kind, slash, name = (plain[1] if len(plain) > 1 else "").partition("/")
    if kind.lower() not in _KINDS:
        raise _NotOurs(f"only a deployment or a statefulset can be scaled here, not {kind or 'nothing'!r}")
    names = [name, *plain[2:]] if slash else plain[2:]
    if len(names) != 1 or not names[0]:
        raise ValueError("it must name exactly one deployment or statefulset")
    kube = [("deployment", expand(names[0]))]
    if namespace:
        kube.append(("namespace", expand(namespace)))
    return Action("scale", "", tuple(kube), checked("scale", {"replicas": expand(replicas)}))


def _no_verb(text: str, word: str) -> str:
    known = [name for name, verb in VERBS.items() if not verb.internal]
    close = difflib.get_close_matches(word.lower()[:40], known, n=1, cutoff=0.75)
    guess = f"did you mean {close[0]!r}?" if close else f"verbs are: {', '.join(known)}."
    return f"{_short(text)} is only a hint for people: {_short(word)} is no verb; {guess}"


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:79] + "…")
