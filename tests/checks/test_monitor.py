"""The monitor in three trainers (ours, transformers', TRL's): it sees, says, changes nothing."""

from __future__ import annotations

import copy
import json
import math
from dataclasses import replace

import pytest
import torch
from torch import nn
from transformers import Trainer, TrainerCallback, TrainingArguments

from accordant.base.errors import UserError
from accordant.checks.gradients import pair_products, parameters_of
from accordant.checks.monitor import Monitor, WatchSettings
from accordant.checks.snapshot import (
    MonitorSet,
    answer,
    renormalised,
    standard_error_of_mean,
    take_snapshot,
)
from accordant.models.adapters import base_model_of
from accordant.scoring.apart import plain_logps
from accordant.scoring.engine import ScoreOptions, score
from accordant.tokens.trees import TokenTree
from accordant.training.run import train
from tests.families import tiny_model
from tests.training.runs import make_config, make_examples, make_model, make_task, weights


def make_set(**settings) -> MonitorSet:
    pairs = tuple(make_examples("dpo", 4, seed=9))
    prompts = tuple(one.trees[0].prompt for one in pairs)
    return replace(MonitorSet(pairs, prompts, max_new_tokens=6, top_k=5), **settings)


def watched_run(folder, monitor, **settings):
    model = make_model()
    task = make_task("dpo", model, folder / "cache")
    config = make_config(folder, **settings)
    return model, train(model, task, config, callbacks=[monitor] if monitor else [])


def test_top_k_entropy_and_mass_are_those_of_the_whole_distribution():
    model = make_model()
    tree = TokenTree((5, 6, 7), ((8, 9, 10, 11),))
    found = score(model, [tree], ScoreOptions(entropy=True, top_k=5))
    ids = torch.tensor([tree.prompt + tree.continuations[0]])
    logits = type(base_model_of(model)).forward(base_model_of(model), input_ids=ids).logits[0, 2:-1]
    likely = logits.double().softmax(-1).topk(5).values
    raw = -(likely * likely.log()).sum(-1)
    torch.testing.assert_close(found.top_mass.double(), likely.sum(-1), atol=1e-5, rtol=0)
    torch.testing.assert_close(found.top_entropy.double(), raw, atol=1e-5, rtol=0)
    shares = likely / likely.sum(-1, keepdim=True)
    one = -(shares * shares.log()).sum(-1)
    again = renormalised(found.top_entropy.double(), found.top_mass.double())
    torch.testing.assert_close(again, one, atol=1e-5, rtol=0)


def test_the_specs_example_of_mass_and_entropy():
    likely = torch.tensor([0.4, 0.3, 0.1], dtype=torch.float64)
    mass, raw = likely.sum(), torch.special.entr(likely).sum()
    assert float(mass) == pytest.approx(0.8)
    assert float(raw) == pytest.approx(0.957967, abs=1e-6)
    assert float(renormalised(raw, mass)) == pytest.approx(0.974315, abs=1e-6)


def test_the_error_of_a_mean_over_tokens_counts_whole_answers():
    """Against means of whole answers drawn anew, and for answers of one length exactly."""
    draw = torch.Generator().manual_seed(0)
    levels = torch.randn(6, generator=draw, dtype=torch.float64)
    owner = torch.arange(6).repeat_interleave(5)
    values = levels[owner]
    assert standard_error_of_mean(values, owner) == pytest.approx(float(levels.std() / 6**0.5))
    assert math.isnan(standard_error_of_mean(values[:5], owner[:5]))

    def sample() -> tuple[torch.Tensor, torch.Tensor]:
        lengths = torch.randint(1, 12, (40,), generator=draw)
        owners = torch.arange(40).repeat_interleave(lengths)
        level = torch.randn(40, generator=draw, dtype=torch.float64)
        noise = torch.randn(len(owners), generator=draw, dtype=torch.float64)
        return level[owners] + noise, owners

    drawn = [sample() for _ in range(600)]
    spread = torch.stack([values.mean() for values, _ in drawn]).std()
    said = sum(standard_error_of_mean(*one) for one in drawn) / len(drawn)
    assert said == pytest.approx(float(spread), rel=0.1)


def test_a_look_sees_what_slow_scores_say_and_leaves_no_trace():
    model, monitored = make_model(), make_set()
    before, state = weights(model).clone(), torch.get_rng_state()
    answers = answer(model, monitored)
    seen = take_snapshot(model, monitored, answers, answers, 3, 0.5)
    torch.testing.assert_close(weights(model), before, atol=0, rtol=0)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(parameter.grad is None for parameter in model.parameters())
    with torch.no_grad():
        plain = [[float(x.sum()) for x in plain_logps(model, p.trees[0])] for p in monitored.pairs]
    assert seen.chosen == pytest.approx([one[0] for one in plain], abs=1e-4)
    assert seen.rejected == pytest.approx([one[1] for one in plain], abs=1e-4)
    products, _ = pair_products(model, monitored.pairs, parameters_of(model, 1))
    assert seen.chosen_stays == tuple((products.inner >= products.chosen).tolist())
    assert 0 < seen.top_mass < 1
    assert 0 < seen.mass_error < 1
    assert len(seen.start_answers) == len(answers) > 0
    assert (seen.step, seen.held_out_reward) == (3, 0.5)


