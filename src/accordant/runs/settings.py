"""Settings of the verbs: each composes the groups of the rooms that it uses.

One model is a verb's command line, its YAML schema and its docs table. Knows groups, and the few
fields that are a verb's own. Knows nothing of torch, models or files, so that help is instant.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from accordant.base.settings import OUTPUT, OutputSettings, Settings, setting
from accordant.checks.settings import CHECKS, EVALUATION, CheckSettings, MonitorSettings
from accordant.feedback.settings import DATA, FeedbackSettings
from accordant.models.settings import MODEL, HubSettings, ModelSettings, Precision
from accordant.objectives.settings import ObjectiveSettings
from accordant.sampling.settings import SAMPLING, SamplingSettings
from accordant.tokens.settings import TemplateSettings
from accordant.training.settings import TrainingSettings

SWEEP = "Sweep"


class JudgeSettings(Settings):
    """Settings of who scores answers; the default depends on the feedback."""

    judge: str | None = setting(
        None,
        "Who scores answers: rule:concise, shorter, finished, a function of your own as "
        "path.py:function, or an expression of them.",
        panel=EVALUATION,
        default_text="rule:concise for the bundled feedback, else finished",
    )

    def judge_for(self, data: str | None) -> str:
        """Return the judge as given, or the rule that suits the feedback `data`."""
        # The bundled feedback was labelled by this rule; `finished` suits any answer.
        return self.judge or ("rule:concise" if data == "bundled" else "finished")


class SessionSettings(TemplateSettings, ModelSettings):
    """Settings of one model at work: its weights, and how text becomes its tokens."""


class SweepSettings(Settings):
    """Settings of a grid of runs."""

    sweep: tuple[str, ...] = setting(
        (),
        "Run a grid of settings and compare them: a YAML file, or values of one setting as "
        "KEY=VALUE,VALUE; repeatable. Besides settings, KEY is option.NAME (of every objective) or "
        "OBJECTIVE.NAME (of one).",
        panel=SWEEP,
    )
    parallel: int | None = setting(
        None,
        "Runs of a sweep at the same time.",
        panel=SWEEP,
        ge=1,
        default_text="what memory and cores have room for",
    )
    keep_models: Literal["best", "all", "none"] = setting(
        "best",
        "Trained models of a sweep to keep; the others are removed as soon as they are measured.",
        panel=SWEEP,
    )
    rank_by: Literal["win_rate", "accuracy"] = setting(
        "win_rate", "Measure that decides which run of a sweep is best.", panel=SWEEP
    )


# Bases stand from the last shown to the first: pydantic collects the fields of the last one first.
class AlignConfig(
    SweepSettings,
    SamplingSettings,
    JudgeSettings,
    MonitorSettings,
    TrainingSettings,
    ObjectiveSettings,
    SessionSettings,
    FeedbackSettings,
):
    """Settings of `accordant align`."""

    held_out_data: str | None = setting(
        None,
        "Feedback to test on, read like --data.",
        panel=DATA,
        default_text="rows held out from --data",
    )
    held_out: float = setting(
        0.1,
        "Share of the prompts kept from training and used to measure its effect.",
        panel=DATA,
        ge=0.0,
        lt=1.0,
    )
    held_out_seed: int | None = setting(
        None,
        "Seed of the choice of those prompts.",
        panel=DATA,
        default_text="--seed; in a sweep the same for every run",
    )
    relabel: Literal["reward-augmented"] | None = setting(
        None,
        "Rewrite the feedback first. reward-augmented: every scored comparison becomes two, each "
        "under the goal of one answer's score.",
        panel=DATA,
    )
    truncation: Literal["error", "drop", "truncate-prompt-left"] = setting(
        "error",
        "What to do about longer examples: stop, leave them out, or cut the prompt's beginning. "
        "The count is printed.",
        panel=DATA,
    )
    report: bool = setting(
        True, "Measure the result and write report.html and report.json.", panel=EVALUATION
    )
    sample_prompts: int = setting(
        16, "Held-out prompts to answer before and after training.", panel=EVALUATION, ge=0
    )
    max_new_tokens: int = setting(128, "Most tokens of such an answer.", panel=EVALUATION, ge=1)
    temperature: float = setting(
        1.0,
        "Sampling temperature of the answers; 0 is greedy. At 1 they are the policy's own, which "
        "the divergence is measured on; otherwise it takes further samples.",
        panel=EVALUATION,
        ge=0,
    )


class CheckConfig(
    OutputSettings,
    JudgeSettings,
    CheckSettings,
    SessionSettings,
    FeedbackSettings,
):
    """Settings of `accordant check`."""

    held_out_split: str | None = setting(
        None,
        "Split of the held-out feedback: of --held-out-data where it is given, else of the data.",
        panel=DATA,
        default_text="none",
    )
    model: str = setting(
        "embedded",
        "Model that the feedback is meant for, or, with --reference, the trained one. A folder, a "
        "GGUF file, a hub id, `embedded` for the small one that is installed with accordant, or "
        "`none` to check the feedback alone.",
        panel=MODEL,
    )
    reference: str | None = setting(
        None,
        "Model that --model was trained from: what training did is checked then.",
        panel=MODEL,
    )
    precision: Precision = setting(
        "bf16",
        "Number format of the weights and of arithmetic; bf16-mixed is float32 here.",
        panel=MODEL,
    )
    filter: Path | None = setting(
        None,
        "File to write the feedback to, without the rows that checks say to leave out. Its name "
        "tells the format.",
        panel=CHECKS,
    )
    output_dir: Path = setting(
        Path("outputs/check"), "Folder for check.html and check.json.", panel=OUTPUT
    )
    overwrite: bool = setting(False, "Replace the file of --filter if it exists.", panel=OUTPUT)


class ScoreConfig(SessionSettings, FeedbackSettings):
    """Settings of `accordant score`."""

    reference: str | None = setting(
        None, "Model to compare with, for implicit rewards and margins.", panel=MODEL
    )
    beta: float = setting(
        0.1, "Factor of the log-ratio in implicit rewards.", panel=EVALUATION, gt=0
    )
    reward: str | None = setting(
        None,
        "Reward that scores the answers' texts: rule:concise, shorter, path.py:function, or an "
        "expression of them.",
        panel=EVALUATION,
    )
    output: Path | None = setting(
        None, "File for the lines.", panel=OUTPUT, default_text="standard output"
    )
    overwrite: bool = setting(False, "Replace the file of --output if it exists.", panel=OUTPUT)
    resume: bool = setting(
        False, "Go on where an interrupted run with the same settings stood.", panel=OUTPUT
    )
    dry_run: bool = setting(
        False, "Check everything, print the plan and stop before loading weights.", panel=OUTPUT
    )


class ChatConfig(HubSettings, SamplingSettings):
    """Settings of `accordant chat`."""

    system: str | None = setting(
        None, "System message the conversation starts with.", default_text="the chat template's"
    )
    prompt: str | None = setting(
        None,
        "Message to answer once, instead of talking; standard input that is no terminal is one.",
    )
    temperature: float = setting(
        0.7, "Sampling temperature; 0 always takes the likeliest token.", panel=SAMPLING, ge=0
    )
    top_p: float = setting(
        0.95,
        "Sample from the likeliest tokens that hold this much probability.",
        panel=SAMPLING,
        gt=0,
        le=1,
    )
    top_k: int = setting(0, "Sample from so many likeliest tokens; 0: all.", panel=SAMPLING, ge=0)
    max_new_tokens: int = setting(512, "Most tokens of an answer.", panel=SAMPLING, ge=1)
    seed: int = setting(0, "Seed of the sampling.", panel=SAMPLING, ge=0)


class EvalConfig(OutputSettings, SamplingSettings, SessionSettings):
    """Settings of `accordant eval`."""

    limit: int | None = setting(
        None, "Items to ask at most, the first ones.", panel=EVALUATION, default_text="all", ge=1
    )
    options: dict[str, float | int | bool | str] = setting(
        {},
        "Option of the suite; repeatable: `--option questions=mine.jsonl`. `--list` names them.",
        panel=EVALUATION,
        flag="--option",
    )
    server: str | None = setting(
        None,
        "Address of an OpenAI-compatible server that answers; --model then gives the tokenizer.",
        panel=MODEL,
    )
    served: str = setting(
        "", "Name of the model on the server.", panel=MODEL, default_text="that of --model"
    )
    temperature: float = setting(
        0.0, "Sampling temperature; 0 always takes the likeliest token.", panel=SAMPLING, ge=0
    )
    batch_size: int = setting(16, "Items answered together.", panel=SAMPLING, ge=1)
    seed: int = setting(0, "Seed of the sampling.", panel=SAMPLING, ge=0)
    output_dir: Path = setting(
        Path("outputs/eval"), "Folder for the report, its JSON and inspect's logs.", panel=OUTPUT
    )
