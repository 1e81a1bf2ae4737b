"""The noise model as vLLM reads it: a folder in Hugging Face's layout, of random weights, made of nothing but a seed."""

import json
import pathlib
import shutil

import numpy

from harness.model import BEGIN, END, SEED, TEMPLATE, vocabulary

WIDTH, LAYERS, HEADS, FEED_FORWARD, CONTEXT = 128, 2, 4, 384, 2048


def shapes(vocabulary_size: int) -> dict[str, tuple[int, ...]]:
    """Every tensor of a llama, by Hugging Face's names."""
    head = WIDTH // HEADS
    found = {
        "model.embed_tokens.weight": (vocabulary_size, WIDTH),
        "lm_head.weight": (vocabulary_size, WIDTH),
        "model.norm.weight": (WIDTH,),
    }
    for layer in range(LAYERS):
        block = f"model.layers.{layer}"
        found |= {
            f"{block}.input_layernorm.weight": (WIDTH,),
            f"{block}.self_attn.q_proj.weight": (WIDTH, WIDTH),
            f"{block}.self_attn.k_proj.weight": (head, WIDTH),
            f"{block}.self_attn.v_proj.weight": (head, WIDTH),
            f"{block}.self_attn.o_proj.weight": (WIDTH, WIDTH),
            f"{block}.post_attention_layernorm.weight": (WIDTH,),
            f"{block}.mlp.gate_proj.weight": (FEED_FORWARD, WIDTH),
            f"{block}.mlp.up_proj.weight": (FEED_FORWARD, WIDTH),
            f"{block}.mlp.down_proj.weight": (WIDTH, FEED_FORWARD),
        }
    return found


def config(tokens: list[str]) -> dict:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "torch_dtype": "float32",
        "hidden_size": WIDTH,
        "intermediate_size": FEED_FORWARD,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": 1,
        "head_dim": WIDTH // HEADS,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "max_position_embeddings": CONTEXT,
        "tie_word_embeddings": False,
        "vocab_size": len(tokens),
        "bos_token_id": tokens.index(BEGIN),
        "eos_token_id": tokens.index(END),
    }


def tokenizer(tokens: list[str], merges: list[str]) -> dict:
    """Byte-level BPE in the layout of the package `tokenizers`."""
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    model = {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None}
    model |= {"end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": tokens.index(each), "content": each, **flags} for each in (BEGIN, END)],
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": None,
        "decoder": byte_level,
        "model": model | {"vocab": {token: place for place, token in enumerate(tokens)}, "merges": merges},
    }


def write_weights(path: pathlib.Path, vocabulary_size: int) -> None:
    """A safetensors file: the length of its header, the header as JSON, the tensors."""
    random = numpy.random.default_rng(SEED)
    header, parts, offset = {}, [], 0
    for name, shape in shapes(vocabulary_size).items():
        weights = numpy.ones(shape) if len(shape) == 1 else random.normal(0, shape[-1] ** -0.5, shape)
        data = weights.astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, offset + len(data)]}
        parts.append(data)
        offset += len(data)
    head = json.dumps(header).encode()
    path.write_bytes(len(head).to_bytes(8, "little") + head + b"".join(parts))


def write_model(folder: pathlib.Path) -> None:
    """Writes the model to `folder`, whole or not at all."""
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    tokens, merges = vocabulary()
    special = {"bos_token": BEGIN, "eos_token": END, "chat_template": TEMPLATE}
    files = {
        "config.json": config(tokens),
        "generation_config.json": {"bos_token_id": tokens.index(BEGIN), "eos_token_id": tokens.index(END)},
        "tokenizer.json": tokenizer(tokens, merges),
        "tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": CONTEXT, **special},
    }
    for name, content in files.items():
        (partial / name).write_text(json.dumps(content))
    write_weights(partial / "model.safetensors", len(tokens))
    partial.rename(folder)
