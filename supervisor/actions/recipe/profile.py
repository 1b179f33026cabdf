"""The safe profile of a service: its container's inspect with other variables and arguments, and the way back. Pure.

From: prepare.py and preview.py, before a recipe is made, so that everything after it (the recipe, the proof that it was
made as it should be) takes the changed inspect for the old container's. To: the same; what stood before goes into the
plan's marks and, with the commit, into the journal (core/profiles.py): values of variables and arguments stay there.
What the image brought is not kept as a value: on the way back it is the image's again, also where that is another one.
"""

import copy
from collections.abc import Iterable
from dataclasses import dataclass, replace

from supervisor.actions.recipe.raw import items, part, variable, variables
from supervisor.actions.recipe.traits import CHANGED, HIDDEN, Trait
from supervisor.facts import Image, Json, Plan, SafeProfile
from supervisor.incidents.profile import NORMAL, SAFE
from supervisor.services import PROFILE_LABEL
from supervisor.verdicts import Reason, Verdict, no

_CMD, _CMD_OF_IMAGE = "cmd", "cmd_of_image"


@dataclass(frozen=True, slots=True)
class Changed:
    """The inspect that a recipe is made of."""

    raw: Json
    before: Json
    """what the profile took the place of, for the way back; empty where that is what is gone"""
    touched: tuple[str, ...] = ()
    """what of the container is not as it was, as the fidelity report names it"""
    how: str = ""
    """why, for the fidelity report"""

    @property
    def notes(self) -> tuple[str, ...]:
        """What the profile changes, in sentences without a value."""
        names = [what.removeprefix("env ") for what in self.touched if what.startswith("env ")]
        command = ["its arguments"] if "command" in self.touched else []
        listed = ", ".join([*names[:10], *([f"{len(names) - 10} more"] if len(names) > 10 else []), *command])
        return (f"Changed {self.how}: {listed}.",) if listed else ()


def changed(
    raw: Json,
    wanted: str,
    profile: SafeProfile | None,
    before: Json | None,
    old: Image | None,
    new: Image,
    keep_env: tuple[str, ...] = (),
) -> Changed | Verdict:
    """The inspect for `phoenix profile=…`, or why it cannot be; as it is where no profile is wanted. `before`: what the
    journal keeps of the profile it has, None where that is nothing. `old`, `new`: its image and the next one."""
    if not wanted:
        return Changed(raw, {})
    base = old.config if old is not None else {}
    if PROFILE_LABEL in part(base, "Labels") or PROFILE_LABEL in part(new.config, "Labels"):
        text = f"Its image carries {PROFILE_LABEL}, which only Resurgam may set; build it without that label."
        return no(Reason.UNFAITHFUL, text)
    has = part(part(raw, "Config"), "Labels").get(PROFILE_LABEL) == SAFE
    if has == (wanted == SAFE):
        return no(Reason.ALREADY_DONE, f"It {'has its safe profile' if has else 'runs as it always does'} already.")
    if wanted == SAFE:
        if profile is None:
            return no(Reason.UNSUPPORTED, "It declares no safe profile any more.")
        return safe(raw, profile, base, new, keep_env)
    if wanted != NORMAL or before is None:
        text = "What it had before its safe profile is not known any more; recreate it from its compose file."
        return no(Reason.UNFAITHFUL, text)
    return normal(raw, before, base)


def of_plan(plan: Plan, raw: Json, old: Image | None, new: Image) -> Changed | Verdict:
    """`changed`, as a plan wants it."""
    wanted, needs = plan.params.get("profile", ""), plan.needs
    return changed(raw, wanted, needs.safe, plan.found.get("profile"), old, new, needs.keep_env)


def safe(raw: Json, profile: SafeProfile, base: Json, new: Image, keep_env: tuple[str, ...] = ()) -> Changed:
    """The inspect with the profile in it. A variable that nobody had set is remembered as None."""
    made = copy.deepcopy(raw)
    config = made.setdefault("Config", {})
    pairs = [str(pair) for pair in items(config, "Env")]
    have, inbuilt = variables(pairs), variables(base.get("Env"))
    own = {name: value for name, value in have.items() if name in keep_env or inbuilt.get(name) != value}
    before: Json = {"env": {name: own.get(name) for name in profile.env}}
    config["Env"] = _with(pairs, dict(profile.env))
    touched = [*(f"env {name}" for name in profile.env)]
    if profile.args or profile.command:
        given = config.get("Cmd")
        of_image = given == base.get("Cmd") and (config.get("Entrypoint") or None) == (base.get("Entrypoint") or None)
        before |= {_CMD_OF_IMAGE: True} if of_image else {_CMD: copy.deepcopy(given)}
        words = [str(word) for word in items(new.config if of_image else config, "Cmd")]
        config["Cmd"] = [*(profile.command or words), *profile.args]
        touched.append("command")
    config["Labels"] = {**part(config, "Labels"), PROFILE_LABEL: SAFE}
    return Changed(made, before, (*touched, f"label {PROFILE_LABEL}"), "by its safe profile")


def normal(raw: Json, before: Json, base: Json) -> Changed:
    """The inspect as it was before `safe`; what else was changed since stays."""
    made = copy.deepcopy(raw)
    config = made.setdefault("Config", {})
    inbuilt, env = variables(base.get("Env")), part(before, "env")
    back = {name: inbuilt.get(name) if value is None else str(value) for name, value in env.items()}
    config["Env"] = _with([str(pair) for pair in items(config, "Env")], back)
    touched = [f"env {name}" for name in env]
    if _CMD in before or _CMD_OF_IMAGE in before:
        config["Cmd"] = copy.deepcopy(before[_CMD] if _CMD in before else base.get("Cmd"))
        touched.append("command")
    config["Labels"] = {name: value for name, value in part(config, "Labels").items() if name != PROFILE_LABEL}
    return Changed(made, {}, (*touched, f"label {PROFILE_LABEL}"), "back to what it was before its safe profile")


def meant(traits: Iterable[Trait], change: Changed) -> tuple[Trait, ...]:
    """A fidelity report in which the profile's part counts as meant; no value of it is shown."""
    return tuple(_meant(trait, change.how) if trait.what in change.touched else trait for trait in traits)


def _meant(trait: Trait, how: str) -> Trait:
    if trait.what.startswith("label "):
        return replace(trait, kind=CHANGED, how=how)
    before, after = (HIDDEN if value else "" for value in (trait.before, trait.after))
    return replace(trait, kind=CHANGED, before=before, after=after, how=how)


def _with(pairs: list[str], wanted: dict[str, str | None]) -> list[str]:
    """The variables with these in their places; new ones behind, those that are None left out."""
    kept = []
    left = dict(wanted)
    for pair in pairs:
        name = variable(pair)[0]
        if name not in wanted:
            kept.append(pair)
        elif (value := left.pop(name, None)) is not None:
            kept.append(f"{name}={value}")
    return [*kept, *(f"{name}={value}" for name, value in left.items() if value is not None)]
