"""A loop is a source of the one trainer; what it draws, labels and keeps can be trusted."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from transformers import TrainerCallback

from accordant.base.errors import UserError
from accordant.loops.drawn import Labelled, Round, read_round, write_round
from accordant.loops.filters import equal_answers, equal_scores
from accordant.loops.labellers import ByReward, read_tokens
from accordant.loops.loop import Loop
from accordant.loops.recipe import (
    FIXED,
    PREVIOUS,
    ROUND_START,
    Draw,
    Passes,
    Recipe,
    ReferenceRule,
    falling,
    find_recipe,
    kl_above,
    moving_average,
    sync,
)
from accordant.loops.run import LoopResult, make_loop, recipe_settings, run_loop
from accordant.rewards.registry import FunctionReward
from accordant.rewards.reward import Answer
from accordant.sampling.samples import SamplingOptions
from accordant.scoring.engine import score_all
from accordant.scoring.frozen import freeze
from accordant.tokens.trees import TokenTree
from accordant.training.run import train
from accordant.training.settings import TrainingSettings
from accordant.training.sources import DataSet
from accordant.training.trainer import Task
from tests.families import VOCABULARY
from tests.training.runs import make_config, make_examples, make_model, weights

PROMPTS = tuple((token, token + 1) for token in range(3, 9))
SAMPLING = SamplingOptions(max_new_tokens=4)


def upper_half(answers: Sequence[Answer]) -> list[int]:
    """Count tokens of the upper half."""
    return [sum(token >= VOCABULARY // 2 for token in answer.tokens or ()) for answer in answers]


REWARD = FunctionReward(
    "upper", "counts tokens of the upper half", lambda answers: upper_half(answers)
)
COPG = Recipe(
    name="copg",
    summary="CoPG on own answers.",
    paper="none: a test",
    draws=(Draw(count=4),),
    labeller=ByReward(kind="ranking"),
    objective="copg",
    rounds=4,
    settings={"schedule": "constant", "warmup": 0.0},
)


def settings_of(recipe: Recipe, folder: Path, **given: Any) -> TrainingSettings:
    plain = make_config(folder, max_steps=None, batch_size=4, save_steps=1, learning_rate=3e-3)
    shared = {name: getattr(plain, name) for name in TrainingSettings.model_fields}
    return recipe_settings(recipe, **{**shared, **recipe.settings, **given})


def run(
    recipe: Recipe,
    folder: Path,
    *,
    callbacks: Sequence[Any] = (),
    judge: Any = REWARD,
    **given: Any,
) -> tuple[nn.Module, Loop, LoopResult]:
    model, settings = make_model(), settings_of(recipe, folder, **given)
    loop = make_loop(recipe, model, settings, prompts=PROMPTS, judge=judge, sampling=SAMPLING)
    return model, loop, run_loop(loop, model, settings, callbacks=callbacks)


def chance(model: nn.Module) -> float:
    """Mean chance of a token of the upper half after a prompt."""
    tokens = range(VOCABULARY // 2, VOCABULARY)
    trees = [TokenTree(prompt, tuple((token,) for token in tokens)) for prompt in PROMPTS]
    return float(score_all(model, trees).sum().exp().sum()) / len(PROMPTS)


def test_a_loop_teaches_what_its_judge_rewards_and_measures_every_round(tmp_path: Path) -> None:
    model, loop, result = run(replace(COPG, rounds=12), tmp_path)
    assert chance(model) > chance(make_model()) + 0.1
    assert [row["round"] for row in result.rows] == list(range(12))
    first, last = result.rows[0], result.rows[-1]
    assert first["kl"] == pytest.approx(0, abs=1e-4)
    assert last["kl"] > 0.01
    assert last["reward"] > first["reward"]
    assert {"keep_rate", "length", "ended", "reward_sd"} <= first.keys()
    assert result.stopped == ""
    assert loop.rows == list(result.rows)


def test_given_records_for_one_round_are_trained_on_as_align_does(tmp_path: Path) -> None:
    recipe = replace(find_recipe("given"), passes=Passes(epochs=2))
    examples = make_examples("dpo", 10)
    looped, plain = make_model(), make_model()
    settings = settings_of(recipe, tmp_path / "loop", save_steps=500)
    run_loop(make_loop(recipe, looped, settings, given=examples), looped, settings)
    loop = make_loop(recipe, plain, settings, given=examples)
    task = Task(
        DataSet(examples, settings.batch_size), (), loop.objective, loop.options, freeze(plain)
    )
    train(plain, task, make_config(tmp_path, max_steps=None, epochs=2, learning_rate=3e-3))
    assert torch.equal(weights(looped), weights(plain))
    assert not torch.equal(weights(looped), weights(make_model()))


class Interrupt(TrainerCallback):
    """Ends a run after so many steps over all calls of the trainer."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


