"""The stories of `accordant reward`: train a reward, score rows by one, measure one, calibrate one.

Composes the rooms below. A reward is named by an expression everywhere but where its folder is
changed (`calibrate`).
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accordant.base.errors import UserError
from accordant.base.files import open_journal
from accordant.feedback.loading import Feedback
from accordant.feedback.reading import read_feedback
from accordant.feedback.records import Record
from accordant.feedback.rows import BadRow
from accordant.feedback.sources import read_rows
from accordant.feedback.splitting import split_feedback
from accordant.feedback.writing import check_target, write_rows
from accordant.models.saving import check_output_folder
from accordant.reports.report import Facts, Figures, Plots, Report, Section, Table, columns
from accordant.reports.writing import write_report
from accordant.rewards.expression import find_reward
from accordant.rewards.reward import Reward, score_answers
from accordant.runs.report_parts import ENDS, command_part, flatten, number_cells, shown
from accordant.runs.resumption import make_resumption
from accordant.runs.reward_measures import RewardMeasures, answers_to_read, measure_reward
from accordant.runs.reward_settings import (
    RewardEvaluateConfig,
    RewardScoreConfig,
    RewardTrainConfig,
)
from accordant.statistics.measures import KeyFigure, chance_figure
from accordant.statistics.wording import ends, number

if TYPE_CHECKING:
    from rich.console import Console

    from accordant.runs.reward_training import RewardTraining

REWARD_SCHEMA_VERSION = 1
SCORED_TOGETHER = 64  # records between two writes of what is done
# By kind of record, the column of its answers' rewards; others have one answer and `reward`.
COLUMNS = {"comparison": ("score_chosen", "score_rejected"), "ranking": ("rewards",)}


@dataclass(frozen=True, slots=True)
class RewardEvaluation:
    """What was measured of a reward; the JSON is this, field by field."""

    reward: str
    description: str
    data: str
    records: int
    measures: RewardMeasures
    settings: Mapping[str, Any]
    command: str
    created: str  # ISO 8601 with the time zone


def run_training(config: RewardTrainConfig, console: Console) -> tuple[Report | None, Path, Any]:
    """Train a reward and report, or stop at the plan in a dry run.

    Returns:
        the report, its page, and what is printed as JSON; no report of a dry run.

    Raises:
        UserError: anything the user can mend.
    """
    from accordant.runs.reward_training import describe_plan, prepare_reward, train_reward

    ready = prepare_reward(config, console)
    for line in describe_plan(ready):
        ready.session.say(line)
    settings, loss = config.training(), ready.objective
    resumption = make_resumption(settings, loss, ready.options, ready.examples)
    ended = resumption.find_end(ready.session.say)
    if config.dry_run or ended is not None:
        plan = {
            "dry_run": config.dry_run,
            "loss": loss.name,
            "attributes": ready.attributes,
            "train": ready.plan.examples,
            "held_out": ready.plan.held_out,
            "steps": ready.plan.steps if ended is None else ended,
            "memory_bytes": ready.plan.memory.total,
        }
        return None, config.output_dir, plan
    resumption.begin()
    reward, training = train_reward(config, ready, console)
    report = training_report(reward, training)
    page, _ = write_report(report, config.output_dir)
    resumption.end(training.steps)
    return report, page, None


def evaluate_reward(
    name: str, config: RewardEvaluateConfig, console: Console
) -> tuple[Report | None, Path, Any]:
    """Measure a reward on feedback and report.

    Raises:
        UserError: anything the user can mend.
    """
    reward, feedback = _prepare(name, config)
    if config.dry_run:
        plan = {"dry_run": True, "reward": reward.name, "records": len(feedback.records)}
        return None, config.output_dir, plan
    check_output_folder(config.output_dir, overwrite=config.overwrite)
    console.print(f"measuring {reward.name} on {len(feedback.records):,} records", markup=False)
    return _report(reward, feedback, measure_reward(reward, feedback), config)


def calibrate_reward(
    name: str, config: RewardEvaluateConfig, console: Console
) -> tuple[Report | None, Path, Any]:
    """Fit a reward model's temperature on half of the prompts, keep it, and report on the others.

    Of ratings it is the residual deviation of every attribute that is kept.

    Raises:
        UserError: it is no folder of a reward model, or anything else the user can mend.
    """
    from accordant.rewards.model import RewardModel, record_calibration

    reward, feedback = _prepare(name, config)
    if not isinstance(reward, RewardModel) or not Path(name).is_dir():
        raise UserError(
            "only a folder of a reward model can keep a calibration.",
            where=f"reward {name}",
            mend="Name the folder of a reward model; `lsc(...)` and `cdf(...)` calibrate others.",
        )
    if config.dry_run:
        plan = {"dry_run": True, "reward": reward.name, "records": len(feedback.records)}
        return None, config.output_dir, plan
    check_output_folder(config.output_dir, overwrite=config.overwrite)
    fitted, reported = split_feedback(feedback, 0.5)
    measures = measure_reward(reward, fitted)
    residuals = tuple(measures.residual_sd.get(a, float("nan")) for a in reward.attributes)
    reward = record_calibration(
        reward,
        # Rewards come divided by the temperature they had; ratings have a scale of their own.
        temperature=reward.temperature * measures.temperature,
        residual_sd=residuals if measures.residual_sd else reward.residual_sd,
    )
    console.print(f"temperature {reward.temperature:.4g} kept in {name}", markup=False)
    return _report(reward, reported, measure_reward(reward, reported), config)


def score_rows(name: str, config: RewardScoreConfig, console: Console) -> dict[str, Any]:
    """Write rows of feedback with the rewards of their answers beside them, in their order.

    What was scored before a run was stopped is taken up by the next.

    Raises:
        UserError: anything the user can mend.
    """
    from accordant.training.progress import phase

    reward, feedback = find_reward(name, where="reward"), _load(config)
    check_target(config.out, feedback.source, overwrite=config.overwrite)
    done = {"reward": reward.name, "rows": len(feedback.records), "out": str(config.out)}
    if config.dry_run:
        return {"dry_run": True, **done}
    asked = (reward.name, reward.description, feedback.source, repr(feedback.records))
    key = hashlib.sha256(repr(asked).encode()).hexdigest()[:16]
    partial = config.out.parent / f".{config.out.name}.{key}.partial"
    whole = len(feedback.records)
    with (
        phase(console, f"scoring {whole:,} records") as show,
        open_journal(partial) as (lines, file),
    ):
        scored = [json.loads(line) for line in lines]
        for start in range(len(scored), whole, SCORED_TOGETHER):
            batch = _score_records(reward, feedback.records[start : start + SCORED_TOGETHER])
            file.writelines(json.dumps(row) + "\n" for row in batch)
            file.flush()
            scored += batch
            show(f"scored {len(scored):,}/{whole:,}")
    # A row may give several records, as a conversation of several turns does: the last one counts.
    by_row = {str(r.origin): s for r, s in zip(feedback.records, scored, strict=True)}
    rows = [
        {**row.values, **by_row[str(row.origin)]}
        for row in read_rows(feedback.source, config.split, config.subset)
        if not isinstance(row, BadRow) and str(row.origin) in by_row
    ]
    write_rows(config.out, rows)
    partial.unlink(missing_ok=True)
    return done


def _score_records(reward: Reward, records: Sequence[Record]) -> list[dict[str, Any]]:
    """Return the columns that rewards of the records' answers make."""
    counts = [len(answers_to_read((record,))) for record in records]
    values = score_answers(reward, answers_to_read(records)).values.tolist()
    scored = []
    for record, count in zip(records, counts, strict=True):
        own, values = values[:count], values[count:]
        if len(reward.attributes) == 1:
            own = [value for (value,) in own]
            names = COLUMNS.get(type(record).__name__.lower(), ("reward",))
            given = own if len(names) == count else [own]
            scored.append(dict(zip(names, given, strict=True)))
        else:
            rows = [dict(zip(reward.attributes, row, strict=True)) for row in own]
            scored.append({"rewards": rows if count > 1 else rows[0]})
    return scored


