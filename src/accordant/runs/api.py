"""The Python API: the verbs as functions, with the names they have on the command line.

Each composes what the command line runs; none computes anything by a way of its own, but
differences of scores. Knows rows, records and models in memory beside the names that settings take.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from accordant.base.errors import UserError
from accordant.base.setting_values import change_settings
from accordant.feedback.loading import Feedback, Rows, load_feedback
from accordant.feedback.reading import read_feedback
from accordant.feedback.records import Message, Text
from accordant.runs.align.execute import AlignedModel, run_align
from accordant.runs.check import run_check
from accordant.runs.session import Session, open_session
from accordant.runs.settings import AlignConfig, CheckConfig, ScoreConfig, SessionSettings

if TYPE_CHECKING:
    from accordant.checks.findings import Finding
    from accordant.models.loading import LoadedModel
    from accordant.rewards.reward import Answer
    from accordant.scoring.scores import Scores
    from accordant.tokens.examples import Example

    # A name as the command line takes it, or a model in memory.
    Model = str | Path | LoadedModel | AlignedModel
    Data = str | Path | Rows | Feedback

S = TypeVar("S", bound=SessionSettings)


@dataclass(frozen=True, slots=True)
class Checked:
    """What `check` found.

    Args:
        findings: the worst first.
        not_run: why each of the other checks was not run, by name.
        report: page that shows the findings.
    """

    findings: tuple[Finding, ...]
    not_run: Mapping[str, str]
    report: Path


@dataclass(frozen=True, slots=True, eq=False)
class AnswerScores:
    """Log-probabilities of the answers of `n` records, in the order of the records.

    Args:
        examples: the records in tokens; `index` is the record's place.
        scores: of all their answers, token by token.
        reference: of the same answers under the reference; None without one.
        beta: factor of rewards.
    """

    examples: tuple[Example, ...]
    scores: Scores
    reference: Scores | None
    beta: float

    @property
    def logps(self) -> list[list[float]]:
        """Summed log-probability of every answer, nats; a row a record, answers in its order."""
        return self._by_record(self.scores.sum().tolist())

    @property
    def rewards(self) -> list[list[float]]:
        """Beta times log-ratio of policy and reference of every answer; a row a record.

        Raises:
            UserError: nothing was scored beside the policy.
        """
        if self.reference is None:
            raise UserError("rewards compare with a reference.", mend="Give score(reference=...).")
        ratios = self.scores.sum() - self.reference.sum()
        return self._by_record((self.beta * ratios).tolist())

    @property
    def margins(self) -> list[float]:
        """Reward of every record's first answer (the chosen, the best) less that of its second."""
        return [row[0] - row[1] for row in self.rewards if len(row) > 1]

    def _by_record(self, values: Sequence[float]) -> list[list[float]]:
        rest = iter(values)
        counts = (sum(len(t.continuations) for t in e.own_trees) for e in self.examples)
        return [[next(rest) for _ in range(count)] for count in counts]


def align(
    data: Data,
    model: str | Path = "embedded",
    *,
    method: str | None = None,
    output_dir: str | Path = "outputs/align",
    quiet: bool = False,
    **settings: Any,
) -> AlignedModel:
    """Train a model on feedback, save it, measure what changed and write the report.

    Args:
        data: a file, folder or hub id; rows as mappings; records; or feedback.
        model: name, folder or hub id of the model to train.
        method: name of the objective; None takes the usual one for this kind of feedback.
        output_dir: folder for model, checkpoints and report.
        quiet: print nothing.
        settings: any other of `accordant align --help`, with underscores.

    Raises:
        UserError: anything the user can mend.
    """
    from rich.console import Console

    given = {"model": str(model), "method": method, "output_dir": output_dir, **settings}
    config, feedback = _with_data(AlignConfig(), data, given)
    if config.sweep:
        raise UserError("a grid is not one run.", where="sweep", mend="Call runs.run_sweep.")
    return run_align(config, console=Console(quiet=quiet), data=feedback)


def check(
    data: Data,
    model: str | Path | AlignedModel = "none",
    *,
    reference: str | Path | None = None,
    output_dir: str | Path = "outputs/check",
    quiet: bool = False,
    **settings: Any,
) -> Checked:
    """Look for what is wrong with feedback, and, with models, for what training did to one.

    Args:
        data: as for `align`.
        model: what the feedback is meant for, or with `reference` the trained model; without one
            the feedback is checked alone.
        reference: what `model` was trained from.
        output_dir: folder for the page and its JSON.
        quiet: print nothing.
        settings: any other of `accordant check --help`, with underscores.

    Raises:
        UserError: anything the user can mend.
    """
    from rich.console import Console

    name = model.folder if isinstance(model, AlignedModel) else model
    other = None if reference is None else str(reference)
    given = {"model": str(name), "reference": other, "output_dir": output_dir, **settings}
    config, feedback = _with_data(CheckConfig(), data, given)
    if feedback is not None and config.filter is not None:
        raise UserError("only a file's rows can be filtered.", where="filter", mend="Name a file.")
    report, page = run_check(config, Console(quiet=quiet), feedback)
    return Checked(report.findings, {n.check: n.reason for n in report.not_run}, page)


