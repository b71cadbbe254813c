"""Keep what a study measured: one JSON file a study, written after every seed.

Knows numbers of seeds and files. Knows nothing of claims: they are judged anew whenever a file is
read, so that a stored number and a verdict cannot disagree.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from accordant.base.errors import UserError
from accordant.base.files import write_whole
from accordant_studies.study import Measured, Share, Study


@dataclass(slots=True)
class StoredRun:
    """What a study measured, seed by seed.

    Args:
        version: of the study's code, from `version_of`.
        measured: numbers of the seeds that have finished.
        seconds: how long each took.
        date: of the last seed, `2026-11-28`.
        commit: of the code it ran on, shortened; empty outside a repository.
    """

    version: str
    measured: dict[int, Measured] = field(default_factory=dict)
    seconds: dict[int, float] = field(default_factory=dict)
    date: str = ""
    commit: str = ""

    def add(self, seed: int, measured: Measured, seconds: float) -> None:
        """Add a seed that has just finished."""
        self.measured[seed], self.seconds[seed] = measured, seconds
        self.date, self.commit = datetime.now(UTC).date().isoformat(), _commit()

    def save(self, path: Path) -> None:
        """Write the file whole, so that an interruption leaves the earlier one."""
        seeds = {
            str(seed): {"seconds": round(self.seconds[seed], 1), "measured": _plain(measured)}
            for seed, measured in sorted(self.measured.items())
        }
        head = {"version": self.version, "date": self.date, "commit": self.commit}
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, (json.dumps(head | {"seeds": seeds}, indent=1) + "\n").encode())


def load_run(path: Path) -> StoredRun:
    """Read a stored run.

    Raises:
        UserError: the file is not one.
    """
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        seeds = {int(seed): row for seed, row in stored["seeds"].items()}
        return StoredRun(
            stored["version"],
            {seed: _measured(row["measured"]) for seed, row in seeds.items()},
            {seed: row["seconds"] for seed, row in seeds.items()},
            stored["date"],
            stored["commit"],
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"it holds no stored seeds of a study: {error}",
            where=str(path),
            mend="Leave --resume out to measure anew, or name another --output-dir.",
        ) from None


def resume_run(path: Path, study: Study) -> StoredRun:
    """Read the seeds that an earlier run of the same code has finished; none without a file.

    Raises:
        UserError: the file is of another version of the study.
    """
    version = version_of(study)
    if not path.exists():
        return StoredRun(version)
    run = load_run(path)
    if run.version != version or not _fits(study, run):
        raise UserError(
            f"its seeds were measured by another version of the study (of {run.date}).",
            where=str(path),
            mend="Leave --resume out to measure anew.",
        )
    return run


def _fits(study: Study, run: StoredRun) -> bool:
    """Tell whether stored seeds have all that the study's claims are about."""
    try:
        for measured in run.measured.values():
            for claim in study.claims:
                claim.evidence(measured)
    except KeyError:
        return False
    return True


def measure_seeds(
    study: Study,
    run: StoredRun,
    seeds: Sequence[int],
    path: Path,
    tell: Callable[[str], None],
) -> None:
    """Measure the seeds that a run lacks, store each at once, and tell how long the rest takes."""
    missing = [seed for seed in seeds if seed not in run.measured]
    if len(missing) < len(seeds):
        tell(f"{len(seeds) - len(missing)} of {len(seeds)} seeds are in {path}.")
    for done, seed in enumerate(missing, start=1):
        started = time.perf_counter()
        measured = study.measure(seed)
        run.add(seed, measured, time.perf_counter() - started)
        run.save(path)
        # The first seed also loads and warms; the later ones say better how long one takes.
        timed = [run.seconds[seed] for seed in missing[min(1, done - 1) : done]]
        left = (len(missing) - done) * sum(timed) / len(timed)
        rest = f"; about {duration(left)} left" if done < len(missing) else ""
        tell(f"seed {seed}, {done} of {len(missing)}: {duration(run.seconds[seed])}{rest}")


def duration(seconds: float) -> str:
    """Write a time span for people: `41 s`, `7 min` or `2.5 h`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def version_of(study: Study) -> str:
    """Return a short hash of the module a study stands in, its texts left out."""
    tree = ast.parse(inspect.getsource(sys.modules[study.measure.__module__]))
    for node in ast.walk(tree):
        # Words change no number: neither docstrings nor the statements of claims.
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            node.value = ""
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:12]


def _plain(measured: Measured) -> dict[str, dict[str, Any]]:
    """Return numbers for JSON; of a share its count and trials, which its interval is made of."""
    return {
        condition: {
            quantity: [value.count, value.trials] if isinstance(value, Share) else float(value)
            for quantity, value in numbers.items()
        }
        for condition, numbers in measured.items()
    }


def _measured(stored: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    return {
        condition: {
            quantity: Share(*value) if isinstance(value, list) else value
            for quantity, value in numbers.items()
        }
        for condition, numbers in stored.items()
    }


def _commit() -> str:
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
