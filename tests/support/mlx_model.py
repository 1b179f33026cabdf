"""Makes a tiny model with random weights that mlx_lm can load: `python mlx_model.py FOLDER SEED`.

Run by a Python that has mlx and tokenizers; nothing here imports anything else of ours. Half a megabyte, in no time.
"""

import json
import sys
from pathlib import Path

CONFIG = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "intermediate_size": 128,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "rms_norm_eps": 1e-5,
    "vocab_size": 260,
    "max_position_embeddings": 512,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
    "bos_token_id": 256,
    "eos_token_id": 257,
}


def make(folder: Path, seed: int) -> None:
    """The model's files."""
    import mlx.core as mx  # type: ignore[import-not-found]
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers  # type: ignore[import-not-found]

    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {letter: place for place, letter in enumerate(letters)} | {"<s>": 256, "</s>": 257, "<a>": 258, "<b>": 259}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.save(str(folder / "tokenizer.json"))
    said = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>"}
    said["chat_template"] = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
    (folder / "tokenizer_config.json").write_text(json.dumps(said))
    mx.random.seed(seed)
    wide, deep = 64, 128
    shapes = {"model.embed_tokens": (260, wide), "lm_head": (260, wide)}
    for layer in range(2):
        base = f"model.layers.{layer}"
        shapes |= {f"{base}.self_attn.{one}_proj": (wide, wide) for one in "qkvo"}
        shapes |= {f"{base}.mlp.{one}_proj": (deep, wide) for one in ("gate", "up")}
        shapes[f"{base}.mlp.down_proj"] = (wide, deep)
    weights = {f"{name}.weight": mx.random.normal(shape) * 0.05 for name, shape in shapes.items()}
    norms = [
        "model.norm",
        *(f"model.layers.{n}.{one}_layernorm" for n in range(2) for one in ("input", "post_attention")),
    ]
    weights |= {f"{name}.weight": mx.ones((wide,)) for name in norms}
    mx.save_safetensors(str(folder / "model.safetensors"), weights)


if __name__ == "__main__":
    make(Path(sys.argv[1]), int(sys.argv[2]))
