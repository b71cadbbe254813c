"""Training throughput and peak memory side by side with a peer, in one process sequence.

Both sides run DPO with full fine-tuning of the same bf16 weights on the same token ids, each in a
process of its own (so that peak memory is its own), in turn and several times for every shape, as
a machine is not equally fast all day; a figure is the median over all timed steps. A ranking of
eight answers is given to the peer as four disjoint pairs, so that each answer is scored once.

    python benchmarks/train_throughput.py --peer trl
    python benchmarks/train_throughput.py --peer trl --shapes 128/64/64 --steps 4 --json
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# As a script this file finds its neighbours like any module of the checkout.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

SHAPES = ("128/64/64", "512/64/64", "64/256/256", "rank8/512")
RANKED, RANKED_TOKENS = 8, 64


@dataclass(frozen=True)
class Shape:
    """Prompt tokens and tokens of each answer, with the examples of one step."""

    name: str
    prompt: int
    answers: tuple[int, ...]
    batch: int

    @classmethod
    def parse(cls, name: str) -> Shape:
        """The shape a name of `SHAPES` stands for."""
        if name.startswith("rank8/"):
            return cls(name, int(name.split("/")[1]), (RANKED_TOKENS,) * RANKED, 1)
        prompt, chosen, rejected = map(int, name.split("/"))
        return cls(name, prompt, (chosen, rejected), 4)

    @property
    def pairs(self) -> int:
        """Pairs of one step as the peer sees them."""
        return self.batch * len(self.answers) // 2


@dataclass(frozen=True)
class Measured:
    """Seconds of every timed step, and peak memory in bytes."""

    seconds: tuple[float, ...]
    peak: float

    @property
    def step(self) -> float:
        """Seconds of a step: the median."""
        return statistics.median(self.seconds)

    @classmethod
    def together(cls, parts: Sequence[Measured]) -> Measured:
        """Several processes of one side: all their steps, and the highest peak."""
        seconds = tuple(one for part in parts for one in part.seconds)
        return cls(seconds, max(part.peak for part in parts))


def draw(shape: Shape, count: int, vocabulary: int) -> list[tuple[list[int], list[list[int]]]]:
    """`count` random prompts with their answers, the same on both sides."""
    source = random.Random(0)

    def tokens(length: int) -> list[int]:
        return [source.randrange(100, vocabulary - 100) for _ in range(length)]

    return [(tokens(shape.prompt), [tokens(n) for n in shape.answers]) for _ in range(count)]


def operations(shape: Shape, folder: str) -> float:
    """Multiply-add operations of one of our steps, counted twice each, the reference included.

    2 a weight and token for the reference, 2 for the policy's forward, 4 for the backward; the
    head's weights count for predicted tokens only. Attention, and logits that the backward computes
    again, are left out, so the share that follows is a lower bound.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder))
    head = model.get_output_embeddings().weight.numel()
    body = sum(p.numel() for p in model.parameters()) - head
    if model.get_input_embeddings().weight is not model.get_output_embeddings().weight:
        body -= model.get_input_embeddings().weight.numel()
    predicted = sum(shape.answers)
    return float(shape.batch * 8 * (body * (shape.prompt + predicted) + head * predicted))


def matrix_rate() -> float:
    """Operations a second of a large bf16 matrix product here: what could be reached."""
    import time

    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    left = torch.randn(2048, 2048, device=device).bfloat16()
    rates = []
    for _ in range(8):
        started = time.perf_counter()
        left @ left
        if device == "cuda":
            torch.cuda.synchronize()
        rates.append(2 * 2048**3 / (time.perf_counter() - started))
    return max(rates)


