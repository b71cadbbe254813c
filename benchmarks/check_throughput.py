"""CHES and ranking accuracy of many pairs: the packed engine against plain transformers loops.

Both sides read the same bf16 weights and the same token ids. Ours makes one pass for both checks,
as `accordant check` does. The peer takes one pair at a time and each answer as a sequence of its
own, prompt included, as published scripts do: one loop for CHES (hidden states) and one for ranking
accuracy (log-probabilities). A second figure, `merged`, is a loop that reads both from the same two
forward passes. Sides take turns, a figure is the median over rounds, and what the sides found is
compared: log-probabilities by their largest relative difference, CHES scores by their correlation.

    python benchmarks/check_throughput.py
    python benchmarks/check_throughput.py --shapes 128/64/64 --pairs 16 --rounds 1 --json
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

# As a script this file finds its neighbours like any module of the checkout.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

SHAPES = ("bundled", "128/64/64", "512/64/64", "64/256/256")
Row = tuple[list[int], list[list[int]]]
Found = tuple[float, float, float]  # chosen and rejected log-probability, CHES


def rows_of(shape: str, count: int, folder: str) -> list[Row]:
    """Prompts with a chosen and a rejected answer: the bundled feedback, or random tokens."""
    from benchmarks.train_throughput import Shape, draw

    if shape == "bundled":
        return bundled_rows(count, folder)
    from transformers import AutoConfig

    return draw(Shape.parse(shape), count, AutoConfig.from_pretrained(folder).vocab_size)


def bundled_rows(count: int, folder: str) -> list[Row]:
    """The bundled feedback in the model's tokens, taken again from the start where it ends."""
    from transformers import AutoTokenizer

    from accordant.feedback.bundled import bundled_path
    from accordant.feedback.loading import load_feedback
    from accordant.tokens.rendering import Rendering, encode

    records = load_feedback(str(bundled_path("train"))).records[:count]
    encoded = encode(records, AutoTokenizer.from_pretrained(folder), Rendering(), max_tokens=None)
    trees = [example.trees[0] for example in encoded.examples]
    rows = [(list(tree.prompt), [list(run) for run in tree.continuations]) for tree in trees]
    return [rows[index % len(rows)] for index in range(count)]


def ours(model: Any, rows: Sequence[Row], budget: int) -> list[Found]:
    """Chosen and rejected log-probability and CHES of every pair, from one packed pass."""
    from accordant.checks.pairs import read_pairs, summed_logps
    from accordant.checks.similarity import read_similarities
    from accordant.scoring.engine import ScoreOptions
    from accordant.tokens.examples import Example
    from accordant.tokens.trees import TokenTree

    examples = [
        Example("comparison", (TokenTree(tuple(prompt), tuple(map(tuple, answers))),), index)
        for index, (prompt, answers) in enumerate(rows)
    ]
    readings = {"logps": summed_logps, "ches": read_similarities}
    options = ScoreOptions(hidden=True)
    found = read_pairs(model, examples, readings, options, row_tokens=budget)
    columns = (*found["logps"].T[:2], found["ches"].T[1])
    return list(zip(*(column.tolist() for column in columns), strict=True))


def forward(model: Any, prompt: list[int], answer: list[int], *, hidden: bool) -> Any:
    """One sequence through the plain model."""
    import torch

    ids = torch.tensor([prompt + answer], device=model.device)
    return model(input_ids=ids, output_hidden_states=hidden, use_cache=False)


def summed_states(output: Any, prompt: list[int]) -> Any:
    """Last hidden states summed over the positions that predict the answer."""
    return output.hidden_states[-1][0, len(prompt) - 1 : -1].float().sum(0)


def answer_logp(output: Any, prompt: list[int], answer: list[int]) -> float:
    """Log-probability of the answer."""
    import torch

    logps = output.logits[0, :-1].float().log_softmax(-1)[len(prompt) - 1 :]
    targets = torch.tensor(answer, device=logps.device)
    return float(logps.gather(1, targets[:, None]).sum())


def score_of(states: Sequence[Any]) -> float:
    """CHES from the summed states of the chosen and the rejected answer."""
    chosen, rejected = (one.double() for one in states)
    return float((chosen * (rejected - chosen)).sum())


