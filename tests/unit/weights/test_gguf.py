"""The header of a GGUF file: what it says, how large the file must be, and that no header leads anybody astray."""

import struct
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.weights import gguf
from supervisor.weights.header import BadHeader, Header, Window
from tests.support.headers import KINDS, ONE, ONE_BYTES, key, model, tensor
from tests.support.headers import gguf as made


def read(data: bytes, size: int | None = None) -> Header:
    """As a file of these bytes; `size`: it claims to be as large."""
    return gguf.read(Window(lambda offset, count: data[offset : offset + count], len(data) if size is None else size))


def test_what_a_model_says_of_itself() -> None:
    data = model()
    found = read(data)
    assert (found.kind, found.architecture, found.quant) == ("gguf", "llama", "Q3_K_M")
    assert (found.context, found.layers, found.tensors) == (4096, 2, 1)
    assert found.end == len(data), "its last tensor ends where the file does"
    assert found.cache == 2 * 2 * (16 + 16) * 2, "layers x heads x (keys + values) x 2 bytes"


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("order", ["<", ">"])
def test_both_orders_of_bytes_and_both_versions(order: str, version: int) -> None:
    keys = [key("general.architecture", "str", "llama", order), key("llama.block_count", "u32", 7, order)]
    found = read(made(keys, [tensor("t", (32,), 0, 0, order)], data=128, order=order, version=version))
    assert (found.architecture, found.layers) == ("llama", 7)


def test_a_file_that_is_cut_must_have_more_bytes() -> None:
    whole = model(tensors=[tensor("a", (64, 32), 0, 0), tensor("b", (256,), 12, 8192)], data=8192 + 144)
    found = read(whole[:-1])
    assert found.end == len(whole) > len(whole) - 1


def test_blocks_are_counted_whole() -> None:
    found = read(made([], [tensor("t", (257,), 12, 0)], data=4096))
    begin = len(made([], [tensor("t", (257,), 12, 0)], data=32)) - 32
    assert found.end == begin + 2 * 144


def test_an_unknown_type_is_said_and_not_guessed() -> None:
    found = read(made([], [tensor("t", (64,), 99, 64)], data=4096))
    assert "a type that is not known here (99)" in found.notes[0]
    assert found.end == read(made([], [tensor("t", (0,), 0, 64)], data=4096)).end


def test_parts_say_which_they_are() -> None:
    split = [key("split.no", "u16", 4), key("split.count", "u16", 18), key("split.tensors.count", "i32", 1025)]
    found = read(made(split, ONE, data=ONE_BYTES))
    assert (found.part, found.parts, found.all_tensors) == (5, 18, 1025)


def deepseek(*more: bytes) -> Header:
    own = [
        key("deepseek2.block_count", "u32", 61),
        key("deepseek2.embedding_length", "u32", 7168),
        key("deepseek2.attention.head_count", "u32", 128),
        key("deepseek2.attention.kv_lora_rank", "u32", 512),
        key("deepseek2.rope.dimension_count", "u32", 64),
    ]
    return read(made([key("general.architecture", "str", "deepseek2"), *own, *more]))


def test_the_same_model_with_latent_attention_70_times_apart() -> None:
    every = deepseek(
        key("deepseek2.attention.head_count_kv", "u32", 128),
        key("deepseek2.attention.key_length", "u32", 192),
        key("deepseek2.attention.value_length", "u32", 128),
    )
    assert every.cache == 70_272, "61 layers x 576 x 2 bytes"
    assert every.cache_most == 61 * 128 * (192 + 128) * 2
    assert every.cache_most > every.cache * 70
    converted = deepseek(
        key("deepseek2.attention.head_count_kv", "u32", 1),
        key("deepseek2.attention.key_length", "u32", 576),
        key("deepseek2.attention.value_length", "u32", 512),
    )
    assert (converted.cache, converted.cache_most) == (70_272, 0.0)


