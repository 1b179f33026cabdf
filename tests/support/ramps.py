"""A box of its own for programs that take memory: one control group with a limit, and containers in it.

From: tests/real/test_memory_ramps.py and tests/bench/memory_victims.py. To: the engine and the kernel. Whatever goes
wrong in it, the kernel kills inside this group only; each program (ramp.py) has a cap and a life of its own, too. The
programs are run by the host's Python, whose folders the containers see read-only. Where the engine lets systemd keep
its groups the box is a slice; else it is a plain group, in whatever version of control groups there is.
"""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import docker.errors

from tests.support.daemon import Hands, until
from tests.support.killable import VIEW

MIB = 1 << 20
GREATEST = 2048
"""MiB that a box has at most"""
RAMP = Path(__file__).with_name("ramp.py")
ROOT = Path("/sys/fs/cgroup")
FIRST = (ROOT / "memory/memory.usage_in_bytes").exists()
"""the memory controller is version 1 here"""
LIFE = 300.0
"""seconds that a program lives at most"""


def group(name: str) -> Path:
    """The folder of a box's memory."""
    return ROOT / "memory" / name if FIRST else ROOT / name


def make_group(name: str, mib: int, *, swap: bool) -> None:
    """A group with a limit that also holds for everything below it. `swap`: it may use what the machine has of it."""
    assert mib <= GREATEST
    folder = group(name)
    folder.mkdir(exist_ok=True)
    if FIRST:
        if (folder / "memory.use_hierarchy").exists():
            _write(folder / "memory.use_hierarchy", 1)
        _write(folder / "memory.limit_in_bytes", mib * MIB)
        if (folder / "memory.memsw.limit_in_bytes").exists() and not swap:
            _write(folder / "memory.memsw.limit_in_bytes", mib * MIB)
        return
    with contextlib.suppress(OSError):
        _write(ROOT / "cgroup.subtree_control", "+memory")
    _write(folder / "memory.max", mib * MIB)
    if (folder / "memory.swap.max").exists() and not swap:
        _write(folder / "memory.swap.max", 0)
    with contextlib.suppress(OSError):  # so that what is made below it is counted by itself
        _write(folder / "cgroup.subtree_control", "+memory")


def remove_group(name: str) -> None:
    """Remove it in all hierarchies, with what is left below it; its processes must have ended."""
    roots = [ROOT, *(each for each in sorted(ROOT.iterdir()) if each.is_dir())] if FIRST else [ROOT]
    for folder in (root / name for root in roots):
        if folder.is_dir():
            for inside in sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True):
                _vanish(inside)
            _vanish(folder)


def make_slice(name: str, mib: int, *, swap: bool) -> None:
    """The same as a slice of systemd's, until `remove_slice` or the next boot."""
    assert mib <= GREATEST
    limits = [f"MemoryMax={mib}M", *([] if swap else ["MemorySwapMax=0"])]
    _systemctl("set-property", "--runtime", name, *limits)
    _systemctl("start", name)


def remove_slice(name: str) -> None:
    """Take the slice and its limits away."""
    _systemctl("stop", name)
    _systemctl("revert", name)


def _systemctl(*words: str) -> None:
    subprocess.run(["systemctl", *words], check=True, capture_output=True, timeout=60)


def _vanish(folder: Path) -> None:
    def gone() -> bool:
        with contextlib.suppress(OSError):
            folder.rmdir()
        return not folder.exists()

    until(gone, 20, f"{folder} is empty")


def _write(file: Path, value: object) -> None:
    file.write_text(str(value))