def _prepare(name: str, config: RewardEvaluateConfig) -> tuple[Reward, Feedback]:
    return find_reward(name, where="reward"), _load(config)


def _load(config: RewardEvaluateConfig | RewardScoreConfig) -> Feedback:
    feedback, held_out = read_feedback(config)
    # Where there is a part that nobody has learnt from, as of the bundled set, it is that.
    return held_out or feedback


def _report(
    reward: Reward, feedback: Feedback, measures: RewardMeasures, config: RewardEvaluateConfig
) -> tuple[Report, Path, None]:
    evaluation = RewardEvaluation(
        reward=reward.name,
        description=reward.description,
        data=feedback.source,
        records=len(feedback.records),
        measures=measures,
        settings=config.model_dump(mode="json"),
        command=" ".join(["accordant", *sys.argv[1:]]),
        created=datetime.now(UTC).astimezone().isoformat(timespec="seconds"),
    )
    report = evaluation_report(evaluation)
    page, _ = write_report(report, config.output_dir)
    return report, page, None


def evaluation_report(evaluation: RewardEvaluation) -> Report:
    """Build the report of a measured reward."""
    facts = (
        ("reward", evaluation.reward),
        ("scores", evaluation.description),
        ("data", evaluation.data),
        ("records", f"{evaluation.records:,}"),
        ("made", evaluation.created),
    )
    return _build(
        f"Reward {evaluation.reward}", evaluation.measures, facts, evaluation, evaluation.settings
    )


