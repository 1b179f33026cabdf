"""Killed while it obeys a command of the bus: whoever repeats it hears the answer, and it is done once."""

import os
from pathlib import Path

import pytest

from tests.support.phone import Phone, key_file, signed
from tests.support.words import Words, told

VERBS = ["restart", "stop"]


async def until_answered(words: Words, where: str, body: dict[str, object]) -> dict[str, object]:
    """Say it again every few seconds, as a person who hears nothing does."""
    phone = Phone(words)
    for _ in range(10):
        answer = await phone.says(where, body)
        if answer is not None:
            return answer
        await words.run(4)
    raise AssertionError("nobody answered")


def points(folder: Path) -> int:
    """How many places there are to be killed at, from the command to the end of its plan."""

    async def story(words: Words) -> int:
        before = words.world.points
        body = signed("phone", "restart", {"id": "1", "target": "oracle"}, words.clock.wall())
        await until_answered(words, "phone/restart", body)
        await words.run(30)
        return words.world.points - before

    return told(
        story, playbooks="", commands={"principals": {"phone": {"verbs": VERBS, "secret_file": key_file(folder)}}}
    )


@pytest.mark.parametrize("sign", [True, False])
def test_a_command_is_obeyed_once_wherever_the_daemon_dies(sign: bool, tmp_path: Path) -> None:
    settings = {"principals": {"phone": {"verbs": VERBS, "secret_file": key_file(tmp_path)}}}
    count = points(tmp_path)
    assert count > 10
    later = range(5, count, 1 if os.environ.get("RESURGAM_SOAK") else 4)  # within the plan
    for point in (1, 2, 3, 4, *(later if sign else ())):

        async def story(words: Words, point: int = point) -> None:
            words.world.kill_at = frozenset({words.world.points + point})
            body: dict[str, object] = {"id": "1", "target": "oracle"}
            if sign:
                body = signed("phone", "restart", body, words.clock.wall())
            answer = await until_answered(words, "phone/restart", body)
            await words.run(120)
            assert words.world.lives == 2
            assert await until_answered(words, "phone/restart", body) == answer
            opened = [row for row in words.rows("action.planned") if row.body["verb"] == "restart"]
            assert len(opened) == (1 if sign else 0), f"killed at point {point}"
            assert len(words.rows("action.approval")) == (0 if sign else 1)
            assert answer["status"] == ("ok" if sign else "error")

        told(story, playbooks="", commands=settings)
