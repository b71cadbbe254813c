from __future__ import annotations

import base64
import dataclasses
import functools
import hashlib
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accordant.base import files
from accordant.base.errors import UserError
from accordant.objectives.kinds.comparison import measure_comparisons
from accordant.reports import pages, writing
from accordant.reports.report import ComparedAnswer
from accordant.rewards.registry import FunctionReward
from accordant.runs.align.answers import compare_answers
from accordant.runs.align.report import align_report
from accordant.runs.align.results import (
    SCHEMA_VERSION,
    AlignResults,
    DataSummary,
    Environment,
    Exclusion,
)
from tests.reports.sample_findings import make_finding
from tests.reports.sample_reports import comparison_report, every_kind_of_report, make_logps

KINDS = sorted(every_kind_of_report())
VOID = {"meta", "link", "input", "br", "img", "hr", "col"}


def render_html(results):
    return pages.render_html(align_report(results))


def render_json(results):
    return writing.render_json(align_report(results))


def write_report(results, folder):
    return writing.write_report(align_report(results), folder)


def render(results):
    """The page without plotly's five megabytes, which take a parser a while."""
    return render_html(results).replace(pages.plotly_code(), "")


class Page(HTMLParser):
    """What a browser would see: elements with attributes, scripts, text; nesting is checked."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.scripts, self.text, self.open = [], [], [], []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts[-1] += data
        elif self.open and self.open[-1] != "style":
            self.text.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def hostile_report(text):
    """A report with `text` in every place that people, models or files can fill."""
    judge = FunctionReward(text, text, lambda prompt, answer, finished: len(answer))
    before, after = ComparedAnswer(text, True, 3), ComparedAnswer(text + " and more", False)
    rate = compare_answers([text], [before], [after], judge)
    base = comparison_report()
    return AlignResults(
        title=text,
        method=text,
        model=text,
        configuration={text: {text: [text]}, "plain": text},
        data=DataSummary(
            text,
            (text,),
            1,
            1,
            1,
            (Exclusion("skipped", text, 1, (text,)),),
            (dataclasses.replace(base.data.lengths[0], name=text),),
        ),
        environment=Environment({text: text}, text, precision=text, created=text, command=text),
        curves=({"step": 1, text: 1.0, f"logps/{text}": -2.0, "loss": 1.0},),
        held_out=base.held_out,
        win_rates=(rate,),
        findings=(make_finding(text),),
    )


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_is_well_formed_and_asks_nothing_of_the_network(kind):
    page = Page(render(every_kind_of_report()[kind]))
    for tag, attributes in page.elements:
        for name in ("src", "href", "action", "poster", "data"):
            target = attributes.get(name, "")
            assert target in ("", "data:,", "report.json") or target.startswith("#"), (tag, target)
    policy = page.all("meta")[1]["content"]
    assert policy.startswith("default-src 'none'; ")
    identifiers = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(set(identifiers)) == len(identifiers)


def test_the_policy_allows_exactly_the_pages_own_scripts():
    page = Page(render_html(comparison_report()))
    data, *code = page.scripts
    json.loads(data)
    policy = page.all("meta")[1]["content"]
    assert policy.count("'sha256-") == len(code) == 2
    for one in code:
        digest = base64.b64encode(hashlib.sha256(one.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy


@pytest.mark.parametrize("kind", KINDS)
def test_every_plot_of_the_page_has_its_data_its_caption_and_its_words(kind):
    page = Page(render(every_kind_of_report()[kind]))
    known = {figure["id"] for figure in json.loads(page.scripts[0])}
    shown = [attributes for attributes in page.all("div") if "data-plot" in attributes]
    assert {attributes["data-plot"] for attributes in shown} == known
    titles = {attributes.get("id") for attributes in page.all("h3")}
    for attributes in page.all("figure"):
        assert attributes["aria-labelledby"] in titles
    assert all(attributes["role"] == "img" and attributes["aria-label"] for attributes in shown)


@pytest.mark.parametrize("kind", KINDS)
def test_links_within_the_page_lead_somewhere(kind):
    page = Page(render(every_kind_of_report()[kind]))
    identifiers = {attributes.get("id") for _, attributes in page.elements}
    for link in page.all("a"):
        if link["href"].startswith("#"):
            assert link["href"][1:] in identifiers


HOSTILE = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "</style><svg onload=alert(1)>",
    "<!--<script>",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:alert(1)",
    "]]><![CDATA[",
]


def shape_of(page):
    return [(tag, sorted(attributes)) for tag, attributes in page.elements]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_adds_no_element_and_is_shown_as_it_is(text):
    html = render(hostile_report(text))
    page = Page(html)
    harmless = hostile_report(re.sub(r"\S", "x", text))
    assert shape_of(page) == shape_of(Page(render(harmless)))
    assert "".join(page.text).count(text) > 10
    assert json.loads(page.scripts[0])
    assert "<script>alert(1)" not in html
    assert "<img" not in html.split("<script type")[0]


@functools.cache
def harmless_tags():
    return {tag for tag, _ in Page(render(hostile_report("harmless"))).elements}


@given(st.text(min_size=1, max_size=40).filter(str.strip))
@settings(max_examples=15, deadline=None)
def test_any_text_is_only_text(text):
    report = hostile_report(text)
    page = Page(render(report))
    assert {tag for tag, _ in page.elements} <= harmless_tags()
    assert len(page.scripts) == 3
    assert json.loads(render_json(report))["title"] == text


@pytest.mark.parametrize(
    ("chosen", "rejected", "tone"), [(-1, -9, "good"), (0, 0, "neutral"), (-9, -1, "bad")]
)
def test_the_colour_of_the_verdict_follows_what_was_measured(chosen, rejected, tone):
    measured = measure_comparisons(make_logps(80, chosen, 1, 1), make_logps(80, rejected, 1, 2))
    html = render(comparison_report(held_out=measured, win_rates=()))
    assert f'class="verdict {tone}"' in html


def test_one_improvement_among_two_measures_is_not_coloured_as_success():
    measured = measure_comparisons(make_logps(80, 0, 1, 1), make_logps(80, 0, 1, 2))
    assert 'class="verdict neutral"' in render(comparison_report(held_out=measured))


def test_control_characters_are_made_visible():
    html = render(comparison_report(title="a\x00b\x1bc"))
    assert "a␀b␛c" in html
    assert "\x00" not in html.split("<script")[0]


@pytest.mark.parametrize("kind", KINDS)
def test_the_json_is_strict_and_complete(kind):
    report = every_kind_of_report()[kind]

    def refuse(constant):
        raise AssertionError(constant)

    data = json.loads(render_json(report), parse_constant=refuse)
    assert data["schema_version"] == SCHEMA_VERSION
    assert data["verdict"] == align_report(report).verdict
    fields = {field.name for field in dataclasses.fields(report)}
    assert set(data) == fields | {"schema_version", "verdict", "generator"}
    if report.held_out is not None:
        assert data["held_out"]["kind"] == report.held_out.kind
    assert len(data["curves"]) == len(report.curves)


def test_the_schema_is_what_it_was_promised_to_be():
    # A change here is a change for who reads report.json: raise SCHEMA_VERSION with it.
    data = json.loads(render_json(comparison_report()))
    assert SCHEMA_VERSION == 2
    assert set(data["held_out"]["accuracy"]) == {"estimate", "low", "high", "count", "level"}
    assert set(data["held_out"]["chosen"]) == {
        *("name", "before", "after", "change", "change_per_token", "fell")
    }
    assert {"judge", "rate", "wins", "ties", "losses", "p_value", "rows"} <= set(
        data["win_rates"][0]
    )
    assert {"prompt", "before", "after", "outcome"} <= set(data["win_rates"][0]["rows"][0])
    assert {"per_sequence", "k3_per_sequence", "per_token"} <= set(data["kl"])


def test_what_is_not_a_number_becomes_null_and_odd_values_become_text(tmp_path):
    report = comparison_report(
        configuration={"nan": float("nan"), "inf": np.float32("inf"), "path": tmp_path, 3: (1, 2)},
        curves=({"step": 1, "loss": float("nan"), "grad_norm": np.float64(2.0)},),
    )
    data = json.loads(render_json(report))
    assert data["configuration"] == {"nan": None, "inf": None, "path": str(tmp_path), "3": [1, 2]}
    assert data["curves"] == [{"step": 1, "loss": None, "grad_norm": 2.0}]
    render_html(report)


def test_a_lone_surrogate_does_not_stop_the_report(tmp_path):
    page, data = write_report(comparison_report(title="broken \ud800 text"), tmp_path)
    assert json.loads(data.read_text(encoding="utf-8"))["title"] == "broken \ud800 text"
    assert "broken" in page.read_text(encoding="utf-8")


def test_both_files_are_written_and_nothing_else(tmp_path):
    page, data = write_report(comparison_report(), tmp_path / "new" / "folder")
    assert (page.name, data.name) == ("report.html", "report.json")
    assert sorted(path.name for path in page.parent.iterdir()) == ["report.html", "report.json"]
    assert page.stat().st_size < 6_000_000
    first = page.read_bytes()
    write_report(comparison_report(), tmp_path / "new" / "folder")
    assert page.read_bytes() == first


def test_a_write_that_fails_leaves_the_earlier_report_whole(tmp_path, monkeypatch):
    page, data = write_report(comparison_report(), tmp_path)
    before = page.read_bytes(), data.read_bytes()

    def fail(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", fail)
    with pytest.raises(UserError, match="No space left") as error:
        write_report(comparison_report(title="later"), tmp_path)
    assert str(tmp_path) in error.value.where
    assert (page.read_bytes(), data.read_bytes()) == before
    assert len(list(tmp_path.iterdir())) == 2


def test_a_folder_that_is_a_file_is_a_readable_error(tmp_path):
    path = tmp_path / "file"
    path.write_text("here")
    with pytest.raises(UserError, match="cannot be written"):
        write_report(comparison_report(), path)


def test_what_both_answers_begin_with_is_split_at_a_word():
    shared, fresh = "The answer is forty", "The answer is forever"
    assert pages.split_shared(shared, fresh) == (
        ("The answer is ", "forty"),
        ("The answer is ", "forever"),
    )


@given(st.text("ab \n", max_size=40), st.text("ab \n", max_size=40), st.text("ab \n", max_size=40))
def test_splitting_what_is_shared_loses_nothing(start, before, after):
    first, second = pages.split_shared(start + before, start + after)
    assert "".join(first) == start + before
    assert "".join(second) == start + after
    assert first[0] == second[0]


def test_the_plotting_library_fits_what_draws_and_pages_stay_small():
    from plotly.offline import get_plotlyjs_version

    assert f"v{get_plotlyjs_version()}" in pages.plotly_code()[:100]
    for report in every_kind_of_report().values():
        html = render_html(report)
        assert len(html.encode()) < 2_000_000
        drawn = json.loads(html.split('id="plots"', 1)[1].split(">", 1)[1].split("</script>", 1)[0])
        # What the basic bundle draws; Python's package holds the whole library alone.
        assert {trace["type"] for plot in drawn for trace in plot["data"]} <= {"bar", "scatter"}
