"""Labels and `services:` entries as needs: the entry wins, and no label can break anything."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.config import ServiceSettings, needs_from
from supervisor.config.needs import KEYS
from supervisor.facts import Needs


def test_no_labels_are_the_defaults() -> None:
    assert needs_from({}) == (Needs(), ())
    assert needs_from({"com.docker.compose.project": "ai", "resurgam.enable": "true"}, ServiceSettings()) == (
        Needs(),
        (),
    )


def test_labels_are_read() -> None:
    needs, problems = needs_from(
        {
            "resurgam.probe": "http://:8000/health",
            "resurgam.startup": "25m",
            "resurgam.stop-grace": "90s",
            "resurgam.exclusive": "gpu:0, big-model",
            "resurgam.priority": "-5",
            "resurgam.depends": "ai.qdrant letta",
            "resurgam.stateful": "True",
            "resurgam.aliases": "oracle",
            "resurgam.memory": "90GiB",
            "resurgam.vram": "0:90GiB,1:30GiB",
            "resurgam.boot": "ordered",
        }
    )
    assert problems == ()
    assert needs == Needs(
        probe="http://:8000/health",
        probe_from_label=True,
        startup=1500.0,
        startup_declared=True,
        memory=90 << 30,
        vram=(("0", 90 << 30), ("1", 30 << 30)),
        boot="ordered",
        stop_grace=90.0,
        exclusive=("gpu:0", "big-model"),
        priority=-5,
        depends=("ai.qdrant", "letta"),
        stateful=True,
        aliases=("oracle",),
    )


def test_the_entry_wins_and_its_probe_is_the_owners() -> None:
    entry = ServiceSettings.model_validate(
        {"probe": "tcp://otherhost:6333", "startup": "1m", "stateful": False, "kube": {"container": "ktransformers"}}
    )
    labels = {
        "resurgam.probe": "http://:1/",
        "resurgam.startup": "9m",
        "resurgam.stateful": "true",
        "resurgam.priority": "3",
    }
    needs, problems = needs_from(labels, entry)
    assert problems == ()
    assert (needs.probe, needs.probe_from_label) == ("tcp://otherhost:6333", False)
    assert (needs.startup, needs.stateful, needs.priority) == (60.0, False, 3)
    assert needs.kube == {"container": "ktransformers"}


@pytest.mark.parametrize(
    ("label", "value", "why"),
    [
        ("probe", "http://169.254.169.254/", "may only reach its own container"),
        ("probe", "file:///etc/passwd", "not a probe's address"),
        ("startup", "soon", "write it like 90s"),
        ("startup", "0", "longer than 0"),
        ("stop-grace", "400d", "longer than 90 days"),
        ("priority", "high", "not a whole number from -1000 to 1000"),
        ("stateful", "yes", "neither true nor false"),
        ("exclusive", "a b;rm", "not a single word"),
        ("aliases", " ".join(f"w{n}" for n in range(40)), "at most 16"),
        ("depends", "x" * 5000, "longer than 1000 characters"),
    ],
)
def test_a_bad_label_is_a_sentence_and_counts_as_not_set(label: str, value: str, why: str) -> None:
    needs, problems = needs_from({f"resurgam.{label}": value})
    assert needs == Needs()
    assert len(problems) == 1
    assert problems[0].startswith(f"the label resurgam.{label} does not count: ")
    assert why in problems[0]


def test_a_misspelt_label_is_pointed_out() -> None:
    _, problems = needs_from({"resurgam.stop_grace": "5s", "resurgam.something-else": "x"})
    assert problems == ("the label resurgam.stop_grace is unknown; did you mean resurgam.stop-grace?",)


LETTERS = "019hmsGiB.,:/- \t\n\x00truefalscp\u20ac\ud800\U0001f600[]@"


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.sampled_from([f"resurgam.{key}" for key in KEYS]), st.text(LETTERS, max_size=20)))
def test_no_label_value_raises_and_every_sentence_is_bounded(labels: dict[str, str]) -> None:
    needs, problems = needs_from(labels)
    assert 0 < needs.startup <= 90 * 86400
    assert all(len(text) <= 500 and "\n" not in text for text in problems)
