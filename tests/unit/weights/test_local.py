"""Files on the disk: which belong to a model, whether they are all there and whole, and what is said where not."""

import json
import os
from pathlib import Path

import pytest

from supervisor.weights import sharded
from supervisor.weights.header import BadHeader
from supervisor.weights.local import look
from tests.support import gguf_models
from tests.support.headers import model, part, parts, safetensors


def test_a_real_writers_file_is_understood(tmp_path: Path) -> None:
    whole = gguf_models.tiny(tmp_path / "tiny.gguf")
    found = look([str(whole)])
    assert (found.kind, found.architecture, found.troubles) == ("gguf", "llama", ())
    assert (found.files, found.parts, found.bytes) == (1, 1, whole.stat().st_size)
    cut = gguf_models.truncated(tmp_path / "cut.gguf")
    assert "cut.gguf is cut:" in look([str(cut)]).troubles[0]
    assert look([str(gguf_models.unknown_architecture(tmp_path / "new.gguf"))]).architecture == "deepseek3_2"


def test_real_parts_belong_together(tmp_path: Path) -> None:
    made = gguf_models.sharded(tmp_path, parts=3)
    found = look([str(made[1])])
    assert (found.files, found.parts, found.troubles, found.architecture) == (3, 3, (), "llama")
    assert found == look([str(tmp_path)]), "any part, or the folder, names the model"
    assert found.bytes == os.path.getsize(made[0]) + os.path.getsize(made[1]) + os.path.getsize(made[2])


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    made = parts(tmp_path, 18)
    assert look([str(made[0])]).troubles == ()
    made[6].unlink()
    found = look([str(tmp_path)])
    assert found.troubles == (f"{made[6]} is not there",)
    assert (found.files, found.parts) == (17, 18)
    for path in made[1:6]:
        path.unlink()
    (trouble,) = look([str(made[0])]).troubles
    assert trouble == f"6 files are not there: {made[1]}, m-00003-of-00018.gguf, m-00004-of-00018.gguf and 3 more"
    made[0].unlink()
    assert look([str(made[0])]).troubles[0].startswith("7 files are not there"), "whichever part is named"


def test_a_cut_part_is_named_with_what_is_missing(tmp_path: Path) -> None:
    made = parts(tmp_path, 3)
    with made[2].open("r+b") as file:
        file.truncate(made[2].stat().st_size - 1000)
    (trouble,) = look([str(made[0])]).troubles
    assert trouble.startswith("m-00003-of-00003.gguf is cut: 1000 B of ")


def test_parts_of_two_downloads_are_told_apart(tmp_path: Path) -> None:
    made = parts(tmp_path, 3)
    made[1].write_bytes(part(2, 4, 4))
    assert "they do not belong together" in look([str(made[0])]).troubles[0]
    made[1].write_bytes(part(3, 3, 3))
    assert "a part of it is there twice" in look([str(made[0])]).troubles[0]
    made[1].write_bytes(part(2, 3, 3))
    made[0].write_bytes(part(1, 3, 9))
    assert "there should be 9: one part is of another model" in look([str(made[0])]).troubles[0]


def test_a_download_that_still_runs(tmp_path: Path) -> None:
    whole = tmp_path / "m.gguf"
    whole.write_bytes(model())
    (tmp_path / "other.gguf.part").write_bytes(b"")
    assert look([str(whole)]).troubles == ()
    (tmp_path / "m.gguf.aria2").write_bytes(b"")
    assert look([str(whole)]).troubles == ("it is still being downloaded: m.gguf.aria2 is there; wait for its end",)


def test_a_folder_with_several_models_must_be_named_closer(tmp_path: Path) -> None:
    (tmp_path / "a.gguf").write_bytes(model())
    (tmp_path / "mmproj-a.gguf").write_bytes(model())
    assert look([str(tmp_path)]).troubles == (), "what only belongs to a model is none"
    (tmp_path / "b.gguf").write_bytes(model())
    assert look([str(tmp_path)]).troubles == (f"{tmp_path} has 2 models in it (a.gguf, b.gguf …); name the file",)
    (empty := tmp_path / "empty").mkdir()
    assert "has no model file in it" in look([str(empty)]).troubles[0]


