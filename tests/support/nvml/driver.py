"""A driver of GPUs that are a text file: stub.c, built once for all, and what writes its file.

`Driver(folder).says(Card("GPU-aa", …))`, then `driver.reader()` asks it through the real pynvml and our own child.
"""

import hashlib
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from supervisor.signals.gpu import GpuReader

GIB = 2**30
WIDE = 60.0
"""seconds: a deadline that is not meant to pass"""
_SOURCE = Path(__file__).with_name("stub.c")
_FLAGS = ("-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-Wl,-soname,libnvidia-ml.so.1")

FIELDS: Mapping[int, str] = {
    230: "ui 0",
    82: "ui 39",
    3: "ull 0",
    4: "ull 0",
    142: "ull 0",
    143: "ull 0",
    144: "ull 0",
    145: "ull 0",
    74: "ull 12260311424",
    75: "ull 0",
    94: "ui 0",
    194: "si -2",
}
"""as the card of nvml_h200.json had them"""


def library() -> Path:
    """The folder with libnvidia-ml.so.1. Built where nobody built it from this source yet."""
    mark = hashlib.sha256(_SOURCE.read_bytes()).hexdigest()[:16]
    folder = _SOURCE.parents[3] / ".cache" / f"nvml-{mark}"
    if not (folder / "libnvidia-ml.so.1").exists():
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / f"draft-{os.getpid()}"
        subprocess.run(["cc", *_FLAGS, "-o", draft, _SOURCE, "-lpthread"], check=True)
        draft.replace(folder / "libnvidia-ml.so.1")
    return folder


@dataclass(frozen=True)
class Card:
    """One GPU; sizes in GiB."""

    uuid: str = "GPU-aa"
    total: float = 80
    free: float | None = None
    """None: all but what is kept"""
    kept: float = 0
    users: Mapping[int, float | None] = field(default_factory=dict)
    """pid -> GiB; None: the driver does not say"""
    drawing: Mapping[int, float | None] = field(default_factory=dict)
    fields: Mapping[int, str] = field(default_factory=lambda: FIELDS)
    told: Mapping[str, object] = field(default_factory=dict)
    """what else differs: `temperature`, `power`, `load`, `bus`, `name`, … (see stub.c)"""

    def lines(self, index: int) -> list[str]:
        free = self.total - self.kept if self.free is None else self.free
        said: dict[str, object] = {"uuid": self.uuid, "total": size(self.total), "free": size(free)}
        said |= {"kept": size(self.kept), **self.told}
        said |= {f"field {number}": value for number, value in self.fields.items()}
        users = [f"process {pid} {size(used)}" for pid, used in self.users.items()]
        users += [f"drawing {pid} {size(used)}" for pid, used in self.drawing.items()]
        return [f"gpu {index} {line}" for line in (*(f"{key} {value}" for key, value in said.items()), *users)]


class Driver:
    """The driver whose GPUs are the file `gpus` in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "gpus"
        self.sign = folder / "a driver is loaded"
        self.sign.touch()
        os.mkfifo(self._file.with_suffix(".events"))
        # held open, so that nobody who writes an event waits for a reader
        self._events = os.open(self._file.with_suffix(".events"), os.O_RDWR)
        extra = os.environ.get("LD_LIBRARY_PATH", "")
        self.environment = {
            **os.environ,
            "LD_LIBRARY_PATH": f"{library()}:{extra}".rstrip(":"),
            "RESURGAM_NVML": str(self._file),
        }
        self.says(Card())

    def says(self, *cards: Card, lines: tuple[str, ...] = ()) -> None:
        """These are the GPUs now, and these lines of stub.c hold. In one piece: a child may read it at any moment."""
        text = [*lines, *(line for index, card in enumerate(cards) for line in card.lines(index))]
        draft = self._file.with_suffix(".draft")
        draft.write_text("".join(f"{line}\n" for line in text))
        draft.replace(self._file)

    def event(self, kind: int, data: int, index: int = 0) -> None:
        """The driver tells this of a GPU."""
        os.write(self._events, f"{index} {kind} {data}\n".encode())

    @property
    def calls(self) -> list[str]:
        """What was called: `opened`, `refused` and `closed` always; the rest where the line `log` stands."""
        try:
            return self._file.with_suffix(".calls").read_text().split()
        except FileNotFoundError:
            return []

    @property
    def let_go(self) -> int:
        """How often the driver was let go of."""
        return self.calls.count("closed")

    def reader(self, **options: object) -> GpuReader:
        """Asks this driver; nothing is in a hurry unless `options` say so."""
        wide = {"deadline": WIDE, "goes": WIDE, "backoff": (0.05, 0.1), "lasting": 0.05}
        return GpuReader(**{**wide, "signs": (self.sign,), "environment": self.environment, **options})  # type: ignore[arg-type]

    def close(self) -> None:
        os.close(self._events)


def size(gib: float | None) -> str:
    return "?" if gib is None else str(int(gib * GIB))
