"""The training loop against a slow loop, and against itself with the work divided otherwise."""

from __future__ import annotations

import copy
import io
import logging
import math
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from rich.console import Console

from accordant.base.errors import UserError
from accordant.objectives.assembly import assemble
from accordant.objectives.batch import evaluate, family_metrics
from accordant.objectives.registry import get_objective, objective, temporary_objectives
from accordant.scoring.compilation import compiled_layers
from accordant.scoring.engine import score, score_all
from accordant.training.run import train
from accordant.training.sources import DataSet, epoch_order
from accordant.training.trainer import AlignTrainer, Task
from tests.training.runs import (
    KINDS,
    curve,
    make_config,
    make_examples,
    make_model,
    make_task,
    run,
    weights,
)

METHODS = sorted(KINDS)


def slow_losses(method: str, folder: Path, steps: int) -> tuple[list[float], torch.Tensor]:
    """The same run as a plain loop: whole batches in one pass, torch's own AdamW, no trainer."""
    model = make_model()
    task = make_task(method, model, folder)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0)
    losses = []
    for step in range(steps):
        examples = task.source.examples(step)
        policy = score(model, [tree for e in examples for tree in e.trees])
        inputs = assemble(task.objective, policy, task.reference.scores(examples), examples)
        output = evaluate(task.objective, inputs, task.options)
        scale = torch.ones(len(examples)) if output.weights is None else output.weights
        mean = (output.losses * scale).sum() / scale.sum()
        mean.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(mean.item())
    return losses, weights(model)


@pytest.mark.parametrize("method", METHODS)
def test_a_run_equals_a_plain_loop(method: str, tmp_path: Path) -> None:
    model, result = run(tmp_path, method, schedule="constant", warmup=0.0)
    losses, expected = slow_losses(method, tmp_path / "slow", steps=3)
    assert curve(result) == pytest.approx(losses, abs=1e-5)
    assert (weights(model) - expected).abs().max() < 1e-5


@pytest.mark.parametrize("method", METHODS)
def test_accumulation_does_not_change_the_loss(method: str, tmp_path: Path) -> None:
    whole, one = run(tmp_path / "1x4", method, gradient_accumulation_steps=1)
    parts, four = run(tmp_path / "4x1", method, gradient_accumulation_steps=4)
    assert curve(one) == pytest.approx(curve(four), abs=1e-5)
    assert curve(one, "grad_norm") == pytest.approx(curve(four, "grad_norm"), rel=1e-4)
    assert (weights(whole) - weights(parts)).abs().max() < 1e-5


@pytest.mark.parametrize("method", METHODS)
def test_the_token_budget_does_not_change_the_loss(method: str, tmp_path: Path) -> None:
    whole, one = run(tmp_path / "one-row", method, token_budget=100_000)
    parts, many = run(tmp_path / "many-rows", method, token_budget=16)
    assert curve(one) == pytest.approx(curve(many), abs=1e-5)
    assert (weights(whole) - weights(parts)).abs().max() < 1e-5


def test_a_last_batch_that_is_not_full_is_averaged_over_what_it_has(tmp_path: Path) -> None:
    settings = {"batch_size": 6, "max_steps": None, "epochs": 1.0}  # 16 examples: 6, 6, 4
    _, one = run(tmp_path / "a", **settings)
    # Neither 6 nor 4 divides evenly into 5 parts: some hold one example more, some none.
    _, many = run(tmp_path / "b", gradient_accumulation_steps=5, **settings)
    assert len(curve(one)) == 3
    assert curve(one) == pytest.approx(curve(many), abs=1e-5)


