"""Small tokenizers of the usual kinds, trained here on a few sentences, with their templates."""

from __future__ import annotations

import json
from typing import Any

from tokenizers import (
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedTokenizerFast

CHATML = (
    "{% for m in messages %}{% if loop.first and m['role'] != 'system' %}<|im_start|>system\n"
    "Be kind.<|im_end|>\n{% endif %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAMA3 = (
    "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m['role'] }}<|end_header_id|>\n\n"
    "{{ m['content'] | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
GEMMA = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}<start_of_turn>"
    "{{ 'model' if m['role'] == 'assistant' else m['role'] }}\n{{ m['content'] | trim }}"
    "<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
MISTRAL = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}[INST] {{ m['content'] }}"
    " [/INST]{% elif m['role'] == 'assistant' %} {{ m['content'] }}</s>{% else %}"
    "{{ raise_exception('Only user and assistant roles') }}{% endif %}{% endfor %}"
)
# Ends answers with no special token at all.
WORDS = (
    "{% for m in messages %}{{ '### ' + m['role'] + ': ' + m['content'] + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}### assistant: {% endif %}"
)
# Opens a thought for the model to fill, which whole conversations do not hold.
THINKING = CHATML.replace("assistant\n{% endif %}", "assistant\n<think>\n{% endif %}")
# Writes the last message differently from the same message further back.
REWRITING = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}{% if loop.last %} (now){% endif %}\n"
    "{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIAL = {
    "chatml": ["<|im_start|>", "<|im_end|>", "<|endoftext|>"],
    "llama3": ["<|begin|>", "<|end|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
    "gemma": ["<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"],
    "mistral": ["<s>", "</s>"],
}
SPECIAL["qwen"] = SPECIAL["chatml"]
ENDS = {
    "chatml": "<|im_end|>",
    "qwen": "<|im_end|>",
    "llama3": "<|eot_id|>",
    "gemma": "<end_of_turn>",
    "mistral": "</s>",
}
SENTENCES = [
    "The quick brown fox jumps over the lazy dog.\n\nHow are you today? I am well, thank you.",
    "user assistant system model\n\n\n  def f(x):\n    return x + 1\n\n",
    "A small island in the Pacific has 1,234 people. Ünïcödé is fine, so is 中文 and 🙂.",
    "[INST] What is the answer? [/INST] It is 42. ### assistant: yes\n### user: no\n",
]


# Rules of the kind Llama 3 and Qwen use: line breaks stay together whatever follows them.
NEWER = r"\p{L}+| ?[^\s\p{L}\p{N}]+[\r\n]*|\p{N}{1,3}| \p{L}+|\s*[\r\n]+|\s+(?!\S)|\s+"


def byte_level(
    special: list[str], pattern: str | None = None, **names: str
) -> PreTrainedTokenizerFast:
    """A byte-level BPE with GPT-2's rules for cutting text into words, or those of `pattern`."""
    tokenizer = Tokenizer(models.BPE())
    words: Any = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=pattern is None)
    if pattern is not None:
        split = pre_tokenizers.Split(Regex(pattern), "isolated")
        words = pre_tokenizers.Sequence([split, words])
    tokenizer.pre_tokenizer = words
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=500,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES * 3, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, additional_special_tokens=special, **names
    )


def sentencepiece_like(bos: str, eos: str) -> PreTrainedTokenizerFast:
    """A BPE with byte fallback that puts a blank before texts and BOS before all, as Llama 2."""
    special = ["<unk>", bos, eos, *(f"<0x{i:02X}>" for i in range(256))]
    trained = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    trained.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    # Words are kept apart while merges are learned, and merges alone decide afterwards.
    trained.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    trained.train_from_iterator(
        SENTENCES * 3,
        trainers.BpeTrainer(vocab_size=600, special_tokens=special, show_progress=False),
    )
    # Byte tokens are ordinary entries of the vocabulary, not special tokens.
    state = json.loads(trained.to_str())
    state["pre_tokenizer"] = None
    state["added_tokens"] = [t for t in state["added_tokens"] if t["content"] in (bos, eos)]
    tokenizer = Tokenizer.from_str(json.dumps(state))
    start = tokenizer.token_to_id(bos)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A", pair=f"{bos} $A {bos} $B", special_tokens=[(bos, start)]
    )
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=bos, eos_token=eos, unk_token="<unk>"
    )


def make_tokenizers() -> dict[str, Any]:
    made: dict[str, Any] = {
        "chatml": byte_level(SPECIAL["chatml"], eos_token="<|im_end|>"),
        "qwen": byte_level(SPECIAL["qwen"], NEWER, eos_token="<|im_end|>"),
        "llama3": byte_level(SPECIAL["llama3"], NEWER, bos_token="<|begin|>", eos_token="<|end|>"),
        "gemma": byte_level(SPECIAL["gemma"], bos_token="<bos>", eos_token="<eos>"),
        "mistral": sentencepiece_like("<s>", "</s>"),
    }
    templates = {
        "chatml": CHATML,
        "qwen": CHATML,
        "llama3": LLAMA3,
        "gemma": GEMMA,
        "mistral": MISTRAL,
    }
    for family, tokenizer in made.items():
        tokenizer.chat_template = templates[family]
    return made


TOKENIZERS = make_tokenizers()
FAMILIES = sorted(TOKENIZERS)
