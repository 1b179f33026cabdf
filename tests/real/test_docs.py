"""The blocks marked `sh run` do what a reader would see: they run in a checkout and end well."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.docs import ROOT, Block, all_blocks

pytestmark = pytest.mark.real

RUN = [block for block in all_blocks() if block.mark == "sh run"]


@pytest.mark.parametrize("block", RUN, ids=lambda block: f"{block.page}-{block.text.splitlines()[0]}")
def test_a_block_that_is_marked_as_run_runs(block: Block, tmp_path: Path) -> None:
    command = tmp_path / "bin" / "resurgam"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m supervisor.cli.main "$@"\n')
    command.chmod(0o755)
    env = {
        **os.environ,
        "PATH": f"{command.parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "RESURGAM_STATE_DIR": str(tmp_path / "state"),
    }
    done = subprocess.run(
        ["sh", "-e", "-c", block.text], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout
