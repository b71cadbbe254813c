"""What `accordant check` reads before any weight is loaded: feedback, checks to run, tokens.

Composes the rooms below; knows no check.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from accordant.base.errors import UserError
from accordant.checks.inputs import CheckInputs
from accordant.checks.passes import Need
from accordant.checks.registry import Check, bind_check_options, get_check, list_checks
from accordant.feedback.loading import Feedback
from accordant.feedback.reading import read_feedback
from accordant.feedback.records import Record
from accordant.rewards.expression import find_reward
from accordant.runs.check_report import NotRun
from accordant.runs.session import Session, open_session
from accordant.runs.settings import CheckConfig
from accordant.tokens.limits import example_length
from accordant.tokens.rendering import Encoded, encode

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from accordant.tokens.rendering import Rendering

NO_MODEL = "none"


@dataclass(frozen=True, slots=True)
class PreparedCheck:
    """All that is known before weights are loaded.

    Args:
        session: the model, its tokenizer and rendering; None where no check reads tokens.
        inputs: without models.
        checks: to run, those without a model first.
        options: of every check to run.
        not_run: checks that are left out, and why.
        passes: tokens of every pass over the model, by its name.
    """

    session: Session | None
    inputs: CheckInputs
    checks: tuple[Check, ...]
    options: Mapping[str, Mapping[str, Any]]
    not_run: tuple[NotRun, ...]
    passes: Mapping[str, float]

    @property
    def needs_model(self) -> bool:
        """Whether a check to run reads a model."""
        return self.inputs.encoded is not None and any(one.reads_model for one in self.checks)


def prepare_check(config: CheckConfig, data: Feedback | None = None) -> PreparedCheck:
    """Read the feedback, choose the checks and encode for them; loads no weights.

    Raises:
        UserError: anything the user can mend.
    """
    for name in (*config.only, *config.skip):
        get_check(name, "--only" if name in config.only else "--skip")
    reward = find_reward(config.judge_for(config.data), where="option --judge", noun="judge")
    feedback, held_out = read_feedback(config, config.held_out_split, data)
    checks, not_run = _choose(config, feedback, held_out)
    options = bind_check_options(checks, config.options)
    inputs = CheckInputs(
        feedback,
        held_out,
        with_reference=config.reference is not None,
        reward=reward,
        token_budget=config.token_budget,
        seed=config.seed,
        shared={},
    )
    session = None
    if any({*_read_by(one, config)} - {"held_out"} for one in checks):
        session = open_session(config)
        inputs = _with_tokens(session, inputs)
    passes: dict[str, float] = {}
    for one in checks:
        for name, tokens in one.costs(inputs, options[one.name]).items():
            passes[name] = max(tokens, passes.get(name, 0.0))
    return PreparedCheck(session, inputs, checks, options, not_run, passes)


def _read_by(one: Check, config: CheckConfig) -> tuple[Need, ...]:
    """What a check reads in this run, where a model is optional to it."""
    return one.needs if config.model == NO_MODEL else (*one.needs, *one.uses)


def _choose(
    config: CheckConfig, feedback: Feedback, held_out: Feedback | None
) -> tuple[tuple[Check, ...], tuple[NotRun, ...]]:
    """The checks to run, and those that are not."""
    checks, not_run = [], []
    for one in list_checks():
        if one.when == "during" or (config.only and one.name not in config.only):
            continue
        reason = _why_not(one, config, feedback, held_out)
        if reason and one.name in config.only:
            raise UserError(
                f"the check '{one.name}' cannot be run: {reason}.", where=f"--only {one.name}"
            )
        if reason:
            not_run.append(NotRun(one.name, reason))
        else:
            checks.append(one)
    # What costs least comes first: its findings are seen early.
    checks.sort(key=lambda one: one.reads_model)
    if not checks:
        raise UserError(
            "no check is left to run.",
            where="--only" if config.only else "--skip",
            mend="; ".join(f"{one.check}: {one.reason}" for one in not_run[:3]),
        )
    return tuple(checks), tuple(not_run)


def _why_not(one: Check, config: CheckConfig, feedback: Feedback, held_out: Feedback | None) -> str:
    """Why a check is not run; empty where it is."""
    reads_model = bool({"model", "reference"} & {*one.needs})
    if one.name in config.skip:
        return "left out by --skip"
    if not one.applies_to(feedback.record_type):
        return f"it is for {' and '.join(one.feedback)} records, not {feedback.record_type} records"
    if "held_out" in one.needs and held_out is None:
        return "it needs --held-out-data or --held-out-split"
    if one.needs != ("held_out",) and one.needs and config.model == NO_MODEL:
        return "it needs a model"
    if "reference" in one.needs and config.reference is None:
        return "it looks at a trained model, and needs the one it came from (--reference)"
    if one.when == "before" and reads_model and config.reference is not None:
        return "it looks at a model before training, so it is run without --reference"
    return ""


def _with_tokens(session: Session, inputs: CheckInputs) -> CheckInputs:
    """Return the inputs with tokenizer and tokens."""
    limit = session.max_tokens
    encoded, refused = _encode(inputs.feedback.records, session.tokenizer, session.rendering)
    examples = encoded.examples
    too_long = tuple(one for one in examples if limit is not None and example_length(one) > limit)
    left_out = {one.index for one in too_long}
    return replace(
        inputs,
        tokenizer=session.tokenizer,
        rendering=session.rendering,
        encoded=replace(
            encoded,
            examples=tuple(one for one in examples if one.index not in left_out),
            dropped=tuple(sorted(left_out)),
        ),
        too_long=too_long,
        refused=refused,
        max_tokens=limit,
    )


def _encode(
    records: Sequence[Record], tokenizer: PreTrainedTokenizerBase, rendering: Rendering
) -> tuple[Encoded, dict[int, str]]:
    """Records in tokens, and why some cannot be: a check reports them all, not the first."""

    def tried(indices: Sequence[int]) -> Encoded:
        return encode([records[i] for i in indices], tokenizer, rendering, max_tokens=None)

    def refused(indices: Sequence[int]) -> Iterator[tuple[int, str]]:
        try:
            tried(indices)
        except UserError as error:
            if len(indices) == 1:
                yield indices[0], error.message
                return
            half = len(indices) // 2
            yield from refused(indices[:half])
            yield from refused(indices[half:])

    everything = range(len(records))
    try:
        return tried(everything), {}
    except UserError as error:
        found = dict(refused(everything))
        good = [index for index in everything if index not in found]
        if not good:
            raise error from None
    encoded = tried(good)
    examples = tuple(replace(one, index=good[one.index]) for one in encoded.examples)
    return replace(encoded, examples=examples), found
