"""Tables beside the feedback: cells, and mistakes with their place."""

from __future__ import annotations

from pathlib import Path

import pytest

from accordant.base.errors import UserError
from accordant.checks.tables import read_table


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_cells_are_names_and_numbers(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", '{"name": 7, "value": true}\n{"name": " x ", "value": 0.5}')
    first, second = read_table(path, ("name", "value"))
    assert (first.text("name"), second.text("name")) == ("7", "x")
    assert (first.number("value"), second.number("value")) == (1.0, 0.5)
    assert second.origin.row == 2


@pytest.mark.parametrize("cell", ["null", '""', '"  "', "NaN"])
def test_cells_that_say_nothing_are_unknown(tmp_path: Path, cell: str) -> None:
    (row,) = read_table(write(tmp_path / "a.jsonl", f'{{"a": {cell}}}'), ("a",))
    assert not row.has("a")
    with pytest.raises(UserError, match="is empty"):
        row.text("a")


@pytest.mark.parametrize("cell", ["[1]", '"many"', "Infinity", "1" * 400])
def test_what_is_no_finite_number_is_refused(tmp_path: Path, cell: str) -> None:
    (row,) = read_table(write(tmp_path / "a.jsonl", f'{{"a": {cell}}}'), ("a",))
    with pytest.raises(UserError, match="expected a finite number") as error:
        row.number("a")
    assert error.value.where.endswith("row 1, column 'a'")


def test_a_list_is_no_name(tmp_path: Path) -> None:
    (row,) = read_table(write(tmp_path / "a.jsonl", '{"a": [1]}'), ("a",))
    with pytest.raises(UserError, match="found a list"):
        row.text("a")


def test_a_missing_column_names_the_nearest(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "itm,b\n1,2\n")
    with pytest.raises(UserError, match="Did you mean 'itm'"):
        read_table(path, ("item", "b"))


def test_a_broken_row_names_its_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not JSON") as error:
        read_table(write(tmp_path / "a.jsonl", '{"a": 1}\n{"a": '), ("a",))
    assert error.value.where.endswith("row 2")
