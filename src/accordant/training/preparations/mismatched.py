"""Every prompt with another example's answer: a sample of how far the policy has drifted (KTO).

Knows token ids. Takes no model, so all is done in the plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from accordant.base.errors import UserError
from accordant.objectives.preparations import Mismatched
from accordant.tokens.examples import Example, with_answers
from accordant.training.preparations.mechanism import prepares
from accordant.training.preparations.workbench import Parts, Workbench


def add_mismatched(
    examples: Sequence[Example], max_tokens: int | None, further: Sequence[Example] = ()
) -> tuple[Example, ...]:
    """Give every example the answer of another one as well.

    It is the answer of the next example, from the last on to the first, and then of `further`
    ones; examples with the same prompt are passed over (their answers would match) unless there is
    no other, and so are answers that would not fit in `max_tokens`.

    Raises:
        UserError: fewer than two examples, several answers, or none that fits.
    """
    everyone = (*examples, *further)
    if len(everyone) < Mismatched.least:
        raise UserError(
            f"mismatched answers need at least {Mismatched.least} records, found {len(everyone)}.",
            mend="Give more records, or choose a method without them.",
        )
    trees = [example.own_trees[0] for example in everyone]
    if any(len(e.trees) != 1 for e in everyone) or any(len(t.continuations) != 1 for t in trees):
        raise UserError(
            f"mismatched answers are for records with one answer, found {examples[0].kind} records."
        )
    one_prompt = len({tree.prompt for tree in trees}) == 1

    def answer_for(at: int) -> tuple[int, ...]:
        prompt = trees[at].prompt
        count = len(examples)
        for place in chain(range(at + 1, count), range(at), range(count, len(trees))):
            other = trees[place]
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
    # A held-out part of one record has none to give it; an answer that is trained on leaks nothing.
    held_out = parts.held_out and add_mismatched(parts.held_out, bench.max_tokens, parts.train)
    return Parts(add_mismatched(parts.train, bench.max_tokens), held_out)


prepares(Mismatched, plan=mismatch_each_part)