def child(side: str, shape: Shape, folder: str, steps: int, warmup: int) -> dict[str, object]:
    """Run one side in this process; seconds of every timed step and peak memory in bytes."""
    import torch
    from transformers import AutoConfig

    total = steps + warmup
    rows = draw(shape, shape.batch * total, AutoConfig.from_pretrained(folder).vocab_size)
    if side == "trl":
        from benchmarks import _trl_side

        pairs = [
            (prompt, answers[at], answers[at + 1])
            for prompt, answers in rows
            for at in range(0, len(answers), 2)
        ]
        timer, _ = _trl_side.run(folder, pairs, shape.pairs, total)
    else:
        from accordant.tokens.examples import Example
        from accordant.tokens.trees import TokenTree
        from benchmarks import _our_side

        kind = "ranking" if len(shape.answers) > 2 else "comparison"
        examples = [
            Example(kind, (TokenTree(tuple(prompt), tuple(map(tuple, answers))),), index)
            for index, (prompt, answers) in enumerate(rows)
        ]
        cached = side == "ours-cached"
        timer, _ = _our_side.run(folder, examples, shape.batch, total, cached=cached)
    peak = (
        torch.cuda.max_memory_allocated()
        if torch.cuda.is_available()
        else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    )
    return {"seconds": timer.seconds(warmup), "peak": float(peak)}


def measure(side: str, shape: Shape, args: argparse.Namespace) -> Measured:
    """One side in a process of its own."""
    command = [sys.executable, __file__, "--side", side]
    command += ["--shapes", shape.name, "--steps", str(args.steps), "--warmup", str(args.warmup)]
    done = subprocess.run([*command, "--model", args.model], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{side} on {shape.name} failed:\n{done.stderr[-3000:]}")
    found = json.loads(done.stdout.strip().splitlines()[-1])
    return Measured(tuple(found["seconds"]), found["peak"])


def compare(shape: Shape, args: argparse.Namespace, rate: float) -> dict[str, object]:
    """A row of the table; throughput in pairs a second, as the peer counts pairs."""
    sides = ("ours", args.peer, "ours-cached")
    rounds = [[measure(side, shape, args) for side in sides] for _ in range(args.repeats)]
    ours, peer, cached = (Measured.together(side) for side in zip(*rounds, strict=True))
    pairs = {name: shape.pairs / side.step for name, side in (("ours", ours), ("peer", peer))}
    achieved = operations(shape, args.model) / ours.step
    return {
        "shape": shape.name,
        "ours": pairs["ours"],
        "peer": pairs["peer"],
        "ratio": pairs["ours"] / pairs["peer"],
        "memory_ratio": ours.peak / peer.peak,
        "ours_cached": shape.pairs / cached.step,
        "ours_seconds": ours.seconds,
        "peer_seconds": peer.seconds,
        "ours_peak_gb": ours.peak / 1e9,
        "peer_peak_gb": peer.peak / 1e9,
        "gflops": achieved / 1e9,
        "share_of_matrix_rate": achieved / rate,
    }


def show(row: dict[str, object]) -> None:
    """Print a row of the table."""
    print(
        "{shape:>11}  ours {ours:6.3f} pairs/s (reference cached {ours_cached:6.3f})  peer "
        "{peer:6.3f}  ratio {ratio:5.2f}  peak {ours_peak_gb:5.2f} / {peer_peak_gb:5.2f} GB = "
        "{memory_ratio:4.2f}  {gflops:6.0f} GFLOP/s, {share_of_matrix_rate:.0%} of a matrix "
        "product's".format(**row),
        flush=True,
    )


def embedded_folder() -> str:
    """Folder of the embedded model's bf16 weights."""
    from accordant.models.gguf_cache import dequantised_folder
    from accordant.models.sources import resolve_source

    path = resolve_source(None).path
    assert path is not None
    return str(dequantised_folder(path))


def main() -> None:
    """Compare both sides on every shape."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", choices=("trl",), default="trl")
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=SHAPES)
    parser.add_argument("--steps", type=int, default=3, help="timed steps of a process")
    parser.add_argument("--warmup", type=int, default=1, help="steps before them")
    parser.add_argument("--repeats", type=int, default=2, help="processes of each side, in turn")
    parser.add_argument("--model", default="", help="model folder; default: the embedded model")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.model = args.model or embedded_folder()
    if args.side:
        shape = Shape.parse(args.shapes[0])
        print(json.dumps(child(args.side, shape, args.model, args.steps, args.warmup)))
        return
    rate = matrix_rate()
    rows = []
    for name in args.shapes:
        rows.append(compare(Shape.parse(name), args, rate))
        show(rows[-1])
    if args.json:
        print(json.dumps({"rows": rows}))


if __name__ == "__main__":
    main()