def training_report(reward: Reward, training: RewardTraining) -> Report:
    """Build the report of a trained reward: what it was trained on, and what it is worth."""
    from accordant.runs.reward_training import training_facts

    facts = tuple((name, str(value)) for name, value in training_facts(training).items())
    title = f"Reward {reward.name}"
    return _build(title, training.measures, facts, training, training.settings)


def _build(
    title: str,
    measures: RewardMeasures,
    facts: tuple[tuple[str, str], ...],
    record: Any,
    settings: Mapping[str, Any],
) -> Report:
    figures = _figures(measures)
    rows = tuple((name, *number_cells(n)) for name, n in measures.numbers.items())
    verdict = "; ".join(figure.clause for figure in figures if figure.clause)
    return Report(
        title=title,
        verdict=f"{verdict}.",
        sections=(
            Section("numbers", "Numbers", (Figures(figures),)),
            Section(
                "measures",
                "All measures",
                (
                    Table("Measures", columns("measure", "#value", ENDS), rows, in_terminal=True),
                    *shown(Plots(measures.charts)),
                ),
            ),
            Section(
                "run",
                "Run",
                (
                    *shown(command_part(str(getattr(record, "command", "")))),
                    Facts("Settings", flatten(settings), code=True),
                ),
            ),
        ),
        name="report",
        kind="reward",
        facts=facts,
        record=record,
        schema=REWARD_SCHEMA_VERSION,
    )


def _figures(measures: RewardMeasures) -> tuple[KeyFigure, ...]:
    if measures.kind == "ratings":
        return tuple(
            KeyFigure(name, number(n.estimate), ends(n, "number"), "of the ratings", name)
            for name, n in measures.numbers.items()
        )
    error = measures.numbers["calibration error"]
    return (
        chance_figure("accuracy", measures.numbers["accuracy"]),
        KeyFigure(
            "calibration error",
            number(error.estimate),
            ends(error, "number"),
            f"perfect chances would show {number(measures.floor)}",
            f"calibration error {number(error.estimate)}, of which perfect chances would show "
            f"{number(measures.floor)}",
        ),
        KeyFigure(
            "temperature",
            number(measures.temperature),
            "",
            "what differences should be divided by; 1 is calibrated",
        ),
    )