def test_weights_of_examples_are_normalised_over_the_step_not_the_row(tmp_path: Path) -> None:
    def weighted(scores, *, power: float = 1.0):
        """A loss that weighs answers by their length."""
        from accordant.objectives.inputs import LossOutput

        sequences = scores.completion.policy
        return LossOutput(losses=-sequences.mean(), weights=sequences.lengths.float() ** power)

    with temporary_objectives():
        objective(
            name="by_length",
            feedback="demonstration",
            needs_reference=False,
            paper="none",
            formula="mean over tokens",
        )(weighted)
        results = []
        for budget in (100_000, 16):
            model = make_model()
            examples = make_examples("sft", 16)
            task = Task(DataSet(examples, 4), [], get_objective("by_length"), {"power": 1.0})
            config = make_config(tmp_path / str(budget), token_budget=budget)
            results.append((weights(model), train(model, task, config), weights(model)))
        (start, one, first), (_, many, second) = results
    assert curve(one) == pytest.approx(curve(many), abs=1e-5)
    assert (first - second).abs().max() < 1e-5
    assert (first - start).abs().max() > 1e-4
    tokens = [sum(map(len, e.trees[0].continuations)) for e in examples]
    order = epoch_order(16, seed=0, epoch=0)[:4]
    logps = score_all(make_model(), [examples[i].trees[0] for i in order]).sum()
    assert curve(one)[0] == pytest.approx(-float(logps.sum()) / sum(tokens[i] for i in order))


@pytest.mark.parametrize("method", METHODS)
def test_held_out_metrics_are_those_of_one_pass_over_all_examples(
    method: str, tmp_path: Path
) -> None:
    model = make_model()
    task = make_task(method, model, tmp_path)
    start = copy.deepcopy(model)
    result = train(model, task, make_config(tmp_path, eval_steps=3, token_budget=32))
    found = next(row for row in result.history if "eval_loss" in row)
    with torch.no_grad():
        policy = score(model, [tree for e in task.held_out for tree in e.trees])
        reference = task.reference.scores(task.held_out)
        inputs = assemble(task.objective, policy, reference, task.held_out)
        output = evaluate(task.objective, inputs, task.options)
    expected = family_metrics(inputs, output).averages()
    assert len(expected) >= 2
    for name, value in expected.items():
        assert found[f"eval_{name}"] == pytest.approx(value, rel=1e-5, abs=1e-4), name
    assert not torch.equal(weights(model), weights(start))


def test_logged_metrics_average_over_the_window(tmp_path: Path) -> None:
    _, each = run(tmp_path / "a", max_steps=4, logging_steps=1)
    _, window = run(tmp_path / "b", max_steps=4, logging_steps=4)
    # The first step is logged by itself, so the window holds the other three.
    for name in ("loss", "rewards/accuracies", "rewards/margins", "logps/chosen"):
        steps = curve(each, name)
        assert curve(window, name) == pytest.approx([steps[0], sum(steps[1:]) / 3], abs=1e-5)
    assert curve(window, "num_tokens")[-1] == each.tokens


def test_learning_rate_and_speed_are_logged(tmp_path: Path) -> None:
    _, result = run(tmp_path, max_steps=4, warmup=0.5, schedule="linear")
    assert curve(result, "learning_rate") == pytest.approx([0.0, 5e-4, 1e-3, 5e-4])
    assert all(speed > 0 for speed in curve(result, "tokens_per_second"))
    assert result.steps == 4
    assert result.tokens_per_second > 0


def test_nan_stops_the_run_names_the_rows_and_keeps_weights_and_checkpoint(
    tmp_path: Path,
) -> None:
    model = make_model()
    task = make_task("dpo", model, tmp_path / "cache")
    poisoned = task.source.examples(2)[1]

    class Broken:
        def scores(self, examples):
            scores = task.reference.scores(examples)
            if poisoned in examples:
                scores.logps[0] = math.nan
            return scores

    broken = replace(task, held_out=[], reference=Broken())
    config = make_config(tmp_path, max_steps=4, save_steps=1, token_budget=16)
    with pytest.raises(UserError) as caught:
        train(model, broken, config)
    message = str(caught.value)
    assert "loss of step 3 is nan" in message
    assert f"pairs.jsonl, row {poisoned.index + 1}" in message
    assert message.count("pairs.jsonl") == 1, "only the row that failed is named"
    assert "checkpoint-2" in message
    assert torch.isfinite(weights(model)).all()
    assert sorted(path.name for path in (tmp_path / "out").glob("checkpoint-*")) == [
        "checkpoint-1",
        "checkpoint-2",
    ]


