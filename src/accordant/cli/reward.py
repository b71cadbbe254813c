"""`accordant reward`: train a reward model, score answers by a reward, measure and calibrate it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from accordant.cli.options import options_from
from accordant.cli.output import console, examples, json_option, print_json, say, show_report
from accordant.runs.reward_settings import (
    RewardEvaluateConfig,
    RewardScoreConfig,
    RewardTrainConfig,
)

Name = Annotated[
    str,
    typer.Argument(
        metavar="REWARD",
        help="A folder of a reward model, a rule, a function as path.py:function, or an expression "
        "of them.",
    ),
]


def loss_names() -> list[str]:
    """Return all losses of rewards, for completion."""
    from accordant.objectives.registry import list_reward_losses

    return [entry.name for entry in list_reward_losses()]


def register(app: typer.Typer) -> None:
    """Add the verb's commands to the command line."""
    app.callback(
        no_args_is_help=True,
        epilog=examples(
            "accordant reward train --data bundled --output-dir runs/concise",
            "accordant reward evaluate runs/concise --data pairs.jsonl",
            "accordant reward score runs/concise --data pairs.jsonl --out scored.jsonl",
        ),
    )(reward)
    app.command(
        "train",
        epilog=examples(
            "accordant reward train --data bundled --output-dir runs/concise",
            "accordant reward train --data pairs.jsonl --loss margin_bt --lora-rank 16",
            "accordant reward train --data rated.jsonl --attributes helpfulness "
            "--attributes verbosity",
            "accordant reward train --data pairs.jsonl --dry-run",
        ),
    )(options_from(RewardTrainConfig, suggest={"loss": loss_names})(run_train))
    app.command(
        "score",
        epilog=examples(
            "accordant reward score runs/concise --data pairs.jsonl --out scored.jsonl",
            "accordant reward score 'runs/rated[helpfulness] - 0.1*shorter' --data pairs.jsonl",
        ),
    )(options_from(RewardScoreConfig)(score))
    app.command(
        "evaluate",
        epilog=examples(
            "accordant reward evaluate runs/concise --data pairs.jsonl",
            "accordant reward evaluate rule:concise --data bundled --json",
        ),
    )(options_from(RewardEvaluateConfig)(evaluate))
    app.command(
        "calibrate",
        epilog=examples("accordant reward calibrate runs/concise --data pairs.jsonl"),
    )(options_from(RewardEvaluateConfig)(calibrate))


def reward() -> None:
    """Train a reward model, score answers by a reward, measure it and calibrate it.

    Wherever a reward is named, an expression may stand: `runs/rated[helpfulness] - 0.1*shorter`.
    """


def run_train(
    config: RewardTrainConfig, as_json: Annotated[bool, json_option("result")] = False
) -> None:
    """Train a reward model on comparisons or ratings, measure it, and report.

    The folder is one that `AutoModelForSequenceClassification` and vLLM load.
    """
    from accordant.runs.reward import run_training

    reader = console(to_error=as_json)
    report, page, plan = run_training(config, reader)
    if report is not None:
        show_report(report, page, reader, as_json=as_json)
    elif as_json:
        # Without it, the plan has been told in words.
        print_json(plan)


def score(
    config: RewardScoreConfig, name: Name, as_json: Annotated[bool, json_option("result")] = False
) -> None:
    """Write rows of feedback with the rewards of their answers beside them.

    Comparisons get `score_chosen` and `score_rejected`, which `align` reads. What was scored before
    a run was stopped is not scored again.
    """
    from accordant.runs.reward import score_rows

    done = score_rows(name, config, console(to_error=True))
    if as_json:
        print_json(done)
    else:
        say("\n".join(f"{key}: {value}" for key, value in done.items()))


def evaluate(
    config: RewardEvaluateConfig,
    name: Name,
    as_json: Annotated[bool, json_option("results")] = False,
) -> None:
    """Measure a reward on feedback: accuracy, calibration, and what length has to do with it."""
    from accordant.runs.reward import evaluate_reward

    reader = console(to_error=as_json)
    _show(evaluate_reward(name, config, reader), reader, as_json)


def calibrate(
    config: RewardEvaluateConfig,
    name: Name,
    as_json: Annotated[bool, json_option("results")] = False,
) -> None:
    """Fit a reward model's temperature on half of the prompts, and report on the others.

    The temperature is kept in the model's folder: differences of its rewards are then log-odds of
    being preferred. Of ratings, the residual deviation of every attribute is kept.
    """
    from accordant.runs.reward import calibrate_reward

    reader = console(to_error=as_json)
    _show(calibrate_reward(name, config, reader), reader, as_json)


def _show(done: tuple[Any, Any, Any], reader: Any, as_json: bool) -> None:
    report, page, plan = done
    if report is not None:
        show_report(report, page, reader, as_json=as_json)
    elif as_json:
        print_json(plan)
    else:
        say("\n".join(f"{key}: {value}" for key, value in plan.items()))
