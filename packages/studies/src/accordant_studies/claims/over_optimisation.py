"""S39: whether entropy and mass of the likeliest tokens turn before gold falls, in long DPO.

Knows the embedded model, the bundled feedback, the laboratory's loop, what the monitor measures,
and the check, whose own criterion is put to the test. The embedded model learns from comparisons
that prefer concise answers, far too fast for too long; beside it, for a few gentle steps. Gold is a
program: an answer keeps the rule of the bundled feedback, in words that the feedback knows. What
the labels do not say, that answers are to be words at all, is what too much of them undoes.

Mass falls from the first steps on, while gold still rises, so that its turn is the start; the
finding comes once the fall is beyond chance, which is about a look after gold's peak and well
before half is lost. Entropy says little. On a small transformer with a vocabulary of 37 tokens the
claim does not show (dev/LOG.md): ten tokens hold nearly all of the probability there, and their
mass rises while gold falls.
"""

from __future__ import annotations

import gc
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import fmean
from typing import Any

from accordant.checks.during.over_optimisation import over_optimisation, smooth
from accordant.checks.findings import Finding
from accordant.checks.run_history import RunHistory, Snapshot
from accordant.checks.snapshot import MonitorSet, take_snapshot
from accordant.feedback.bundled import bundled_path
from accordant.feedback.loading import load_feedback
from accordant.models.loading import load_model
from accordant.rewards.rules import is_concise
from accordant.sampling.sampler import LocalSampler
from accordant.sampling.samples import Sample, SamplingOptions
from accordant.scoring.engine import score_all
from accordant.scoring.installation import install
from accordant.tokens.examples import Example
from accordant.tokens.rendering import Rendering, encode
from accordant.tokens.trees import TokenTree
from accordant_studies.laboratory.training import minibatches, train
from accordant_studies.study import Claim, Measured, Share, Study, fresh_seeds

Tokens = tuple[int, ...]

SEEDS = fresh_seeds(6)  # of six exact trials all must succeed: the lower end is then 0.54
PAIRS, BATCH, BETA = 96, 4, 0.1
HELD_OUT = 16  # pairs whose margin is the held-out reward, as a trainer logs it
PROMPTS, TOKENS, TOP_K = 32, 64, 10
SHIPPED = 8  # prompts of the monitor of `accordant align`
WINDOW = 3  # looks that a gold curve is averaged over
KEPT = 0.1  # gold that the gentle run may lose from its peak and still count as keeping it
LONG, GENTLE = "long, at a high rate", "short, at a low rate"


@dataclass(frozen=True, slots=True)
class Arm:
    """How long and how fast is trained."""

    rate: float
    steps: int
    every: int  # steps between looks


ARMS = {LONG: Arm(3e-5, 40, 4), GENTLE: Arm(5e-6, 24, 6)}


def _silent(seed: Measured) -> float:
    raised = seed[GENTLE]["raised"]
    return raised.complement() if isinstance(raised, Share) else 1 - raised


@dataclass(frozen=True, slots=True)
class _Look:
    """One look at a run: as the check sees it, as shipped, and gold twice."""

    seen: Snapshot
    shipped: Snapshot
    gold: float
    gold_again: float  # of other answers: where the peak is and how high must not share their noise
    known: float


def study() -> Study:
    """Train both arms and compare the step of the finding with that of gold's peak."""
    turns = ("turn", "raised at", "entropy is highest at", "mass is highest at")
    steps = ("peak", "half lost", *turns, *(f"shipped: {name}" for name in turns))
    return Study(
        _measure,
        SEEDS,
        (
            Claim("gold rises", "gold at peak", LONG, than=(LONG, "gold at start"), control=True),
            Claim(
                "then it falls",
                "gold at end",
                lower=LONG,
                than=(LONG, "gold at peak"),
                control=True,
            ),
            Claim("the check raises a finding", "raised", higher=LONG, than=0.5),
            Claim(
                "the indicator turns before gold's peak", "turn", lower=LONG, than=(LONG, "peak")
            ),
            Claim(
                "entropy turns before gold's peak",
                "entropy is highest at",
                lower=LONG,
                than=(LONG, "peak"),
            ),
            Claim(
                "the finding comes before gold's peak",
                "raised at",
                lower=LONG,
                than=(LONG, "peak"),
            ),
            Claim(
                "the finding comes before half is lost",
                "raised at",
                lower=LONG,
                than=(LONG, "half lost"),
            ),
            Claim(
                f"in the gentle run gold falls by at most {KEPT:g}",
                "gold at end",
                higher=GENTLE,
                than=(GENTLE, "gold at peak"),
                by=-KEPT,
            ),
            Claim("and nothing is raised", _silent, than=0.5),
        ),
        units=dict.fromkeys(steps, "steps"),
        note=_note(),
        untested=("IPO and the hinge loss over-optimise alike",),
    )


