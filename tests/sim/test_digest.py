"""A seed is the same run on another Python and under another hash seed: nothing decides by a set's order."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
OTHER = ROOT / ".venv-3.12" / "bin" / "python"
SEEDS = ("3", "8", "11", "40")


def digests(python: Path, hash_seed: str) -> list[str]:
    env = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [str(python), "-m", "tests.sim.worlds", *SEEDS], capture_output=True, text=True, env=env, check=True, cwd=ROOT
    )
    return done.stdout.split()


def test_a_seed_is_the_same_run_on_every_python_and_hash_seed() -> None:
    here = Path(sys.executable)
    pythons = [here, *([OTHER] if OTHER.exists() else [])]
    assert OTHER.exists() or not os.environ.get("CI"), f"{OTHER} is missing: `make parts` makes it where there is 3.12"
    found = {f"{python} hash seed {seed}": digests(python, seed) for python in pythons for seed in ("0", "1")}
    first = next(iter(found.values()))
    assert len(first) == len(SEEDS)
    assert {name: each for name, each in found.items() if each != first} == {}
