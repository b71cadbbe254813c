"""What `accordant check` reads before any weight is loaded: feedback, checks to run, tokens.

Composes the rooms below; knows no check.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from accordant.base.errors import UserError
from accordant.checks.inputs import CheckInputs
from accordant.checks.registry import Check, bind_check_options, get_check, list_checks
from accordant.feedback.loading import Feedback
from accordant.feedback.reading import read_feedback
from accordant.feedback.records import Record
from accordant.models.families import describe_apart, why_apart
from accordant.rewards.expression import find_reward
from accordant.runs.check_report import NotRun
from accordant.runs.session import Session, open_session
from accordant.runs.settings import CheckConfig
from accordant.tokens.limits import example_length
from accordant.tokens.rendering import Encoded, encode

NO_MODEL = "none"


@dataclass(frozen=True, slots=True)
class PreparedCheck:
    """All that is known before weights are loaded."""

    # the model, its tokenizer and rendering; None where no check reads tokens
    session: Session | None
    inputs: CheckInputs  # without models
    checks: tuple[Check, ...]  # to run, those without a model first
    options: Mapping[str, Mapping[str, Any]]  # of every check to run
    not_run: tuple[NotRun, ...]  # checks that are left out, and why
    passes: Mapping[str, float]  # tokens of every pass over the model, by its name

    @property
    def tokens(self) -> float:
        """Tokens to put through the model; every pass counts once."""
        return sum(self.passes.values())

    def plan(self) -> dict[str, Any]:
        """Return what would be run and what that takes, as JSON values."""
        return {
            "checks": [check.name for check in self.checks],
            "not_run": {each.check: each.reason for each in self.not_run},
            "tokens": round(self.tokens),
            "passes": {name: round(tokens) for name, tokens in self.passes.items()},
        }

    def plan_lines(self) -> list[str]:
        """Return the plan in words; what is not run is for whoever says it once."""
        names = [check.name for check in self.checks]
        lines = [f"{len(names)} check{'s' * (len(names) != 1)}: {', '.join(names)}"]
        if self.tokens:
            passes = "; ".join(f"{name} {round(n):,}" for name, n in self.passes.items())
            lines.append(f"tokens through the model: {round(self.tokens):,} ({passes})")
            lines += self._apart_lines()
        return lines

    def _apart_lines(self) -> list[str]:
        """Say what a pass costs where the model's sequences cannot share their prompts."""
        encoded = self.inputs.encoded
        if self.session is None or encoded is None:
            return []
        reason = why_apart(self.session.facts.config)
        apart = sum(example.num_apart for example in encoded.examples)
        shared = sum(example.num_tokens for example in encoded.examples)
        return [describe_apart(reason, apart, shared)] if reason else []


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
    needs = {need for check in checks for need in check.needs}
    if config.model != NO_MODEL:
        needs |= {need for check in checks for need in check.uses}
    if needs - {"held_out"}:
        session = open_session(config)
        inputs = _with_tokens(session, inputs)
    passes: dict[str, float] = {}
    for check in checks:
        for name, tokens in check.costs(inputs, options[check.name]).items():
            # Checks that share a pass may ask for more or less of it: it is made once, for all.
            passes[name] = max(tokens, passes.get(name, 0.0))
    return PreparedCheck(session, inputs, checks, options, not_run, passes)


def _choose(
    config: CheckConfig, feedback: Feedback, held_out: Feedback | None
) -> tuple[tuple[Check, ...], tuple[NotRun, ...]]:
    """Return the checks to run, and those that are not."""
    checks, not_run = [], []
    for check in list_checks():
        name = check.name
        if check.when == "during" or (config.only and name not in config.only):
            continue
        reason = _why_not(check, config, feedback, held_out)
        if reason and name in config.only:
            raise UserError(f"the check '{name}' cannot be run: {reason}.", where=f"--only {name}")
        if reason:
            not_run.append(NotRun(name, reason))
        else:
            checks.append(check)
    if not checks:
        raise UserError(
            "no check is left to run.",
            where="--only" if config.only else "--skip",
            mend="; ".join(f"{each.check}: {each.reason}" for each in not_run[:3]),
        )
    # What costs least comes first: its findings are seen early.
    return tuple(sorted(checks, key=lambda check: check.reads_model)), tuple(not_run)


def _why_not(
    check: Check, config: CheckConfig, feedback: Feedback, held_out: Feedback | None
) -> str:
    """Say why a check is not run; empty where it is."""
    needs, kind = {*check.needs}, feedback.record_type
    if check.name in config.skip:
        return "left out by --skip"
    if not check.applies_to(kind):
        return f"it is for {' and '.join(check.feedback)} records, not {kind} records"
    if "held_out" in needs and held_out is None:
        return "it needs --held-out-data or --held-out-split"
    if needs - {"held_out"} and config.model == NO_MODEL:
        return "it needs a model"
    if "reference" in needs and config.reference is None:
        return "it looks at a trained model, and needs the one it came from (--reference)"
    if check.when == "before" and {"model", "reference"} & needs and config.reference is not None:
        return "it looks at a model before training, so it is run without --reference"
    return ""


def _with_tokens(session: Session, inputs: CheckInputs) -> CheckInputs:
    """Return the inputs with tokenizer and tokens."""
    limit = session.max_tokens
    encoded, refused = _encode(inputs.feedback.records, session)
    examples = encoded.examples
    session.refuse_unknown_tokens(examples)
    too_long = tuple(e for e in examples if limit is not None and example_length(e) > limit)
    left_out = {example.index for example in too_long}
    return replace(
        inputs,
        tokenizer=session.tokenizer,
        rendering=session.rendering,
        encoded=replace(
            encoded,
            examples=tuple(e for e in examples if e.index not in left_out),
            dropped=tuple(sorted(left_out)),
        ),
        too_long=too_long,
        refused=refused,
        max_tokens=limit,
    )


def _encode(records: Sequence[Record], session: Session) -> tuple[Encoded, dict[int, str]]:
    """Put records into tokens, and say why some cannot be: a check reports all, not the first."""

    def attempt(indices: Sequence[int]) -> Encoded:
        chosen = [records[i] for i in indices]
        return encode(chosen, session.tokenizer, session.rendering, max_tokens=None)

    def refused(indices: Sequence[int]) -> Iterator[tuple[int, str]]:
        # By halves: few of many records are at fault, and each attempt costs a pass over them.
        try:
            attempt(indices)
        except UserError as error:
            if len(indices) == 1:
                yield indices[0], error.message
                return
            half = len(indices) // 2
            yield from refused(indices[:half])
            yield from refused(indices[half:])

    everything = range(len(records))
    try:
        return attempt(everything), {}
    except UserError as error:
        reasons = dict(refused(everything))
        good = [index for index in everything if index not in reasons]
        if not good:
            raise error from None
    encoded = attempt(good)
    examples = tuple(replace(e, index=good[e.index]) for e in encoded.examples)
    return replace(encoded, examples=examples), reasons