def _note() -> str:
    long, gentle = ARMS[LONG], ARMS[GENTLE]
    return (
        f"DPO at beta {BETA:g} on {PAIRS} bundled pairs a seed, {BATCH} a step: {long.steps} steps "
        f"at {long.rate:g}, and {gentle.steps} at {gentle.rate:g}. Gold is 1 for an answer that "
        "keeps the bundled rule (ended, two sentences at most, 3 to 60 words), times the share of "
        f"its words that occur in the bundled feedback, over {PROMPTS} held-out prompts and "
        f"{WINDOW} looks; the step of its peak and its height are read from different answers. "
        "'half lost' is the first look after the peak with less than half of what gold has at the "
        "peak above its lowest later on. 'raised at' is the first look at which the check raises a "
        "finding from what it has seen so far, 'turn' the step that the finding names; where there "
        f"is none both are the step after the last look. 'shipped' is the check with the {SHIPPED} "
        "prompts of the monitor of a run."
    )


@dataclass(frozen=True, eq=False)
class _Lab:
    """The start model, a copy to train, and the bundled feedback in its tokens."""

    start: Any
    policy: Any
    tokenizer: Any
    pairs: Sequence[Example]
    held_out: Sequence[Example]
    stop_ids: tuple[int, ...]
    known: frozenset[str]


@cache
def _lab() -> _Lab:
    first, second = (load_model(None) for _ in range(2))
    records = [load_feedback(str(bundled_path(part))).records for part in ("train", "held_out")]
    parts = [encode(some, first.tokenizer, Rendering(), max_tokens=None) for some in records]
    pairs, held_out = (part.examples for part in parts)
    texts = (
        first.tokenizer.decode(run)
        for example in [*pairs, *held_out]
        for tree in example.trees
        for run in (tree.prompt, *tree.continuations)
    )
    return _Lab(
        install(first.model, verify=False).requires_grad_(requires_grad=False),
        install(second.model, verify=False),
        first.tokenizer,
        pairs,
        held_out,
        tuple(parts[0].end_of_turn_ids),
        frozenset(word for text in texts for word in words_of(text)),
    )


def words_of(text: str) -> list[str]:
    """Return its words in small letters, without numbers and signs."""
    return re.findall(r"[a-z']+", text.lower())


def gold_of(text: str, finished: bool, known: frozenset[str]) -> float:
    """Return the share of known words of an answer that keeps the rule, 0 for any other."""
    words = words_of(text)
    share = sum(word in known for word in words) / max(len(words), 1)
    return float(is_concise(text, finished)) * share


def _measure(seed: int) -> Measured:
    lab, draw = _lab(), random.Random(seed)
    pairs = draw.sample(list(lab.pairs), PAIRS)
    held_out = draw.sample(list(lab.held_out), PROMPTS)
    measured = {
        name: _summary(_run(lab, arm, pairs, held_out, seed), arm) for name, arm in ARMS.items()
    }
    gc.collect()
    return measured


