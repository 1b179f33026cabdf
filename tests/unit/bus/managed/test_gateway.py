"""The address at which containers reach the managed broker: looked up, remembered, and missed in words."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from supervisor.bus.managed.gateway import Gateway
from supervisor.errors import EngineGone, NotFound

Look = Callable[[str], Awaitable[str]]


def saying(answer: str | Exception) -> Look:
    async def look(network: str) -> str:
        assert network == "ai"
        if isinstance(answer, Exception):
            raise answer
        return answer

    return look


def asked(folder: Path, look: Look | None) -> tuple[str, str]:
    gateway = Gateway("ai", folder, look)
    return asyncio.run(gateway.address()), gateway.trouble


def test_an_address_of_this_machine_is_listened_at_and_remembered(tmp_path: Path) -> None:
    assert asked(tmp_path, saying("127.0.0.1")) == ("127.0.0.1", "")
    for look in (None, saying(EngineGone("gone"))):
        assert asked(tmp_path, look) == ("127.0.0.1", "")
    assert asyncio.run(Gateway("another", tmp_path, None).address()) == ""


@pytest.mark.parametrize(
    ("look", "words"),
    [
        (saying(NotFound("no")), "there is no such network; create it"),
        (saying(EngineGone("the engine does not answer")), "the engine does not tell its address"),
        (saying(""), "it has no gateway; name a bridge network"),
        (saying("192.0.2.1"), "192.0.2.1 is no address of this machine"),
        (None, "the daemon has not looked its address up yet"),
    ],
)
def test_without_one_the_broker_runs_and_a_sentence_says_why(look: Look | None, words: str, tmp_path: Path) -> None:
    address, trouble = asked(tmp_path, look)
    assert address == ""
    assert trouble.startswith("Containers of ai do not reach the broker: ")
    assert words in trouble


def test_a_network_that_is_gone_is_not_listened_at_from_memory(tmp_path: Path) -> None:
    asked(tmp_path, saying("127.0.0.1"))
    assert asked(tmp_path, saying(NotFound("no")))[0] == ""
