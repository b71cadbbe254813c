"""Sampling throughput side by side with transformers' `generate`, in turn in one process.

Both sides continue the same prompts of random tokens greedily, to the same length, with the same
weights; sides take turns, a figure is the median over rounds, and the ratio is the median of the
rounds' ratios, as a machine is not equally fast all day. Token agreement is printed: in bf16 the
two round differently, so that greedy answers may part.

    python benchmarks/sample_throughput.py
    python benchmarks/sample_throughput.py --prompts 16 --rounds 5 --temperature 1 --json
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

# As a script this file finds its neighbours like any module of the checkout.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

PROMPTS = (1, 16, 64)
# Processor time, summed over threads, is steadier where others load the machine.
CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}


def draw_prompts(count: int, length: int, vocabulary: int) -> list[list[int]]:
    """Draw prompts of random tokens."""
    source = random.Random(0)
    return [[source.randrange(2, vocabulary) for _ in range(length)] for _ in range(count)]


def generate_with_transformers(
    model: Any, prompts: Sequence[Sequence[int]], new: int, temperature: float
) -> list[list[int]]:
    """Continue prompts of one length with `generate`; nothing ends early."""
    import torch

    ids = torch.tensor(prompts, device=model.device)
    output = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=new,
        min_new_tokens=new,
        do_sample=temperature > 0,
        temperature=temperature or None,
        top_k=0 if temperature else None,
        pad_token_id=0,
    )
    return [row[len(prompts[0]) :] for row in output.tolist()]


def seconds(run: Callable[[], Any], clock: Callable[[], float]) -> tuple[float, Any]:
    """Time a run, to the end of what it left on the device."""
    import torch

    started = clock()
    result = run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return clock() - started, result


def compare(model: Any, count: int, args: argparse.Namespace) -> dict[str, Any]:
    """Measure a row of the table: tokens a second of both sides at `count` prompts."""
    from accordant.sampling import LocalSampler, SamplingOptions

    prompts = draw_prompts(count, args.prompt, model.config.vocab_size)
    options = SamplingOptions(args.new, temperature=args.temperature, batch_size=count)
    sampler = LocalSampler(model)
    sides: dict[str, Callable[[], list[list[int]]]] = {
        "ours": lambda: [list(row[0].completion) for row in sampler.sample(prompts, options)],
        "peer": lambda: generate_with_transformers(model, prompts, args.new, args.temperature),
    }
    times: dict[str, list[float]] = {name: [] for name in sides}
    texts = {name: run() for name, run in sides.items()}  # The first round warms both.
    for _ in range(args.rounds):
        for name, run in sides.items():
            spent, texts[name] = seconds(run, CLOCKS[args.clock])
            times[name].append(spent)
    pairs = zip(*times.values(), strict=True)
    tokens = zip(*(itertools.chain(*texts[name]) for name in sides), strict=True)
    return {
        "prompts": count,
        **{name: count * args.new / statistics.median(spent) for name, spent in times.items()},
        "ratio": statistics.median(peer / ours for ours, peer in pairs),
        "agreement": sum(a == b for a, b in tokens) / (count * args.new),
    }


def show(row: dict[str, Any]) -> None:
    """Print a row of the table."""
    print(
        "{prompts:>4} prompts  ours {ours:8.1f} tokens/s  generate {peer:8.1f}  ratio {ratio:5.2f}"
        "  same tokens {agreement:.0%}".format(**row),
        flush=True,
    )


def main() -> None:
    """Compare both sides at every number of prompts."""
    from benchmarks.train_throughput import embedded_folder

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prompts", nargs="+", type=int, default=PROMPTS)
    parser.add_argument("--prompt", type=int, default=64, help="tokens of a prompt")
    parser.add_argument("--new", type=int, default=48, help="tokens of an answer")
    parser.add_argument("--temperature", type=float, default=0.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--model", default="", help="model folder; default: the embedded model")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    args = parser.parse_args()

    import torch
    from transformers import AutoModelForCausalLM

    folder = args.model or embedded_folder()
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, args.dtype))
    model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
    # Random tokens end no answer on either side.
    model.generation_config.eos_token_id = None
    rows = []
    for count in args.prompts:
        rows.append(compare(model, count, args))
        show(rows[-1])
    if args.json:
        print(json.dumps({"rows": rows}))


if __name__ == "__main__":
    main()
