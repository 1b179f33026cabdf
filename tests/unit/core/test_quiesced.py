"""What words mean a card, and when a card is well enough for what was stopped for it. The stories are in tests/sim."""

from dataclasses import replace
from typing import Any

import pytest

from supervisor.core.quiesced import aimed, called, is_well
from supervisor.facts import Gpu, GpuState, XidEpisode
from supervisor.verbs import VERBS
from supervisor.verdicts import Reason

UUID, BUS = "GPU-1f0c7a52-6f0e", "00000000:17:00.0"
CARD = Gpu(UUID, 0, "NVIDIA H200", BUS, recovery="none")
STATE = GpuState(cards=(CARD,), expected=1)


class Core:
    """As much of the core as words need."""

    class gpu:
        @staticmethod
        def state(_core: Any) -> GpuState:
            return STATE


def meant(verb: str, word: str) -> Any:
    return aimed(Core(), VERBS[verb], word)  # type: ignore[arg-type]


@pytest.mark.parametrize("word", ["gpu:0", UUID, "GPU-1f0c", f"gpu:{UUID}", f"gpu:{BUS}"])
def test_words_that_mean_a_card(word: str) -> None:
    for verb in ("quiesce", "gpu-reset", "reboot"):
        assert meant(verb, word) == (f"gpu:{UUID}", None)


def test_an_index_alone_is_a_card_only_where_no_service_can_be_meant() -> None:
    assert meant("gpu-reset", "0") == (f"gpu:{UUID}", None)
    assert meant("quiesce", "0") is None
    assert meant("restart", "gpu:0") is None


def test_the_machine_and_what_is_not_there() -> None:
    assert meant("reboot", "") == ("host", None)
    assert meant("reboot", "host") == ("host", None)
    target, refused = meant("gpu-reset", "gpu:7")
    assert (target, refused.reason) == ("", Reason.NO_TARGET)
    assert "there are: gpu:0" in refused.text


def test_what_it_is_called() -> None:
    assert called(UUID, STATE) == "GPU 0"
    assert called("GPU-gone", STATE) == "GPU-gone"


def episode(**more: Any) -> XidEpisode:
    given: dict[str, Any] = {"uuid": UUID, "bus_id": BUS}
    return XidEpisode("gpu-1", first_at=1.0, last_at=1.0, root=79, kind="bus", remedy="reboot", **(given | more))


def test_a_card_is_well() -> None:
    assert is_well(UUID, STATE)
    assert is_well(UUID, replace(STATE, cards=(replace(CARD, recovery=""),))), "some drivers do not tell"
    assert is_well(
        UUID, replace(STATE, episodes=(episode(drill=True), episode(over=True), episode(uuid="x", bus_id="")))
    )
    asleep = replace(STATE, trouble="asleep", cards=(replace(CARD, up=False),))
    assert is_well(UUID, asleep), "nobody works on it, so it sleeps"


@pytest.mark.parametrize(
    "state",
    [
        replace(STATE, trouble="hung"),
        replace(STATE, quiet="XID 119"),
        replace(STATE, released=5.0),
        replace(STATE, cards=()),
        replace(STATE, cards=(replace(CARD, up=False),)),
        replace(STATE, cards=(replace(CARD, present=False),)),
        replace(STATE, cards=(replace(CARD, recovery="reset"),)),
        replace(STATE, episodes=(episode(),)),
        replace(STATE, episodes=(episode(uuid=""),)),
        replace(STATE, trouble="asleep", cards=(replace(CARD, recovery="reboot"),)),
    ],
)
def test_a_card_is_not_well(state: GpuState) -> None:
    assert not is_well(UUID, state)