def score(
    model: Model,
    data: Data,
    *,
    reference: Model | None = None,
    beta: float = 0.1,
    **settings: Any,
) -> AnswerScores:
    """Score the answers of feedback as training sees them, without gradients.

    Args:
        model: whose log-probabilities are wanted.
        data: as for `align`.
        reference: model to compare with, for rewards and margins.
        beta: factor of rewards.
        settings: how text becomes tokens and models are run: those of `accordant align --help`.

    Raises:
        UserError: data or a model at fault, or a record longer than the model can read.
    """
    from accordant.tokens.rendering import encode

    config, feedback = _with_data(ScoreConfig(), data, settings)
    records = (feedback or read_feedback(config)[0]).records
    session = _open(model, config, settings)
    encoded = encode(
        records, session.tokenizer, session.rendering, max_tokens=session.max_tokens
    ).examples
    session.refuse_unknown_tokens(encoded)
    beside = None
    if reference is not None:
        # Opened as the policy is: in another number format every ratio would be off.
        other = _open(reference, session.settings, settings)
        session.refuse_other_tokenizer(other.tokenizer, other.settings.model, "reference")
        beside = other.score(encoded)
    return AnswerScores(encoded, session.score(encoded), beside, beta)


def sample(
    model: Model,
    prompts: Sequence[str | Sequence[Message | Mapping[str, str]]],
    *,
    samples: int = 1,
    max_new_tokens: int = 128,
    temperature: float = 1.0,
    seed: int = 0,
    **settings: Any,
) -> list[list[Answer]]:
    """Answer prompts, `samples` times each; rewards score the answers.

    Args:
        model: who answers.
        prompts: texts, or conversations whose last message is to be answered.
        samples: answers to every prompt.
        max_new_tokens: most tokens of an answer.
        temperature: divides the logits; 0 always takes the likeliest token.
        seed: of all random numbers.
        settings: how text becomes tokens and models are run: those of `accordant align --help`.

    Raises:
        UserError: a model at fault, or a prompt that the chat template or the length refuses.
    """
    from accordant.rewards.reward import read_answer
    from accordant.sampling.sampler import LocalSampler
    from accordant.sampling.samples import SamplingOptions
    from accordant.tokens.template import end_of_turn_ids

    session = _open(model, change_settings(SessionSettings(), settings, {}), settings)
    texts = [_as_text(prompt) for prompt in prompts]
    tokens = [session.encode_prompt(text) for text in texts]
    options = SamplingOptions(
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        samples_per_prompt=samples,
        seed=seed,
        stop_ids=end_of_turn_ids(session.tokenizer, session.rendering),
    )
    drawn = LocalSampler(session.model).sample(tokens, options)
    return [
        [read_answer(text, answer, session.tokenizer, ids) for answer in answers]
        for text, ids, answers in zip(texts, tokens, drawn, strict=True)
    ]


def _with_data(defaults: S, data: Data, given: Mapping[str, Any]) -> tuple[S, Feedback | None]:
    """Return settings with what was given, and the feedback where it is at hand."""
    if isinstance(data, str | Path):
        return change_settings(defaults, {**given, "data": str(data)}, {}), None
    config = change_settings(defaults, given, {})
    names = ("columns", "record_type", "on_bad_row", "limit")
    feedback = load_feedback(data, **{name: getattr(config, name) for name in names})
    return config.model_copy(update={"data": feedback.source}), feedback


def _open(model: Model, config: S, given: Mapping[str, Any]) -> Session:
    """Open a session on a model that is named or in memory; a run's model is read as it was."""
    if isinstance(model, AlignedModel):
        if model.loaded is None:
            raise UserError("a dry run has no model.", mend="Align without dry_run.")
        shared = {name: getattr(model.config, name) for name in SessionSettings.model_fields}
        config = change_settings(config, {**shared, **given}, {})
        model = model.loaded
    if isinstance(model, str | Path):
        return open_session(config.model_copy(update={"model": str(model)}))
    names = {"model": model.source.name}
    # It was loaded in its own number format, which the settings must not contradict.
    if "bfloat16" not in str(model.model.dtype) and config.precision == "bf16":
        names["precision"] = "float32"
    return open_session(config.model_copy(update=names), given=model)


def _as_text(prompt: str | Sequence[Message | Mapping[str, str]]) -> Text:
    if isinstance(prompt, str):
        return prompt
    return tuple(m if isinstance(m, Message) else Message(**m) for m in prompt)