class Box:
    """One group and its containers. `word` is in every name, and the view that a daemon is given (killable.py)."""

    def __init__(self, person: Hands, word: str, mib: int, *, swap: bool = False) -> None:
        self.person, self.word = person, word
        self._slice = person.api.info()["CgroupDriver"] == "systemd"
        self.group = f"{person.prefix}{word}{'.slice' if self._slice else ''}"
        self.go = Path(f"/tmp/{person.prefix}-{word}-go")
        self._names: list[str] = []
        try:
            self.go.mkdir()
            (make_slice if self._slice else make_group)(self.group, mib, swap=swap)
        except BaseException:
            self.close()
            raise

    def service(self, word: str) -> str:
        """A container's service id."""
        return f"{self.person.prefix}.{self.word}-{word}"

    def name(self, word: str) -> str:
        """A container's name."""
        return f"{self.person.prefix}-{self.word}-{word}"

    def settings(self, services: Mapping[str, Any]) -> dict[str, Any]:
        """The resurgam.yaml of a daemon for which this box is the machine. `services` by word."""
        listed = {self.service(word): {"enable": True, **entry} for word, entry in services.items()}
        memory = {"group": f"/{self.group}", "reserve": "64MiB"}
        return {"consent": "listed", "services": listed, "rules": ["shipped"], "memory": memory}

    def start(self, word: str, *steps: str, most: int, limit: int = 0) -> None:
        """A container that does these steps (see ramp.py); `wait=/go/WORD` waits for `let_on(WORD)`. `most`: MiB that
        it takes at most; `limit`: its own, 0 for none."""
        assert most <= GREATEST
        compose = {"project": self.person.prefix, "service": f"{self.word}-{word}"}
        labels = {f"com.docker.compose.{key}": value for key, value in compose.items()} | {VIEW: self.word}
        folders = sorted({"/usr", "/lib", "/lib64", str(Path(sys.base_prefix))})
        seen = [f"{each}:{each}:ro" for each in folders if Path(each).is_dir()]
        host = {
            "NetworkMode": "none",
            "CgroupParent": self.group if self._slice else f"/{self.group}",
            "Binds": [*seen, f"{RAMP}:/ramp.py:ro", f"{self.go}:/go:ro"],
            "Memory": limit * MIB,
        }
        argv = [interpreter(), "-I", "-S", "/ramp.py", str(most), str(LIFE), *steps]
        name = self.name(word)
        given = {"Image": self.person.good, "Cmd": argv, "Labels": labels, "HostConfig": host}
        self._names.append(name)
        self.person.api.create_container_from_config(given, name)
        self.person.api.start(name)

    def let_on(self, word: str) -> None:
        """What waits for this file goes on."""
        (self.go / word).touch()

    def did(self, word: str, step: str) -> None:
        """Wait until a container has done a step."""
        api, name, done = self.person.api, self.name(word), f"done {step}\n".encode()
        until(lambda: done in api.logs(name), 60, lambda: f"{word} does {step}: {self.look(word)['State']}")

    def look(self, word: str) -> dict[str, Any]:
        """The engine's inspect."""
        found = self.person.look(self.name(word))
        assert found is not None
        return found

    def life(self, word: str) -> tuple[int, str]:
        """(pid, started at): the same as long as it is the same life."""
        state = self.look(word)["State"]
        return state["Pid"], state["StartedAt"]

    def frozen(self, word: str) -> bool:
        """Whether the kernel lets it stand still, by whatever freezer."""
        for folder, first in self._freezers(self.look(word)["Id"]):
            with contextlib.suppress(OSError):  # it ended
                if first and (folder / "freezer.state").read_text().strip() == "FROZEN":
                    return True
                if not first and "frozen 1" in (folder / "cgroup.events").read_text().splitlines():
                    return True
        return False

    def close(self) -> None:
        """Take everything away; also what stands still."""
        for name in self._names:
            for folder, first in self._freezers((self.person.look(name) or {}).get("Id", "-")):
                with contextlib.suppress(OSError):
                    _write(folder / ("freezer.state" if first else "cgroup.freeze"), "THAWED" if first else 0)
            with contextlib.suppress(docker.errors.APIError):
                self.person.api.remove_container(name, force=True, v=True)
        (remove_slice if self._slice else remove_group)(self.group)
        shutil.rmtree(self.go, ignore_errors=True)

    def _freezers(self, key: str) -> list[tuple[Path, bool]]:
        """The folders of a container by which it can be frozen, and whether each is one of version 1."""
        found = [(ROOT / "unified", False), (ROOT, False), (ROOT / "freezer", True)]
        name = f"docker-{key}.scope" if self._slice else key
        paths = [(root / self.group / name, first) for root, first in found]
        return [(path, first) for path, first in paths if path.is_dir()]


def interpreter() -> str:
    """A Python that lies below what the containers see."""
    return next(path for path in ("/usr/bin/python3", os.path.realpath(sys.executable)) if os.path.exists(path))
