"""What a person reads when the daemon cannot even begin."""

import asyncio
from pathlib import Path

import pytest

from supervisor import daemon
from supervisor.config import Settings
from supervisor.errors import UsageError


def test_a_state_folder_that_cannot_be_made_is_one_sentence_that_says_what_to_do() -> None:
    with pytest.raises(UsageError, match=r"/proc/nope cannot be used: .* Run as root, or set RESURGAM_STATE_DIR"):
        asyncio.run(daemon.run(Settings(state_dir=Path("/proc/nope")), None))