def test_an_infinite_gradient_stops_the_run_before_the_weights_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_model()
    before = weights(model).clone()
    finish = AlignTrainer._finish_step

    def overflow(self, part):
        next(self.model.parameters()).grad[0] = math.inf
        return finish(self, part)

    monkeypatch.setattr(AlignTrainer, "_finish_step", overflow)
    with pytest.raises(UserError, match="gradient norm of step 1"):
        train(model, make_task("dpo", model, tmp_path / "cache"), make_config(tmp_path))
    assert torch.equal(weights(model), before)


def test_a_lack_of_memory_says_what_to_lower(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self, model, row, step_examples):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr(AlignTrainer, "_differentiate", full)
    with pytest.raises(UserError, match="--token-budget") as caught:
        run(tmp_path)
    assert "memory ran out on a row of" in str(caught.value)


def test_the_probe_runs_the_largest_row_first_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = []
    differentiate = AlignTrainer._differentiate

    def watch(self, model, row, step_examples):
        rows.append(row)
        differentiate(self, model, row, step_examples)

    plain, without = run(tmp_path / "a")
    monkeypatch.setattr(AlignTrainer, "_differentiate", watch)
    probed, with_probe = run(tmp_path / "b", probe=True)
    assert not rows[0].counts
    assert rows[0].num_tokens == max(row.num_tokens for row in rows)
    assert torch.equal(weights(plain), weights(probed))
    assert curve(without) == curve(with_probe)


def test_gradient_checkpointing_does_not_change_the_run(tmp_path: Path) -> None:
    plain, one = run(tmp_path / "a")
    other, two = run(tmp_path / "b", gradient_checkpointing=True)
    assert curve(one) == pytest.approx(curve(two), abs=1e-6)
    assert (weights(plain) - weights(other)).abs().max() < 1e-6


def test_compiled_layers_change_no_curve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In parts of a step, with held-out examples and recomputed activations."""
    settings = {"eval_steps": 2, "gradient_accumulation_steps": 2}
    _, expected = run(tmp_path / "a", **settings)
    graphs = []

    def count(graph: torch.fx.GraphModule, _inputs: object) -> object:
        graphs.append(graph)
        return graph.forward

    eager = partial(compiled_layers, backend=count)
    monkeypatch.setattr("accordant.training.run.compiled_layers", eager)
    monkeypatch.setattr(logging.getLogger("torch.__trace"), "disabled", True)
    torch.compiler.reset()
    said = io.StringIO()
    config = make_config(tmp_path / "b", compile="on", gradient_checkpointing=True, **settings)
    model = make_model()
    task = make_task("dpo", model, tmp_path / "cache", batch_size=config.batch_size)
    result = train(model, task, config, console=Console(file=said, width=200))
    assert graphs
    assert curve(result) == pytest.approx(curve(expected), abs=1e-5)
    assert curve(result, "eval_loss") == pytest.approx(curve(expected, "eval_loss"), abs=1e-5)
    assert said.getvalue().startswith("compiling the layers, about 10 s, once ...")


def test_bf16_weights_learn_at_a_small_rate(tmp_path: Path) -> None:
    settings = {"learning_rate": 4e-6, "max_steps": 4, "warmup": 0.0, "schedule": "constant"}
    start = make_model().to(torch.bfloat16)
    exact, _ = run(tmp_path / "f32", model=copy.deepcopy(start).float(), **settings)
    halved, _ = run(tmp_path / "bf16", model=copy.deepcopy(start), precision="bf16", **settings)
    # Weights move by far less than a bfloat16 step, so only those near the border to the next
    # number cross it: as many as in exact arithmetic, where rounding after each step loses most.
    expected = (weights(exact).to(torch.bfloat16) != weights(start)).sum()
    crossed = (weights(halved) != weights(start)).sum()
    assert expected > 50
    assert crossed / expected == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize("precision", ["bf16", "bf16-mixed"])
def test_lower_precision_follows_the_float32_curve(precision: str, tmp_path: Path) -> None:
    _, exact = run(tmp_path / "f32", max_steps=6)
    model = make_model()
    if precision == "bf16":
        model = model.to(torch.bfloat16)
    _, lower = run(tmp_path / precision, model=model, precision=precision, max_steps=6)
    assert curve(lower) == pytest.approx(curve(exact), rel=0.15, abs=0.1)
