"""Which forms of an answer (lists, headings, refusals) are preferred as such."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from accordant.base.options import Count
from accordant.checks.findings import FindingRow, Outcome, Scale, Severity
from accordant.checks.inputs import CheckInputs, NotApplicableError
from accordant.checks.registry import check
from accordant.checks.texts import record_row
from accordant.feedback.kinds import preferences_of
from accordant.feedback.records import Record, flat
from accordant.statistics.charts import Chart, Mark, Series
from accordant.statistics.corrections import holm
from accordant.statistics.estimates import sign_test, wilson_interval
from accordant.statistics.interval import Interval

SCALE = Scale(
    "chosen here: the whole interval 20 points off one half, and no chance at 5 % over all forms "
    "looked for (exact sign test, Holm 1979)",
    surely_off={0.05: "info", 0.2: "warning", 0.35: "serious"},
)


def _pattern(expression: str) -> Callable[[str], bool]:
    pattern = re.compile(expression, re.MULTILINE | re.IGNORECASE)
    return lambda text: pattern.search(text) is not None


# What an answer may look like, whatever it says. Lists have two items: one dash is only a dash.
FORMS: dict[str, Callable[[str], bool]] = {
    "bullet list": _pattern(r"^[ \t]*[-*•+][ \t]+\S.*\n(?:.*\n)?[ \t]*[-*•+][ \t]+\S"),
    "numbered list": _pattern(r"^[ \t]*1[.)][ \t]+\S(?s:.*?)^[ \t]*2[.)][ \t]+\S"),
    "heading": _pattern(r"^#{1,6}[ \t]+\S"),
    "bold text": _pattern(r"\*\*[^*\n]+\*\*|__[^_\n]+__"),
    "code block": _pattern(r"^[ \t]*```"),
    "table": _pattern(r"^[ \t]*\|.+\|[ \t]*\n[ \t]*\|[ \t:|-]+\|"),
    "link": _pattern(r"https?://\S|\[[^\]\n]+\]\([^)\n]+\)"),
    "several paragraphs": _pattern(r"\S[ \t]*\n[ \t]*\n[ \t]*\S"),
    "exclamation mark": lambda text: "!" in text,
    "ends with a question": lambda text: text.rstrip().endswith("?"),
    "emoji": _pattern("[\U0001f300-\U0001faff☀-➿]"),
    "refusal": _pattern(
        r"\b(?:I(?:['’]m| am) (?:sorry|afraid|(?:not able|unable) to)|I (?:can(?:no|['’])t|can not|"
        r"won['’]t|will not|must decline|do(?:n['’]t| not) (?:feel comfortable|think (?:it|that)"
        r"['’]?s? (?:is )?(?:appropriate|a good idea)))|as an AI\b|against my (?:guidelines|"
        r"programming))"
    ),
    "hedge": _pattern(
        r"\b(?:perhaps|it depends|might be|may be|I(?:['’]m| am) not (?:sure|certain)|I think|"
        r"possibly|it seems)\b"
    ),
    "opens with praise or assent": _pattern(
        r"\A\s*(?:sure|certainly|of course|absolutely|great question|good question|happy to help|"
        r"(?:what )?an? (?:great|excellent|interesting) question)\b"
    ),
}


@dataclass(frozen=True, slots=True)
class _Bias:
    """How a form fares in records whose answers differ in it; `rows` are those that follow it."""

    form: str
    share: Interval
    p_value: float
    rows: frozenset[int]


@check(
    name="format-bias",
    title="Format bias",
    when="before",
    feedback=("comparison", "ranking", "joint_pair"),
    scale=SCALE,
    shown=(50, "rows to list at most."),
)
def format_bias(inputs: CheckInputs, *, least: Count = 20) -> Outcome:
    """Which forms are preferred as such: lists, headings, bold text, refusals, hedges and others.

    For every form, of the preferences in which one answer has it and the other has not: how often
    the one with it is preferred. The number is the form's that is furthest from one half. Refusals
    that are preferred can be what was wanted: the finding says what a policy will learn, not that
    it is wrong.

    Args:
        least: preferences that must differ in a form for it to be judged.
    """
    records = inputs.feedback.records
    biases = [bias for bias in _biases(records) if bias.share.count >= least]
    if not biases:
        raise NotApplicableError(f"no form of answers tells apart {least} preferences or more")
    rejected = holm([bias.p_value for bias in biases], 0.05)
    sure = {bias.form for bias, clear in zip(biases, rejected, strict=True) if clear}
    # Beyond chance first: a rare form may look further off than it is.
    biases.sort(key=lambda bias: (bias.form not in sure, -bias.share.distance(0.5)))
    raised = [bias for bias in biases if _severity(bias, sure) != "ok"]
    shares, forms = [bias.share for bias in biases], [bias.form for bias in biases]
    chart = Chart(
        "bars",
        "Preference by form",
        "Of pairs in which one answer has the form: how often it is the preferred one.",
        "",
        "share preferred",
        (Series.of_intervals("preferred", shares, forms),),
        (Mark(0.5, "no bias", vertical=False),),
    )
    return Outcome(
        f"preferences for the answer with: {biases[0].form}",
        biases[0].share,
        _says(raised, len(biases)),
        "If that is not what you want, add pairs that differ in form the other way round.",
        unit="share",
        severity=_severity(biases[0], sure),
        rows=_rows(records, raised),
        row_unit="forms",
        measures={f"{b.form} (differs in {b.share.count:,})": b.share for b in biases},
        charts=(chart,),
    )


def _biases(records: Sequence[Record]) -> list[_Bias]:
    texts = [
        [(flat(better), flat(worse)) for better, worse in preferences_of(record)]
        for record in records
    ]
    biases = []
    for form, has in FORMS.items():
        # A record counts once, however many of its answers are compared.
        nets = [sum(has(better) - has(worse) for better, worse in pairs) for pairs in texts]
        won = [place for place, net in enumerate(nets) if net > 0]
        lost = [place for place, net in enumerate(nets) if net < 0]
        share = wilson_interval(len(won), len(won) + len(lost))
        rows = won if len(won) >= len(lost) else lost
        biases.append(_Bias(form, share, sign_test(len(won), len(lost)), frozenset(rows)))
    return biases


def _severity(bias: _Bias, sure: set[str]) -> Severity:
    """Judge by the scale where the preference is no chance over all forms looked for."""
    return SCALE.severity(bias.share) if bias.form in sure else "ok"


def _says(raised: Sequence[_Bias], judged: int) -> str:
    if not raised:
        return f"None of {judged} forms of answers is surely preferred or rejected as such."
    parts = [
        f"{bias.form} ({'preferred' if bias.share.estimate > 0.5 else 'rejected'} in "
        f"{max(bias.share.estimate, 1 - bias.share.estimate):.0%} of {bias.share.count:,})"
        for bias in raised[:4]
    ]
    return (
        "Where only one of two answers has it, its form goes with the label: "
        f"{'; '.join(parts)}. A policy will learn the form first."
    )


def _rows(records: Sequence[Record], raised: Sequence[_Bias]) -> list[FindingRow]:
    """List rows whose label goes with a form, those that follow most of them first."""
    places = sorted(frozenset().union(*(bias.rows for bias in raised)))
    forms = {place: [bias.form for bias in raised if place in bias.rows] for place in places}
    rows = (record_row(records[at], float(len(of)), ", ".join(of)) for at, of in forms.items())
    return sorted(rows, key=lambda row: -row.value)