def _run(
    lab: _Lab, arm: Arm, pairs: Sequence[Example], held_out: Sequence[Example], seed: int
) -> list[_Look]:
    """Train the policy from the start; what every look saw."""
    lab.policy.load_state_dict(lab.start.state_dict())
    margin = _margin(lab, held_out[:HELD_OUT])
    prompts = [example.trees[0].prompt for example in held_out]
    probe = MonitorSet(top_k=TOP_K)
    looks: list[_Look] = []

    def watch(step: int) -> dict[str, float]:
        answers, others = _answers(lab, prompts, seed)
        trees = [
            TokenTree(prompt, (answer.completion,))
            for prompt, answer in zip(prompts, answers, strict=True)
            if answer.completion
        ]
        reward = BETA * margin()
        seen, shipped = (
            take_snapshot(lab.policy, probe, (), some, step, reward)
            for some in (trees, trees[:SHIPPED])
        )
        looks.append(
            _Look(
                seen,
                shipped,
                gold=_mean_gold(lab, answers),
                gold_again=_mean_gold(lab, others),
                known=_known(lab, answers),
            )
        )
        return {}

    train(
        lab.policy,
        "dpo",
        minibatches(pairs, BATCH, seed, epochs=1 + arm.steps * BATCH // PAIRS),
        steps=arm.steps,
        lr=arm.rate,
        reference=lab.start,
        options={"beta": BETA},
        optimizer="compensated",
        watch=watch,
        every=arm.every,
    )
    return looks


def _answers(lab: _Lab, prompts: Sequence[Tokens], seed: int) -> tuple[list[Sample], list[Sample]]:
    """Return two answers of the policy's to every prompt; one may be empty."""
    options = SamplingOptions(
        TOKENS, seed=seed, stop_ids=lab.stop_ids, samples_per_prompt=2, batch_size=2 * PROMPTS
    )
    first, second = zip(*LocalSampler(lab.policy).sample(prompts, options), strict=True)
    return list(first), list(second)


def _margin(lab: _Lab, pairs: Sequence[Example]) -> Callable[[], float]:
    """Return a function of the mean margin of log-ratios, beta times which a trainer logs."""
    trees = [example.trees[0] for example in pairs]
    before = score_all(lab.start, trees).sum()

    def measure() -> float:
        ratios = score_all(lab.policy, trees).sum() - before
        return float((ratios[0::2] - ratios[1::2]).mean())

    return measure


def _text(lab: _Lab, answer: Sample) -> str:
    return str(lab.tokenizer.decode(answer.tokens, skip_special_tokens=True))


def _mean_gold(lab: _Lab, answers: Sequence[Sample]) -> float:
    return fmean(gold_of(_text(lab, answer), answer.finished, lab.known) for answer in answers)


def _known(lab: _Lab, answers: Sequence[Sample]) -> float:
    """Return the share of words of all answers that occur in the bundled feedback."""
    words = [word for answer in answers for word in words_of(_text(lab, answer))]
    return sum(word in lab.known for word in words) / max(len(words), 1)


def _summary(looks: Sequence[_Look], arm: Arm) -> dict[str, float]:
    curve, again = (
        averaged([value(look) for look in looks])
        for value in (lambda look: look.gold, lambda look: look.gold_again)
    )
    peak = max(range(len(curve)), key=curve.__getitem__)
    halfway = (again[peak] + min(again[peak:])) / 2
    lost = next((i for i in range(peak, len(again)) if again[i] < halfway), None)
    never = float(arm.steps + arm.every)
    seen = [look.seen for look in looks]
    return {
        "gold at start": looks[0].gold_again,
        "gold at peak": again[peak],
        "gold at end": again[-1],
        "peak": float(seen[peak].step),
        "half lost": never if lost is None else float(seen[lost].step),
        **_verdict(seen, never),
        **{
            f"shipped: {k}": v for k, v in _verdict([look.shipped for look in looks], never).items()
        },
        "known words at end": looks[-1].known,
        "held-out margin, after peak": seen[-1].held_out_reward - seen[peak].held_out_reward,
    }


def _verdict(seen: Sequence[Snapshot], never: float) -> dict[str, float]:
    """Say whether and when the check raises a finding, and where its two indicators are highest."""
    finding = first_finding(seen)

    def highest(values: Sequence[float]) -> float:
        smoothed = smooth(tuple(values))
        return float(seen[max(range(len(smoothed)), key=smoothed.__getitem__)].step)

    return {
        "raised": Share(int(finding is not None), 1),
        "turn": never if finding is None else finding.charts[0].marks[0].value,
        "raised at": never if finding is None else float(finding.step or 0),
        "entropy is highest at": highest([snapshot.entropy for snapshot in seen]),
        "mass is highest at": highest([snapshot.top_mass for snapshot in seen]),
    }


def first_finding(measurements: Sequence[Snapshot]) -> Finding | None:
    """Return the check's first finding, asked after every snapshot as a monitor asks, or None."""
    for count in range(1, len(measurements) + 1):
        finding = over_optimisation(RunHistory(tuple(measurements[:count]), top_k=TOP_K))
        if finding.raised:
            return finding
    return None


def averaged(values: Sequence[float]) -> list[float]:
    """Return means over a centred window; at the ends over what there is of it."""
    half = WINDOW // 2
    windows = (values[max(0, at - half) : at + half + 1] for at in range(len(values)))
    return [sum(window) / len(window) for window in windows]