def test_heads_that_differ_by_layer() -> None:
    own = [
        key("general.architecture", "str", "x"),
        key("x.block_count", "u32", 3),
        key("x.attention.head_count", "u32", 8),
        key("x.attention.head_count_kv", "[i32]", [8, 0, 2]),
        key("x.attention.key_length", "u32", 10),
        key("x.attention.value_length", "u32", 10),
    ]
    assert read(made(own)).cache == (8 + 0 + 2) * 20 * 2


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is cut"),
        (b"GGML" + b"\0" * 60, "is no GGUF file"),
        (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), "has GGUF version 1"),
        (made([], counts=(1 << 60, 0)), "claims 1152921504606846976 tensors"),
        (made([], counts=(0, 1 << 40)), "claims 0 tensors and 1099511627776 keys"),
        (made([], counts=(0, 5)), "is cut: it ends within its header"),
        (made([struct.pack("<Q", 1 << 62) + b"a"], counts=(0, 1)), "is cut"),
        (made([b"\x01" + b"\0" * 7 + b"k" + struct.pack("<I", 77)], counts=(0, 1)), "the unknown type 77"),
        (made([key("a", "str", "x")[:-9] + struct.pack("<Q", 1 << 63)], counts=(0, 1)), "is cut"),
        (
            made([b"\1" + b"\0" * 7 + b"k" + struct.pack("<IIQ", 9, 8, 1 << 40)], counts=(0, 1)),
            "more than 4000000 words",
        ),
        (made([b"\1" + b"\0" * 7 + b"k" + struct.pack("<IIQ", 9, 4, 1 << 61)], counts=(0, 1)), "is cut"),
        (
            made([b"\1" + b"\0" * 7 + b"k" + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 5], counts=(0, 1)),
            "arrays in arrays",
        ),
        (made([], [b"\1" + b"\0" * 7 + b"t" + struct.pack("<I", 1 << 30)]), "1073741824 dimensions"),
        (made([key("general.alignment", "u32", 0)], ONE), "alignment of 0 bytes"),
    ],
)
def test_a_hostile_header_is_refused_in_words(data: bytes, words: str) -> None:
    with pytest.raises(BadHeader, match=words.replace("(", r"\(").replace(")", r"\)")):
        read(data)


def test_what_it_claims_of_its_layers_costs_nothing() -> None:
    own = [key("general.architecture", "str", "x"), key("x.block_count", "u32", (1 << 31) - 1)]
    found = read(made([*own, key("x.attention.head_count", "u32", 1), key("x.embedding_length", "u32", 8)]))
    assert found.cache == 0.0


def test_an_architecture_is_bounded_and_plain() -> None:
    found = read(made([key("general.architecture", "str", "a\x1b[31m" + "b" * 9000)]))
    assert len(found.architecture) == 64
    assert found.architecture.isprintable()


def test_long_arrays_are_passed_over_unread() -> None:
    asked: list[int] = []
    data = made([key("tokenizer.scores", "[f32]", [0.0] * 600_000), key("general.architecture", "str", "x")])

    def read_at(offset: int, count: int) -> bytes:
        asked.append(count)
        return data[offset : offset + count]

    assert gguf.read(Window(read_at, len(data))).architecture == "x"
    total = 0
    for count in asked:
        total += count
    assert total < len(data), "the numbers in between were not fetched"


_NAMES = st.sampled_from(["general.architecture", "x.block_count", "x.attention.head_count_kv", "split.count", "a", ""])
_VALUES = st.one_of(
    st.tuples(st.just("str"), st.text(max_size=20)),
    st.tuples(st.just("[str]"), st.lists(st.text(max_size=5), max_size=5)),
    st.tuples(st.sampled_from(["u32", "u64"]), st.integers(0, (1 << 32) - 1)),
    st.tuples(st.just("[u32]"), st.lists(st.integers(0, (1 << 32) - 1), max_size=5)),
    st.tuples(st.just("bool"), st.booleans()),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(_NAMES, _VALUES), max_size=6), st.data())
def test_whatever_is_flipped_cut_or_claimed_it_ends_in_words(
    keys: Sequence[tuple[str, Any]], data: st.DataObject
) -> None:
    raw = bytearray(made([key(name, kind, value) for name, (kind, value) in keys], ONE, data=64))
    for _ in range(data.draw(st.integers(0, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(raw[: data.draw(st.integers(0, len(raw)))])
    found, words = _outcome(cut)
    assert words.isprintable()
    assert found is None or (found.end >= 0 and found.architecture.isprintable())


def _outcome(data: bytes) -> tuple[Header | None, str]:
    """What was read, or what was said instead; anything else comes through."""
    try:
        return read(data), ""
    except BadHeader as err:
        return None, str(err)


def test_the_kinds_of_this_test_are_the_formats() -> None:
    assert {code for code, _letter in KINDS.values()} <= set(range(13))


def test_keys_that_are_kept_are_few() -> None:
    """Each may hold a list of thousands: half a gigabyte of file would take ten of memory."""
    keys = [key(f"a{number}.context_length", "u32", 1) for number in range(gguf.MOST_KEPT + 1)]
    with pytest.raises(BadHeader, match="which no model has"):
        read(made(keys, ONE, data=ONE_BYTES))
