"""Reports made of plausible numbers, for tests of what is made of them."""

from __future__ import annotations

import dataclasses

import numpy as np

from accordant.objectives.held_out import HeldOutLogps
from accordant.objectives.kinds.binary import measure_thumbs
from accordant.objectives.kinds.comparison import measure_comparisons
from accordant.objectives.kinds.demonstration import measure_demonstrations
from accordant.objectives.kinds.ranking import measure_rankings
from accordant.reports.report import ComparedAnswer
from accordant.rewards.expression import find_reward
from accordant.runs.align.answers import compare_answers, kl_from_reference
from accordant.runs.align.collect import summarise_lengths
from accordant.runs.align.results import AlignResults, DataSummary, Environment, Exclusion
from tests.reports.sample_findings import make_finding

PROMPTS = (
    "How does a bicycle stay upright?",
    "What is the difference between weather and climate?",
    "Give me a tip for keeping basil alive on a windowsill.",
    "Why do cats purr?",
)
LONG = (
    "A bicycle stays upright for several reasons. First of all, it is important to understand "
    "that there are many factors. The wheels are turning, and this turning has an effect. The "
    "rider also makes small corrections with the handlebars. In addition to this, the shape of "
    "the front fork matters. It is also important to note that speed plays a role. Furthermore, "
    "when the bicycle leans, the front wheel turns into the lean, and this brings the wheels back "
    "under the rider. There are also other considerations that one could mention, such as"
)
SHORT = (
    "A bicycle stays upright because the rider and the geometry of the fork steer the wheels back "
    "under the centre of mass. It gets easier with speed."
)


def make_logps(count, moved, spread, seed):
    """Log-probabilities of `count` completions whose log-probability moved by about `moved`."""
    random = np.random.default_rng(seed)
    start = -random.gamma(9, 7, count)
    lengths = random.integers(12, 60, count)
    return HeldOutLogps(start + random.normal(moved, spread, count), start, lengths)


def make_curves(steps=60, every=10):
    """Rows as transformers logs them, with held-out rows in between and one at the start."""
    random = np.random.default_rng(7)
    rows = []
    for step in range(steps + 1):
        part = 1 - np.exp(-step / 18)
        for prefix, noise in (("", 1.0), ("eval_", 0.12)):
            if (prefix and step % every) or (not prefix and step == 0):
                continue
            jitter = noise * random.normal(size=5)
            rows.append(
                {
                    "step": step,
                    "epoch": step / 30,
                    f"{prefix}loss": float(0.69 - 0.35 * part + 0.05 * jitter[0]),
                    f"{prefix}logps/chosen": float(-62 - 3.1 * part + 2.5 * jitter[1]),
                    f"{prefix}logps/rejected": float(-66 - 14 * part + 2.5 * jitter[2]),
                    f"{prefix}rewards/margins": float(1.1 * part + 0.12 * jitter[3]),
                    f"{prefix}rewards/accuracies": float(
                        np.clip(0.5 + 0.33 * part + 0.06 * jitter[4], 0, 1)
                    ),
                }
            )
            if not prefix:
                rows[-1] |= {"grad_norm": float(2 + jitter[0] ** 2), "learning_rate": 1e-5}
    return tuple(rows)


def make_answers(count=24):
    """Prompts with answers before and after: mostly shorter, some the same, some worse."""
    prompts = [f"{PROMPTS[index % len(PROMPTS)]} ({index + 1})" for index in range(count)]
    before = [ComparedAnswer(LONG, False, 96) for _ in prompts]
    after = [ComparedAnswer(SHORT, True, 33) for _ in prompts]
    for index in range(0, count, 6):
        after[index] = before[index]
        after[(index + 3) % count] = ComparedAnswer(LONG + " so on and so forth", False, 96)
    return prompts, before, after


def make_win_rate(judge="shorter", count=24):
    return compare_answers(*make_answers(count), find_reward(judge))


def make_kl(sequences=40):
    random = np.random.default_rng(3)
    lengths = random.integers(10, 40, sequences)
    reference = -random.exponential(1.4, lengths.sum())
    return kl_from_reference(
        reference + random.normal(0.08, 0.3, len(reference)), reference, lengths
    )


def make_data(record_type="comparison", parts=("prompt", "chosen", "rejected")):
    random = np.random.default_rng(5)
    drawn = [summarise_lengths(part, random.negative_binomial(5, 0.08, 400) + 4) for part in parts]
    return DataSummary(
        record_type=record_type,
        sources=("feedback.jsonl",),
        read=412,
        train=320,
        held_out=80,
        exclusions=(
            Exclusion(
                "skipped", "chosen and rejected are identical", 9, ("feedback.jsonl, row 17",)
            ),
            Exclusion("truncated", "prompt longer than 512 tokens", 3),
        ),
        lengths=tuple(one for one in drawn if one is not None),
    )


def comparison_report(**changes):
    report = AlignResults(
        title="DPO of SmolLM2-135M-Instruct",
        method="dpo",
        model="embedded (SmolLM2-135M-Instruct)",
        configuration={
            "method": "dpo",
            "objective": {"beta": 0.1, "label_smoothing": 0.0},
            "training": {"learning_rate": 1e-5, "epochs": 2, "token_budget": 2048, "seed": 0},
            "data": ["feedback.jsonl"],
        },
        data=make_data(),
        environment=Environment(
            versions={"accordant": "0.1.0", "torch": "2.13.0", "transformers": "5.23.0"},
            hardware="2 CPU cores",
            precision="bfloat16",
            seconds=213.4,
            tokens_per_second=251.7,
            peak_memory_bytes=3_100_000_000,
            created="2026-11-24 08:00 UTC",
            command="accordant align --data feedback.jsonl --method dpo --output-dir run",
        ),
        curves=make_curves(),
        held_out=measure_comparisons(
            make_logps(80, -3.1, 4, 1), make_logps(80, -13, 10, 2), beta=0.1
        ),
        win_rates=(make_win_rate("shorter"), make_win_rate("finished")),
        kl=make_kl(),
        findings=(make_finding("displacement"), make_finding("end of turn", "ok", rows=())),
    )
    return dataclasses.replace(report, **changes)


def every_kind_of_report():
    """One report per kind of held-out results, and one with nothing measured."""
    flat = make_logps(60, 1, 3, 4)
    return {
        "comparison": comparison_report(),
        "binary": comparison_report(held_out=measure_thumbs(flat, np.arange(60) % 2)),
        "ranking": comparison_report(
            held_out=measure_rankings(flat, np.arange(60) // 4, -(np.arange(60.0) % 4))
        ),
        "demonstration": comparison_report(held_out=measure_demonstrations(flat)),
        "bare": comparison_report(curves=(), held_out=None, win_rates=(), kl=None, findings=()),
    }
