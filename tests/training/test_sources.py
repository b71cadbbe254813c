"""What the trainer asks for the examples of a step: a data set, or whoever samples the policy."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from transformers import TrainerCallback

from accordant.base.errors import UserError
from accordant.objectives.registry import bind_options, get_objective
from accordant.sampling.sampler import LocalSampler
from accordant.sampling.samples import SamplingOptions
from accordant.scoring.engine import score_all
from accordant.scoring.frozen import freeze
from accordant.tokens.examples import Example
from accordant.tokens.trees import TokenTree
from accordant.training.run import train
from accordant.training.sources import DataSet, epoch_order
from accordant.training.trainer import Task
from tests.families import VOCABULARY
from tests.training.runs import curve, make_config, make_examples, make_model, run, weights


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 9), st.integers(0, 3))
def test_an_epoch_of_a_data_set_holds_every_example_once(
    count: int, batch_size: int, epoch: int
) -> None:
    source = DataSet(make_examples("sft", count), batch_size, seed=1)
    steps = [source.examples(epoch * source.steps + step) for step in range(source.steps)]
    assert all(len(step) == batch_size for step in steps[:-1])
    found = [example.index for step in steps for example in step]
    assert found == list(epoch_order(count, 1, epoch))
    assert sorted(found) == list(range(count))


def test_the_order_changes_with_the_epoch_and_the_seed() -> None:
    orders = [epoch_order(50, *numbers) for numbers in ((0, 0), (0, 1), (1, 0))]
    assert len(set(orders)) == 3


PROMPTS = tuple((token, token + 1) for token in range(3, 7))
HALF = VOCABULARY // 2


@dataclass
class Rewarded:
    """Answers of the policy to a few prompts, each rewarded for its tokens of the upper half."""

    seen: list[tuple[int, torch.Tensor]] = field(default_factory=list)
    kind = "ranking"
    steps = None
    known = ()
    on_policy = True

    def examples(self, step: int, policy: nn.Module) -> Sequence[Example]:
        self.seen.append((step, weights(policy)))
        options = SamplingOptions(max_new_tokens=4, samples_per_prompt=4, seed=step)
        examples = []
        samples = LocalSampler(policy).sample(PROMPTS, options)
        for prompt, drawn in zip(PROMPTS, samples, strict=True):
            answers = [sample.completion for sample in drawn]
            scored = sorted(((sum(t >= HALF for t in a), a) for a in answers), reverse=True)
            rewards, best_first = zip(*scored, strict=True)
            tree = TokenTree(prompt, best_first)
            examples.append(Example("ranking", (tree,), len(examples), rewards=rewards))
        return examples

    def identity(self) -> Mapping[str, str]:
        return {"prompts": str(PROMPTS)}


def learn(folder: Path, source: Rewarded, model: nn.Module, **given: object) -> list[float]:
    objective = get_objective("copg")
    options = bind_options(objective, {"beta": 0.1})
    task = Task(source, (), objective, options, freeze(model))
    settings = {"schedule": "constant", "warmup": 0.0, "learning_rate": 3e-3, **given}
    return curve(train(model, task, make_config(folder, **settings)))


def chance(model: nn.Module) -> float:
    """Mean chance of a token of the upper half after a prompt."""
    trees = [TokenTree(p, tuple((t,) for t in range(HALF, VOCABULARY))) for p in PROMPTS]
    return float(score_all(model, trees).sum().exp().sum()) / len(PROMPTS)


def test_a_source_that_samples_the_policy_every_step_teaches_it_what_it_rewards(
    tmp_path: Path,
) -> None:
    model, source = make_model(), Rewarded()
    before = chance(model)
    assert len(learn(tmp_path, source, model, max_steps=12)) == 12
    assert [step for step, _ in source.seen] == list(range(12))
    # It sees the policy as it stands before each step, not as it once was.
    policies = [policy for _, policy in source.seen]
    assert not any(torch.equal(a, b) for a, b in itertools.pairwise(policies))
    assert chance(model) > before + 0.1


@pytest.mark.parametrize("settings", [{"gradient_accumulation_steps": 3}, {"token_budget": 16}])
def test_samples_are_divided_like_any_other_examples(
    settings: dict[str, int], tmp_path: Path
) -> None:
    whole, divided = make_model(), make_model()
    losses = learn(tmp_path / "whole", Rewarded(), whole, max_steps=1)
    assert learn(tmp_path / "parts", Rewarded(), divided, max_steps=1, **settings) == pytest.approx(
        losses, rel=1e-5
    )


class Stop(TrainerCallback):
    """Ends the run after a step, as an interruption would."""

    def on_step_end(self, args, state, control, **_) -> None:
        if state.global_step == 2:
            raise KeyboardInterrupt


def test_a_resumed_run_samples_what_the_uninterrupted_one_did(tmp_path: Path) -> None:
    objective = get_objective("copg")
    options = bind_options(objective, {"beta": 0.1})
    results = []
    for interrupted in (False, True):
        folder, model, source = tmp_path / str(interrupted), make_model(), Rewarded()
        task = Task(source, (), objective, options, freeze(model))
        config = make_config(folder, max_steps=4, save_steps=1)
        if interrupted:
            with pytest.raises(KeyboardInterrupt):
                train(model, task, config, callbacks=[Stop()])
            # The checkpoint of step 1 is the last: step 2 was interrupted before it was saved.
            config = config.model_copy(update={"resume": True})
        train(model, task, config)
        results.append((weights(model), [step for step, _ in source.seen]))
    (whole, steps), (resumed, again) = results
    assert steps == [0, 1, 2, 3]
    assert again == [0, 1, 1, 2, 3]
    assert torch.equal(whole, resumed)


def test_a_source_without_end_needs_a_number_of_steps(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing says when it ends") as caught:
        learn(tmp_path, Rewarded(), make_model(), max_steps=None)
    assert caught.value.where == "--max-steps"


def test_the_largest_row_cannot_be_tried_where_no_example_is_known(tmp_path: Path) -> None:
    source = Rewarded()
    learn(tmp_path, source, make_model(), max_steps=1, probe=True)
    assert [step for step, _ in source.seen] == [0]


def test_epochs_of_a_data_set_end_the_run(tmp_path: Path) -> None:
    _, result = run(tmp_path, "sft", max_steps=None, epochs=1.5, batch_size=6)
    assert result.steps == 5  # one and a half times three


def test_an_objective_that_needs_samples_of_the_policy_gets_them_from_its_source(
    tmp_path: Path,
) -> None:
    objective = get_objective("f_dpg")
    options, config = bind_options(objective, {}), make_config(tmp_path, max_steps=1)
    model, examples = make_model(), make_examples("plackett_luce", 4)
    with pytest.raises(UserError, match="learns from answers the policy gives"):
        train(model, Task(DataSet(examples, 4), (), objective, options, freeze(model)), config)
    result = train(model, Task(Rewarded(), (), objective, options, freeze(model)), config)
    assert len(curve(result)) == 1
