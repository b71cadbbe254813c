"""The first part of an align run: feedback, objective, tokens and plan, and no weights yet.

Composes the rooms below. Whatever a user can mend is refused here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from accordant.base.errors import UserError
from accordant.feedback.kinds import KINDS, why_nothing_learnt
from accordant.feedback.reading import describe_reading, read_feedback
from accordant.feedback.sources import find_test_files
from accordant.feedback.splitting import split_feedback
from accordant.models.adapters import adapt
from accordant.objectives.feedback import (
    check_contrast,
    check_feedback,
    check_labels,
    check_sampling,
)
from accordant.objectives.registry import bind_options, get_objective, load_objective_file
from accordant.objectives.settings import ObjectiveSettings
from accordant.rewards.expression import find_reward
from accordant.runs.align.relabel import Relabelled, relabel
from accordant.runs.session import Session, open_session
from accordant.runs.settings import AlignConfig
from accordant.tokens.lengths import describe_lengths
from accordant.tokens.rendering import Encoded, encode
from accordant.training.checkpoints import check_run_folder
from accordant.training.plan import make_plan
from accordant.training.preparations.mechanism import check_preparations, plan_preparations
from accordant.training.preparations.workbench import Parts, Workbench

if TYPE_CHECKING:
    from rich.console import Console

    from accordant.feedback.loading import Feedback
    from accordant.objectives.registry import Objective
    from accordant.rewards.reward import Reward
    from accordant.training.plan import Plan


_ALL_TRAINED = (
    "nothing is held out: without even one of so few records there would be nothing to learn from",
)


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that is known before weights are loaded."""

    config: AlignConfig
    session: Session  # the model, its tokenizer and rendering, the console and the cache
    read: tuple[Feedback, ...]  # the sources as they were read, before a part was held out
    relabelled: Relabelled  # the records to learn from and to test on, and the questions to ask
    bench: Workbench  # the objective with its options, and what its preparations may use
    judge: Reward  # who compares answers before and after
    encoded: Encoded  # training records in tokens, prepared as far as it takes no model
    encoded_held_out: Encoded | None  # held-out records, likewise
    plan: Plan

    @property
    def train(self) -> Feedback:
        """Records to learn from."""
        return self.relabelled.train

    @property
    def held_out(self) -> Feedback | None:
        """Records to test on, or None."""
        return self.relabelled.held_out

    @property
    def objective(self) -> Objective:
        """The loss."""
        return self.bench.objective

    @property
    def options(self) -> Mapping[str, Any]:
        """The options of the loss, defaults included."""
        return self.bench.options

    @property
    def parts(self) -> Parts:
        """Examples to learn from and to test on."""
        held_out = self.encoded_held_out
        return Parts(self.encoded.examples, () if held_out is None else held_out.examples)

    def with_parts(self, parts: Parts) -> Prepared:
        """Return the same run on other examples."""
        held_out = self.encoded_held_out
        return replace(
            self,
            encoded=replace(self.encoded, examples=parts.train),
            encoded_held_out=held_out and replace(held_out, examples=parts.held_out),
        )


def prepare(
    config: AlignConfig, console: Console | None = None, data: Feedback | None = None
) -> Prepared:
    """Check data, options and the output folder, and encode the data; loads no weights.

    Args:
        config: settings of the run.
        console: where people read along; nowhere when None.
        data: feedback at hand, in place of what the settings name.

    Raises:
        UserError: anything the user can mend.
    """
    read = _read(config, data)
    objective = choose_objective(config, read[0])
    relabelled = relabel(config.relabel, *_split(config, read, objective))
    feedback = (relabelled.train, *filter(None, [relabelled.held_out]))
    bench = Workbench(objective, bind_options(objective, config.options), config, feedback)
    check_preparations(bench)
    judge = find_reward(config.judge_for(config.data), where="option --judge", noun="judge")
    _check_settings(config)
    session = open_session(
        config,
        console=console,
        cache=config.cache_folder,
        adapt=lambda model: adapt(model, config, seed=config.seed),
    )
    encoded = _encode(config, session, objective, feedback)
    bench = replace(
        bench,
        tokenizer=session.tokenizer,
        rendering=session.rendering,
        max_tokens=session.max_tokens,
        positions=session.facts.positions,
        stop_ids=encoded[0].end_of_turn_ids,
        # A function, so that weights are loaded only where a preparation asks for them.
        policy=lambda: session.model,
        console=session.console,
    )
    parts = plan_preparations(bench, Parts(*(each.examples for each in encoded)))
    return Prepared(
        config=config,
        session=session,
        read=read,
        relabelled=relabelled,
        bench=bench,
        judge=judge,
        encoded=encoded[0],
        encoded_held_out=encoded[1] if len(encoded) > 1 else None,
        plan=plan_run(config, session, parts),
    ).with_parts(parts)


