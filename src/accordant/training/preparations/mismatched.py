"""Every prompt with another example's answer: a sample of how far the policy has drifted (KTO).

Knows token ids. Takes no model, so all is done in the plan.
"""

from __future__ import annotations

from collections.abc import Sequence

from accordant.base.errors import UserError
from accordant.objectives.preparations import Mismatched
from accordant.tokens.examples import Example, with_answers
from accordant.training.preparations.mechanism import prepares
from accordant.training.preparations.workbench import Parts, Workbench


def add_mismatched(examples: Sequence[Example], max_tokens: int | None) -> tuple[Example, ...]:
    """Give every example the answer of another one as well.

    It is the answer of the next example, from the last on to the first; examples with the same
    prompt are passed over (their answers would match) unless there is no other, and so are answers
    that would not fit in `max_tokens`.

    Raises:
        UserError: fewer than two examples, several answers, or none that fits.
    """
    if len(examples) < 2:
        raise UserError(
            f"mismatched answers need at least 2 records, found {len(examples)}.",
            mend="Give more records, or choose a method without them.",
        )
    trees = [example.own_trees[0] for example in examples]
    if any(len(e.trees) != 1 for e in examples) or any(len(t.continuations) != 1 for t in trees):
        raise UserError(
            f"mismatched answers are for records with one answer, found {examples[0].kind} records."
        )
    one_prompt = len({tree.prompt for tree in trees}) == 1

    def answer_for(at: int) -> tuple[int, ...]:
        prompt = trees[at].prompt
        for step in range(1, len(trees)):
            other = trees[(at + step) % len(trees)]
            (answer,) = other.continuations
            fits = max_tokens is None or len(prompt) + len(answer) <= max_tokens
            if fits and (one_prompt or other.prompt != prompt):
                return answer
        raise UserError(
            f"no other record's answer fits after this prompt of {len(prompt):,} tokens.",
            where=examples[at].id,
            mend="Raise --max-length, or remove the record.",
        )

    return tuple(
        with_answers(example, Mismatched.attaches, [answer_for(at)])
        for at, example in enumerate(examples)
    )


def mismatch_each_part(_: Mismatched, bench: Workbench, parts: Parts) -> Parts:
    """Mismatch the answers within each part, so that nothing held out is trained on."""
    held_out = add_mismatched(parts.held_out, bench.max_tokens) if parts.held_out else ()
    return Parts(add_mismatched(parts.train, bench.max_tokens), held_out)


prepares(Mismatched, plan=mismatch_each_part)
