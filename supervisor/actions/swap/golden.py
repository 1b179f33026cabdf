"""A folder of golden files: NAME.prompt with NAME.expect (a regular expression) or NAME.answer (the exact answer).

From: the folder that `golden` of resurgam.yaml names. To: measuring.py, as canaries. Bounded; what cannot be used is
said, and never counts as right.
"""

import os
import stat
from pathlib import Path

from supervisor import units
from supervisor.facts import Canary

MOST, LARGEST = 64, 65_536
"""files, and bytes of each"""
TOKENS = 128


def read(folder: str) -> tuple[tuple[Canary, ...], tuple[str, ...]]:
    """(the canaries, by name; what is wrong, a sentence each)."""
    try:
        prompts = sorted(path for path in Path(folder).iterdir() if path.suffix == ".prompt")
    except OSError as err:
        return (), (f"the golden folder {folder} cannot be read: {err.strerror or err}",)
    found, wrong = [], []
    for path in prompts[:MOST]:
        try:
            found.append(_canary(path))
        except (OSError, ValueError) as err:
            wrong.append(f"the golden file {path.name} cannot be used: {err}")
    if len(prompts) > MOST:
        wrong.append(f"the golden folder {folder} has more than {MOST} prompts; the rest is not asked")
    if not prompts:
        wrong.append(f"the golden folder {folder} has no *.prompt")
    return tuple(found), tuple(wrong)


def _canary(path: Path) -> Canary:
    prompt, expect, answer = _text(path), path.with_suffix(".expect"), path.with_suffix(".answer")
    if not prompt.strip():
        raise ValueError("it is empty")
    if answer.is_file():
        return Canary(prompt, equals=_text(answer).strip(), tokens=TOKENS, name=path.stem)
    if not expect.is_file():
        raise ValueError(f"neither {expect.name} nor {answer.name} says what is expected")
    pattern = _text(expect).strip()
    units.regex(pattern)
    return Canary(prompt, matches=pattern, tokens=TOKENS, name=path.stem)


def _text(path: Path) -> str:
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe would wait for its writer
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise ValueError(f"{path.name} is no plain file")
        raw = file.read(LARGEST + 1)
    if len(raw) > LARGEST:
        raise ValueError(f"it is larger than {LARGEST} bytes")
    return raw.decode("utf-8")
