"""The header of a safetensors file, and the JSON beside it: the index of its parts, and config.json. Pure.

From: local.py and remote.py, with bytes. To: a Header each, and what config.json says, also of one for MLX.
"""

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from supervisor.units import plain
from supervisor.weights.header import BadHeader, Header, Window

MOST_HEADER = 16 << 20
"""bytes of one header's JSON, which takes twenty times as much while it is read; the format itself allows 100 MB"""
MOST_INDEX, MOST_CONFIG = 32 << 20, 4 << 20
_MOST_TENSORS = 500_000
_LEAST = 8
_MLX = "mlx"


@dataclass(frozen=True, slots=True)
class Config:
    """What config.json says."""

    architecture: str = ""
    quant: str = ""
    context: int = 0
    layers: int = 0
    cache: float = 0.0
    cache_most: float = 0.0
    mlx: bool = False


def read(window: Window) -> Header:
    """The header. BadHeader where it is none."""
    length = struct.unpack("<Q", window.take(_LEAST))[0]
    if length > MOST_HEADER:
        raise BadHeader(f"is no safetensors file: its header would have {length} bytes")
    found = _json(window.take(length), "header")
    if not isinstance(found, dict):
        raise BadHeader("is no safetensors file: its header is no mapping")
    if len(found) > _MOST_TENSORS:
        raise BadHeader(f"claims {len(found)} tensors, which no model has")
    end = tensors = 0
    for name, entry in found.items():
        if name == "__metadata__":
            continue
        last = _last(entry.get("data_offsets")) if isinstance(entry, dict) else None
        if last is None:
            raise BadHeader(f"is no safetensors file: the tensor {plain(str(name), 100)!r} has no place in it")
        tensors, end = tensors + 1, max(end, last)
    meta = found.get("__metadata__")
    mlx = isinstance(meta, dict) and meta.get("format") == _MLX
    return Header(_MLX if mlx else "safetensors", tensors=tensors, end=_LEAST + length + end)


def _last(offsets: Any) -> int | None:
    """Where a tensor ends, behind the header; None where that makes no sense."""
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(isinstance(one, int) for one in offsets):
        return None
    begin, end = offsets
    return int(end) if 0 <= begin <= end < 1 << 62 else None


def index_files(text: bytes) -> tuple[tuple[str, ...], int]:
    """(the names of all parts, their bytes by the index's own word or 0), of `model.safetensors.index.json`. BadHeader
    where it is none."""
    found = _json(text, "index")
    weights = found.get("weight_map") if isinstance(found, dict) else None
    if not isinstance(weights, dict) or not weights:
        raise BadHeader("has no weight_map")
    names = sorted({str(name) for name in weights.values()})
    wrong = next((name for name in names if not name or "/" in name or "\\" in name or "\0" in name), None)
    if wrong is not None:
        raise BadHeader(f"names the part {plain(wrong, 100)!r}, which is not in its own folder")
    meta = found.get("metadata")
    size = meta.get("total_size") if isinstance(meta, dict) else 0
    return tuple(names), int(size) if isinstance(size, int | float) and 0 < size < 1 << 62 else 0


def config(text: bytes) -> Config:
    """What config.json says. BadHeader where it is no JSON."""
    found = _json(text, "config")
    if not isinstance(found, dict):
        raise BadHeader("is no mapping")
    named = found.get("architectures")
    arch = named[0] if isinstance(named, list) and named and isinstance(named[0], str) else found.get("model_type")
    inner = found.get("text_config")
    own = {**found, **inner} if isinstance(inner, dict) else found
    cache, most = _cache(own)
    return Config(
        plain(arch, 64) if isinstance(arch, str) else "",
        _quant(found),
        _whole(own, "max_position_embeddings"),
        _whole(own, "num_hidden_layers"),
        cache,
        most,
        isinstance(found.get("quantization"), dict),
    )


def _quant(found: Mapping[str, Any]) -> str:
    own = found.get("quantization")
    if isinstance(own, dict):  # of MLX
        bits = own.get("bits")
        return f"{bits}-bit" if isinstance(bits, int) else ""
    given = found.get("quantization_config")
    if isinstance(given, dict):
        method, bits = given.get("quant_method"), given.get("bits")
        word = plain(method, 32) if isinstance(method, str) else ""
        return f"{word} {bits}-bit".strip() if isinstance(bits, int) else word
    kind = found.get("torch_dtype") or found.get("dtype")
    return plain(kind, 32) if isinstance(kind, str) else ""


def _cache(own: Mapping[str, Any]) -> tuple[float, float]:
    """As gguf.cache_of, by the names of Hugging Face."""
    layers, heads = _whole(own, "num_hidden_layers"), _whole(own, "num_attention_heads")
    if not layers or not heads:
        return 0.0, 0.0
    grouped = _whole(own, "num_key_value_heads") or heads
    width = _whole(own, "head_dim") or _whole(own, "hidden_size") // heads
    latent, turned = _whole(own, "kv_lora_rank"), _whole(own, "qk_rope_head_dim")
    if not latent:
        return float(layers * grouped * 2 * width * 2), 0.0
    keys, values = _whole(own, "qk_nope_head_dim") + turned, _whole(own, "v_head_dim")
    return float(layers * (latent + turned) * 2), float(layers * heads * (keys + values) * 2)


def _whole(own: Mapping[str, Any], key: str) -> int:
    value = own.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 1 << 31 else 0


def _json(text: bytes, what: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise BadHeader(f"cannot be read: its {what} is no JSON") from None
