"""A model's own answers to the prompts of a data set: drawn once, kept on disk, put into the trees.

Knows examples in tokens, the sampler and files. Knows nothing of text, losses or training. A shard
is named by the prompts it answers, inside a folder named by everything else the answers depend on.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from torch import nn

from accordant.base.files import write_whole
from accordant.sampling.sampling import SamplingOptions, generate
from accordant.scoring.shards import fill_shards
from accordant.tokens.examples import Example
from accordant.tokens.trees import TokenTree

Prompt = tuple[int, ...]
Answers = tuple[tuple[int, ...], ...]  # of one prompt, each with its stop token where it has one
Samples = Mapping[Prompt, Answers]

VERSION = 1
"""Of the sampler's numbers: another one draws anew."""


@dataclass(frozen=True, slots=True)
class SampleKey:
    """Everything but the prompts that answers depend on.

    Args:
        model: identity of the weights and configuration (`models.weights_identity`).
        dtype: number format of weights and arithmetic, such as `bf16`.
        options: how the answers are sampled; the size of a batch is left out.
        version: of the sampler.
    """

    model: str
    dtype: str
    options: SamplingOptions
    version: int = VERSION

    def as_json(self) -> str:
        """The key as text, the same for equal keys."""
        known = asdict(self)
        del known["options"]["batch_size"]
        return json.dumps(known, sort_keys=True, indent=2)

    @property
    def digest(self) -> str:
        """Name of the cache folder, 32 hexadecimal digits."""
        return hashlib.sha256(self.as_json().encode()).hexdigest()[:32]


def cached_samples(
    model: nn.Module,
    examples: Sequence[Example],
    *,
    folder: Path,
    key: SampleKey,
    shard_size: int = 64,
    progress: Callable[[int], None] | None = None,
) -> Samples:
    """Answers to the prompts of `examples`, from the cache as far as it has them.

    Every different prompt is answered `samples_per_prompt` times, whatever the number of examples
    that share it. With several processes each answers its part; see `scoring.shards`.

    Args:
        model: who answers; a transformers causal language model, or a PEFT model around one.
        examples: records in tokens, each with a single tree.
        folder: cache folder; may hold the answers of any number of models.
        key: what the answers depend on besides the prompts, and how they are sampled.
        shard_size: prompts per file: as much work as an interruption can lose.
        progress: called after every shard with the number of prompts done so far.

    Raises:
        UserError: a prompt and its answers exceed the model's positions.
        OSError: the folder cannot be written.
        ValueError: an example with several trees.
    """
    if any(len(example.trees) != 1 for example in examples):
        raise ValueError(f"{examples[0].kind} examples have two prompts: which one to answer?")
    prompts = list(dict.fromkeys(example.trees[0].prompt for example in examples))
    home = folder / key.digest
    home.mkdir(parents=True, exist_ok=True)
    write_whole(home / "key.json", key.as_json().encode())

    def compute(part: Sequence[Prompt]) -> list[Answers]:
        return _compute(home, part, model, key.options)

    shards, _ = fill_shards(
        home,
        [prompts[at : at + shard_size] for at in range(0, len(prompts), shard_size)],
        read=lambda part: _read(home, part, key.options.samples_per_prompt),
        compute=compute,
        progress=progress,
    )
    answers = [row for shard in shards for row in shard]
    return dict(zip(prompts, answers, strict=True))


def with_self_samples(examples: Sequence[Example], samples: Samples) -> tuple[Example, ...]:
    """The examples with the answers to their prompts as last continuations of their trees.

    Raises:
        KeyError: a prompt has no answers.
    """

    def extended(example: Example) -> Example:
        (tree,) = example.trees
        answers = samples[tree.prompt]
        tree = TokenTree(tree.prompt, tree.continuations + answers)
        return replace(example, trees=(tree,), self_samples=len(answers))

    return tuple(map(extended, examples))


def _compute(
    home: Path, part: Sequence[Prompt], model: nn.Module, options: SamplingOptions
) -> list[Answers]:
    drawn = iter(generate(model, part, options))
    count = options.samples_per_prompt
    answers = [tuple(next(drawn).completion for _ in range(count)) for _ in part]
    content = {"checksum": _checksum(answers), "answers": answers}
    write_whole(_path(home, part), json.dumps(content).encode())
    return answers


def _read(home: Path, part: Sequence[Prompt], count: int) -> list[Answers] | None:
    """The shard in a file; None where there is none or where it is not what was written."""
    try:
        content = json.loads(_path(home, part).read_bytes())
        answers = [tuple(map(tuple, row)) for row in content["answers"]]
        if content["checksum"] != _checksum(answers) or len(answers) != len(part):
            return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return answers if all(len(row) == count for row in answers) else None


def _path(home: Path, part: Sequence[Prompt]) -> Path:
    digest = hashlib.sha256(b"accordant prompts 1")
    for prompt in part:
        digest.update(array("q", [len(prompt), *prompt]).tobytes())
    return home / f"{digest.hexdigest()}.json"


def _checksum(answers: Sequence[Answers]) -> str:
    return hashlib.sha256(json.dumps(answers).encode()).hexdigest()
