"""Rankings: several answers to one prompt, best first."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from accordant.feedback.kind import Asked, Kind
from accordant.feedback.records import Origin, Ranking
from accordant.feedback.row_texts import answer_to, bare_answer, read_prompt
from accordant.feedback.rows import Row, RowError
from accordant.feedback.values import parse_list, parse_number


def build(row: Row, origin: Origin) -> tuple[Ranking, ...]:
    """Make a ranking, put best first by `rewards`, `scores` or `ranks` where given."""
    prompt = read_prompt(row)
    with row.at("completions"):
        values = parse_list(row.require("completions"))
        if len(values) < 2:
            raise RowError(
                "too few completions",
                f"a ranking has at least 2 completions, found {len(values)}.",
                "Remove the row, or give single answers as prompt and completion.",
            )
        answers = [answer_to(prompt, value, row.require("prompt")) for value in values]
        # Some that are alike may stay: they are ties of an order that says something.
        if len(set(map(bare_answer, answers))) == 1:
            raise RowError("identical completions", "all completions are identical.")
    orders = list(filter(row.has, ("rewards", "scores", "ranks")))
    if len(orders) > 1:
        raise RowError(
            "order given twice",
            f"the order is given by {' and '.join(orders)}, expected one of them.",
            "Keep the column that decides.",
            row.name(orders[1]),
        )
    if not orders:
        return (Ranking(prompt, tuple(answers), None, origin),)
    rewards = _rewards(row, orders[0], len(answers))
    # Stable, so answers of one reward stay in the row's order.
    order = sorted(range(len(answers)), key=lambda place: -rewards[place])
    ranked = tuple(answers[place] for place in order)
    return (Ranking(prompt, ranked, tuple(rewards[place] for place in order), origin),)


def _rewards(row: Row, name: str, count: int) -> list[float]:
    """Read numbers to sort by, higher is better: ranks (1 is best) count as their negatives."""
    with row.at(name):
        values = parse_list(row.require(name))
        if len(values) != count:
            message = f"found {len(values)} {name} for {count} completions."
            raise RowError("lengths do not match", message)
        sign = -1.0 if name == "ranks" else 1.0
        return [sign * parse_number(value) for value in values]


def ordered_places(count: int, rewards: Sequence[float] | None) -> tuple[tuple[int, int], ...]:
    """List places (better, worse) of a ranking of `count` answers; equal rewards say nothing."""
    return tuple(
        (better, worse)
        for better, worse in combinations(range(count), 2)
        if rewards is None or rewards[better] > rewards[worse]
    )


def asked(record: Ranking) -> tuple[Asked, ...]:
    """Return the prompt with its answers, named by their places."""
    answers = enumerate(record.completions, 1)
    return (Asked(record.prompt, tuple((f"answer {place}", text) for place, text in answers)),)


KIND = Kind(
    name="ranking",
    record=Ranking,
    layouts=(
        "prompt completions",
        "prompt completions ranks",
        "prompt completions rewards",
        "prompt completions scores",
    ),
    build=build,
    asked=asked,
    usual="plackett_luce",
    rewards=lambda record: record.rewards,
    preferred=lambda record: ordered_places(len(record.completions), record.rewards),
    becomes={
        "demonstration": "take the first of `completions` as `completion`",
        "binary": "write one row per answer, with `label` true for the answers good enough to be "
        "wanted",
        "comparison": "take two answers of every ranking, the better as `chosen`, the worse as "
        "`rejected`",
    },
)
