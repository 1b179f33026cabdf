"""The header of a GGUF file: what it is, and how many bytes its tensors need. Pure, over a Window.

From: local.py (a file) and remote.py (the first bytes of one at an address). To: a Header. Versions 2 and 3, of either
byte order. Vocabularies are walked over, not kept.
"""

import math
import struct
from collections.abc import Mapping
from typing import Any

from supervisor.units import plain
from supervisor.weights.header import BadHeader, Header, Window
from supervisor.weights.quants import BLOCKS, QUANTS

MAGIC = b"GGUF"
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_MOST_KEYS, _MOST_TENSORS, _MOST_STRINGS, _MOST_DIMS = 65_536, 500_000, 4_000_000, 8
_MOST_NAME, _MOST_TEXT, _MOST_LIST = 65_535, 4_096, 4_096
_MOST_LAYERS = 4_096
MOST_KEPT = 128
"""keys of one file that are kept; a model has a dozen"""
_DEEPEST = 3
"""arrays in arrays"""
_MOST_ALIGNMENT = 1 << 30
_KEPT = (
    *("general.architecture", "general.type", "general.file_type", "general.alignment"),
    *("split.no", "split.count", "split.tensors.count"),
)
_KEPT_BEHIND = (
    *(".context_length", ".block_count", ".embedding_length", ".attention.head_count", ".attention.head_count_kv"),
    *(".attention.key_length", ".attention.value_length", ".attention.kv_lora_rank", ".attention.key_length_mla"),
    *(".rope.dimension_count",),
)
"""behind the architecture's name"""


def read(window: Window) -> Header:
    """The header. BadHeader where it is none."""
    if window.take(4) != MAGIC:
        raise BadHeader("is no GGUF file")
    version = struct.unpack("<I", window.take(4))[0]
    order = "<" if version & 0xFFFF else ">"
    version = version if order == "<" else version >> 24
    if version not in (2, 3):
        raise BadHeader(f"has GGUF version {version}, and only 2 and 3 are known")
    reader = _Reader(window, order)
    tensors, count = reader.scalar(10), reader.scalar(10)
    if count > _MOST_KEYS or tensors > _MOST_TENSORS:
        raise BadHeader(f"claims {tensors} tensors and {count} keys, which no model has")
    kept = reader.keys(count)
    end, notes = reader.tensors(tensors, _whole(kept, "general.alignment", 32)) if tensors else (window.at, ())
    return _header(kept, tensors, end, notes)


