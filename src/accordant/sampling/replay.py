"""Samples kept on disk: drawn once, read again by whoever asks for the same.

Knows prompts in tokens, samples and files. Knows nothing of text, losses or training. A shard is
named by the prompts it answers, inside a folder named by everything else the answers depend on.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter

from accordant.base.files import write_whole
from accordant.sampling.sampler import Sampler
from accordant.sampling.samples import Prompt, Sample, SamplingOptions
from accordant.scoring.shards import fill_shards

Rows = list[list[Sample]]
_ROWS = TypeAdapter(Rows)

# Of the sampler's numbers and of the files: another one draws anew.
VERSION = 3


@dataclass(frozen=True, slots=True)
class SampleKey:
    """Everything but the prompts that samples depend on.

    Args:
        model: identity of the weights and configuration (`models.weights_identity`).
        dtype: number format of weights and arithmetic, such as `bf16`.
        options: how they are sampled; the size of a batch is left out.
        version: of the sampler.
    """

    model: str
    dtype: str
    options: SamplingOptions
    version: int = VERSION

    def as_json(self) -> str:
        """Return the key as text, the same for equal keys."""
        known = asdict(self)
        del known["options"]["batch_size"]
        return json.dumps(known, sort_keys=True, indent=2)

    @property
    def digest(self) -> str:
        """Name of the cache folder, 32 hexadecimal digits."""
        return _digest(self.as_json().encode())[:32]


@dataclass(frozen=True)
class Replay:
    """A sampler that reads from disk what was drawn before, and draws what was not.

    With several processes each draws its part; see `scoring.shards`.

    Args:
        sampler: who draws what is not there.
        folder: may hold the samples of any number of models.
        model: identity of its weights (`models.weights_identity`).
        dtype: number format of weights and arithmetic, such as `bf16`.
        shard_size: prompts per file: as much work as an interruption can lose.
        progress: called after every shard with the number of prompts done so far.
    """

    sampler: Sampler
    folder: Path
    model: str
    dtype: str
    shard_size: int = 64
    progress: Callable[[int], None] | None = None

    def sample(self, prompts: Sequence[Prompt], options: SamplingOptions) -> Rows:
        """Continue every prompt, from the disk as far as it has them.

        Raises:
            UserError: what the sampler raises.
            OSError: the folder cannot be written.
        """
        copies = options.samples_per_prompt
        asked = Counter(map(tuple, prompts))
        # Repeated prompts get further samples of one series, so the series must be long enough.
        most = max(asked.values(), default=1)
        rows = self._series(list(asked), replace(options, samples_per_prompt=copies * most))
        series = {prompt: iter(row) for prompt, row in zip(asked, rows, strict=True)}
        return [[next(series[prompt]) for _ in range(copies)] for prompt in map(tuple, prompts)]

    def _series(self, prompts: list[tuple[int, ...]], options: SamplingOptions) -> Rows:
        """Read or draw the samples of different prompts."""
        key = SampleKey(self.model, self.dtype, options)
        home = self.folder / key.digest
        home.mkdir(parents=True, exist_ok=True)
        write_whole(home / "key.json", key.as_json().encode())

        def compute(shard: Sequence[Prompt]) -> Rows:
            rows = self.sampler.sample(shard, options)
            _write(home, shard, rows)
            return rows

        size = self.shard_size
        shards, _ = fill_shards(
            home,
            [prompts[at : at + size] for at in range(0, len(prompts), size)],
            read=lambda shard: _read(home, shard, options.samples_per_prompt),
            compute=compute,
            progress=self.progress,
        )
        return [row for shard in shards for row in shard]


def _write(home: Path, prompts: Sequence[Prompt], rows: Rows) -> None:
    content = _ROWS.dump_json(rows)
    write_whole(_path(home, prompts), f"{_digest(content)}\n".encode() + content)


def _read(home: Path, prompts: Sequence[Prompt], count: int) -> Rows | None:
    """Read the shard in a file; None where there is none or it is not what was written."""
    try:
        digest, content = _path(home, prompts).read_bytes().split(b"\n", 1)
    except (OSError, ValueError):
        return None
    if digest.decode(errors="replace") != _digest(content):
        return None
    rows = _ROWS.validate_json(content)
    # A digest only says that a file is whole: another version may have written it.
    return rows if [len(row) for row in rows] == [count] * len(prompts) else None


def _path(home: Path, prompts: Sequence[Prompt]) -> Path:
    return home / f"{_digest(json.dumps([list(prompt) for prompt in prompts]).encode())}.json"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
