"""Fingerprints change with what they name, and with nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from accordant.tokens.examples import Example
from accordant.tokens.fingerprint import fingerprint_examples, fingerprint_tokenizer
from accordant.tokens.trees import TokenTree
from tests.tokens.small_tokenizers import FAMILIES, SPECIAL, TOKENIZERS, byte_level, make_tokenizers

ids = st.lists(st.integers(0, 3), min_size=1, max_size=3).map(tuple)
trees = st.builds(TokenTree, ids, st.lists(ids, min_size=1, max_size=2).map(tuple))
data = st.lists(
    st.lists(trees, min_size=1, max_size=2).map(lambda t: Example("comparison", tuple(t), 0)),
    max_size=3,
)


@given(data, data)
def test_fingerprints_agree_exactly_when_the_trees_do(a: list[Example], b: list[Example]) -> None:
    same = [example.trees for example in a] == [example.trees for example in b]
    assert (fingerprint_examples(a) == fingerprint_examples(b)) == same


def test_labels_do_not_change_the_fingerprint_of_tokens() -> None:
    example = Example("binary", (TokenTree((1,), ((2,),)),), 0, label=True)
    relabelled = replace(example, label=False, index=5)
    assert fingerprint_examples([example]) == fingerprint_examples([relabelled])


def test_tokenizers_made_alike_have_one_fingerprint_and_others_another() -> None:
    again = make_tokenizers()
    names = {family: fingerprint_tokenizer(TOKENIZERS[family]) for family in FAMILIES}
    assert names == {family: fingerprint_tokenizer(again[family]) for family in FAMILIES}
    assert len(set(names.values())) == len(FAMILIES)


def test_using_a_tokenizer_does_not_change_its_fingerprint() -> None:
    tokenizer: Any = byte_level(SPECIAL["chatml"], eos_token="<|im_end|>", pad_token="<|im_end|>")
    before = fingerprint_tokenizer(tokenizer)
    tokenizer(["a", "b c"], padding=True, truncation=True, max_length=2)
    assert fingerprint_tokenizer(tokenizer) == before


def test_template_and_special_tokens_change_the_fingerprint() -> None:
    seen = set()
    for change in ("none", "template", "special", "added"):
        tokenizer: Any = byte_level(SPECIAL["chatml"], eos_token="<|im_end|>")
        if change == "template":
            tokenizer.chat_template = "x"
        elif change == "special":
            tokenizer.eos_token = "<|endoftext|>"
        elif change == "added":
            tokenizer.add_tokens(["extra"])
        seen.add(fingerprint_tokenizer(tokenizer))
    assert len(seen) == 4


def test_a_saved_tokenizer_keeps_its_fingerprint(tmp_path: Any) -> None:
    from transformers import AutoTokenizer

    for family in FAMILIES:
        TOKENIZERS[family].save_pretrained(tmp_path / family)
        loaded = AutoTokenizer.from_pretrained(tmp_path / family)
        assert fingerprint_tokenizer(loaded) == fingerprint_tokenizer(TOKENIZERS[family]), family