class _Reader:
    """The parts of the format, in the file's byte order."""

    def __init__(self, window: Window, order: str) -> None:
        self._window, self._order, self._strings = window, order, 0
        self._formats = {kind: struct.Struct(order + code) for kind, code in _SCALARS.items()}
        self._length = self._formats[10]

    def scalar(self, kind: int) -> Any:
        form = self._formats.get(kind)
        if form is None:
            raise BadHeader(f"has a value of the unknown type {kind}")
        return form.unpack(self._window.take(form.size))[0]

    def text(self, most: int) -> str:
        """One string, whole; of a longer one the beginning."""
        count = self.scalar(10)
        raw = self._window.take(min(count, most))
        if count > most:
            self._window.skip(count - most)
        return raw.decode("utf-8", "replace")

    def keys(self, count: int) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        for _ in range(count):
            key = self.text(_MOST_NAME)
            wanted = key in _KEPT or key.endswith(_KEPT_BEHIND)
            value = self._value(self.scalar(4), wanted, 0)
            if wanted:
                kept[key] = value
            if len(kept) > MOST_KEPT:
                raise BadHeader(f"says more than {MOST_KEPT} times what it is, which no model has")
        return kept

    def _value(self, kind: int, wanted: bool, depth: int) -> Any:
        if kind == _STRING:
            return self.text(_MOST_TEXT)
        if kind != _ARRAY:
            return self.scalar(kind)
        if depth >= _DEEPEST:
            raise BadHeader("has arrays in arrays in arrays, which no model has")
        inner, count = self.scalar(4), self.scalar(10)
        if inner in self._formats:
            return self._numbers(inner, count, wanted)
        if inner not in (_STRING, _ARRAY):
            raise BadHeader(f"has an array of the unknown type {inner}")
        self._strings += count
        if self._strings > _MOST_STRINGS:
            raise BadHeader(f"claims more than {_MOST_STRINGS} words, which no model has")
        for _ in range(count):
            if inner == _STRING:
                self._window.skip(self._length.unpack(self._window.take(8))[0])
            else:
                self._value(_ARRAY, False, depth + 1)
        return None

    def _numbers(self, kind: int, count: int, wanted: bool) -> Any:
        size = self._formats[kind].size
        if not wanted or count > _MOST_LIST:
            self._window.skip(count * size)
            return None
        code = f"{self._order}{count}{_SCALARS[kind]}"
        return struct.unpack(code, self._window.take(count * size))

    def tensors(self, count: int, alignment: int) -> tuple[int, tuple[str, ...]]:
        """(bytes that the file must have, notes); 0 where a type is not known."""
        last, unknown = 0, ""
        for _ in range(count):
            self.text(_MOST_NAME)
            dims = self.scalar(4)
            if dims > _MOST_DIMS:
                raise BadHeader(f"has a tensor of {dims} dimensions, which no model has")
            shape = [self.scalar(10) for _ in range(dims)]
            kind, offset = self.scalar(4), self.scalar(10)
            size = _size(shape, kind)
            if size is None:
                unknown = unknown or f"has tensors of a type that is not known here ({kind})"
            last = max(last, offset + (size or 0))
        if not 0 < alignment <= _MOST_ALIGNMENT:
            raise BadHeader(f"asks for an alignment of {alignment} bytes, which no model has")
        begin = -(-self._window.at // alignment) * alignment
        return begin + last, ((f"{unknown}, so whether it is whole cannot be told to the byte",) if unknown else ())


def _size(shape: list[int], kind: int) -> int | None:
    block = BLOCKS.get(kind)
    if block is None:
        return None
    values = math.prod(shape)
    return -(-values // block[0]) * block[1]


def _header(kept: Mapping[str, Any], tensors: int, end: int, notes: tuple[str, ...]) -> Header:
    arch = kept.get("general.architecture")
    arch = plain(arch, 64) if isinstance(arch, str) else ""
    own = {key.removeprefix(f"{arch}"): value for key, value in kept.items() if arch and key.startswith(f"{arch}.")}
    kind = kept.get("general.type")
    parts = _whole(kept, "split.count", 0)
    cache, most = cache_of(own)
    return Header(
        "gguf",
        arch,
        QUANTS.get(_whole(kept, "general.file_type", -1), ""),
        _whole(own, ".context_length", 0),
        _whole(own, ".block_count", 0),
        cache,
        most,
        tensors,
        end,
        _whole(kept, "split.no", 0) + 1 if parts > 1 else 0,
        parts if parts > 1 else 0,
        _whole(kept, "split.tensors.count", 0),
        aside=plain(kind, 32) if isinstance(kind, str) and kind not in ("", "model") else "",
        notes=notes,
    )


def cache_of(own: Mapping[str, Any]) -> tuple[float, float]:
    """(bytes of key-value cache for a token at 16 bits, the same where it is not kept compressed or 0). `own`: keys of
    its architecture, from the dot on.

    With latent attention (DeepSeek: MLA) a server keeps `kv_lora_rank` and the rotated part for a layer, or every
    head's keys and values: the same header, and 70 times as much.
    """
    layers, heads = _whole(own, ".block_count", 0), _each(own, ".attention.head_count")
    if not 0 < layers <= _MOST_LAYERS or not heads:
        return 0.0, 0.0
    grouped = _each(own, ".attention.head_count_kv") or heads
    width = _whole(own, ".embedding_length", 0) // max(1, heads[0])
    keys = _whole(own, ".attention.key_length", width)
    values = _whole(own, ".attention.value_length", width)
    sizes = [float(grouped[min(layer, len(grouped) - 1)] * (keys + values) * 2) for layer in range(layers)]
    plainly = 0.0
    for size in sizes:
        plainly += size
    latent = _whole(own, ".attention.kv_lora_rank", 0)
    if not latent:
        return plainly, 0.0
    compressed = float(layers * (latent + _whole(own, ".rope.dimension_count", 64)) * 2)
    return compressed, plainly if plainly > compressed * 2 else 0.0


def _each(own: Mapping[str, Any], key: str) -> tuple[int, ...]:
    """A number, or one for each layer."""
    value = own.get(key)
    found = value if isinstance(value, tuple) else (value,)
    return tuple(min(int(one), 1 << 20) for one in found if isinstance(one, int) and one >= 0)


def _whole(kept: Mapping[str, Any], key: str, otherwise: int) -> int:
    value = kept.get(key)
    good = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 31
    return int(value) if good and value is not None else otherwise
