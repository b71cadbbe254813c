"""The story of `accordant score`: the answers of feedback, scored as training sees them, as lines.

Composes the rooms below. A line a record, written as soon as it is known; what a killed run has
finished is kept beside its place, and `--resume` goes on from there.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from accordant.base.errors import UserError
from accordant.base.files import open_journal, write_whole
from accordant.feedback.kinds import asked_of, kind_of_record
from accordant.feedback.reading import read_feedback
from accordant.feedback.records import Record, flat
from accordant.runs.api import AnswerScores
from accordant.runs.session import Session, open_session
from accordant.runs.settings import ScoreConfig

if TYPE_CHECKING:
    from rich.console import Console

    from accordant.rewards.reward import Reward
    from accordant.tokens.examples import Example

CHUNK = 64  # records scored, then written: what a kill costs at most


@dataclass(frozen=True, slots=True)
class ScorePlan:
    """What will be scored, before a weight is loaded.

    Args:
        records: the feedback.
        examples: the same in tokens, in order.
        session: the model whose log-probabilities are wanted.
        reference: the model to compare with; None for none.
        reward: scores the answers' texts; None for none.
    """

    records: tuple[Record, ...]
    examples: tuple[Example, ...]
    session: Session
    reference: Session | None
    reward: Reward | None

    def to_json(self) -> dict[str, Any]:
        """Return the figures of the plan."""
        return {
            "model": self.session.settings.model,
            "reference": self.reference and self.reference.settings.model,
            "reward": self.reward and self.reward.name,
            "records": len(self.records),
            "answers": sum(len(t.continuations) for e in self.examples for t in e.own_trees),
            "tokens": sum(example.num_tokens for example in self.examples),
        }


def plan_score(config: ScoreConfig) -> ScorePlan:
    """Read feedback, tokenizers and reward, and say what would be scored; loads no weights.

    Raises:
        UserError: a row, a model or a reward at fault, or a record longer than the model can read.
    """
    from accordant.rewards.expression import find_reward
    from accordant.tokens.rendering import encode

    _check_place(config)
    reward = find_reward(config.reward, where="--reward") if config.reward else None
    records = read_feedback(config)[0].records
    session, reference = open_session(config), None
    if config.reference is not None:
        reference = open_session(config.model_copy(update={"model": config.reference}))
        session.refuse_other_tokenizer(reference.tokenizer, config.reference, "--reference")
    examples = encode(
        records, session.tokenizer, session.rendering, max_tokens=session.max_tokens
    ).examples
    session.refuse_unknown_tokens(examples)
    return ScorePlan(tuple(records), tuple(examples), session, reference, reward)


def run_score(config: ScoreConfig, console: Console) -> dict[str, Any]:
    """Score feedback and write a JSON line a record, in the order of the rows.

    Args:
        config: of the verb; without `output` the lines go to standard output.
        console: where progress is shown; not standard output where the lines go there.

    Returns:
        the figures of the plan, with the file.

    Raises:
        UserError: anything the user can mend.
    """
    plan = plan_score(config)
    with _lines(config) as (file, start):
        if start:
            console.print(f"going on after {start:,} records", highlight=False)
        for first, done in _progress(plan, start, console):
            chunk = slice(first, first + CHUNK)
            for line in _score(plan, chunk, config):
                file.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")
            file.flush()
            done()
    return plan.to_json() | {"file": config.output and str(config.output)}


def _score(plan: ScorePlan, chunk: slice, config: ScoreConfig) -> Iterator[dict[str, Any]]:
    """Yield the lines of some records; those of a chunk share packed rows, which no score sees."""
    from accordant.rewards.reward import Answer, score_answers

    records, examples = plan.records[chunk], plan.examples[chunk]
    reference = None if plan.reference is None else plan.reference.score(examples)
    scores = AnswerScores(examples, plan.session.score(examples), reference, config.beta)
    readings = [_readings(record) for record in records]
    values = None
    if plan.reward is not None:
        answers = [Answer(prompt, flat(text)) for row in readings for _, prompt, text in row]
        values = iter(score_answers(plan.reward, answers).values.tolist())
    per_answer = zip(
        records, readings, scores.logps, _rewards(scores), _counts(examples), strict=True
    )
    for record, row, logps, rewards, counts in per_answer:
        lines = [
            {"name": name, "text": flat(text), "tokens": count, "logp": logp}
            for (name, _, text), logp, count in zip(row, logps, counts, strict=True)
        ]
        for place, line in enumerate(lines):
            if rewards:
                line |= {"reference_logp": logps[place] - rewards[place] / config.beta}
                line |= {"implicit_reward": rewards[place]}
            if values is not None and plan.reward is not None:
                line["reward"] = dict(
                    zip(plan.reward.attributes, map(_finite, next(values)), strict=True)
                )
        yield _line(record, row, lines, rewards)


def _line(
    record: Record, row: Sequence[Any], answers: list[dict[str, Any]], rewards: Sequence[float]
) -> dict[str, Any]:
    preferred = kind_of_record(record).preferred(record)
    line: dict[str, Any] = {"kind": kind_of_record(record).name, "prompt": flat(row[0][1])}
    if record.origin is not None:
        line = {"source": record.origin.source, "row": record.origin.row} | line
    line["answers"] = answers
    if rewards and len(preferred) == 1:
        better, worse = preferred[0]
        line["margin"] = rewards[better] - rewards[worse]
    return line


def _readings(record: Record) -> list[tuple[str, Any, Any]]:
    """Return (name, prompt, answer) of every answer that is scored, in the order of its tokens."""
    answers = [
        (name, asked.prompt, text) for asked in asked_of(record) for name, text in asked.answers
    ]
    # A judged answer is read twice: after its judgment, then as it was given.
    if kind_of_record(record).reread is not None:
        return [
            (f"{name} after the judgment", prompt, text) for name, prompt, text in answers
        ] + answers
    return answers


def _rewards(scores: AnswerScores) -> list[list[float]]:
    return scores.rewards if scores.reference is not None else [[] for _ in scores.examples]


def _counts(examples: Sequence[Example]) -> list[list[int]]:
    return [[len(run) for t in e.own_trees for run in t.continuations] for e in examples]


def _finite(value: float) -> float | str:
    """Return a number that JSON has, or infinity by its name."""
    return value if math.isfinite(value) else str(value)


def _partial(output: Path) -> Path:
    return output.with_name(f".{output.name}.partial")


def _check_place(config: ScoreConfig) -> None:
    """Refuse to write over what is there, or to go on with lines of other settings."""
    if config.output is None:
        return
    where = str(config.output)
    if config.output.exists() and not config.overwrite:
        raise UserError(
            "the file is there already, so nothing is left to do."
            if config.resume
            else "the file is there already.",
            where=where,
            mend="Give another --output, or --overwrite.",
        )
    if not config.output.absolute().parent.is_dir():
        raise UserError("its folder is not there.", where=where, mend="Make it first.")
    kept = _partial(config.output)
    if config.resume and kept.exists() and _first_line(kept) != _identity(config):
        raise UserError(
            "an interrupted run was given other settings.",
            where=where,
            mend="Repeat them with --resume, or leave it out to begin again.",
        )


def _identity(config: ScoreConfig) -> str:
    """Return what decides the lines of a run, as the first line of what it has finished."""
    return json.dumps(config.model_dump(mode="json", exclude={"overwrite", "resume", "dry_run"}))


def _first_line(file: Path) -> str:
    with file.open(encoding="utf-8") as lines:
        return lines.readline().rstrip("\n")


@contextmanager
def _lines(config: ScoreConfig) -> Iterator[tuple[IO[str], int]]:
    """Open where lines go, and say how many are there from an earlier run."""
    if config.output is None:
        yield sys.stdout, 0
        return
    kept = _partial(config.output)
    with open_journal(kept, go_on=config.resume) as (lines, file):
        if not lines:
            file.write(_identity(config) + "\n")
        yield file, max(len(lines) - 1, 0)
    body = kept.read_text(encoding="utf-8").split("\n", 1)[1]
    write_whole(config.output, body.encode())
    kept.unlink()


def _progress(plan: ScorePlan, start: int, console: Console) -> Iterator[tuple[int, Any]]:
    """Yield the first record of every chunk, with a function to call when it is written."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    tokens = [example.num_tokens for example in plan.examples]
    columns = (TextColumn("{task.fields[rate]}"), BarColumn(), TimeRemainingColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("", total=sum(tokens[start:]), rate="")
        for first in range(start, len(tokens), CHUNK):

            def done(first: int = first) -> None:
                bar.advance(task, sum(tokens[first : first + CHUNK]))
                speed = bar.tasks[0].speed
                rate = f", {speed:,.0f} tokens/s" if speed else ""
                shown = min(first + CHUNK, len(tokens))
                bar.update(task, rate=f"{shown:,} of {len(tokens):,} records{rate}")

            yield first, done
