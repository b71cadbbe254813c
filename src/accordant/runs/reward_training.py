"""The story of `accordant reward train`: from feedback to a reward model in a folder.

Composes the rooms below. Whatever a user can mend is refused before weights are loaded.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from accordant.base.errors import UserError, did_you_mean
from accordant.feedback.kinds import asked_of, kind_of_record
from accordant.feedback.loading import Feedback
from accordant.feedback.reading import read_feedback
from accordant.feedback.records import Rating, Record
from accordant.feedback.splitting import split_feedback
from accordant.models.sources import RUN_MODEL
from accordant.objectives.feedback import check_contrast, check_feedback
from accordant.objectives.registry import (
    Objective,
    bind_options,
    get_objective,
    list_reward_losses,
)
from accordant.runs.reward_measures import RewardMeasures, measure_reward
from accordant.runs.reward_settings import RewardTrainConfig
from accordant.runs.session import Session, open_session
from accordant.tokens.examples import Example
from accordant.tokens.whole import encode_whole
from accordant.training.checkpoints import check_run_folder
from accordant.training.plan import Plan, make_plan
from accordant.training.preparations.mechanism import check_preparations
from accordant.training.preparations.workbench import Workbench

if TYPE_CHECKING:
    from rich.console import Console

    from accordant.rewards.model import RewardModel
    from accordant.training.run import TrainResult

USUAL = {"comparison": "bt", "rating": "regression"}


@dataclass(frozen=True, slots=True)
class PreparedReward:
    """All that is known of a training before weights are loaded."""

    session: Session
    train: Feedback
    held_out: Feedback
    objective: Objective
    options: Mapping[str, Any]
    attributes: tuple[str, ...]  # what the head reads
    examples: tuple[Example, ...]
    held_out_examples: tuple[Example, ...]
    dropped: int  # records that are longer than the model reads
    plan: Plan


@dataclass(frozen=True, slots=True)
class RewardTraining:
    """What a training leaves: its folder, and what was measured of it."""

    model: str
    base: str
    loss: str
    options: Mapping[str, Any]
    attributes: tuple[str, ...]
    data: str
    train: int
    held_out: int
    steps: int
    difference_elsewhere: float  # largest, to transformers' own reading of the folder
    measures: RewardMeasures
    history: tuple[Mapping[str, float], ...]
    settings: Mapping[str, Any]
    command: str


def prepare_reward(config: RewardTrainConfig, console: Console | None = None) -> PreparedReward:
    """Check data, loss and output folder, and encode the data; loads no weights.

    Raises:
        UserError: anything the user can mend.
    """
    feedback, held_out = read_feedback(config)
    objective = _choose_loss(config, feedback)
    check_contrast(objective, feedback)
    if held_out is None:
        feedback, held_out = split_feedback(feedback, config.held_out, config.seed)
    check_feedback(objective, {held_out.record_type}, where=held_out.source)
    options = bind_options(objective, config.options)
    settings = config.training()
    check_preparations(Workbench(objective, options, settings, (feedback, held_out)))
    attributes = _attributes(config, feedback)
    check_run_folder(config.output_dir, may_write=config.overwrite or config.resume)
    session = open_session(config, console=console)
    examples, dropped = _encode(config, session, feedback, attributes)
    held_out_examples, more = _encode(config, session, held_out, attributes)
    if not examples:
        raise UserError("no record is short enough to be read.", where=feedback.source)
    return PreparedReward(
        session=session,
        train=feedback,
        held_out=held_out,
        objective=objective,
        options=options,
        attributes=attributes,
        examples=examples,
        held_out_examples=held_out_examples,
        dropped=dropped + more,
        plan=make_plan(session.facts.config, settings, examples, held_out_examples),
    )


def describe_plan(ready: PreparedReward) -> list[str]:
    """Return the plan in words, with everything that was left out."""
    lines = [line for part in (ready.train, ready.held_out) for line in part.describe_skipped()]
    if ready.dropped:
        lines.append(f"Left out {ready.dropped:,} records that are longer than the model reads.")
    ties = sum(example.numbers.get("reward_gap") == (0.0,) for example in ready.examples)
    if ties:
        lines.append(f"{ties:,} comparisons are ties.")
    lines.append(
        f"{ready.objective.name} on {ready.train.record_type} records: {ready.train.source}; "
        f"the head reads {', '.join(ready.attributes)}"
    )
    return [*lines, *ready.plan.lines()]


def train_reward(
    config: RewardTrainConfig, ready: PreparedReward, console: Console
) -> tuple[RewardModel, RewardTraining]:
    """Train, save, compare with transformers' reading of the folder, and measure.

    Raises:
        UserError: training failed, or the folder does not give the same numbers elsewhere.
    """
    from accordant.models.adapters import adapt, base_model_of
    from accordant.models.merging import merge_adapter
    from accordant.rewards.model import make_reward_model
    from accordant.scoring.installation import install
    from accordant.training.progress import phase
    from accordant.training.run import train
    from accordant.training.sources import DataSet
    from accordant.training.trainer import Task

    session, settings = ready.session, config.training()
    reward = make_reward_model(
        session.loaded.model,
        session.tokenizer,
        ready.attributes,
        seed=config.seed,
        name=str(config.output_dir),
        rendering=session.rendering,
        max_tokens=session.max_tokens,
        token_budget=config.token_budget,
    )
    model = install(adapt(reward.model, config, seed=config.seed), verify=False)
    task = Task(
        DataSet(ready.examples, config.batch_size, config.seed),
        ready.held_out_examples,
        ready.objective,
        ready.options,
        head=base_model_of(model).score,
    )
    result = train(model, task, settings, console=console)
    merged = install(merge_adapter(result.model), verify=False)
    # Merging rounds all weights to the model's format; rewards are read in float32.
    base_model_of(merged).score.float()
    reward = replace(reward, model=merged.eval())
    with phase(console, "measuring the reward"):
        measures = measure_reward(reward, ready.held_out)
    known = measures.residual_sd
    residuals = tuple(known.get(name, float("nan")) for name in reward.attributes) if known else ()
    reward = replace(reward, residual_sd=residuals)
    return reward, _saved(config, ready, reward, result, measures)


def _saved(
    config: RewardTrainConfig,
    ready: PreparedReward,
    reward: RewardModel,
    result: TrainResult,
    measures: RewardMeasures,
) -> RewardTraining:
    """Write the model's folder, hold it against transformers' reading, and say what was done."""
    folder = reward.save(config.output_dir / RUN_MODEL, card=_card(config, ready), overwrite=True)
    return RewardTraining(
        model=str(folder),
        base=config.model,
        loss=ready.objective.name,
        options=ready.options,
        attributes=ready.attributes,
        data=ready.train.source,
        train=len(ready.examples),
        held_out=len(ready.held_out_examples),
        steps=result.steps,
        difference_elsewhere=compare_elsewhere(reward, str(folder), ready.held_out.records),
        measures=measures,
        history=result.history,
        settings=config.model_dump(mode="json"),
        command=" ".join(["accordant", *sys.argv[1:]]),
    )


def compare_elsewhere(reward: RewardModel, folder: str, records: Sequence[Record]) -> float:
    """Return the largest difference to what transformers reads off padded rows of a saved folder.

    Raises:
        UserError: it is more than the number format explains.
    """
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from accordant.models.quiet import quiet_transformers
    from accordant.rewards.reward import score_answers
    from accordant.runs.reward_measures import answers_to_read

    answers = answers_to_read(records[:2])[:4]
    with quiet_transformers():
        model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
        tokenizer = AutoTokenizer.from_pretrained(folder)
    rows = [reward.tokens_of(answer) for answer in answers]
    batch = tokenizer.pad({"input_ids": rows}, return_tensors="pt")
    with torch.no_grad():
        values = model(**batch).logits.double().numpy() / reward.temperature
    ours = score_answers(reward, answers).values
    difference = float(np.abs(values - ours).max())
    # bfloat16 keeps 8 bits, and padded rows are summed in another order than packed ones.
    allowed = 1e-3 if model.dtype == torch.float32 else 0.1 * max(1.0, float(np.abs(ours).max()))
    if not difference <= allowed:
        raise UserError(
            f"transformers reads rewards off this folder that differ by {difference:.3g}.",
            where=folder,
            mend="Report the model's family: its classification model reads another token.",
        )
    return difference


def _choose_loss(config: RewardTrainConfig, feedback: Feedback) -> Objective:
    name = config.loss or USUAL.get(feedback.record_type)
    known = {entry.name: entry for entry in list_reward_losses()}
    if name is None:
        raise UserError(
            f"no loss of rewards learns from {feedback.record_type} records.",
            where=feedback.source,
            mend=f"Give {' or '.join(USUAL)} records.",
        )
    if name not in known:
        mend = did_you_mean(name, known, f"There are: {', '.join(known)}.")
        raise UserError(f"there is no loss of rewards {name!r}.", where="--loss", mend=mend)
    objective = get_objective(name)
    check_feedback(objective, {feedback.record_type}, where=feedback.source)
    return objective


def _attributes(config: RewardTrainConfig, feedback: Feedback) -> tuple[str, ...]:
    """Return what the head reads: the rated attributes, or the one reward of comparisons."""
    if feedback.record_type != "rating":
        if config.attributes:
            raise UserError(
                f"{feedback.record_type} records rate no attributes.", where="--attributes"
            )
        return ("reward",)
    ratings = [record.ratings for record in feedback.records if isinstance(record, Rating)]
    rated = list(dict.fromkeys(name for row in ratings for name in row))
    for name in config.attributes:
        if name not in rated:
            mend = did_you_mean(name, rated, f"Rated are {', '.join(rated)}.")
            raise UserError(f"nobody rated {name!r}.", where="--attributes", mend=mend)
    attributes = config.attributes or tuple(rated)
    for name in attributes:
        values = {row[name] for row in ratings if name in row}
        if len(values) == 1:
            raise UserError(
                f"{name!r} is {values.pop():g} wherever it is rated: nothing can be learnt of it.",
                where=feedback.source,
                mend="Name the attributes to learn, `--attributes NAME`.",
            )
    return attributes


def _encode(
    config: RewardTrainConfig, session: Session, feedback: Feedback, attributes: Sequence[str]
) -> tuple[tuple[Example, ...], int]:
    """Return records in tokens, as finished conversations, and how many were left out."""
    examples: list[Example] = []
    for place, record in enumerate(feedback.records):
        name = str(record.origin or f"record {place + 1}")
        kind = kind_of_record(record)
        numbers = dict(kind.numbers(record))
        if isinstance(record, Rating):
            numbers["ratings"] = tuple(record.ratings.get(a, float("nan")) for a in attributes)
            if all(np.isnan(numbers["ratings"])):
                continue
        (asked,) = asked_of(record)
        answers = [text for _, text in asked.answers]
        try:
            trees = encode_whole(
                asked.prompt, answers, session.tokenizer, session.rendering, session.max_tokens
            )
        except UserError as error:
            if config.too_long == "drop" and "at most" in error.message:
                continue
            raise UserError(error.message, where=name, mend=error.mend) from error
        examples.append(Example(kind.name, trees, place, numbers=numbers, id=name))
    session.refuse_unknown_tokens(examples)
    return tuple(examples), len(feedback.records) - len(examples)


def _card(config: RewardTrainConfig, ready: PreparedReward) -> str:
    """Say what the model is, and how vLLM is called so that it gives the same numbers."""
    names = ", ".join(ready.attributes)
    call = {"model": config.output_dir.name, "input": "TEXT", "use_activation": False}
    return (
        f"# {config.output_dir.name}\n\nA reward model that reads {names}: {config.model} trained "
        f"with `{ready.objective.name}` ({json.dumps(dict(ready.options))}) on "
        f"{len(ready.examples):,} {ready.train.record_type} records.\n\n"
        "Read it at the last token of the conversation, written by `apply_chat_template` without "
        "a generation prompt:\n\n"
        "```python\nmodel = AutoModelForSequenceClassification.from_pretrained(FOLDER)\n"
        "rows = tokenizer.apply_chat_template(conversations, padding=True, return_tensors='pt', "
        "return_dict=True)\nrewards = model(**rows).logits\n```\n\n"
        "vLLM applies a sigmoid unless it is told not to:\n\n"
        "```bash\nvllm serve FOLDER --runner pooling --convert classify\n"
        f"curl localhost:8000/classify -d '{json.dumps(call)}'\n```\n"
    )


def training_facts(training: RewardTraining) -> dict[str, Any]:
    """Return what a report says of a training, by name."""
    kept = ("model", "base", "loss", "data", "train", "held_out", "steps")
    return {name: value for name, value in asdict(training).items() if name in kept}
