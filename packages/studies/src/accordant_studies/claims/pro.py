"""S36: preference ranking optimisation on rankings of two, three and five answers.

Knows the laboratory. A small transformer answers the same prompts; a gold program ranks its answers
and gives the rewards that sharpen the comparisons. Shorter rankings are parts of the longer ones.
"""

from __future__ import annotations

from torch import nn

from accordant_studies.laboratory.language import Tokens, draw_from, quality, split_prompts
from accordant_studies.laboratory.trainer import fine_tuned
from accordant_studies.laboratory.transformer import (
    gold_rankings,
    gold_win_rate,
    mean_gold,
    sample,
    start_model,
)
from accordant_studies.study import Claim, Measured, Study, fresh_seeds

SEEDS = fresh_seeds(4)
LENGTHS = (2, 3, 5)
PROMPTS = 500
DRAWN = 8  # answers drawn of a prompt, to find enough that differ
EPOCHS = 2
HELD_OUT = 128  # of the 512 prompts; rankings are of the others, each asked again and again
# As many answers as the longest rankings hold, two by two.
AS_MANY = "rankings of 2, as many answers in all"


def study() -> Study:
    """Train on shorter and longer rankings of the start's own answers."""
    two, three, five = map(_name, LENGTHS)
    return Study(
        _measure,
        SEEDS,
        (
            Claim(
                "rankings of 2 win over the start", "win rate", higher=two, than=0.5, control=True
            ),
            Claim("rankings of 3 beat rankings of 2", "win rate", higher=three, than=two),
            Claim("rankings of 5 beat rankings of 3", "win rate", higher=five, than=three),
            Claim("and as many answers in rankings of 2", "win rate", higher=five, than=AS_MANY),
        ),
        note=f"{PROMPTS} prompts, {EPOCHS} passes, the objective's defaults. Win rates are by gold "
        f"over the start's answers to {HELD_OUT} prompts that no ranking is of. "
        f"'{AS_MANY}' has more prompts: set beside the longest rankings it tells what length "
        "adds from what mere number adds.",
    )


def _name(length: int) -> str:
    return f"rankings of {length}"


def _measure(seed: int) -> Measured:
    start = start_model(seed)
    tests, pool = split_prompts(HELD_OUT, seed)
    before = sample(start, tests, 4, seed + 2)
    measured = {"start": {"gold": mean_gold(tests, before, quality)}}
    longest = max(LENGTHS)
    more = PROMPTS * longest // 2
    prompts, answers = _answered(start, draw_from(pool, more, seed + 3), seed + 4)
    data = {_name(length): (PROMPTS, length) for length in LENGTHS} | {AS_MANY: (more, 2)}
    for name, (count, length) in data.items():
        model = _trained(start, prompts[:count], [row[:length] for row in answers[:count]], seed)
        after = sample(model, tests, 4, seed + 5)
        measured[name] = {
            "gold": mean_gold(tests, after, quality),
            "win rate": gold_win_rate(tests, after, before, quality),
        }
    return measured


def _answered(
    start: nn.Module, drawn: list[Tokens], seed: int
) -> tuple[list[Tokens], list[list[Tokens]]]:
    """Return prompts with different answers of the start; those without enough are left out."""
    rows = [list(dict.fromkeys(row)) for row in sample(start, drawn, DRAWN, seed)]
    enough = [(p, row) for p, row in zip(drawn, rows, strict=True) if len(row) >= max(LENGTHS)]
    return [prompt for prompt, _ in enough], [row for _, row in enough]


def _trained(
    start: nn.Module, prompts: list[Tokens], answers: list[list[Tokens]], seed: int
) -> nn.Module:
    lists = gold_rankings(prompts, answers, quality)
    model: nn.Module = fine_tuned(start, "pro", lists, seed, batch=32, lr=3e-4, epochs=EPOCHS)
    return model
