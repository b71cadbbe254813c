"""What readers see follows from stored seeds: verdicts, plots, the page, the catalogue."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from accordant.catalogue import Part, get_system, list_systems
from accordant_studies.claims_page import draw_parts, numbers_of, page_of
from accordant_studies.publish import CATALOGUE, DOCS, RESULTS, publish, result_of
from accordant_studies.results import StoredRun, load_run
from accordant_studies.study import SEEN, Claim, Study, fresh_seeds

BEATS = Claim("a beats b", "score", higher="a", than="b")
FINITE = Claim("a is positive", "score", higher="a", control=True)


def stored(study: Study, a: float, b: float) -> StoredRun:
    """Seeds that are a little apart."""
    measured = {
        seed: {"a": {"score": a + 0.01 * (seed % 3)}, "b": {"score": b}} for seed in study.seeds
    }
    return StoredRun("v", measured, dict.fromkeys(study.seeds, 1.0), "2026-11-28", "abc1234")


def verdict(study: Study, a: float, b: float) -> str:
    found = result_of(study, stored(study, a, b))
    assert found is not None
    return str(found["verdict"])


def test_a_claim_is_shown_only_whole_tested_whole_and_on_fresh_seeds() -> None:
    study = Study(lambda _: {}, fresh_seeds(4), (BEATS, FINITE))
    assert verdict(study, 2.0, 1.0) == "shown"
    assert verdict(replace(study, untested=("speed",)), 2.0, 1.0) == "in part"
    assert verdict(replace(study, seeds=(1, 2, SEEN.stop)), 2.0, 1.0) == "in part"
    # A control that holds shows nothing; one that fails leaves nothing shown whole.
    assert verdict(study, 1.0, 2.0) == "not shown"
    assert verdict(study, -1.0, -2.0) == "in part"


def test_a_run_that_lacks_a_seed_is_not_published() -> None:
    study = Study(lambda _: {}, fresh_seeds(4), (BEATS,))
    run = stored(study, 2.0, 1.0)
    del run.measured[study.seeds[-1]]
    assert result_of(study, run) is None


def test_power_is_stated_and_grows_with_seeds() -> None:
    small = replace(BEATS, expected=(0.5, 1.0))
    powers = [small.power(count) or 0.0 for count in (5, 20, 80)]
    assert powers == sorted(powers)
    # Cohen's table: d = 0.5, two-sided at 0.05, 34 pairs: 0.80, all of it in the upper tail.
    assert small.power(34) == pytest.approx(0.808, abs=0.003)
    assert BEATS.power(5) is None


PARTS = (
    Part("it rises & stays <high>", (0.1, 0.2, 0.3), 0.0, holds=True),
    Part(
        "it is over half, in words that take more than one line of text",
        (0.4, 0.6, 0.8),
        0.5,
        False,
    ),
    Part("nothing was measured", (math.nan, 1.0, math.nan), 0.0, holds=False, control=True),
)


def test_a_plot_has_a_line_a_part_on_the_right_side_of_the_threshold() -> None:
    root = ElementTree.fromstring(draw_parts(PARTS))
    tag = "{http://www.w3.org/2000/svg}"
    (threshold,) = (line for line in root.iter(f"{tag}line") if line.get("class") == "threshold")
    lines = [line for line in root.iter(f"{tag}line") if line.get("class") != "threshold"]
    ends = [(float(line.get("x1", 0)), float(line.get("x2", 0))) for line in lines]
    middle = float(threshold.get("x1", 0))
    assert [line.get("class") for line in lines] == ["yes", "no"]
    assert ends[0][0] > middle
    assert ends[1][0] < middle < ends[1][1]
    dots = [float(circle.get("cx", 0)) for circle in root.iter(f"{tag}circle")]
    assert all(low < dot < high for dot, (low, high) in zip(dots, ends, strict=True))
    assert "control: nothing was measured" in "".join(root.itertext())
    assert [numbers_of(part) for part in PARTS] == [
        "0.2 [0.1, 0.3]",
        "0.6 [0.4, 0.8] > 0.5",
        "1, no interval",
    ]


def test_the_page_lists_every_claim_and_links_what_it_shows() -> None:
    page = (DOCS / "claims.md").read_text(encoding="utf-8")
    working = [system for system in list_systems(state="works") if system.claim]
    assert page == page_of(list_systems(), {s.slug: s.result for s in working if s.result})
    for system in working:
        assert f"`{system.slug}`" in page
        assert system.claim in page
    assert set(re.findall(r"\(claims/(.+?)\.svg\)", page)) == {
        path.stem for path in (DOCS / "claims").glob("*.svg")
    }


def test_the_catalogue_and_the_page_are_written_from_the_stored_seeds(tmp_path: Path) -> None:
    publish(RESULTS, tmp_path / "results.json", tmp_path)
    mend = "run: python -m accordant_studies.publish"
    assert (tmp_path / "results.json").read_text() == CATALOGUE.read_text(), mend
    assert (tmp_path / "claims.md").read_text() == (DOCS / "claims.md").read_text(), mend
    for path in RESULTS.glob("*.json"):
        assert get_system(path.stem).how_to_run
        assert load_run(path).measured


def test_results_are_read_by_the_catalogue() -> None:
    entries = json.loads(CATALOGUE.read_text(encoding="utf-8"))
    for slug, entry in entries.items():
        result = get_system(slug).result
        assert result is not None
        assert get_system(slug).verdict == entry["verdict"]
        assert [part.statement for part in result.parts] == [p["statement"] for p in entry["parts"]]
