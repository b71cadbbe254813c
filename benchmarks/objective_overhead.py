"""What an objective adds to a training step, for every objective on comparisons.

The engine's forward and backward pass are the same whatever the loss; what differs is the loss
itself, from scores to the gradient of every token's log-probability. Steps of seconds differ by
more than that from one to the next, so the two are timed apart: a whole step with `dpo`, and every
loss with its backward pass on the same scores, many times.

    python benchmarks/objective_overhead.py
    python benchmarks/objective_overhead.py --shape 64/256/256 --json
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from accordant.objectives.assembly import assemble
from accordant.objectives.batch import evaluate
from accordant.objectives.preparations import ScoredPrompts
from accordant.objectives.registry import Objective, bind_options, get_objective, list_objectives
from accordant.scoring.engine import score
from accordant.scoring.installation import install
from accordant.scoring.scores import Scores
from accordant.tokens.examples import Example
from accordant.tokens.trees import TokenTree
from benchmarks.train_throughput import Shape, draw, embedded_folder


def losses_on_pairs() -> list[Objective]:
    """Objectives whose step differs from that of `dpo` by the loss alone."""
    return [
        entry
        for entry in list_objectives()
        if "comparison" in entry.feedback
        and not any(isinstance(need, ScoredPrompts) for need in entry.prepare)
    ]


def examples_of(shape: Shape, vocabulary: int) -> list[Example]:
    """A batch of comparisons with what any loss may ask of them."""
    return [
        Example(
            "comparison",
            (TokenTree(tuple(prompt), tuple(map(tuple, answers))),),
            index,
            numbers={"votes": (3, 1), "reward_gap": (1.0,)},
        )
        for index, (prompt, answers) in enumerate(draw(shape, shape.batch, vocabulary))
    ]


def seconds_of_step(model: torch.nn.Module, examples: list[Example], steps: int) -> float:
    """Median seconds of reference, forward, loss and backward with `dpo`."""
    trees = [tree for example in examples for tree in example.trees]
    dpo, times = get_objective("dpo"), []
    for _ in range(steps + 1):
        start = time.perf_counter()
        with torch.no_grad():
            reference = score(model, trees)
        inputs = assemble(dpo, score(model, trees), reference, examples)
        evaluate(dpo, inputs, bind_options(dpo, {})).losses.mean().backward()
        times.append(time.perf_counter() - start)
        model.zero_grad()
    return statistics.median(times[1:])


def seconds_of_loss(
    objective: Objective, policy: Scores, reference: Scores, examples: list[Example]
) -> float:
    """Median seconds of one loss and its gradient to the log-probabilities."""
    options, times = bind_options(objective, {}), []
    for _ in range(50):
        leaf = policy.logps.detach().requires_grad_()
        start = time.perf_counter()
        inputs = assemble(objective, replace(policy, logps=leaf), reference, examples)
        evaluate(objective, inputs, options).losses.mean().backward()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    """Print the share of a step that each loss adds to what `dpo` takes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", default="128/64/64")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    args = parser.parse_args()
    shape = Shape.parse(args.shape)
    model = AutoModelForCausalLM.from_pretrained(embedded_folder(), dtype=torch.bfloat16)
    examples = examples_of(shape, model.config.vocab_size)
    step = seconds_of_step(install(model), examples, args.steps)
    with torch.no_grad():
        policy = score(model, [tree for example in examples for tree in example.trees])
    found = {
        entry.name: seconds_of_loss(entry, policy, policy, examples) for entry in losses_on_pairs()
    }
    rows = [
        {"objective": name, "milliseconds": 1e3 * one, "added": (one - found["dpo"]) / step}
        for name, one in sorted(found.items(), key=lambda item: -item[1])
    ]
    print(f"{shape.name}: {step:.2f} s a step without the optimiser")
    for row in rows:
        print("{objective:>16}  {milliseconds:6.2f} ms  {added:+.3%} of a step".format(**row))
    if args.json:
        print(json.dumps({"shape": shape.name, "step_seconds": step, "rows": rows}))


if __name__ == "__main__":
    main()
