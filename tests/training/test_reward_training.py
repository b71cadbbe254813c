"""Rewards are trained by the one trainer on packed trees, as padded rows would train them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import AutoModelForSequenceClassification

from accordant.models.adapters import LoraOptions, attach_lora, base_model_of
from accordant.models.merging import merge_adapter
from accordant.objectives.registry import bind_options, get_objective
from accordant.rewards.model import make_reward_model
from accordant.tokens.examples import Example, with_numbers
from accordant.training.learner import Learner
from accordant.training.run import train
from accordant.training.sources import DataSet
from accordant.training.trainer import Task
from tests.families import tiny_model
from tests.loops.test_loop import Interrupt
from tests.rewards.test_model import clone
from tests.training.runs import make_config, make_examples, weights


def make_model(attributes: Sequence[str] = ("reward",)) -> Any:
    return make_reward_model(tiny_model("llama"), clone("chatml"), attributes).model


def make_task(model: Any, loss: str, examples: Sequence[Example], **options: object) -> Task:
    objective = get_objective(loss)
    bound = bind_options(objective, options)
    head = base_model_of(model).score
    return Task(DataSet(examples[:24], 4), examples[24:], objective, bound, head=head)


def padded_values(model: nn.Module, examples: Sequence[Example], folder: Path) -> torch.Tensor:
    """Rewards of every answer as transformers' own class gives them, with gradients."""
    base = base_model_of(model)
    base.config.pad_token_id = 0
    base.save_pretrained(folder)
    plain = AutoModelForSequenceClassification.from_pretrained(folder)
    return plain, torch.stack(
        [
            plain(torch.tensor([tree.prompt + run]), torch.ones(1, len(tree.prompt + run))).logits[
                0
            ]
            for example in examples
            for tree in example.trees
            for run in tree.continuations
        ]
    )


def test_loss_and_gradient_are_those_of_padded_rows(tmp_path: Path) -> None:
    # Token 0 is the padding, which no answer here may hold.
    examples = [
        e for e in make_examples("dpo", 60) if all(r[-1] for t in e.trees for r in t.continuations)
    ][:12]
    model = make_model()
    learner = Learner(get_objective("bt"), {"centring": 0.01, "ties": 0.0}, model, head=model.score)
    ours = learner.loss(examples).mean
    ours.backward()
    plain, values = padded_values(model, examples, tmp_path)
    chosen, rejected = values[::2, 0], values[1::2, 0]
    # TRL 1.16, reward_trainer.py: the same terms, averaged over pairs.
    theirs = -nn.functional.logsigmoid(chosen - rejected).mean()
    theirs = theirs + 0.01 * ((chosen + rejected) ** 2).mean()
    theirs.backward()
    assert float(ours) == pytest.approx(float(theirs), abs=1e-5)
    torch.testing.assert_close(model.score.weight.grad, plain.score.weight.grad, atol=1e-5, rtol=0)
    first = model.model.layers[0].self_attn.q_proj.weight.grad
    torch.testing.assert_close(
        first, plain.model.layers[0].self_attn.q_proj.weight.grad, atol=1e-5, rtol=0
    )


def test_a_trained_reward_orders_what_it_learnt(tmp_path: Path) -> None:
    examples, model = make_examples("dpo", 30), make_model()
    config = make_config(tmp_path, max_steps=40, learning_rate=3e-3, batch_size=4)
    result = train(model, make_task(model, "bt", examples), config)
    accuracies = [
        row["rewards/accuracies"] for row in result.history if "rewards/accuracies" in row
    ]
    assert sum(accuracies[-5:]) / 5 > 0.9
    assert "eval_rewards/accuracies" in result.history[-1] or any(
        "eval_rewards/accuracies" in row for row in result.history
    )


def test_ratings_are_learnt_one_attribute_a_column(tmp_path: Path) -> None:
    examples = [
        with_numbers(
            Example("rating", example.trees, example.index, id=example.id),
            "ratings",
            (float(len(example.trees[0].continuations[0]) % 3), float("nan")),
        )
        for example in make_examples("sft", 30)
    ]
    model = make_model(("parity", "unrated"))
    before = model.score.weight[1].clone()
    config = make_config(tmp_path, max_steps=40, learning_rate=3e-3)
    result = train(model, make_task(model, "regression", examples), config)
    losses = [row["loss"] for row in result.history if "loss" in row]
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])
    assert torch.equal(model.score.weight[1], before)


@pytest.mark.parametrize("adapter", [False, True])
def test_a_reward_that_was_stopped_and_resumed_has_equal_weights(
    adapter: bool, tmp_path: Path
) -> None:
    examples = make_examples("dpo", 30)

    def run(folder: Path, *callbacks: Any, **settings: Any) -> torch.Tensor:
        model = make_model()
        if adapter:
            model = attach_lora(model, LoraOptions(rank=2), seed=1)
        config = make_config(folder, max_steps=4, save_steps=2, **settings)
        result = train(model, make_task(model, "bt", examples), config, callbacks=callbacks)
        return weights(merge_adapter(result.model))

    whole = run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "parts", Interrupt(3))
    assert torch.equal(run(tmp_path / "parts", resume=True), whole)
    assert not torch.equal(weights(make_model()), whole)
