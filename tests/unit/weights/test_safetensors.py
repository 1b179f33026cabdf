"""safetensors, its index and config.json, by their bytes."""

import json
import struct
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.weights import safetensors
from supervisor.weights.header import BadHeader, Header, Window
from tests.support.headers import safetensors as made


def read(data: bytes) -> Header:
    return safetensors.read(Window(lambda offset, count: data[offset : offset + count], len(data)))


def test_a_file_and_where_it_ends() -> None:
    data = made({"a": (0, 100), "b": (100, 228)}, 228)
    found = read(data)
    assert (found.kind, found.tensors, found.end) == ("safetensors", 2, len(data))
    assert read(data[:-1]).end == len(data), "a byte is missing, and that can be told"
    assert read(made({"a": (0, 4)}, 4, {"format": "mlx"})).kind == "mlx"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is cut"),
        (struct.pack("<Q", 1 << 50), "its header would have"),
        (struct.pack("<Q", 30) + b"{}", "is cut"),
        (struct.pack("<Q", 4) + b"nope", "its header is no JSON"),
        (struct.pack("<Q", 2) + b"[]", "its header is no mapping"),
        (struct.pack("<Q", 100_000) + b"[" * 100_000, "no JSON"),
        (made({"a": (9, 4)}, 9), "the tensor 'a' has no place"),
        (made({"a": (-1, 4)}, 4), "has no place"),
        (made({"a": (0, 1 << 63)}, 4), "has no place"),
    ],
)
def test_a_hostile_one_is_refused_in_words(data: bytes, words: str) -> None:
    with pytest.raises(BadHeader, match=words):
        read(data)


def test_an_index_names_every_part_once() -> None:
    text = json.dumps({"metadata": {"total_size": 77}, "weight_map": {"a": "x-1.safetensors", "b": "x-2.safetensors"}})
    assert safetensors.index_files(text.encode()) == (("x-1.safetensors", "x-2.safetensors"), 77)


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "a\\b", "", "a/b.safetensors"])
def test_an_index_leads_nobody_out_of_its_folder(name: str) -> None:
    with pytest.raises(BadHeader, match="which is not in its own folder"):
        safetensors.index_files(json.dumps({"weight_map": {"a": name}}).encode())


def test_a_config_of_a_plain_model() -> None:
    found = safetensors.config(
        json.dumps(
            {
                "architectures": ["Qwen3ForCausalLM"],
                "num_hidden_layers": 36,
                "num_attention_heads": 32,
                "num_key_value_heads": 8,
                "head_dim": 128,
                "max_position_embeddings": 40_960,
                "quantization_config": {"quant_method": "awq", "bits": 4},
            }
        ).encode()
    )
    assert (found.architecture, found.context, found.layers) == ("Qwen3ForCausalLM", 40_960, 36)
    assert found.quant == "awq 4-bit"
    assert found.cache == 36 * 8 * 2 * 128 * 2


def test_a_config_for_mlx_and_one_with_latent_attention() -> None:
    mlx = safetensors.config(b'{"model_type": "llama", "quantization": {"bits": 4, "group_size": 64}}')
    assert (mlx.architecture, mlx.quant, mlx.mlx) == ("llama", "4-bit", True)
    deepseek = {"num_hidden_layers": 61, "num_attention_heads": 128, "kv_lora_rank": 512, "qk_rope_head_dim": 64}
    deepseek |= {"qk_nope_head_dim": 128, "v_head_dim": 128}
    found = safetensors.config(json.dumps(deepseek).encode())
    assert found.cache == 70_272
    assert found.cache_most == 61 * 128 * 320 * 2


_KEYS = st.sampled_from(
    ["architectures", "num_hidden_layers", "num_attention_heads", "quantization", "bits", "text_config", "weight_map"]
)
_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(_KEYS, inner, max_size=4)),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(_JSON)
def test_whatever_json_says_it_ends_in_words_or_plain_values(value: object) -> None:
    text = json.dumps(value).encode()
    assert _said(safetensors.config, text) is not None
    assert _said(safetensors.index_files, text) is not None
    assert _said(read, struct.pack("<Q", len(text)) + text) is not None


def _said(read_it: Callable[[bytes], object], text: bytes) -> object:
    """What was read, or the words for why not; anything else comes through."""
    try:
        return read_it(text)
    except BadHeader as err:
        return str(err) or None
