"""Headers of model files, byte by byte: right ones, and whatever a hostile hand could write."""

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

KINDS = {"u32": (4, "I"), "i32": (5, "i"), "f32": (6, "f"), "u64": (10, "Q"), "bool": (7, "?"), "u16": (2, "H")}


def text(value: str | bytes, order: str = "<") -> bytes:
    """A GGUF string."""
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack(f"{order}Q", len(raw)) + raw


def key(name: str, kind: str, value: Any, order: str = "<") -> bytes:
    """One key with its value: `str`, one of KINDS, or `[kind]` for an array of it."""
    made = text(name, order)
    if kind == "str":
        return made + struct.pack(f"{order}I", 8) + text(value, order)
    if kind == "[str]":
        head = struct.pack(f"{order}IIQ", 9, 8, len(value))
        return made + head + b"".join(text(one, order) for one in value)
    if kind.startswith("["):
        number, code = KINDS[kind.strip("[]")]
        body = struct.pack(f"{order}{len(value)}{code}", *value)
        return made + struct.pack(f"{order}IIQ", 9, number, len(value)) + body
    number, code = KINDS[kind]
    return made + struct.pack(f"{order}I{code}", number, value)


def tensor(name: str, shape: Sequence[int], kind: int, offset: int, order: str = "<") -> bytes:
    """One entry of the list of tensors."""
    head = text(name, order) + struct.pack(f"{order}I", len(shape))
    return head + struct.pack(f"{order}{len(shape)}QIQ", *shape, kind, offset)


def gguf(keys: Sequence[bytes], tensors: Sequence[bytes] = (), *, data: int = 0, order: str = "<", version: int = 3,
         counts: tuple[int, int] | None = None) -> bytes:  # fmt: skip
    """A whole file. `data`: bytes behind the header, at the next multiple of 32; `counts`: what it claims instead."""
    claimed = counts if counts is not None else (len(tensors), len(keys))
    made = b"GGUF" + struct.pack(f"{order}IQQ", version, *claimed) + b"".join(keys) + b"".join(tensors)
    return made + b"\0" * (-len(made) % 32) + b"\0" * data if data else made


ONE = (tensor("t", (64, 32), 0, 0),)
ONE_BYTES = 64 * 32 * 4


def model(
    arch: str = "llama", extra: Sequence[bytes] = (), tensors: Sequence[bytes] = ONE, data: int = ONE_BYTES
) -> bytes:
    """A small model of two layers."""
    own = [
        key("general.architecture", "str", arch),
        key("general.file_type", "u32", 12),
        key(f"{arch}.context_length", "u32", 4096),
        key(f"{arch}.embedding_length", "u32", 64),
        key(f"{arch}.block_count", "u32", 2),
        key(f"{arch}.attention.head_count", "u32", 4),
        key(f"{arch}.attention.head_count_kv", "u32", 2),
        key("tokenizer.ggml.tokens", "[str]", ["a", "b", "ccc"]),
    ]
    return gguf([*own, *extra], tensors, data=data)


def part(number: int, count: int, total: int, *, arch: str = "deepseek2") -> bytes:
    """One of `count` parts; the first of them has the keys of the model."""
    split = [key("split.no", "u16", number - 1), key("split.count", "u16", count)]
    split.append(key("split.tensors.count", "i32", total))
    return model(arch, split) if number == 1 else gguf(split, ONE, data=ONE_BYTES)


def parts(folder: Path, count: int, name: str = "m") -> list[Path]:
    """A whole model in so many files."""
    made = [folder / f"{name}-{number:05d}-of-{count:05d}.gguf" for number in range(1, count + 1)]
    for number, path in enumerate(made, 1):
        path.write_bytes(part(number, count, count))
    return made


def safetensors(tensors: Mapping[str, Any], data: int, meta: Mapping[str, str] | None = None) -> bytes:
    """A whole file; `tensors`: name -> data_offsets."""
    entries: dict[str, Any] = {
        name: {"dtype": "F16", "shape": [1], "data_offsets": list(offsets)} for name, offsets in tensors.items()
    }
    head = json.dumps({**({"__metadata__": dict(meta)} if meta else {}), **entries}).encode()
    return struct.pack("<Q", len(head)) + head + b"\0" * data