def two_loops(model: Any, rows: Sequence[Row]) -> list[Found]:
    """The same numbers, CHES in one loop over the pairs and log-probabilities in another."""
    scores, logps = [], []
    for prompt, answers in rows:
        outputs = (forward(model, prompt, answer, hidden=True) for answer in answers)
        scores.append(score_of([summed_states(output, prompt) for output in outputs]))
    for prompt, answers in rows:
        logps.append(
            [
                answer_logp(forward(model, prompt, answer, hidden=False), prompt, answer)
                for answer in answers
            ]
        )
    return [(*pair, score) for pair, score in zip(logps, scores, strict=True)]


def merged_loop(model: Any, rows: Sequence[Row]) -> list[Found]:
    """The same numbers from one loop that reads both from the same forward passes."""
    found = []
    for prompt, answers in rows:
        states, logps = [], []
        for answer in answers:
            output = forward(model, prompt, answer, hidden=True)
            states.append(summed_states(output, prompt))
            logps.append(answer_logp(output, prompt, answer))
        found.append((*logps, score_of(states)))
    return found


def seconds_a_pair(run: Callable[[], list[Found]], pairs: int) -> float:
    """Wall time of a run, by pairs."""
    import torch

    started = time.perf_counter()
    run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return (time.perf_counter() - started) / pairs


def agreement(first: Sequence[Found], second: Sequence[Found]) -> tuple[float, float]:
    """Largest relative difference of log-probabilities, and correlation of CHES scores.

    Scores are small differences of large products, so bf16 rounds them coarsely one by one.
    """
    gaps = [
        abs(a - b) / max(abs(a), abs(b))
        for one, other in zip(first, second, strict=True)
        for a, b in zip(one[:2], other[:2], strict=True)
    ]
    scores = ([one[2] for one in side] for side in (first, second))
    return max(gaps), statistics.correlation(*scores)


def compare(shape: str, models: tuple[Any, Any], args: argparse.Namespace) -> dict[str, object]:
    """A row of the table."""
    engine, plain = models
    rows = rows_of(shape, args.pairs, args.model)
    some = rows[: max(2, args.pairs // args.peer_share)]
    gap, likeness = agreement(ours(engine, some, args.budget), merged_loop(plain, some))
    sides = {
        "ours": (lambda: ours(engine, rows, args.budget), len(rows)),
        "peer": (lambda: two_loops(plain, some), len(some)),
        "merged": (lambda: merged_loop(plain, some), len(some)),
    }
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(args.rounds):
        for name, (run, pairs) in sides.items():
            times[name].append(seconds_a_pair(run, pairs))
    speed = {name: 1 / statistics.median(found) for name, found in times.items()}
    return {
        "shape": shape,
        **speed,
        "ratio": speed["ours"] / speed["peer"],
        "ratio_merged": speed["ours"] / speed["merged"],
        "largest_difference": gap,
        "ches_correlation": likeness,
    }


def show(row: dict[str, object]) -> None:
    """Print a row of the table."""
    print(
        "{shape:>11}  ours {ours:7.3f} pairs/s  peer {peer:7.3f}  ratio {ratio:5.2f}  (merged loop "
        "{merged:7.3f}, ratio {ratio_merged:5.2f})  log-probs within "
        "{largest_difference:.1%}, CHES correlate {ches_correlation:.3f}"
        "".format(**row),
        flush=True,
    )


def main() -> None:
    """Compare both sides on every shape."""
    from benchmarks.train_throughput import embedded_folder

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=SHAPES)
    parser.add_argument("--pairs", type=int, default=64, help="pairs of our side in a round")
    parser.add_argument("--peer-share", type=int, default=4, help="peers take 1/N of the pairs")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--budget", type=int, default=4096, help="tokens of a packed row")
    parser.add_argument("--model", default="", help="model folder; default: the embedded model")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    args = parser.parse_args()
    args.model = args.model or embedded_folder()

    import torch
    from transformers import AutoModelForCausalLM

    from accordant.scoring.installation import install

    device = "cuda" if torch.cuda.is_available() else "cpu"
    plain = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.bfloat16).to(device).eval()
    second = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.bfloat16).to(device)
    engine = install(second.eval())
    rows = []
    with torch.no_grad():
        for shape in args.shapes:
            rows.append(compare(shape, (engine, plain), args))
            show(rows[-1])
    if args.json:
        print(json.dumps({"rows": rows}))


if __name__ == "__main__":
    main()
