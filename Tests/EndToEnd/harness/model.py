"""A random-weight llama of a few MB as a GGUF file: it is fast (about 1 ms a token), and its text has no meaning.

Its vocabulary is byte-level with about 1,000 entries, so what it says splits UTF-8 characters between tokens.
It depends on nothing but its seed: the same file every time, so that a cached one is as good.
"""

import pathlib
import string

import gguf
import numpy

SEED = 20260101
WIDTH, LAYERS, HEADS, FEED_FORWARD, CONTEXT = 128, 4, 4, 384, 32768
END, BEGIN = "<|end|>", "<|begin|>"
TEMPLATE = (
    "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)


def byte_letters() -> list[str]:
    """The letter that byte-level BPE writes for each byte (GPT-2's table)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(others)) for byte in range(256)]


def vocabulary() -> tuple[list[str], list[str]]:
    """Tokens and the merges that make those of two letters."""
    pairs = [(first, second) for first in string.ascii_lowercase for second in string.ascii_lowercase]
    tokens = byte_letters() + [first + second for first, second in pairs] + [BEGIN, END]
    return tokens, [f"{first} {second}" for first, second in pairs]


def describe(writer: gguf.GGUFWriter) -> int:
    """Writes what the model is, all but its weights; gives the size of its vocabulary."""
    tokens, merges = vocabulary()
    writer.add_name("noise")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(1)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    control = [gguf.TokenType.CONTROL] * 2
    writer.add_token_types([gguf.TokenType.NORMAL] * (len(tokens) - 2) + control)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(tokens.index(BEGIN))
    writer.add_eos_token_id(tokens.index(END))
    writer.add_add_bos_token(True)
    writer.add_chat_template(TEMPLATE)
    return len(tokens)


def shapes(vocabulary_size: int) -> dict[str, tuple[int, ...]]:
    """Every tensor of a llama, by GGUF's names."""
    head = WIDTH // HEADS
    found = {
        "token_embd.weight": (vocabulary_size, WIDTH),
        "output.weight": (vocabulary_size, WIDTH),
        "output_norm.weight": (WIDTH,),
    }
    for layer in range(LAYERS):
        found |= {
            f"blk.{layer}.attn_norm.weight": (WIDTH,),
            f"blk.{layer}.attn_q.weight": (WIDTH, WIDTH),
            f"blk.{layer}.attn_k.weight": (head, WIDTH),
            f"blk.{layer}.attn_v.weight": (head, WIDTH),
            f"blk.{layer}.attn_output.weight": (WIDTH, WIDTH),
            f"blk.{layer}.ffn_norm.weight": (WIDTH,),
            f"blk.{layer}.ffn_gate.weight": (FEED_FORWARD, WIDTH),
            f"blk.{layer}.ffn_up.weight": (FEED_FORWARD, WIDTH),
            f"blk.{layer}.ffn_down.weight": (WIDTH, FEED_FORWARD),
        }
    return found


def write_model(path: pathlib.Path) -> None:
    """Writes the model to `path`, whole or not at all."""
    random = numpy.random.default_rng(SEED)
    temporary = path.with_suffix(".partial")
    writer = gguf.GGUFWriter(str(temporary), "llama")
    for name, shape in shapes(describe(writer)).items():
        is_norm = len(shape) == 1
        weights = numpy.ones(shape) if is_norm else random.normal(0, shape[-1] ** -0.5, shape)
        writer.add_tensor(name, weights.astype(numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    temporary.rename(path)
