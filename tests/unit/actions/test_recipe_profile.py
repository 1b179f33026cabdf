"""The safe profile in a recipe: other variables and arguments, and the way back to exactly what was there."""

from dataclasses import replace
from typing import Any

import pytest

from supervisor.actions.recipe import profile
from supervisor.actions.recipe.profile import Changed
from supervisor.actions.recipe.traits import AMBIGUOUS, CHANGED, HIDDEN, KEPT, Trait
from supervisor.facts import Image, Json, SafeProfile
from supervisor.services import PROFILE_LABEL
from supervisor.verdicts import Reason, Verdict

IMAGE = Image("sha256:a", config={"Env": ["PATH=/bin", "MODE=fast"], "Cmd": ["serve"], "Entrypoint": ["/entry"]})
NEXT = Image("sha256:b", config={"Env": ["PATH=/bin", "MODE=faster"], "Cmd": ["serve2"], "Entrypoint": ["/entry"]})
SAFE = SafeProfile({"MODE": "slow", "OWN": "x", "NEW": "1"}, ("--careful",))


def raw(env: tuple[str, ...] = (), **more: Any) -> Json:
    config = {"Cmd": ["serve"], "Entrypoint": ["/entry"], "Labels": {"mine": "1"}, **more}
    return {"Config": {"Env": ["PATH=/bin", "MODE=fast", "OWN=secret", *env], **config}, "HostConfig": {"Memory": 7}}


def change(
    given: Json, wanted: str = "safe", before: Json | None = None, *, new: Image = IMAGE, **more: Any
) -> Changed:
    found = profile.changed(given, wanted, more.pop("safe", SAFE), before, more.pop("old", IMAGE), new, **more)
    assert isinstance(found, Changed), found
    return found


def refusal(given: Json, wanted: str, before: Json | None = None, **more: Any) -> Verdict:
    found = profile.changed(
        given, wanted, more.pop("safe", SAFE), before, more.pop("old", IMAGE), more.pop("new", IMAGE)
    )
    assert isinstance(found, Verdict)
    return found


def test_variables_and_arguments_change_and_nothing_else() -> None:
    old = raw()
    made = change(old).raw
    assert made["Config"]["Env"] == ["PATH=/bin", "MODE=slow", "OWN=x", "NEW=1"]
    assert made["Config"]["Cmd"] == ["serve", "--careful"]
    assert made["Config"]["Labels"] == {"mine": "1", PROFILE_LABEL: "safe"}
    assert (made["HostConfig"], made["Config"]["Entrypoint"]) == (old["HostConfig"], ["/entry"])
    assert old == raw(), "what came in stays as it is"


@pytest.mark.parametrize(
    "given",
    [
        raw(),
        raw(("NEW=0",), Cmd=["mine", "--x"]),
        raw(Entrypoint=["sh"], Cmd=None),
        raw(Entrypoint=["sh"], Cmd=["serve"]),
        raw(Cmd=[]),
    ],
)
@pytest.mark.parametrize("safe", [SAFE, SafeProfile({"MODE": "slow"}), SafeProfile(command=("only", "this"))])
def test_there_and_back_is_as_before(given: Json, safe: SafeProfile) -> None:
    there = change(given, safe=safe)
    assert there.raw != given
    assert change(there.raw, "normal", there.before, safe=None).raw == given


def test_a_command_stands_instead_of_its_own() -> None:
    assert change(raw(), safe=SafeProfile(command=("only", "this"))).raw["Config"]["Cmd"] == ["only", "this"]


def test_arguments_go_behind_those_of_the_next_image() -> None:
    assert change(raw(), new=NEXT).raw["Config"]["Cmd"] == ["serve2", "--careful"]
    assert change(raw(Cmd=["mine"]), new=NEXT).raw["Config"]["Cmd"] == ["mine", "--careful"]


def test_what_the_image_brought_is_the_images_again_also_where_that_is_another_one() -> None:
    there = change(raw())
    assert there.before == {"env": {"MODE": None, "OWN": "secret", "NEW": None}, "cmd_of_image": True}
    back = change(there.raw, "normal", there.before, old=NEXT, new=NEXT).raw["Config"]
    assert (back["Env"], back["Cmd"]) == (["PATH=/bin", "MODE=faster", "OWN=secret"], ["serve2"])


def test_what_keep_env_names_was_meant() -> None:
    assert change(raw(), keep_env=("MODE",)).before["env"]["MODE"] == "fast"


def test_what_changed_meanwhile_stays() -> None:
    there = change(raw())
    config = {**there.raw["Config"], "Env": [*there.raw["Config"]["Env"], "LATER=1"]}
    assert "LATER=1" in change({**there.raw, "Config": config}, "normal", there.before).raw["Config"]["Env"]


def test_without_the_word_everything_stays() -> None:
    there = change(raw()).raw
    assert change(there, "") == Changed(there, {})


def test_what_cannot_be_is_refused() -> None:
    there = change(raw())
    labelled = replace(IMAGE, config={**IMAGE.config, "Labels": {PROFILE_LABEL: "safe"}})
    assert refusal(raw(), "safe", safe=None).reason is Reason.UNSUPPORTED
    assert refusal(there.raw, "safe").reason is Reason.ALREADY_DONE
    assert refusal(raw(), "normal", there.before).reason is Reason.ALREADY_DONE
    assert refusal(there.raw, "normal").reason is Reason.UNFAITHFUL
    assert refusal(raw(), "safe", old=labelled).reason is Reason.UNFAITHFUL
    assert refusal(raw(), "safe", new=labelled).reason is Reason.UNFAITHFUL


def test_people_are_told_names_and_never_values() -> None:
    there = change(raw())
    back = change(there.raw, "normal", there.before)
    assert there.notes == ("Changed by its safe profile: MODE, OWN, NEW, its arguments.",)
    assert back.notes == ("Changed back to what it was before its safe profile: MODE, OWN, NEW, its arguments.",)
    assert change(raw(), "").notes == ()


def test_in_the_fidelity_report_it_is_meant_and_masked() -> None:
    there = change(raw())
    other = Trait(KEPT, "env PATH", "/bin", "/bin")
    found = profile.meant(
        (Trait(AMBIGUOUS, "env OWN", "secret", ""), Trait(KEPT, "command", "serve", "x"), other), there
    )
    assert found == (
        Trait(CHANGED, "env OWN", HIDDEN, "", "by its safe profile"),
        Trait(CHANGED, "command", HIDDEN, HIDDEN, "by its safe profile"),
        other,
    )
