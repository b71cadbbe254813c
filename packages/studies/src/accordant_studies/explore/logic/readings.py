"""What the registered losses on comparisons mean: their equations, read as structures.

Knows registered losses by name, and the ratio of probabilities each falls in. Structures are not
written here, they are decompiled from the ratios; the tests compile them again and compare with the
registered function.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from accordant.objectives.kinds.comparison import PairwiseScores
from accordant.objectives.registry import Objective, bind_options, is_built_in
from accordant_studies.explore.logic import links
from accordant_studies.explore.logic.compiling import Term
from accordant_studies.explore.logic.decompiling import decompile
from accordant_studies.explore.logic.structures import Structure

if TYPE_CHECKING:
    from torch import Tensor

Options = Mapping[str, Any]

# Ratios of probabilities that losses fall in, by what is preferred.
REFERENCED = "M_w * R_l / (M_l * R_w)"
PLAIN = "M_w / M_l"
LED = "M_w * G / M_l"
ODDS = "M_w * (1 - M_l) / (M_l * (1 - M_w))"
LIKELY = "M_w / (1 - M_w)"
PASSED = "M_w / C_w"
CHOSEN_ROSE, CHOSEN_FELL, REJECTED_FELL = "M_w / R_w", "R_w / M_w", "R_l / M_l"
RETAINED = "M_w * R_l / (R_w * (M_l + R_l * (1 - M_w) * (1 - M_l)))"

# Structures of common losses and their neighbours, for the lattice.
FORMS = {
    "sft": LIKELY,
    "cpo, slic, simpo": PLAIN,
    "orpo": ODDS,
    "unlikelihood (w and not l)": "M_w * (1 - M_l) / (1 - M_w * (1 - M_l))",
    "implication (l implies w)": "(1 - M_l + M_l * M_w) / (M_l * (1 - M_w))",
    "dpo, ipo, ln_dpo": REFERENCED,
    "retain_dpo": RETAINED,
    "retention (w is kept)": "M_w * R_l / (R_w * (1 - M_w + M_w * M_l))",
}

NO_FORMULA = {
    "tdpo": "its divergences are sums over tokens, not functions of how valid an answer is deemed",
    "f_dpo": "its derivatives of u = p / r are no logarithms of counts: powers of u for the "
    "forward KL and the alpha-divergence, and for Jensen-Shannon the quotient "
    "p_w (p_l + r_l) / (p_l (p_w + r_w)), which counts some worlds twice (reverse KL is dpo)",
    "mapo": "e / (exp(e) - 1) of the mean log-probability is no ratio of polynomials in it",
}
_NOT_PAIRS = "the logic read here is that of pairs, and this objective learns from something else"


@dataclass(frozen=True, slots=True)
class Reading:
    """What a loss means.

    Args:
        terms: the loss is their sum; empty when it has no formula.
        note: what the terms leave out, or why there are none.
    """

    terms: tuple[Term, ...]
    note: str = ""


def read(objective: Objective, given: Options | None = None) -> Reading:
    """Return what an objective means under these options (defaults for those not given).

    Built-in losses are read from their equations. A user's pairwise loss is recognised from the
    numbers it returns, where that succeeds.
    """
    options = bind_options(objective, given or {})
    if not is_built_in(objective):
        return _recognised(objective, options)
    if objective.name in NO_FORMULA and not _is_reverse_kl(options):
        return Reading((), f"none: {NO_FORMULA[objective.name]}")
    if objective.name in _READINGS:
        return Reading(tuple(_READINGS[objective.name](options)), _NOTES.get(objective.name, ""))
    return _recognised(objective, options)


@cache
def form(ratio: str) -> Structure:
    """Return the structure of a ratio, decompiled once."""
    return decompile(ratio)


def _recognised(objective: Objective, options: Options) -> Reading:
    if objective.inputs is not PairwiseScores or any(n.attaches for n in objective.prepare):
        return Reading((), f"none: {_NOT_PAIRS}")
    from accordant_studies.explore.logic.recognising import recognise

    term = recognise(objective, options)
    if term is None:
        return Reading(
            (), "none found: it is no logistic or hinge loss of a ratio of weighted model counts"
        )
    return Reading((term,), "Recognised from the numbers it returns; its code was not read.")


def _is_reverse_kl(options: Options) -> bool:
    return options.get("divergence") == "reverse_kl"


def _logistic(ratio: str, o: Options, *, per_token: bool = False) -> Term:
    link = links.logistic(o["beta"], o.get("label_smoothing", 0.0))
    return Term(form(ratio), link, per_token=per_token)


def _likelihood(weight: float, *, per_token: bool = False) -> Term:
    """Return the chosen answer's negative log-likelihood as a term: it is a logistic loss too."""
    return Term(form(LIKELY), links.logistic(), weight, per_token)


def _positive(*terms: Term) -> list[Term]:
    """Return the terms that count."""
    return [term for term in terms if term.weight != 0]


def _rpo(o: Options) -> list[Term]:
    per_token = o["sft"] == "mean"
    sft = _likelihood(o["eta"] * (1 if per_token else o["beta"]), per_token=per_token)
    return _positive(_logistic(REFERENCED, o), sft)


def _cpo(o: Options) -> list[Term]:
    return _positive(_logistic(PLAIN, o), _likelihood(o["sft_weight"], per_token=True))


def _slic(o: Options) -> list[Term]:
    hinge = Term(form(PLAIN), links.hinge(1.0, o["delta"]))
    return _positive(hinge, _likelihood(o["sft_weight"]))


def _orpo(o: Options) -> list[Term]:
    odds = Term(form(ODDS), links.logistic(), o["beta"], per_token=True)
    return _positive(_likelihood(1.0, per_token=True), odds)


