"""S45: alignment fine-tuning with and without a constraint on wrong answers.

Knows the laboratory. The start model was taught by a writer who takes each object for the next one
half of the time, so that it scores wrong answers above right ones nearly as often as below, as the
paper finds of fine-tuned models. Its own answers are right or wrong by a program; right ones are
imitated, wrong ones pushed below them. What wrong answers share with right ones is how to write at
all: an unconstrained push spoils that, and the shares of grammatical and of right answers tell.
Answers are to prompts that nothing after the start was trained on. The boundary takes most of the
harm away and not all: against imitation alone it loses one to three right answers of a hundred,
over six and over twelve further seeds.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from accordant.checks.pairs import read_pairs, summed_logps
from accordant.checks.ranking import PairLogps
from accordant.tokens.examples import Example
from accordant_studies.laboratory.language import (
    Tokens,
    Writer,
    accuracy,
    is_grammatical,
    split_prompts,
)
from accordant_studies.laboratory.training import minibatches, train
from accordant_studies.laboratory.transformer import (
    Schooling,
    clone,
    gold_rankings,
    imitate,
    mean_gold,
    sample,
    start_model,
)
from accordant_studies.study import Claim, Measured, Study, fresh_seeds

SEEDS = fresh_seeds(6)
CONFUSED = Schooling(writer=Writer(confused=0.5))
HELD_OUT = 128  # of the 512 prompts, eight answers each
DRAWN = 12  # answers of the start to each of the others
EPOCHS, BATCH, RATE = 12, 32, 3e-4
# The paper's 0.15 nats per token are some 15 nats over a solution of a hundred tokens. Answers have
# six tokens here: 15 nats over them.
MARGIN = 2.5
TOLERANCE = 0.01  # loss of grammatical answers that counts as none
FEWER = 0.02  # loss of right answers against imitation that counts as none
IMITATION, FREE, BOUND, DETACHED = "imitation alone", "unconstrained", "boundary", "detached"
NARROW = "boundary, margin 0.15"
OPTIONS: dict[str, dict[str, str | float]] = {
    FREE: {"constraint": "none"},
    BOUND: {"margin": MARGIN},
    DETACHED: {"constraint": "detached"},
    NARROW: {},
}


def study() -> Study:
    """Train on the same right and wrong answers with each constraint, and on right ones alone."""
    grammar, right = "grammatical", "right"
    return Study(
        _measure,
        SEEDS,
        (
            Claim(
                "unconstrained, answers get less grammatical than they were",
                grammar,
                lower=FREE,
                than="start",
                control=True,
            ),
            Claim(
                "and fewer of them are right than after imitation alone",
                right,
                lower=FREE,
                than=IMITATION,
                control=True,
            ),
            Claim(
                f"with the boundary grammatical answers lose at most {TOLERANCE:g}",
                grammar,
                higher=BOUND,
                than="start",
                by=-TOLERANCE,
            ),
            Claim(
                f"and right ones at most {FEWER:g} against imitation alone",
                right,
                higher=BOUND,
                than=IMITATION,
                by=-FEWER,
            ),
            Claim(
                "the boundary has more right answers than the unconstrained loss",
                right,
                higher=BOUND,
                than=FREE,
            ),
            Claim("so has the detached constraint", right, higher=DETACHED, than=FREE),
        ),
        note=f"Lists of up to {DRAWN} different answers to prompts that got both right and wrong "
        f"ones, {EPOCHS} passes; answers are counted on {HELD_OUT} prompts left out of them. 'wrong"
        " above right' is the share of such pairs of a list that the model ranks so, by mean "
        f"log-probability. The boundary lies {MARGIN:g} nats per token under the worst right "
        "answer, about 15 nats per answer, as the default of 0.15 does in solutions of a hundred "
        "tokens; in answers this short that default keeps wrong answers likely, and is shown "
        "beside it.",
    )


def _measure(seed: int) -> Measured:
    start = start_model(seed, CONFUSED)
    tests, pool = split_prompts(HELD_OUT, seed)
    answers = [list(dict.fromkeys(row)) for row in sample(start, pool, DRAWN, seed + 2)]
    data = [e for e in gold_rankings(pool, answers, _right) if len(set(e.rewards or ())) == 2]

    def seen(model: nn.Module) -> dict[str, float]:
        return _seen(model, tests, seed + 4) | {"wrong above right": _misranked(model, data)}

    measured = {"start": seen(start)}
    steps = minibatches(data, BATCH, seed, EPOCHS)
    measured[IMITATION] = seen(_imitated(start, data, len(steps), seed))
    for name, options in OPTIONS.items():
        model = clone(start)
        train(model, "aft", steps, steps=len(steps), lr=RATE, options=options)
        measured[name] = seen(model)
    return measured


def _imitated(start: nn.Module, data: Sequence[Example], steps: int, seed: int) -> nn.Module:
    """Train on the right answers alone, as many passes in about as many steps."""
    right = [
        (example.trees[0].prompt, answer)
        for example in data
        for answer, reward in zip(
            example.trees[0].continuations, example.rewards or (), strict=True
        )
        if reward == 1
    ]
    batch = -(-len(right) * EPOCHS // steps)
    prompts, answers = zip(*right, strict=True)
    model: nn.Module = imitate(
        clone(start), prompts, answers, seed, batch=batch, epochs=EPOCHS, lr=RATE
    )
    return model


def _right(prompt: Tokens, answer: Tokens) -> float:
    """Return 1 for a grammatical answer that names every object, else 0."""
    return float(is_grammatical(answer) and accuracy(prompt, answer) == 1)


def _misranked(model: nn.Module, data: Sequence[Example]) -> float:
    """Return the share of right and wrong answers of which the model scores the wrong one higher.

    The score is the mean log-probability of an answer's tokens, as in the loss.
    """
    rows = read_pairs(model, data, {"logps": summed_logps}, row_tokens=4096)["logps"]
    return float((PairLogps.of(rows).gaps_per_token < 0).double().mean())


def _seen(model: nn.Module, tests: Sequence[Tokens], seed: int) -> dict[str, float]:
    answers = sample(model, tests, 8, seed)
    return {
        "right": mean_gold(tests, answers, _right),
        "grammatical": mean_gold(tests, answers, lambda _, answer: float(is_grammatical(answer))),
    }