RULES = {
    "fixed": FIXED,
    "round start": ROUND_START,
    "previous": PREVIOUS,
    "average": moving_average(0.5),
    "sync": sync(0.3, every=2),
}


STEP, STEPS, EPOCH = Passes(steps=1), Passes(steps=3), Passes(epochs=1)


@pytest.mark.parametrize(
    ("rule", "passes"),
    [
        ("fixed", STEP),
        ("sync", STEP),
        ("previous", STEPS),
        ("average", STEPS),
        ("fixed", EPOCH),
        ("previous", EPOCH),
    ],
)
def test_a_loop_that_was_stopped_and_resumed_gives_equal_weights(
    rule: str, passes: Passes, tmp_path: Path
) -> None:
    recipe = replace(COPG, passes=passes, reference=RULES[rule], rounds=3)
    whole, _, result = run(recipe, tmp_path / "whole", batch_size=3)
    # Only what was done before the interrupted step has a checkpoint.
    steps = len(result.rows) * (passes.steps or 1)
    with pytest.raises(KeyboardInterrupt):
        run(recipe, tmp_path / "parts", batch_size=3, callbacks=[Interrupt(steps // 2 + 1)])
    resumed, _, again = run(recipe, tmp_path / "parts", batch_size=3, resume=True)
    assert torch.equal(weights(whole), weights(resumed))
    assert result.rows == again.rows


@pytest.mark.parametrize("rule", RULES)
def test_the_reference_follows_the_policy_as_its_rule_says(rule: str, tmp_path: Path) -> None:
    seen: list[torch.Tensor] = []
    model = make_model()
    recipe = replace(COPG, reference=RULES[rule])
    settings = settings_of(recipe, tmp_path)
    loop = make_loop(recipe, model, settings, prompts=PROMPTS, judge=REWARD, sampling=SAMPLING)

    class Look(TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:
            seen.append(weights(given["model"]))

    run_loop(loop, model, settings, callbacks=[Look()])
    start, first, second, third = seen
    expected = {
        "fixed": start,
        "round start": third,
        "previous": second,
        "average": ((start + first) / 2 + second) / 4 + third / 2,
        "sync": 0.7 * start + 0.3 * second,
    }
    torch.testing.assert_close(weights(loop.reference.frozen.source), expected[rule])


def test_labels_are_plain_numbers_and_leave_the_policy_without_gradients(tmp_path: Path) -> None:
    model = make_model()
    recipe = replace(COPG, labeller=ByReward(kind="ranking", needs="implicit"))
    settings = settings_of(recipe, tmp_path)
    loop = make_loop(recipe, model, settings, prompts=PROMPTS, sampling=SAMPLING)
    with torch.no_grad():
        next(model.parameters()).mul_(1.5)
    labelled = loop.begin(0, 0, model).labelled
    assert all(type(score) is float for item in labelled for score in item.scores)
    assert max(abs(score) for item in labelled for score in item.scores) > 0
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(not weight.requires_grad for weight in loop.start.source.parameters())


def test_the_version_of_every_answer_is_recorded(tmp_path: Path) -> None:
    run(replace(COPG, passes=Passes(steps=2), rounds=3), tmp_path)
    for number in range(3):
        kept = read_round(tmp_path / "out" / "rounds", number)
        assert kept is not None
        assert {item.drawn.version for item in kept.labelled if item.drawn} == {2 * number}


def test_an_objective_on_policy_refuses_answers_of_another_version(tmp_path: Path) -> None:
    recipe = find_recipe("f_dpg")
    model, _, result = run(replace(recipe, rounds=3), tmp_path)
    assert len(result.rows) == 3
    others: dict[str, Recipe] = {
        "version": replace(recipe, passes=Passes(steps=2)),
        "drawer": replace(recipe, draws=(Draw(4, reference=0.5),)),
        "temperature": replace(recipe, sampling={"temperature": 0.9}),
    }
    for other in others.values():
        with pytest.raises(UserError, match="learns from answers of the policy as it is"):
            run(other, tmp_path)
    loop = make_loop(
        recipe,
        model,
        settings_of(recipe, tmp_path),
        prompts=PROMPTS,
        judge=REWARD,
        sampling=SAMPLING,
    )
    # Files of an older run say which version drew them.
    old = read_round(tmp_path / "out" / "rounds", 2)
    assert old is not None
    write_round(tmp_path / "out" / "rounds", replace(old, number=3, version=2))
    with pytest.raises(ValueError, match="answers of version 2 at step 3"):
        loop.examples(3, model)


def test_equal_answers_of_a_pair_are_dropped_and_counted(tmp_path: Path) -> None:
    recipe = replace(find_recipe("online_dpo"), rounds=2)
    # Answers of one token at a low temperature: pairs are often equal.
    sampling = SamplingOptions(max_new_tokens=1)
    recipe = replace(recipe, sampling={"temperature": 0.05})
    model, settings = make_model(), settings_of(recipe, tmp_path, batch_size=30)
    judge = FunctionReward(
        "first", "the first token", lambda answers: [a.tokens[0] for a in answers]
    )
    loop = make_loop(recipe, model, settings, prompts=PROMPTS, judge=judge, sampling=sampling)
    begun = loop.begin(0, 0, model)
    equal = [
        i for i in begun.labelled if i.drawn and len({s.completion for s in i.drawn.samples}) == 1
    ]
    assert 0 < len(equal) < 30
    assert all(item.example is None and item.dropped == "equal answers" for item in equal)
    assert begun.row["dropped: equal answers"] == len(equal)
    assert begun.row["keep_rate"] == pytest.approx(1 - len(equal) / 30)
    assert all(len(set(e.trees[0].continuations)) == 2 for e in begun.examples)


def test_a_round_that_leaves_nothing_says_what_was_dropped(tmp_path: Path) -> None:
    judge = FunctionReward("same", "nothing", lambda answers: [0.0] * len(answers))
    with pytest.raises(UserError, match="4 prompts' answers were dropped, 4 for equal scores"):
        run(find_recipe("online_dpo"), tmp_path, judge=judge)


def test_what_is_drawn_depends_on_seed_prompt_and_round_alone(tmp_path: Path) -> None:
    model = make_model()
    settings = settings_of(COPG, tmp_path)
    loops = [
        make_loop(
            COPG,
            model,
            settings_of(COPG, tmp_path, seed=seed),
            prompts=PROMPTS,
            judge=REWARD,
            sampling=SAMPLING,
        )
        for seed in (0, 0, 1)
    ]
    drawn = [loop.draw_answers(2, 0, model) for loop in loops]
    assert drawn[0] == drawn[1] != drawn[2]
    assert loops[0].draw_answers(3, 0, model) != drawn[0]
    assert loops[0].label(drawn[0], 2) == loops[1].label(drawn[1], 2)
    assert settings.seed == 0
    # A round of all prompts asks each once.
    assert {d.prompt for n in range(3) for d in loops[0].draw_answers(n, 0, model)} == set(PROMPTS)


def test_a_round_is_read_as_it_was_written(tmp_path: Path) -> None:
    model, settings = make_model(), settings_of(COPG, tmp_path)
    loop = make_loop(COPG, model, settings, prompts=PROMPTS, judge=REWARD, sampling=SAMPLING)
    begun = loop.begin(0, 0, model)
    assert read_round(tmp_path / "out" / "rounds", 0) == begun
    assert read_round(tmp_path / "out" / "rounds", 1) is None
    lines = (tmp_path / "out" / "rounds" / "round-000000.jsonl").read_text().splitlines()
    assert len(lines) == 1 + len(begun.labelled)
    assert json.loads(lines[0])["row"] == begun.row
    given = Round(1, 0, (Labelled(None, make_examples("kto", 1)[0]),))
    write_round(tmp_path, given)
    assert read_round(tmp_path, 1) == given


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_a_mixture_draws_every_token_between_policy_and_reference(
    share: float, tmp_path: Path
) -> None:
    recipe = replace(COPG, draws=(Draw(400, reference=share),))
    model, settings = make_model(), settings_of(COPG, tmp_path, batch_size=1)
    loop = make_loop(
        recipe,
        model,
        settings,
        prompts=PROMPTS[:1],
        judge=REWARD,
        sampling=SamplingOptions(max_new_tokens=1, batch_size=400),
    )
    moved = make_model(seed=5)
    tree = TokenTree(PROMPTS[0], tuple((token,) for token in range(VOCABULARY)))
    logps = (1 - share) * score_all(moved, [tree]).sum() + share * score_all(model, [tree]).sum()
    expected = logps.log_softmax(0)
    (drawn,) = loop.draw_answers(0, 0, moved)
    for sample in drawn.samples:
        assert sample.drawn_logps[0] == pytest.approx(
            float(expected[sample.completion[0]]), abs=1e-3
        )
    assert set(drawn.drawers) == {{0.0: "policy", 1.0: "reference"}.get(share, "mixture 0.25")}


def test_the_divergence_of_a_mixture_is_weighed_back_to_the_policy(tmp_path: Path) -> None:
    model, moved = make_model(), make_model()
    with torch.no_grad():
        for parameter in moved.parameters():
            parameter.mul_(1.05)
    tree = TokenTree(PROMPTS[0], tuple((token,) for token in range(VOCABULARY)))
    after, before = (score_all(m, [tree]).sum() for m in (moved, model))
    exact = float((after.exp() * (after - before)).sum())
    found = {}
    for share in (0.0, 0.5):
        recipe = replace(COPG, draws=(Draw(64, reference=share),))
        settings = settings_of(COPG, tmp_path / str(share), batch_size=1)
        rows = []
        for seed in range(20):
            loop = make_loop(
                recipe,
                model,
                settings.model_copy(update={"seed": seed}),
                prompts=PROMPTS[:1],
                judge=REWARD,
                sampling=SamplingOptions(max_new_tokens=1, batch_size=64),
            )
            loop.folder = None
            rows.append(loop.begin(0, 0, moved).row["kl"])
        found[share] = np.mean(rows), np.std(rows) / len(rows) ** 0.5
    for mean, error in found.values():
        assert mean == pytest.approx(exact, abs=4 * float(error) + 1e-4)


def test_a_rule_ends_the_loop_and_says_why(tmp_path: Path) -> None:
    _, _, result = run(replace(COPG, rounds=30, stop=(kl_above(0.02),)), tmp_path)
    assert len(result.rows) < 30
    assert result.stopped.startswith("the divergence from the start is")
    rule = falling("reward", 2)
    assert rule([{"reward": number} for number in (3.0, 2.0, 1.0)]) == (
        "reward fell in 2 rounds running, to 1"
    )
    assert rule([{"reward": number} for number in (2.0, 1.0)]) == ""
    assert rule([{"reward": number} for number in (3.0, 1.0, 2.0)]) == ""


def test_an_adapter_keeps_its_base_as_reference_and_refuses_one_that_moves(tmp_path: Path) -> None:
    from accordant.models.adapters import LoraOptions, attach_lora

    base = make_model()
    model = attach_lora(copy.deepcopy(base), LoraOptions(rank=4))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.3)
    recipe = replace(COPG, draws=(Draw(2, reference=1.0), Draw(2, reference=0.5)))
    settings = settings_of(recipe, tmp_path)
    made = {"prompts": PROMPTS, "judge": REWARD, "sampling": SAMPLING}
    loop = make_loop(recipe, model, settings, **made)
    for group in loop.draw_answers(0, 0, model):
        plain = score_all(base, [TokenTree(group.prompt, (group.samples[0].completion,))])
        assert sum(group.samples[0].logps) == pytest.approx(float(plain.sum()), abs=1e-3)
    run_loop(loop, model, settings)
    with pytest.raises(UserError, match="the reference is the model without it"):
        make_loop(replace(recipe, reference=ROUND_START), model, settings, **made)


def test_what_a_recipe_needs_is_asked_for(tmp_path: Path) -> None:
    settings = settings_of(COPG, tmp_path)
    with pytest.raises(UserError, match="recipe 'copg' needs prompts") as caught:
        make_loop(COPG, make_model(), settings, judge=REWARD)
    assert caught.value.mend == "Give `prompts=`."
    with pytest.raises(UserError, match="recipe 'copg' needs a reward"):
        make_loop(COPG, make_model(), settings, prompts=PROMPTS)
    with pytest.raises(UserError, match="recipe 'given' needs records"):
        make_loop(find_recipe("given"), make_model(), settings)


def test_a_reference_rule_says_whether_it_moves() -> None:
    assert not FIXED.moves
    assert all(rule.moves for rule in RULES.values() if rule is not FIXED)
    assert ReferenceRule(keep=0.0) == ROUND_START
    assert equal_scores(Labelled(None, scores=(1.0, 1.0))) == "equal scores"
    assert equal_answers(Labelled(None)) == ""
    assert read_tokens((1, 2), make_sample((3, 4))).text == "3 4"


def make_sample(tokens: tuple[int, ...]) -> Any:
    from accordant.sampling.samples import Sample

    return Sample(tokens)
