"""Settings of `accordant check`: one model is its command line, its YAML schema and its docs table.

Knows names, ranges and defaults. Knows nothing of torch, models or files, so that help is instant.
What it shares with `align` is described there, once.
"""

from __future__ import annotations

from copy import copy
from pathlib import Path
from typing import Any, Literal

from accordant.base.settings import Settings, setting
from accordant.training.settings import AlignConfig, Level, Precision, RecordType

DATA = "Data"
MODEL = "Model"
CHECKS = "Checks"
RUN = "Output"


def _as_in_align(name: str) -> Any:
    """The field of `align` with this name."""
    return copy(AlignConfig.model_fields[name])


class CheckConfig(Settings):
    """What `accordant check` is told."""

    data: str | None = setting(
        None,
        "Feedback to check; the same as DATA. A JSONL, Parquet or CSV file, a folder of them, a "
        "hub id, or `bundled`.",
        panel=DATA,
        default_text="required",
    )
    split: str | None = _as_in_align("split")
    subset: str | None = _as_in_align("subset")
    limit: int | None = _as_in_align("limit")
    held_out_data: str | None = setting(
        None,
        "Feedback that is kept from training, read like --data: what leaks into it is looked for.",
        panel=DATA,
        default_text="none",
    )
    held_out_split: str | None = setting(
        None,
        "Split of the held-out feedback: of --held-out-data where it is given, else of the data.",
        panel=DATA,
        default_text="none",
    )
    columns: dict[str, str] = _as_in_align("columns")
    record_type: RecordType | None = _as_in_align("record_type")
    on_bad_row: Literal["error", "skip"] = _as_in_align("on_bad_row")
    max_length: int | None = _as_in_align("max_length")
    chat: Literal["auto", "always", "never"] = _as_in_align("chat")
    chat_template: Path | None = _as_in_align("chat_template")
    system_prompt: str | None = _as_in_align("system_prompt")
    end_of_turn: str | None = _as_in_align("end_of_turn")
    judgment_prompt: str | None = _as_in_align("judgment_prompt")

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
    revision: str | None = _as_in_align("revision")
    trust_remote_code: bool = _as_in_align("trust_remote_code")
    precision: Precision = setting(
        "bf16",
        "Number format of the weights and of arithmetic; bf16-mixed is float32 here.",
        panel=MODEL,
    )
    token_budget: int = setting(
        4096,
        "Tokens of one forward pass: this bounds memory. A longer example gets a pass of its own.",
        panel=MODEL,
        ge=16,
    )
    device: Literal["auto", "cpu"] = setting(
        "auto", "Where the model runs: on a GPU if there is one, or on the processor.", panel=MODEL
    )

    judge: str | None = setting(
        None,
        "Who scores answers that checks sample: rule:concise, shorter, finished, or a function of "
        "your own as path.py:function.",
        panel=CHECKS,
        default_text="rule:concise for the bundled feedback, else finished",
    )
    only: tuple[str, ...] = setting(
        (), "Check to run, and no other; repeatable. `--list` names them.", panel=CHECKS
    )
    skip: tuple[str, ...] = setting((), "Check to leave out; repeatable.", panel=CHECKS)
    options: dict[str, float | int | bool | str] = setting(
        {},
        "Option of a check; repeatable: `--option duplicates.similarity=0.9`.",
        panel=CHECKS,
        flag="--option",
    )
    fail_on: Level | None = setting(
        None,
        "End with exit code 1 when a finding of this severity or a worse one is raised.",
        panel=CHECKS,
        default_text="never",
    )
    filter: Path | None = setting(
        None,
        "File to write the feedback to, without the rows that checks say to leave out. Its name "
        "tells the format.",
        panel=CHECKS,
    )
    seed: int = setting(0, "Seed of whatever is drawn at random.", panel=CHECKS)

    output_dir: Path = setting(
        Path("outputs/check"), "Folder for check.html and check.json.", panel=RUN
    )
    overwrite: bool = setting(False, "Replace the file of --filter if it exists.", panel=RUN)
    dry_run: bool = setting(False, "Say what would be run and what it costs, and stop.", panel=RUN)
