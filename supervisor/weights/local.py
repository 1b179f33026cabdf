"""The files of a model on this machine: are they all there, whole, and what are they?

From: reader.py, in a thread of its own. To: the disk, read only, and the WeightsLook. Links are followed (a model cache
is made of them). What we may not read is said, and is no reason to refuse: the server may.
"""

import errno
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from supervisor.facts import WeightsLook
from supervisor.units import plain, show_size
from supervisor.weights import gguf, safetensors, sharded
from supervisor.weights.header import BadHeader, Header, Window

MOST_FILES, MOST_NAMES = 4_096, 100_000
"""files of one model, and names in one folder"""
_TOLD = 8
_NAMED = 3
"""files that are named where several are not there"""


@dataclass(slots=True)
class _Found:
    """What comes together while the files are looked at."""

    headers: list[Header] = field(default_factory=list)
    bytes: int = 0
    files: int = 0
    parts: int = 0
    holes: int = 0
    missing: list[str] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    config: safetensors.Config | None = None


def look(paths: Iterable[str]) -> WeightsLook:
    """The files or folders of one model. Never raises."""
    found = _Found()
    for path in paths:
        try:
            _path(path, found)
        except BadHeader as err:
            found.troubles.append(f"{_short(path)} {err}")
        except OSError as err:
            _failed(path, err, found)
    return _summed(found)


def _path(path: str, found: _Found) -> None:
    if not _folder(path):
        folder, name = os.path.split(path)
        part = sharded.part_of(name)
        _files(folder, part.names() if part is not None else (name,), found)
        _config(folder, found)
        return
    names = _names(path)
    _config(path, found)
    index = os.path.join(path, sharded.INDEX)
    if sharded.INDEX in names:
        wanted, _size = safetensors.index_files(_text(index, safetensors.MOST_INDEX))
        _files(path, wanted, found, names)
        return
    models = sharded.models_in(names)
    if not models:
        raise BadHeader("has no model file in it (*.gguf or *.safetensors)")
    if len(models) > 1:
        named = ", ".join(plain(one[0], 100) for one in models[:3])
        raise BadHeader(f"has {len(models)} models in it ({named} …); name the file")
    _files(path, models[0], found, names)


def _folder(path: str) -> bool:
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except FileNotFoundError:
        return False  # then all parts of it are looked for, and each that is not there is named


def _names(folder: str) -> tuple[str, ...]:
    with os.scandir(folder) as entries:
        return tuple(entry.name for entry, _ in zip(entries, range(MOST_NAMES), strict=False))


def _files(folder: str, wanted: tuple[str, ...], found: _Found, names: tuple[str, ...] | None = None) -> None:
    """Every file of one model. `names`: those in the folder, where they were listed."""
    found.parts += len(wanted)
    if found.parts > MOST_FILES:
        raise BadHeader(f"comes to more than {MOST_FILES} files")
    seen: list[Header] = []
    for name in wanted:
        try:
            header = _file(os.path.join(folder, name), found)
        except FileNotFoundError:
            found.missing.append(os.path.join(folder, name))
            continue
        except BadHeader as err:
            found.troubles.append(f"{plain(name, 200)} {err}")
            continue
        except OSError as err:
            _failed(os.path.join(folder, name), err, found)
            continue
        seen.append(header)
    sign = sharded.unfinished(names if names is not None else _beside(folder, wanted), wanted)
    if sign:
        found.troubles.append(f"it is still being downloaded: {plain(sign, 200)} is there; wait for its end")
    _whole(wanted, seen, found)
    found.headers += seen