def _simpo(o: Options) -> list[Term]:
    if o["gamma"] == 0:
        return [_logistic(PLAIN, o, per_token=True)]
    margin = o["gamma"] / o["beta"]
    return [Term(form(LED), links.logistic(o["beta"]), per_token=True, margin=margin)]


def _ipo(o: Options) -> list[Term]:
    link = links.squared(1.0, 1 / (2 * o["tau"]))
    return [Term(form(REFERENCED), link, per_token=bool(o.get("length_normalised")))]


def _apo_zero(o: Options) -> list[Term]:
    return [Term(form(ratio), links.sigmoid(o["beta"])) for ratio in (CHOSEN_ROSE, REJECTED_FELL)]


def _apo_down(o: Options) -> list[Term]:
    return [Term(form(ratio), links.sigmoid(o["beta"])) for ratio in (REFERENCED, CHOSEN_FELL)]


def _nca(o: Options) -> list[Term]:
    weights = {CHOSEN_ROSE: 1.0, CHOSEN_FELL: 0.5, REJECTED_FELL: 0.5}
    return [Term(form(r), links.logistic(o["beta"]), weight) for r, weight in weights.items()]


def _sppo(o: Options) -> list[Term]:
    link = links.squared(1.0, 0.5 / o["beta"])
    return [Term(form(ratio), link) for ratio in (CHOSEN_ROSE, REJECTED_FELL)]


def _bent(
    name: str, formula: str, function: Callable[[Tensor, Options], Tensor]
) -> Callable[[Options], list[Term]]:
    """Return the reading of a loss that is another function of DPO's scaled ratio."""

    def read_options(o: Options) -> list[Term]:
        link = links.bent(name, formula, lambda z: function(z, o), o["beta"])
        return [Term(form(REFERENCED), link)]

    return read_options


def _gpo(o: Options) -> list[Term]:
    from accordant.objectives.losses.pairwise_links import LINKS

    if o["link"] == "logistic":
        return [_logistic(REFERENCED, o)]
    name = o["link"].replace("_", " ")
    formulas = {
        "exponential": "exp(-z)",
        "truncated quadratic": "max(0, 1 - z)^2",
        "squared": "(1 - z)^2",
        "hinge": "max(0, 1 - z)",
        "savage": "sigmoid(-z)^2",
    }
    return [Term(form(REFERENCED), links.bent(name, formulas[name], LINKS[o["link"]], o["beta"]))]


def _robust(z: Tensor, o: Options) -> Tensor:
    from accordant.objectives.numerics import log_sigmoid

    e = o["label_smoothing"]
    return (-(1 - e) * log_sigmoid(z) + e * log_sigmoid(-z)) / (1 - 2 * e)


def _exo(z: Tensor, o: Options) -> Tensor:
    from accordant.objectives.numerics import log_sigmoid

    e = o["label_smoothing"]
    right = z.sigmoid() * (log_sigmoid(z) - math.log1p(-e))
    return right + (-z).sigmoid() * (log_sigmoid(-z) - math.log(e))


def _discopo(z: Tensor, o: Options) -> Tensor:
    from accordant.objectives.numerics import log_sigmoid

    g = (z / o["tau"]).sigmoid()
    return -(1 - g) * log_sigmoid(z) + g * (-z).exp()


def _irepo(o: Options) -> list[Term]:
    target = math.log1p(1 / o["smoothing"])
    return [Term(form(REFERENCED), links.squared(o["beta"], target))]


_READINGS: dict[str, Callable[[Options], list[Term]]] = {
    "sft": lambda _: [_likelihood(1.0, per_token=True)],
    "poft": lambda _: [Term(form(PASSED), links.logistic(), per_token=True)],
    "dpo": lambda o: [_logistic(REFERENCED, o)],
    "dove": lambda o: [_logistic(REFERENCED, o)],
    "dove_joint": lambda o: [_logistic(REFERENCED, o)],
    "mm_dpo": lambda o: [_logistic(REFERENCED, o)],
    "f_dpo": lambda o: [_logistic(REFERENCED, o)],
    "ln_dpo": lambda o: [_logistic(REFERENCED, o, per_token=True)],
    "retain_dpo": lambda o: [_logistic(RETAINED, o, per_token=True)],
    "ipo": _ipo,
    "irepo": _irepo,
    "rpo": _rpo,
    "cpo": _cpo,
    "slic": _slic,
    "orpo": _orpo,
    "simpo": _simpo,
    "apo_zero": _apo_zero,
    "apo_down": _apo_down,
    "nca": _nca,
    "sppo": _sppo,
    "gpo": _gpo,
    "hinge": lambda o: [Term(form(REFERENCED), links.hinge(o["beta"]))],
    "robust_dpo": _bent(
        "robust", "(-(1 - e) log sigmoid(z) + e log sigmoid(-z)) / (1 - 2 e)", _robust
    ),
    "exo": _bent("exact", "q log(q / (1 - e)) + (1 - q) log((1 - q) / e), q = sigmoid(z)", _exo),
    "discopo": _bent(
        "modulated", "-(1 - g) log sigmoid(z) + g exp(-z), g = sigmoid(z / tau)", _discopo
    ),
}

_NOTES = {
    "sft": "y_w is the demonstrated answer.",
    "poft": "y_w is the demonstrated answer, and M' the mean of the baselines.",
    "dove": "The two answers may be to different prompts: read x as each answer's own.",
    "dove_joint": "A proposition is about a whole exchange: prompt and answer.",
    "mm_dpo": "The scale grows with the rated gap of each pair; shown is that of an even pair.",
    "irepo": "The target is each pair's own log-odds of votes; shown is that of a single vote.",
    "sppo": "The targets are the win rates 1 and 0.",
}