def test_a_watched_run_gives_the_same_weights_as_one_that_is_not(tmp_path):
    said: list[str] = []
    monitor = Monitor(make_set(), say=said.append)
    one, _ = watched_run(tmp_path / "watched", monitor, eval_steps=1)
    other, _ = watched_run(tmp_path / "alone", None, eval_steps=1)
    torch.testing.assert_close(weights(one), weights(other), atol=0, rtol=0)
    assert [m.step for m in monitor.history.snapshots] == [0, 1, 2, 3]
    names = {finding.check for finding in monitor.findings()}
    assert names == {
        "displacement",
        "reward-calibration",
        "drift",
        "probe-entanglement",
        "over-optimisation",
    }
    assert monitor.history.start.chosen != monitor.history.last.chosen


def test_a_finding_is_said_once_and_stops_the_run_where_asked(tmp_path):
    said: list[str] = []
    settings = WatchSettings(stop_on="warning", every=1)
    monitor = Monitor(make_set(pairs=()), settings, said.append)
    _, result = watched_run(tmp_path, monitor, learning_rate=1.0, max_steps=6, warmup=0.0)
    assert monitor.stopped_by is not None
    assert monitor.stopped_by.check == "drift"
    assert result.steps == monitor.stopped_by.step < 6
    assert sum("Distance from the start" in line for line in said) == 1
    assert any("stopped by drift (--stop-on)" in line for line in said)


def test_a_resumed_run_knows_its_start(tmp_path):
    file = tmp_path / "watch.json"
    first = Monitor(make_set(), WatchSettings(every=1, file=file), lambda _: None)
    watched_run(tmp_path, first, max_steps=4, save_steps=2)
    assert len(json.loads(file.read_text())["measurements"]) == 5
    second = Monitor(make_set(), WatchSettings(every=1, file=file), lambda _: None)
    watched_run(tmp_path, second, max_steps=4, save_steps=2, resume=True)
    assert second.history.start.chosen == first.history.start.chosen
    assert second.history.start.start_answers == first.history.start.start_answers
    assert second.history.start_tokens == first.history.start_tokens
    assert [m.step for m in second.history.snapshots] == [0, 1, 2, 3, 4]
    assert second.history.last.chosen == pytest.approx(first.history.last.chosen, abs=1e-5)


def test_a_file_that_holds_something_else_is_a_user_error(tmp_path):
    file = tmp_path / "watch.json"
    first = Monitor(make_set(), WatchSettings(every=1, file=file), lambda _: None)
    watched_run(tmp_path, first, max_steps=4, save_steps=2)
    file.write_text('{"answers": 3}')
    again = Monitor(make_set(), WatchSettings(every=1, file=file), lambda _: None)
    with pytest.raises(UserError, match="does not hold the measurements"):
        watched_run(tmp_path, again, max_steps=4, save_steps=2, resume=True)


def test_it_works_in_a_plain_transformers_trainer(tmp_path):
    model: nn.Module = tiny_model("llama", seed=0)
    rows = [{"input_ids": torch.arange(5, 13), "labels": torch.arange(5, 13)} for _ in range(8)]
    monitor = Monitor(make_set(), WatchSettings(every=2), lambda _: None)
    args = TrainingArguments(
        output_dir=str(tmp_path), max_steps=4, use_cpu=True, report_to=[], learning_rate=1e-2
    )
    Trainer(model=model, args=args, train_dataset=rows, callbacks=[monitor]).train()
    assert [m.step for m in monitor.history.snapshots] == [0, 2, 4]
    assert monitor.history.last.chosen != monitor.history.start.chosen
    assert len(monitor.findings()) == 5
    assert isinstance(monitor, TrainerCallback)


def test_it_works_in_trls_trainer(tmp_path):
    trl = pytest.importorskip("trl", reason="TRL comes with the benchmarks")
    from datasets import Dataset

    from accordant.models.loading import load_tokenizer

    tokenizer = load_tokenizer("embedded")
    model = tiny_model("llama", seed=0)
    model.resize_token_embeddings(len(tokenizer))
    rows = [{"prompt": f"Say {i}.", "chosen": " yes", "rejected": " no"} for i in range(8)]
    monitor = Monitor(make_set(), WatchSettings(), lambda _: None)
    args = trl.DPOConfig(
        output_dir=str(tmp_path),
        max_steps=2,
        eval_strategy="steps",
        eval_steps=1,
        per_device_train_batch_size=2,
        use_cpu=True,
        bf16=False,
        report_to=[],
        gradient_checkpointing=False,
    )
    trainer = trl.DPOTrainer(
        model=model,
        ref_model=copy.deepcopy(model),
        args=args,
        train_dataset=Dataset.from_list(rows),
        eval_dataset=Dataset.from_list(rows[:2]),
        processing_class=tokenizer,
        callbacks=[monitor],
    )
    trainer.train()
    assert [m.step for m in monitor.history.snapshots] == [0, 1, 2]
    assert monitor.history.last.held_out_reward == monitor.history.last.held_out_reward
