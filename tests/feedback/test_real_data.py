"""Real feedback and a real tokenizer: public data sets load, render and join exactly."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from accordant.base.errors import UserError
from accordant.feedback.loading import load_feedback
from accordant.feedback.records import Comparison, Demonstration
from accordant.feedback.splitting import split_feedback
from accordant.tokens.fingerprint import fingerprint_tokenizer
from accordant.tokens.lengths import describe_lengths
from accordant.tokens.rendering import Rendering, encode, encode_prompt, end_of_turn_ids


def test_hh_transcripts_become_conversations_and_join_exactly(
    public_data: Path, embedded_tokenizer: Any
) -> None:
    file = public_data / "hh_rlhf_harmless" / "harmless_base_test_dev.jsonl.gz"
    with pytest.raises(UserError, match=r"row|--on-bad-row"):
        load_feedback(str(file))
    feedback = load_feedback(str(file), on_bad_row="skip")
    assert feedback.record_type == "comparison"
    assert len(feedback.records) + len(feedback.skipped) == feedback.rows == 1768
    reasons = {bad.reason for bad in feedback.skipped}
    assert reasons == {"empty completion", "chosen and rejected have different prompts"}
    records = feedback.records[:200]
    examples = encode(records, embedded_tokenizer, Rendering(), max_tokens=None).examples
    end = end_of_turn_ids(embedded_tokenizer, Rendering())[0]
    for record, example in zip(records, examples, strict=True):
        assert isinstance(record, Comparison)
        tree = example.trees[0]
        for answer, tokens in zip(
            (record.chosen, record.rejected), tree.continuations, strict=True
        ):
            turns = [{"role": m.role, "content": m.content} for m in (*record.prompt, *answer)]  # type: ignore[union-attr]
            text = embedded_tokenizer.apply_chat_template(turns, tokenize=False)
            whole = embedded_tokenizer(text, add_special_tokens=False)["input_ids"]
            after = len(whole) - whole[::-1].index(end)
            assert list(tree.prompt + tokens) == whole[:after]
        assert tree.prompt == encode_prompt(record.prompt, embedded_tokenizer, Rendering())


def test_gsm8k_splits_load_as_demonstrations(public_data: Path) -> None:
    feedback = load_feedback(str(public_data / "gsm8k" / "train.jsonl"))
    assert feedback.record_type == "demonstration"
    assert len(feedback.records) == 7473
    train, held = split_feedback(feedback, 0.1)
    assert len(held.records) == 747
    assert not {r.prompt for r in train.records} & {r.prompt for r in held.records}  # type: ignore[union-attr]


def test_renamed_columns_make_pairs_of_model_written_evaluations(public_data: Path) -> None:
    folder = public_data / "anthropic_model_written_evals" / "advanced_ai_risk_human"
    columns = {"rejected": "answer_matching_behavior", "chosen": "answer_not_matching_behavior"}
    files = sorted(folder.glob("*.jsonl"))
    assert files
    for file in files:
        feedback = load_feedback(str(file), columns=columns, on_bad_row="skip")
        assert feedback.record_type == "comparison"
        assert feedback.records[0].chosen.strip().startswith("(")  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "name",
    [
        "mt_bench/mt_bench_question.jsonl",
        "oasst_eval/en_100_text.jsonl",
        "oasst_eval/selected_samples.json",
        "bbq/mturk_finalval_long.csv",
        "humaneval/HumanEval.jsonl.gz",
    ],
)
def test_data_that_is_no_feedback_is_refused_with_its_columns(public_data: Path, name: str) -> None:
    with pytest.raises(UserError) as error:
        load_feedback(str(public_data / name))
    assert str(public_data / name) in error.value.where
    assert "expected" in error.value.message or "fits the columns" in error.value.message


def test_text_kept_as_it_is_joins_exactly_with_a_real_tokenizer(embedded_tokenizer: Any) -> None:
    for prompt, answer in (
        ("Q: 2+2?\n\n", "A: 4"),
        ("The sky is", " blue."),
        ("One two ", "three"),
    ):
        record = Demonstration(prompt, answer)
        rendering = Rendering(chat="never")
        tree = encode([record], embedded_tokenizer, rendering, max_tokens=None).examples[0].trees[0]
        whole = embedded_tokenizer(prompt + answer, add_special_tokens=False)["input_ids"]
        assert list(tree.prompt + tree.continuations[0][:-1]) == whole
        assert tree.prompt == encode_prompt(prompt, embedded_tokenizer, rendering)


def test_ten_thousand_pairs_load_and_encode_in_seconds(
    tmp_path: Path, embedded_tokenizer: Any
) -> None:
    """No timed test: a bound that only a quadratic step would break."""
    path = tmp_path / "pairs.jsonl"
    words = "the committee discussed how the new bridge would change traffic in town " * 4
    with path.open("w") as file:
        for i in range(10_000):
            row = f'{{"prompt": "{i} {words}", "chosen": "yes {i}", "rejected": "no {words}"}}\n'
            file.write(row)
    start = time.process_time()
    feedback = load_feedback(str(path))
    encoded = encode(feedback.records, embedded_tokenizer, Rendering(), max_tokens=None)
    assert len(encoded.examples) == 10_000
    assert describe_lengths(encoded.lengths, 64)[-1].startswith("Longer than 64 tokens: 10,000 of")
    assert time.process_time() - start < 120


def test_the_embedded_tokenizer_has_a_stable_fingerprint(embedded_tokenizer: Any) -> None:
    first = fingerprint_tokenizer(embedded_tokenizer)
    encode([Demonstration("a", "b")], embedded_tokenizer, Rendering(), max_tokens=None)
    assert fingerprint_tokenizer(embedded_tokenizer) == first
