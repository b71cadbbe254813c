"""The monitor of an align run: what it looks at, and where it says what it finds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from accordant.checks.monitor import Monitor, WatchSettings
from accordant.checks.snapshot import MonitorSet
from accordant.runs.align import Prepared
from accordant.runs.measure import prompts_of
from accordant.runs.settings import AlignConfig
from accordant.tokens.examples import Example
from accordant.tokens.rendering import encode_prompt

if TYPE_CHECKING:
    from rich.console import Console

PROMPTS = 8  # answered at every look


def make_monitor(
    config: AlignConfig, ready: Prepared, held_out: Sequence[Example], console: Console
) -> Monitor | None:
    """The monitor that settings ask for, on held-out pairs and prompts where there are such.

    Args:
        config: settings of the run.
        ready: its data and objective.
        held_out: examples that are not trained on.
        console: where findings are said.
    """
    if not config.watch:
        return None
    examples = [one for one in held_out or ready.encoded.examples if one.kind == "comparison"]
    records = ready.relabelled.questions if held_out else ready.train.records
    texts = prompts_of(records, PROMPTS)
    monitored = MonitorSet(
        pairs=tuple(examples[: config.watch_pairs]),
        prompts=tuple(encode_prompt(text, ready.tokenizer, ready.rendering) for text in texts),
        stop_ids=tuple(ready.encoded.end_of_turn_ids),
        token_budget=config.token_budget,
        seed=config.seed,
    )
    settings = WatchSettings(
        beta=float(ready.options.get("beta", 1.0)),
        stop_on=config.stop_on,
        file=config.output_dir / "watch.json",
    )
    return Monitor(
        monitored, settings, lambda line: console.print(line, markup=False, highlight=False)
    )
