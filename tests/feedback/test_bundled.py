"""The bundled feedback keeps what its README says of it."""

import json
import re
from pathlib import Path

import pytest

import accordant
from accordant.feedback.bundled import bundled_path
from accordant.feedback.loading import load_feedback
from accordant.rewards.rules import is_concise
from accordant.tokens.rendering import Rendering, encode

PARTS = ("train", "held_out")


def rows(part):
    return [json.loads(line) for line in bundled_path(part).read_text("utf-8").splitlines()]


@pytest.mark.parametrize("part", PARTS)
def test_every_row_is_a_sound_comparison(part):
    feedback = load_feedback(str(bundled_path(part)))
    assert feedback.record_type == "comparison"
    assert len(feedback.records) == len(rows(part))
    assert not feedback.describe_skipped()


@pytest.mark.parametrize("part", PARTS)
def test_every_chosen_answer_keeps_the_rule(part):
    for row in rows(part):
        assert is_concise(row["chosen"][0]["content"], finished=True)


@pytest.mark.parametrize("part", PARTS)
def test_a_rejected_answer_breaks_the_rule_or_was_cut(part):
    rejected = [row["rejected"][0]["content"] for row in rows(part)]
    concise = [text for text in rejected if is_concise(text, finished=True)]
    # A cut answer may look whole by chance; it was not ended by the model.
    assert len(concise) <= 0.02 * len(rejected)


def test_no_prompt_stands_in_both_files_or_twice():
    prompts = [row["prompt"][0]["content"] for part in PARTS for row in rows(part)]
    assert len(set(prompts)) == len(prompts)


def test_there_are_a_few_hundred_short_pairs(embedded_tokenizer):
    for part, least in (("train", 280), ("held_out", 70)):
        records = load_feedback(str(bundled_path(part))).records
        assert len(records) >= least
        examples = encode(
            records, embedded_tokenizer, Rendering(), max_tokens=None, truncation="error"
        ).examples
        assert max(example.num_tokens for example in examples) <= 265


def test_the_readme_counts_what_is_there():
    readme = bundled_path("train").with_name("README.md").read_text("utf-8")
    for part in PARTS:
        name = bundled_path(part).name
        assert re.search(rf"`{re.escape(name)}` \| {len(rows(part))} \|", readme)


def test_every_bundled_prompt_was_written_for_the_project():
    written = Path(accordant.__file__).parents[2] / "scripts" / "bundled_prompts.txt"
    if not written.exists():
        pytest.skip("the prompts are part of the repository, not of the package")
    lines = set(written.read_text("utf-8").splitlines())
    assert all(row["prompt"][0]["content"] in lines for part in PARTS for row in rows(part))
