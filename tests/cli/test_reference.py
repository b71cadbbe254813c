"""The pages of the docs say what the code says."""

from __future__ import annotations

from pathlib import Path

import pytest

from accordant.base.settings import options_of
from accordant.cli.reference import PARTS, fill, main, options_table
from accordant.cli.verbs import list_verbs
from accordant.runs.settings import AlignConfig

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", ["cli.md", "catalogue.md", "check.md", "training.md"])
def test_generated_parts_of_the_docs_are_current(name: str) -> None:
    page = (DOCS / name).read_text(encoding="utf-8")
    assert fill(page) == page, f"run: python -m accordant.cli.reference docs/{name}"
    assert "<!-- generated:" in page


def test_every_verb_and_every_generated_part_is_in_the_docs() -> None:
    pages = "".join(path.read_text(encoding="utf-8") for path in DOCS.glob("*.md"))
    for verb in list_verbs():
        assert f"accordant {verb}" in pages
    for part in PARTS:
        assert f"<!-- generated: {part} -->" in pages


def test_filling_changes_nothing_outside_the_markers(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    empty = "<!-- generated: objectives -->\n<!-- end -->\n"
    page.write_text(
        f"before\n{empty}kept\n<!-- generated: systems -->\nout of date\n<!-- end -->\nafter\n"
    )
    main([str(page)])
    text = page.read_text()
    assert text.startswith("before\n<!-- generated: objectives -->\n| name |")
    assert "<!-- end -->\nkept\n<!-- generated: systems -->\n| id |" in text
    assert text.endswith("|\n<!-- end -->\nafter\n")
    assert "out of date" not in text
    assert list(tmp_path.iterdir()) == [page]


def test_every_field_stands_in_the_docs_table() -> None:
    table = options_table(AlignConfig)
    for option in options_of(AlignConfig):
        assert f"`{option.flag}`" in table
        assert option.help.replace("|", "\\|") in table
    assert "**Data**" in table
    assert "error \\| skip" in table
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    assert len(rows) == len(list(options_of(AlignConfig)))
    assert all(line.replace("\\|", "").count("|") == 5 for line in rows)
