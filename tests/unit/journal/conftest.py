"""A folder in memory for the tests that open hundreds of journals: they are about content, not about the disk."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def ram(tmp_path: Path) -> Iterator[Path]:
    """A folder on a memory file system where there is one, else a plain temporary one."""
    memory = Path("/dev/shm")
    if not memory.is_dir():
        yield tmp_path
        return
    folder = Path(tempfile.mkdtemp(prefix="resurgam-test-", dir=memory))
    yield folder
    shutil.rmtree(folder)
