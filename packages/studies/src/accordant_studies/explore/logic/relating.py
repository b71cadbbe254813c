"""How two losses stand to each other: what their structures say, and what follows for their values.

Knows readings. Knows nothing of scores or of how it is shown.
"""

from __future__ import annotations

from accordant_studies.explore.logic.compiling import Term
from accordant_studies.explore.logic.readings import Reading
from accordant_studies.explore.logic.structures import relation

_SAID = {
    "equivalent": "The structures are equivalent",
    "entails": "{a} entails {b}",
    "is entailed by": "{b} entails {a}",
    "incomparable": "Neither structure entails the other",
}


def relate(name_a: str, a: Reading, name_b: str, b: Reading) -> tuple[str, ...]:
    """Return sentences on the logic of two losses; one where there is nothing to compare.

    Terms are compared in order: the first is what a loss is named after, and any others, such as a
    likelihood, are said to be more on one side.
    """
    missing = [name for name, reading in ((name_a, a), (name_b, b)) if not reading.terms]
    if missing:
        return (f"Nothing to compare: {' and '.join(missing)} has no formula.",)
    first_a, first_b = _main(a), _main(b)
    found = relation(first_a.structure, first_b.structure)
    sentences = [f"{_SAID[found].format(a=name_a, b=name_b)}."]
    sentences.extend(_consequence(name_a, first_a, name_b, first_b, found))
    for name, reading, main in ((name_a, a, first_a), (name_b, b, first_b)):
        for term in reading.terms:
            if term is not main:
                sentences.append(
                    f"{name} adds {term.weight:g} times a {term.link.name} loss of: "
                    f"{term.structure}."
                )
    return tuple(sentences)


def _main(reading: Reading) -> Term:
    """Return the first term that is about both answers, or else the first."""
    both = [
        term for term in reading.terms if {name[-1] for name in term.structure.names} >= {"w", "l"}
    ]
    return (both or list(reading.terms))[0]


def _consequence(name_a: str, a: Term, name_b: str, b: Term, found: str) -> list[str]:
    """Return what the relation of the structures says of the losses."""
    same = (a.link.formula, a.weight, a.per_token, a.margin) == (
        b.link.formula,
        b.weight,
        b.per_token,
        b.margin,
    )
    sentences = []
    if found == "equivalent":
        sentences.append(
            "Their terms are the same loss."
            if same
            else f"They differ in how the ratio is read: {_how(a)}; against {_how(b)}."
        )
    elif found != "incomparable":
        strong, weak = (name_a, name_b) if found == "entails" else (name_b, name_a)
        sentences.append(
            f"At these options the term of {strong} is nowhere smaller than that of {weak}."
            if same
            else f"With one link and one kind of probability, the term of {strong} would be "
            f"nowhere smaller than that of {weak}; here they are {_how(a)}; and {_how(b)}."
        )
    else:
        sentences.append("Which of the two losses is larger depends on the probabilities.")
    return sentences


def _how(term: Term) -> str:
    """Return the link and kind of probability of a term, in words."""
    of = "token means" if term.per_token else "whole answers"
    margin = f", margin {term.margin:g}" if term.margin else ""
    return f"{term.link.formula} of {of}{margin}"
