"""Scores of frozen models: computed once, kept on disk in shards, looked up by example.

Knows token trees, scores and files. Knows nothing of models (a function scores trees for it),
losses or text. A shard is named by the tokens it holds, inside a folder named by everything else
its numbers depend on; so a changed model or rendering computes anew, changed or added rows compute
only their own shards, and an interrupted computation goes on at its first missing shard.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_safetensors
from torch import Tensor

from accordant.base.files import write_whole
from accordant.scoring.engine import ENGINE_VERSION
from accordant.scoring.scores import Scores, send_numbers
from accordant.scoring.shards import fill_shards
from accordant.tokens.examples import Example
from accordant.tokens.fingerprint import fingerprint_examples
from accordant.tokens.trees import TokenTree

Scorer = Callable[[Sequence[TokenTree]], Scores]


@dataclass(frozen=True, slots=True)
class ScoreKey:
    """Everything but the tokens that a frozen model's scores depend on.

    Args:
        model: identity of the weights and configuration (`models.weights_identity`).
        adapter: state of the adapter: `off`, or its identity where it is part of the reference.
        tokenizer: fingerprint of the tokenizer.
        rendering: fingerprint of the chat template and of the rendering options.
        dtype: number format of weights and arithmetic, such as `bf16`.
        engine: version of the scoring engine's numbers.
    """

    model: str
    adapter: str
    tokenizer: str
    rendering: str
    dtype: str
    engine: int = ENGINE_VERSION

    @property
    def digest(self) -> str:
        """Name of the cache folder, 32 hexadecimal digits."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:32]


class ScoreCache:
    """Scores of a fixed set of examples, read from verified shards.

    `computed` is how many of them were not in the cache and have been computed for it.
    """

    def __init__(
        self, examples: Sequence[Example], shards: Sequence[_Shard], computed: int = 0
    ) -> None:
        self.computed = computed
        self._shards = tuple(shards)
        self._place: dict[tuple[TokenTree, ...], tuple[int, int]] = {}
        remaining = iter(examples)
        for number, shard in enumerate(self._shards):
            for row, example in enumerate(islice(remaining, shard.examples)):
                self._place[example.trees] = (number, row)

    def scores(self, examples: Sequence[Example]) -> Scores:
        """Return scores of all continuations of `examples`, in order, on the CPU.

        Raises:
            KeyError: an example is not among those that were scored.
        """
        logps: list[Tensor] = []
        for example in examples:
            number, row = self._place[example.trees]
            logps.append(self._shards[number].logps_of(row))
        trees = [tree for example in examples for tree in example.trees]
        return _scores(torch.cat(logps), trees)


def keep_scores(examples: Sequence[Example], scores: Scores) -> ScoreCache:
    """Keep the scores of all continuations of `examples`, in order, in memory alone."""
    shard = _shard(scores.logps.detach(), examples)
    if shard is None:
        raise ValueError(f"{scores.logps.shape[0]} scores for {_starts(examples)[-1]} tokens")
    return ScoreCache(examples, [shard])


@dataclass(frozen=True, slots=True)
class _Shard:
    """Log-probs of consecutive examples; `starts` has the first token of each, and the end."""

    logps: Tensor  # [tokens], float32 in files
    starts: tuple[int, ...]  # [examples + 1]

    @property
    def examples(self) -> int:
        return len(self.starts) - 1

    def logps_of(self, row: int) -> Tensor:
        return self.logps[self.starts[row] : self.starts[row + 1]]


def cached_scores(
    folder: Path,
    key: ScoreKey,
    examples: Sequence[Example],
    scorer: Scorer,
    *,
    shard_size: int = 64,
    progress: Callable[[int], None] | None = None,
) -> ScoreCache:
    """Return scores of `examples`, read from the cache as far as it has them.

    With several processes each computes its part of what is missing and all read the result; every
    process must call this with the same arguments. Where they share no disk, each ends up computing
    what it cannot see. Several runs at once wait for each other: what one computes, others read.

    Args:
        folder: cache folder; may hold the scores of any number of models and data sets.
        key: what the scores depend on besides tokens.
        examples: records in tokens.
        scorer: scores trees under the frozen model, on any device, without gradients.
        shard_size: examples per file: as much work as an interruption can lose.
        progress: called after every shard with the number of examples done so far.

    Raises:
        OSError: the folder cannot be written.
    """
    home = folder / key.digest
    home.mkdir(parents=True, exist_ok=True)
    write_whole(home / "key.json", json.dumps(asdict(key), indent=2).encode())
    shards, missing = fill_shards(
        home,
        [examples[at : at + shard_size] for at in range(0, len(examples), shard_size)],
        read=lambda part: _read(_path(home, part), part),
        compute=lambda part: _compute(home, part, scorer),
        progress=progress,
    )
    return ScoreCache(examples, shards, sum(map(len, missing)))


def _path(home: Path, part: Sequence[Example]) -> Path:
    return home / f"{fingerprint_examples(part)}.safetensors"


def _compute(home: Path, part: Sequence[Example], scorer: Scorer) -> _Shard:
    trees = [tree for example in part for tree in example.trees]
    logps = scorer(trees).logps.detach().to("cpu", torch.float32).contiguous()
    shard = _shard(logps, part)
    if shard is None:
        raise ValueError(f"{logps.shape[0]} scores for {_starts(part)[-1]} continuation tokens")
    content = to_safetensors({"logps": logps}, metadata={"checksum": _checksum(logps)})
    write_whole(_path(home, part), content)
    return shard


def _read(path: Path, part: Sequence[Example]) -> _Shard | None:
    """Read the shard in a file; None where there is none or where it is not what was written."""
    try:
        with safe_open(path, framework="pt") as file:
            logps: Tensor = file.get_tensor("logps")
            checksum = (file.metadata() or {}).get("checksum")
    except (FileNotFoundError, SafetensorError, OSError):
        return None
    if logps.dtype != torch.float32 or checksum != _checksum(logps):
        return None
    return _shard(logps, part)


def _shard(logps: Tensor, part: Sequence[Example]) -> _Shard | None:
    starts = _starts(part)
    return _Shard(logps, starts) if logps.shape == (starts[-1],) else None


def _starts(part: Sequence[Example]) -> tuple[int, ...]:
    starts = [0]
    for example in part:
        tokens = sum(len(run) for tree in example.trees for run in tree.continuations)
        starts.append(starts[-1] + tokens)
    return tuple(starts)


def _checksum(logps: Tensor) -> str:
    return hashlib.sha256(logps.numpy().tobytes()).hexdigest()


def _scores(logps: Tensor, trees: Sequence[TokenTree]) -> Scores:
    sizes = tuple(len(run) for tree in trees for run in tree.continuations)
    sent = send_numbers(
        logps.device,
        lengths=sizes,
        owner=[index for index, size in enumerate(sizes) for _ in range(size)],
        tree=[index for index, tree in enumerate(trees) for _ in tree.continuations],
    )
    return Scores(logps=logps, sizes=sizes, **sent)
