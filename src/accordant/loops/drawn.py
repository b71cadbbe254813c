"""What a round draws, what a labeller says of it, and the files both are kept in.

Knows samples, examples and JSON lines. Knows no model, no reward and no trainer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pydantic import TypeAdapter

from accordant.base.files import write_whole
from accordant.sampling.samples import Sample
from accordant.tokens.examples import Example


@dataclass(frozen=True, slots=True)
class Drawn:
    """The answers of one round to one prompt."""

    prompt: tuple[int, ...]  # token ids
    samples: tuple[Sample, ...]  # answers, in the order of the recipe's draws
    drawers: tuple[str, ...]  # who drew each of them: `policy`, `reference`, `mixture 0.25`
    version: int  # optimiser steps the policy had taken when they were drawn


@dataclass(frozen=True, slots=True)
class Labelled:
    """What became of the answers to one prompt."""

    drawn: Drawn | None  # the answers; None where records were given and nothing was drawn
    example: Example | None = None  # the record that is trained on; None where it was dropped
    # what the labeller gave each answer, plain numbers without gradient
    scores: tuple[float, ...] = ()
    dropped: str = ""  # why it was dropped


@dataclass(frozen=True, slots=True)
class Round:
    """One round of a loop."""

    number: int  # from 0
    version: int  # optimiser steps the policy had taken at its start
    labelled: tuple[Labelled, ...]  # one for each prompt
    row: Mapping[str, float] = field(default_factory=dict)  # what was measured of it, by name

    @property
    def examples(self) -> tuple[Example, ...]:
        """The records that are trained on."""
        return tuple(item.example for item in self.labelled if item.example is not None)


def write_round(folder: Path, finished: Round) -> None:
    """Write a round as JSON lines: what was measured, then a line for each prompt.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    head = {"number": finished.number, "version": finished.version, "row": dict(finished.row)}
    lines = [head, *(asdict(item) for item in finished.labelled)]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    write_whole(_path(folder, finished.number), text.encode())


def read_round(folder: Path, number: int) -> Round | None:
    """Return a round as it was written, to the last bit; None where there is none."""
    path = _path(folder, number)
    if not path.is_file():
        return None
    head, *lines = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    # JSON knows no tuples: the records' own types say what its lists were.
    return Round(**head, labelled=TypeAdapter(tuple[Labelled, ...]).validate_python(lines))


def _path(folder: Path, number: int) -> Path:
    return folder / f"round-{number:06}.jsonl"
