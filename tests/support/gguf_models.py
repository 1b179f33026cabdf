"""Tiny models with random weights, as GGUF files that llama.cpp really loads: good ones, and broken ones.

Made when a test asks for them, the same bytes for the same seed. What they say is nonsense that can be printed.
"""

import os
from pathlib import Path

import gguf
import numpy as np

CHARACTERS = "▁abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,:;!?-'\"()"
TEMPLATE = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant:"
UNKNOWN_ARCHITECTURE = "deepseek3_2"
_BYTE, _NORMAL, _CONTROL, _UNKNOWN = 6, 1, 3, 2
_QUIET = -1e4
"""of the end of a text: it is never chosen"""


def tiny(path: Path, *, seed: int = 0, layers: int = 2, name: str = "tiny", architecture: str = "llama") -> Path:
    """About 0.5 MB; loads within milliseconds, and answers thousands of tokens a second. `architecture`: what its
    header says; llama.cpp knows `llama`."""
    return _write(path, seed, layers, 64, 128, name, architecture)


def slow(path: Path, *, seed: int = 0) -> Path:
    """About 35 MB; loads as quickly, and answers some hundreds of tokens a second."""
    return _write(path, seed, 8, 256, 1024, "slow", "llama")


def mid(path: Path, *, seed: int = 0) -> Path:
    """About 500 MB; takes a while to load, and answers some tens of tokens a second. For benches."""
    return _write(path, seed, 8, 1024, 4096, "mid", "llama")


def unknown_architecture(path: Path) -> Path:
    """Whole, and of an architecture that no llama.cpp knows."""
    return tiny(path, architecture=UNKNOWN_ARCHITECTURE)


def truncated(path: Path, *, keep: int = 300_000) -> Path:
    """Its header is whole, its weights are cut off, as by a download that broke."""
    tiny(path)
    os.truncate(path, keep)
    return path


def sharded(folder: Path, *, seed: int = 0, parts: int = 3) -> tuple[Path, ...]:
    """One model in several files, `tiny-00001-of-00003.gguf` and so on; a server is given the first."""
    files = [folder / f"tiny-{number:05}-of-{parts:05}.gguf" for number in range(1, parts + 1)]
    tensors = _tensors(seed, 2, 64, 128)
    share = -(-len(tensors) // parts)
    for number, file in enumerate(files):
        writer = gguf.GGUFWriter(file, "llama")
        if number == 0:
            _head(writer, 2, 64, 128, "tiny", "llama")
        writer.add_uint16("split.no", number)
        writer.add_uint16("split.count", parts)
        writer.add_int32("split.tensors.count", len(tensors))
        _finish(writer, dict(list(tensors.items())[number * share : (number + 1) * share]))
    return tuple(files)


def _write(path: Path, seed: int, layers: int, width: int, inner: int, name: str, architecture: str) -> Path:
    writer = gguf.GGUFWriter(path, architecture)
    _head(writer, layers, width, inner, name, architecture)
    _finish(writer, _tensors(seed, layers, width, inner))
    return path


def _head(writer: "gguf.GGUFWriter", layers: int, width: int, inner: int, name: str, architecture: str) -> None:
    writer.add_name(name)
    writer.add_context_length(512)
    writer.add_embedding_length(width)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(4)
    writer.add_head_count_kv(4)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(width // 4)
    writer.add_vocab_size(len(_vocabulary()))
    writer.add_tokenizer_model("llama")
    writer.add_token_list([text for text, _kind in _vocabulary()])
    writer.add_token_types([kind for _text, kind in _vocabulary()])
    writer.add_token_scores([0.0] * len(_vocabulary()))
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_chat_template(TEMPLATE)


def _vocabulary() -> list[tuple[str, int]]:
    letters = [(one, _NORMAL) for one in CHARACTERS]
    every_byte = [(f"<0x{number:02X}>", _BYTE) for number in range(256)]
    return [("<unk>", _UNKNOWN), ("<s>", _CONTROL), ("</s>", _CONTROL), *every_byte, *letters]


def _tensors(seed: int, layers: int, width: int, inner: int) -> dict[str, np.ndarray]:
    dice = np.random.default_rng(seed)
    words = len(_vocabulary())

    def random(*shape: int) -> np.ndarray:
        return (dice.standard_normal(shape, dtype=np.float32) * np.float32(shape[-1] ** -0.5)).astype(np.float32)

    output = random(words, width) * np.float32(4)
    first = words - len(CHARACTERS)
    output[:first] = 0  # never a byte, never the end: only letters outdo nothing
    output[first:] = np.abs(output[first:])
    found = {"token_embd.weight": random(words, width) * np.float32(8), "output.weight": output}
    found["output_norm.weight"] = np.ones(width, np.float32)
    for number in range(layers):
        place = f"blk.{number}"
        for one in ("attn_q", "attn_k", "attn_v", "attn_output"):
            found[f"{place}.{one}.weight"] = random(width, width)
        found[f"{place}.ffn_gate.weight"] = random(inner, width)
        found[f"{place}.ffn_up.weight"] = random(inner, width)
        found[f"{place}.ffn_down.weight"] = random(width, inner)
        for one in ("attn_norm", "ffn_norm"):
            found[f"{place}.{one}.weight"] = np.ones(width, np.float32)
    return found


def _finish(writer: "gguf.GGUFWriter", tensors: dict[str, np.ndarray]) -> None:
    for name, tensor in tensors.items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