def test_what_is_not_there_and_what_is_no_model(tmp_path: Path) -> None:
    gone = tmp_path / "gone.gguf"
    assert look([str(gone)]).troubles == (f"{gone} is not there",)
    (page := tmp_path / "page.gguf").write_text("<html>404</html>")
    assert look([str(page)]).troubles == ("page.gguf is neither a GGUF nor a safetensors file",)
    (nothing := tmp_path / "nothing.gguf").write_bytes(b"")
    assert look([str(nothing)]).troubles == ("nothing.gguf is empty",)
    os.mkfifo(pipe := tmp_path / "pipe.gguf")
    assert look([str(pipe)]).troubles == ("pipe.gguf is no plain file",), "a pipe does not hold us up"


def test_one_part_of_more_than_any_model_has(tmp_path: Path) -> None:
    assert "99999 parts, which no model has" in look([str(tmp_path / "m-00001-of-99999.gguf")]).troubles[0]
    with pytest.raises(BadHeader):
        sharded.part_of("m-00001-of-00000.gguf")


def test_a_link_is_followed_as_model_caches_are_made_of_them(tmp_path: Path) -> None:
    (blob := tmp_path / "0af3").write_bytes(model())
    (snapshot := tmp_path / "snapshot").mkdir()
    (snapshot / "m.gguf").symlink_to(blob)
    assert look([str(snapshot)]).architecture == "llama"
    blob.unlink()
    assert look([str(snapshot)]).troubles == (f"{snapshot / 'm.gguf'} is not there",)


def test_a_hole_is_said_and_refuses_nothing(tmp_path: Path) -> None:
    big = tmp_path / "m.gguf"
    data = model()
    with big.open("wb") as file:
        file.write(data)
        file.truncate(300 << 20)
    found = look([str(big)])
    assert found.troubles == ()
    assert "was it downloaded to its end?" in found.notes[0]


def test_safetensors_in_parts_with_their_index(tmp_path: Path) -> None:
    names = [f"model-{number:05d}-of-00002.safetensors" for number in (1, 2)]
    for name in names:
        (tmp_path / name).write_bytes(safetensors({"a": (0, 64)}, 64))
    (tmp_path / "config.json").write_text(
        json.dumps({"architectures": ["LlamaForCausalLM"], "torch_dtype": "bfloat16"})
    )
    assert look([str(tmp_path)]).troubles == ()
    (tmp_path / sharded.INDEX).write_text(json.dumps({"weight_map": {"a": names[0], "b": names[1]}}))
    found = look([str(tmp_path)])
    assert (found.kind, found.architecture, found.quant) == ("safetensors", "LlamaForCausalLM", "bfloat16")
    assert (found.files, found.parts, found.troubles) == (2, 2, ())
    (tmp_path / names[1]).unlink()
    assert look([str(tmp_path)]).troubles == (f"{tmp_path / names[1]} is not there",)
    (tmp_path / sharded.INDEX).unlink()
    assert look([str(tmp_path)]).troubles == (f"{tmp_path / names[1]} is not there",), "the names alone tell it, too"


def test_a_model_for_mlx(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(safetensors({"a": (0, 64)}, 64, {"format": "mlx"}))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "qwen3", "quantization": {"bits": 4}}))
    found = look([str(tmp_path)])
    assert (found.kind, found.architecture, found.quant) == ("mlx", "qwen3", "4-bit")


def test_a_config_that_cannot_be_read_hides_nothing(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(safetensors({"a": (0, 64)}, 64))
    (tmp_path / "config.json").write_text("{")
    found = look([str(tmp_path)])
    assert (found.troubles, found.files) == ((), 1)
    assert found.notes == ("config.json cannot be read: its config is no JSON",)


def test_a_loop_of_links_is_a_trouble_not_a_crash(tmp_path: Path) -> None:
    (one := tmp_path / "a.gguf").symlink_to(tmp_path / "b.gguf")
    (tmp_path / "b.gguf").symlink_to(one)
    assert "cannot be read" in look([str(one)]).troubles[0]


def test_names_that_claim_parts_without_end_cost_nothing() -> None:
    names = [f"{number:05d}-00001-of-04096" for number in range(20_000)]
    assert len(sharded.models_in(f"{name}.gguf" for name in names)) == len(names)
    with pytest.raises(BadHeader, match="more than"):
        sharded.models_in(f"{name}.safetensors" for name in names)