def plan_run(config: AlignConfig, session: Session, parts: Parts) -> Plan:
    """Say what training on examples will do and take."""
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    model = session.facts.config
    return make_plan(model, config, parts.train, parts.held_out, processes=processes)


def choose_objective(settings: ObjectiveSettings, feedback: Feedback) -> Objective:
    """Return the objective that is named, or the usual one for this kind of feedback.

    Raises:
        UserError: there is none, or it cannot be trained on this feedback.
    """
    if settings.objective_file is not None:
        load_objective_file(settings.objective_file)
    name = settings.method or KINDS[feedback.record_type].usual
    if not name:
        raise UserError(
            f"no objective is the usual one for {feedback.record_type} records.",
            where="--method",
            mend="Name one; `accordant objectives` lists them.",
        )
    objective = get_objective(name)
    check_sampling(objective)
    check_feedback(objective, {feedback.record_type}, where=feedback.source)
    check_contrast(objective, feedback)
    return objective


def plan_lines(ready: Prepared) -> list[str]:
    """Return the plan in words, with everything that was left out or cut."""
    lines = [
        *data_lines(ready),
        f"{ready.objective.name} on {ready.train.record_type} records: {ready.train.source}",
        *ready.plan.lines(),
    ]
    if ready.config.dry_run:
        lines += describe_lengths(ready.encoded.lengths, ready.config.max_length)
    return lines


def data_lines(ready: Prepared) -> list[str]:
    """Return what was left out, cut or made of the feedback, in words."""
    limits = (each.describe_limits() for each in (ready.encoded, ready.encoded_held_out) if each)
    return [
        *describe_reading(*ready.read),
        *_test_files(ready),
        *(line for lines in limits for line in lines),
        *(_ALL_TRAINED if ready.config.held_out and ready.held_out is None else ()),
        *ready.relabelled.notes,
        *ready.encoded.notes,
    ]


def _test_files(ready: Prepared) -> list[str]:
    """Name a test file that is there and not used."""
    config = ready.config
    # Feedback at hand, and the two bundled files, come from no folder.
    if len(ready.read) > 1 or not config.data:
        return []
    return [
        f"not used: {file}; to test on it: --held-out-data {file}"
        for file in find_test_files(config.data, config.subset)[:1]
    ]


def _read(config: AlignConfig, data: Feedback | None) -> tuple[Feedback, ...]:
    """Read the feedback to learn from and, where it is named or bundled, that to test on."""
    feedback, held_out = read_feedback(config, data=data)
    if held_out is None:
        return (feedback,)
    if held_out.record_type != feedback.record_type:
        raise UserError(
            f"it holds {held_out.record_type} records, the training data {feedback.record_type} "
            "records.",
            where=str(config.held_out_data),
            mend="Give held-out feedback of the same kind.",
        )
    return feedback, held_out


def _split(
    config: AlignConfig, read: tuple[Feedback, ...], objective: Objective
) -> tuple[Feedback, Feedback | None]:
    """Hold out a part, unless the objective could learn nothing from what would be left."""
    if len(read) == 2:
        return read
    if config.held_out == 0:
        return read[0], None
    seed = config.seed if config.held_out_seed is None else config.held_out_seed
    train, held_out = split_feedback(read[0], config.held_out, seed)
    least = max((need.least for need in objective.prepare), default=1)
    # One label of few may be held out altogether: what is left then compares nothing.
    one_label = len(objective.labels) != 1 and why_nothing_learnt(train.records)
    if len(train.records) < least or one_label:
        return read[0], None
    return train, held_out


def _check_settings(config: AlignConfig) -> None:
    """Refuse settings that contradict each other, and an output folder that holds something."""
    if config.stop_on is not None and not config.watch:
        raise UserError(
            "nothing is found in a run that is not watched.",
            where="--stop-on",
            mend="Leave it out, or leave out --no-watch.",
        )
    check_run_folder(config.output_dir, may_write=config.overwrite or config.resume)


def _encode(
    config: AlignConfig, session: Session, objective: Objective, feedback: Sequence[Feedback]
) -> list[Encoded]:
    """Put the training and the held-out records into tokens."""
    limits: dict[str, Any] = {"max_tokens": session.max_tokens, "truncation": config.truncation}
    encoded = [
        encode(each.records, session.tokenizer, session.rendering, **limits) for each in feedback
    ]
    if not encoded[0].examples:
        raise UserError(
            "no record is left to train on.",
            where=feedback[0].source,
            mend="Raise --max-length, or choose another --truncation.",
        )
    for each in encoded:
        session.refuse_unknown_tokens(each.examples)
        check_labels(objective, each.examples)
    return encoded
