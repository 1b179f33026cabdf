"""The closed table of verbs: what a file, a message or a person can ask for, and nothing else."""

import pytest

from supervisor.verbs import VERBS, Disturbance, disturbance


def test_the_table_has_nothing_that_runs_a_command() -> None:
    assert sorted(VERBS) == [
        *("bench", "drop-cache", "freeze", "fuse", "gpu-reset", "keep", "load", "notify", "phoenix", "protect"),
        *("quiesce", "raise-limit", "reboot", "reclaim", "release", "restart", "rollback", "scale", "sleep", "start"),
        *("stop", "swap", "thaw", "unfuse", "unload", "wake"),
    ]
    assert [name for name, verb in VERBS.items() if verb.internal] == ["protect", "release"]


def test_parameters_have_defaults_and_only_those_of_the_verb_are_known() -> None:
    assert VERBS["phoenix"].check({}) == {"image": "last-known-good", "profile": "", "within": ""}
    with pytest.raises(ValueError, match="phoenix has no parameter 'imgae'; it knows: image, profile, within"):
        VERBS["phoenix"].check({"imgae": "x"})
    with pytest.raises(ValueError, match="it knows: none"):
        VERBS["start"].check({"force": "yes"})


@pytest.mark.parametrize("image", ["", "-x", "a b", "x" * 513])
def test_an_image_parameter_cannot_be_an_option_or_two_words(image: str) -> None:
    with pytest.raises(ValueError, match="not an image reference"):
        VERBS["phoenix"].check({"image": image})


@pytest.mark.parametrize("count", ["-1", "1.5", "many", "1001"])
def test_a_count_is_a_small_whole_number(count: str) -> None:
    with pytest.raises(ValueError, match="is not a count"):
        VERBS["scale"].check({"replicas": count})


@pytest.mark.parametrize("size", ["much", "-1GiB", "1GiBs"])
def test_a_size_is_written_as_sizes_are(size: str) -> None:
    assert VERBS["fuse"].check({}) == {"at": "", "for": "10m"}
    assert VERBS["fuse"].check({"at": "4GiB"})["at"] == "4GiB"
    with pytest.raises(ValueError, match="is not a size"):
        VERBS["fuse"].check({"at": size})


def test_scaling_down_is_an_emergency_and_scaling_up_disturbs() -> None:
    assert disturbance("scale", {"replicas": "0"}) is Disturbance.EMERGENCY
    assert disturbance("scale", {"replicas": "1"}) is Disturbance.DISRUPTIVE
    assert disturbance("notify", {}) is Disturbance.HARMLESS