def _beside(folder: str, wanted: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return _names(folder)
    except OSError:
        return ()


def _file(path: str, found: _Found) -> Header:
    """One file: its header, and whether its tensors are all in it."""
    # without waiting: opening a pipe would wait for its writer
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        facts = os.fstat(handle)
        if not stat.S_ISREG(facts.st_mode):
            raise BadHeader("is no plain file")
        found.files += 1
        found.bytes += facts.st_size
        window = Window(lambda offset, size: os.pread(handle, size, offset), facts.st_size)
        magic = os.pread(handle, len(gguf.MAGIC), 0)
        header = gguf.read(window) if magic == gguf.MAGIC else _tensors(window, path)
    finally:
        os.close(handle)
    if header.end > facts.st_size:
        lacks = show_size(header.end - facts.st_size)
        raise BadHeader(f"is cut: {lacks} of {show_size(header.end)} are missing; download it again")
    found.holes += max(0, facts.st_size - facts.st_blocks * 512)
    found.notes += [f"{os.path.basename(path)} {note}" for note in header.notes][: 1 if not found.notes else 0]
    return header


def _tensors(window: Window, path: str) -> Header:
    if window.size == 0:
        raise BadHeader("is empty")
    try:
        return safetensors.read(window)
    except BadHeader as err:
        if not path.endswith(".safetensors"):
            raise BadHeader("is neither a GGUF nor a safetensors file") from None
        raise err


def _whole(wanted: tuple[str, ...], seen: list[Header], found: _Found) -> None:
    """Whether the parts are those of one and the same model."""
    split = [one for one in seen if one.parts]
    if not split:
        return
    counts = sorted({one.parts for one in split})
    if counts != [len(wanted)]:
        said = " and ".join(str(one) for one in counts)
        found.troubles.append(
            f"its {len(wanted)} parts say of themselves that there are {said}: they do not belong together"
        )
    elif len(seen) == len(wanted) and sorted(one.part for one in split) != list(range(1, len(wanted) + 1)):
        found.troubles.append("a part of it is there twice under two names: they do not belong together")
    tensors = 0
    for one in seen:
        tensors += one.tensors
    told = max(one.all_tensors for one in split)
    if len(seen) == len(wanted) and told and tensors != told:
        found.troubles.append(
            f"its parts have {tensors} tensors, and there should be {told}: one part is of another model"
        )


def _config(folder: str, found: _Found) -> None:
    """config.json beside it, where there is one."""
    if found.config is not None:
        return
    path = os.path.join(folder, sharded.CONFIG)
    try:
        found.config = safetensors.config(_text(path, safetensors.MOST_CONFIG))
    except FileNotFoundError:
        return
    except BadHeader as err:
        found.notes.append(f"{sharded.CONFIG} {err}")
    except OSError as err:
        _failed(path, err, found)


def _text(path: str, most: int) -> bytes:
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        facts = os.fstat(handle)
        if not stat.S_ISREG(facts.st_mode):
            raise BadHeader("is no plain file")
        if facts.st_size > most:
            raise BadHeader(f"is larger than {most >> 20} MiB")
        with os.fdopen(os.dup(handle), "rb") as file:
            return file.read(most)
    finally:
        os.close(handle)


def _failed(path: str, err: OSError, found: _Found) -> None:
    if err.errno in (errno.ENOENT, errno.ENOTDIR):
        found.missing.append(path)
    elif err.errno in (errno.EACCES, errno.EPERM):
        found.notes.append(f"{_short(path)} may not be read by us, so nothing is known of it")
    else:
        found.troubles.append(f"{_short(path)} cannot be read: {err.strerror or err}")


def _short(path: str) -> str:
    return plain(path, 200)


def _summed(found: _Found) -> WeightsLook:
    troubles = [_missing(found)] if found.missing else []
    troubles += found.troubles[:_TOLD]
    notes = list(found.notes[:_TOLD])
    if found.holes > found.bytes // 2 and found.holes > 1 << 20:
        held = f"{show_size(found.bytes - found.holes)} of {show_size(found.bytes)}"
        notes.append(f"only {held} take room on the disk: was it downloaded to its end?")
    models = [one for one in found.headers if not one.aside]
    first = next((one for one in models if one.architecture), models[0] if models else Header(""))
    config = found.config or safetensors.Config()
    if first.kind != "gguf" and found.config is not None:
        kind = "mlx" if config.mlx or first.kind == "mlx" else first.kind
        first = replace(first, kind=kind, architecture=config.architecture, quant=config.quant, context=config.context,
                        layers=config.layers, cache=config.cache, cache_most=config.cache_most)  # fmt: skip
    return WeightsLook(
        first.kind,
        first.architecture,
        found.files,
        found.bytes,
        first.context,
        first.layers,
        first.quant,
        first.cache,
        first.cache_most,
        max(found.parts, found.files),
        tuple(troubles),
        tuple(notes),
    )


def _missing(found: _Found) -> str:
    first, *rest = found.missing
    if not rest:
        return f"{_short(first)} is not there"
    named = ", ".join((_short(first), *(plain(os.path.basename(one), 200) for one in rest[: _NAMED - 1])))
    more = f" and {len(found.missing) - _NAMED} more" if len(found.missing) > _NAMED else ""
    return f"{len(found.missing)} files are not there: {named}{more}"
