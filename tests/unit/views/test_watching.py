"""Probes and targets as documents."""

import json

import pytest

from supervisor.views.watching import probes_document, targets_document
from tests.support.gpu_shown import probe, shown, target


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, "well"),
        ({"ok": False}, "failed"),
        ({"ok": False, "failing": True}, "failing"),
        ({"ok": False, "broken": True}, "broken"),
        ({"ok": False, "failing": True, "broken": True}, "broken"),
        ({"asleep": True}, "asleep"),
        ({"ok": False, "asleep": True}, "asleep"),
        ({"at": 0.0}, "unknown"),
    ],
)
def test_a_probe_has_one_word_for_how_it_is(changes: dict[str, object], state: str) -> None:
    (told,) = probes_document(shown(probes=(probe(**changes),)))
    assert told["state"] == state


def test_a_probe_tells_what_is_asked_and_how_long_it_took() -> None:
    slow, outside = probe(rate=41.26, text="12 tokens"), probe("router", service="", ok=False, text="nothing listens")
    first, second = probes_document(shown(probes=(slow, outside)))
    assert (first["address"], first["seconds"], first["rate"]) == ("http://:8000/health", 0.042, 41.3)
    assert (second["service"], second["rate"], second["text"]) == ("", None, "nothing listens")


def test_a_target_tells_what_was_taken_and_what_was_not() -> None:
    (told,) = targets_document(shown(targets=(target(left_out=3, text="3 samples are left out"),)))
    assert (told["job"], told["instance"], told["up"], told["samples"], told["left_out"]) == (
        *("node", "node:9100", True, 800, 3),
    )
    assert json.dumps(told, allow_nan=False)
