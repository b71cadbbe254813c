"""Judgments as two trees: the answer in the same tokens after two prompts."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accordant.base.errors import UserError
from accordant.feedback.kinds.judgment import JUDGMENT_PROMPT
from accordant.feedback.records import Judgment, Message, Origin
from accordant.tokens.rendering import Rendering, encode, encode_prompt, render
from tests.tokens.small_tokenizers import FAMILIES, TOKENIZERS

PLAIN = Rendering(chat="never")
words = st.text(max_size=20) | st.sampled_from(["\n", "\n\nyes", " a", "  b\n", "{judgment}", "."])
answers = words.filter(lambda text: text.strip())


def judged(prompt: Any = "Name a fruit.", completion: Any = "A carrot.") -> Judgment:
    return Judgment(prompt, completion, " A carrot is no fruit. ", False, Origin("j.jsonl", 3))


def test_the_judgment_stands_before_the_prompt_in_the_first_tree_alone(chatml: Any) -> None:
    with_it, without = render(judged(), chatml, Rendering())
    question = "Your answer was judged as follows: A carrot is no fruit.\n\nName a fruit."
    assert question in with_it.prompt
    assert "judged" not in without.prompt
    assert with_it.continuations == without.continuations == ("A carrot.",)


def test_in_a_conversation_it_goes_into_the_last_user_message(chatml: Any) -> None:
    turns = (
        Message("system", "Be brief."),
        Message("user", "Hello."),
        Message("assistant", "Yes?"),
        Message("user", "Name a fruit."),
    )
    with_it, without = render(
        judged(turns, (Message("assistant", "A carrot."),)), chatml, Rendering()
    )
    before, _, after = with_it.prompt.rpartition("Your answer was judged as follows: ")
    assert after.startswith("A carrot is no fruit.\n\nName a fruit.")
    assert without.prompt.startswith(before)


@pytest.mark.parametrize("family", FAMILIES)
@given(prompt=words, completion=answers, said=answers)
@settings(max_examples=40)
def test_both_trees_hold_the_answer_in_the_same_tokens(
    family: str, prompt: str, completion: str, said: str
) -> None:
    tokenizer = TOKENIZERS[family]
    record = Judgment(prompt, completion, said, True)
    (example,) = encode([record], tokenizer, Rendering(), max_tokens=None).examples
    first, second = example.trees
    assert first.continuations == second.continuations
    assert second.prompt == encode_prompt(prompt, tokenizer, Rendering())[: len(second.prompt)]
    assert example.label is True
    assert len(first.prompt) > len(second.prompt)


@given(prompt=words, completion=answers, said=answers)
@settings(max_examples=40)
def test_plain_text_gives_the_same_tokens_or_is_refused(
    prompt: str, completion: str, said: str
) -> None:
    record = Judgment(prompt, completion, said)
    try:
        encoded = encode([record], TOKENIZERS["chatml"], PLAIN, max_tokens=None)
    except UserError as error:
        assert "cannot be compared token by token" in error.message  # noqa: PT017 - either is right
        return
    first, second = encoded.examples[0].trees
    assert first.continuations == second.continuations


def test_the_wording_is_a_choice_and_its_places_are_checked(chatml: Any) -> None:
    mine = Rendering(judgment_prompt="{prompt}\n(Critique: {judgment})")
    with_it, _ = render(judged(), chatml, mine)
    assert "Name a fruit.\n(Critique: A carrot is no fruit.)" in with_it.prompt
    assert Rendering().fingerprint != mine.fingerprint
    for wrong in ("{prompt}", "{judgment}{judgment}{prompt}", JUDGMENT_PROMPT.upper()):
        with pytest.raises(UserError, match="expected each once"):
            render(judged(), chatml, Rendering(judgment_prompt=wrong))


def test_text_that_looks_like_a_place_is_left_alone(chatml: Any) -> None:
    with_it, _ = render(judged("What does {judgment} mean?"), chatml, Rendering())
    assert "no fruit.\n\nWhat does {judgment} mean?" in with_it.prompt


def test_a_prompt_without_a_user_message_is_refused(chatml: Any) -> None:
    record = judged((Message("system", "Begin."),), (Message("assistant", "A carrot."),))
    with pytest.raises(UserError, match="no user message") as error:
        encode([record], chatml, Rendering(), max_tokens=None)
    assert error.value.where == "j.jsonl, row 3"


def test_judgments_are_dropped_and_counted_rather_than_cut(chatml: Any) -> None:
    records = [judged(" dog" * n) for n in (1, 60)]
    cut = encode(records, chatml, PLAIN, max_tokens=50, truncation="truncate-prompt-left")
    assert (cut.truncated, cut.dropped) == ((), (1,))
