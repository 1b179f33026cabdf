"""Who is told, and a version 1 group in a folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.memory_news import First, Heard, first_group


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[First]:
    yield from first_group(tmp_path, monkeypatch)
