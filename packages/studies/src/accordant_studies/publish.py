"""From stored seeds to what readers see: the catalogue's results and the page of claims.

Knows stored runs, studies and the catalogue. Knows nothing of how a number is measured. Run as
`python -m accordant_studies.publish`, or with `--run` to measure the seeds that are missing first;
`make studies` does so. Only a run of all of a study's own seeds is published, so that nobody stops
where it looks best.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

from accordant.base.files import write_whole
from accordant.catalogue.registry import get_system, list_systems, read_results
from accordant.catalogue.system import Result, Verdict
from accordant_studies.claims_page import draw_parts, page_of
from accordant_studies.registry import get_study, list_studies
from accordant_studies.results import StoredRun, load_run, version_of
from accordant_studies.study import SEEN, JudgedClaim, Study, judge

ROOT = Path(__file__).parents[4]
RESULTS = ROOT / "packages" / "studies" / "results"
CATALOGUE = ROOT / "src" / "accordant" / "catalogue" / "results.json"
DOCS = ROOT / "docs"


def result_of(study: Study, run: StoredRun) -> dict[str, Any] | None:
    """Judge the stored seeds of a study, as the catalogue keeps it; None before all have run."""
    if set(study.seeds) - set(run.measured):
        return None
    judged = judge(study.claims, [run.measured[seed] for seed in study.seeds])
    return {
        "verdict": verdict_of(study, judged),
        "parts": [
            {
                "statement": claim.statement,
                "effect": [_rounded(getattr(claim.evidence, end)) for end in _ENDS],
                "threshold": claim.threshold,
                "holds": claim.holds,
                "control": claim.control,
            }
            for claim in judged
        ],
        "untested": list(study.untested),
        "seeds": [len(study.seeds), study.seeds[0], study.seeds[-1]],
        "date": run.date,
        "commit": run.commit,
        "note": study.note,
    }


_ENDS = ("low", "estimate", "high")


def verdict_of(study: Study, judged: tuple[JudgedClaim, ...]) -> Verdict:
    """Say whether the claim shows.

    It is `shown` where every part and every control holds, no part of the abstract is left out and
    nobody had looked at a seed; `not shown` where no part but controls holds.
    """
    parts = [claim.holds for claim in judged if not claim.control]
    fresh = not set(study.seeds) & set(SEEN)
    if all(claim.holds for claim in judged) and fresh and not study.untested:
        return "shown"
    return "in part" if any(parts) else "not shown"


def publish(results: Path, catalogue: Path, docs: Path) -> dict[str, Result]:
    """Write the catalogue's results and the page of claims from what is stored."""
    entries: dict[str, Any] = {}
    for slug in sorted(list_studies()):
        path = results / f"{slug}.json"
        if path.exists() and (entry := result_of(get_study(get_system(slug)), load_run(path))):
            entries[slug] = entry
    text = json.dumps(entries, indent=1, ensure_ascii=False) + "\n"
    write_whole(catalogue, text.encode())
    found = read_results(text)
    plots = docs / "claims"
    plots.mkdir(exist_ok=True)
    for old in plots.glob("*.svg"):
        if old.stem not in found:
            old.unlink()
    for slug, result in found.items():
        write_whole(plots / f"{slug}.svg", draw_parts(result.parts).encode())
    write_whole(docs / "claims.md", page_of(list_systems(), found).encode())
    return found


def measure_all(results: Path, only: tuple[str, ...] = ()) -> None:
    """Run every study in a process of its own; seeds that are there are kept."""
    for slug in only or sorted(list_studies()):
        command = [sys.executable, "-m", "accordant", "reproduce", slug]
        command += ["--output-dir", str(results)]
        path = results / f"{slug}.json"
        version = version_of(get_study(get_system(slug)))
        if path.exists() and load_run(path).version == version:
            command.append("--resume")
        # Exit code 1 says that a claim does not show: a result like any other.
        code = subprocess.run(command, check=False).returncode
        if code not in (0, 1):
            raise SystemExit(code)


def main(arguments: list[str] | None = None) -> None:
    """Measure what is missing, if asked to, and publish what is stored."""
    parser = argparse.ArgumentParser("python -m accordant_studies.publish", description=__doc__)
    parser.add_argument("slugs", nargs="*", help="studies to run; all of them without any")
    parser.add_argument("--run", action="store_true", help="measure the seeds that are missing")
    given = parser.parse_args(arguments)
    if given.run:
        measure_all(RESULTS, tuple(given.slugs))
    for slug, result in publish(RESULTS, CATALOGUE, DOCS).items():
        held = sum(part.holds for part in result.parts)
        print(f"{slug}: {result.verdict}, {held} of {len(result.parts)} hold")  # noqa: T201


def _rounded(number: float) -> float | None:
    """Return a number with the digits that are read, so that a rerun changes few lines."""
    return float(f"{number:.6g}") if math.isfinite(number) else None


if __name__ == "__main__":
    main()
