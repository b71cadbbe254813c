"""The documentation site builds, shows every page and public name, and is right about TRL."""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import accordant
from accordant.base.settings import options_of
from accordant.feedback.kinds import KINDS
from accordant.objectives.registry import get_objective
from accordant.runs.settings import AlignConfig

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def pages_of(nav: list[object]) -> list[str]:
    pages: list[str] = []
    for entry in nav:
        assert isinstance(entry, dict)
        for target in entry.values():
            pages += [target] if isinstance(target, str) else pages_of(target)
    return pages


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    zensical = Path(sys.executable).parent / "zensical"
    if not zensical.exists():
        pytest.skip("zensical is not installed: pip install 'accordant[docs]'")
    for name in ("docs", "src"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "zensical.toml", tmp_path)
    done = subprocess.run(
        [zensical, "build", "--strict"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    api = (tmp_path / "site/api/index.html").read_text()
    for name in set(accordant.__all__) - {"__version__"}:
        assert re.search(rf'id="accordant\.[\w.]*\.{name}"', api), f"docs/api lacks {name}"
    # The site must work where there is no network: nothing is fetched from elsewhere.
    for page in (tmp_path / "site").rglob("*.html"):
        assert not re.search(r'<(script|link|img)[^>]*(src|href)="https?://', page.read_text()), (
            page
        )


def test_every_page_is_in_the_navigation() -> None:
    nav = tomllib.loads((ROOT / "zensical.toml").read_text())["project"]["nav"]
    assert sorted(pages_of(nav)) == sorted(str(p.relative_to(DOCS)) for p in DOCS.rglob("*.md"))


def rows_of(heading: str, page: str = "from-trl.md") -> list[list[str]]:
    """Return the cells of the table under a heading of a page."""
    section = (DOCS / page).read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_method_that_is_taken_without_one_is_the_one_the_page_names() -> None:
    taken = {row[1]: row[2].strip("`") for row in rows_of("By kind of feedback", "which-method.md")}
    assert taken == {kind.name: kind.usual for kind in KINDS.values() if kind.usual}


@pytest.mark.parametrize("heading", ["Losses of `DPOConfig.loss_type`", "Options"])
def test_what_the_page_on_trl_names_of_accordant_is_there(heading: str) -> None:
    options = {"--option"} | {
        f"--{option.name.replace('_', '-')}" for option in options_of(AlignConfig)
    }
    rows = rows_of(heading)
    assert rows
    for row in rows:
        assert set(re.findall(r"--[a-z-]+", row[1])) <= options, row
        for method in re.findall(r"--method (\w+)", row[1]):
            for name in re.findall(r"--option (\w+)=", row[1]):
                assert name in {option.name for option in get_objective(method).options}, row


def test_what_the_page_on_trl_names_of_trl_is_there() -> None:
    trl = pytest.importorskip("trl", reason="TRL comes with accordant[bench]")
    peft = pytest.importorskip("peft")
    known = {
        field.name
        for config in (trl.DPOConfig, trl.ModelConfig, peft.LoraConfig)
        for field in dataclasses.fields(config)
    }
    for row in rows_of("Options"):
        assert set(re.findall(r"`(\w+)`", row[0])) <= known, row
    losses = trl.DPOConfig.__dataclass_fields__["loss_type"].metadata["help"]
    for row in rows_of("Losses of `DPOConfig.loss_type`"):
        for loss in re.findall(r"`(\w+)`", row[0].split(", its")[0]):
            assert f"'{loss}'" in losses or f'"{loss}"' in losses, row
