"""Tables of annotations: what is read, and mistakes with their place."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from accordant.base.errors import UserError
from accordant.checks.annotations import read_annotations

HEADER = "item,annotator,rating,label,prediction,country,age"
ROWS = (
    "i1,ann,4,1,0.5,NO,34",
    "i2,ann,2,0,,NO,",
    "i1,bob,5,1,0.5,,34",
)


def write(path: Path, *rows: str, header: str = HEADER) -> str:
    path.write_text("\n".join((header, *rows)), encoding="utf-8")
    return str(path)


def test_a_table_becomes_numbers_and_names(tmp_path: Path) -> None:
    found = read_annotations(write(tmp_path / "a.csv", *ROWS))
    assert found.items == ("i1", "i2")
    assert found.annotators == ("ann", "bob")
    assert found.ratings.items.tolist() == [0, 1, 0]
    assert found.ratings.annotators.tolist() == [0, 0, 1]
    assert found.ratings.values.tolist() == [4, 2, 5]
    assert found.targets["label"].tolist() == [1, 0]
    assert found.targets["prediction"][0] == 0.5
    assert np.isnan(found.targets["prediction"][1])
    assert found.axes == {"country": ("NO", None), "age": ("34", "34")}


def test_json_lines_say_the_same(tmp_path: Path) -> None:
    names = HEADER.split(",")
    lines = []
    for row in ROWS:
        cells = dict(zip(names, row.split(","), strict=True))
        numbers = {"rating", "label", "prediction"}
        lines.append(
            json.dumps({k: float(v) if k in numbers else v for k, v in cells.items() if v})
        )
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    found, other = read_annotations(str(path)), read_annotations(write(tmp_path / "a.csv", *ROWS))
    assert found.axes == other.axes
    assert found.ratings.values.tolist() == other.ratings.values.tolist()


def test_only_named_columns_are_properties(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", *ROWS)
    assert list(read_annotations(path, ["age"]).axes) == ["age"]
    with pytest.raises(UserError, match="Did you mean 'country'"):
        read_annotations(path, ["contry"])


def test_a_label_may_be_true_or_false(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.csv",
        "i1,a,1,true,x",
        "i2,a,2,false,x",
        header="item,annotator,rating,label,g",
    )
    assert read_annotations(path).targets["label"].tolist() == [1, 0]


@pytest.mark.parametrize(
    ("rows", "header", "said", "place"),
    [
        ((ROWS[0], "i2,bob,high,1,,US,"), HEADER, "'high', expected a fin", "column 'rating'"),
        ((ROWS[0], "i2,bob,,1,,US,"), HEADER, "is empty", "row 2, column 'rating'"),
        ((ROWS[0], "i1,bob,3,0,,US,"), HEADER, "0 here and 1 in row 1", "row 2, column 'label'"),
        ((ROWS[0], "i2,ann,3,0,,US,"), HEADER, "'US' here and 'NO' in row 1", "column 'country'"),
        (("i1,ann,4",), "item,annotator,rating", "neither labels nor predictions", "a.csv"),
        (("i1,ann,4,1",), "item,annotator,rating,label", "nothing of the annotators", "a.csv"),
        (("i1,4,1,x",), "item,rating,label,age", "no column 'annotator'", "a.csv"),
        ((), HEADER, "no rows", "a.csv"),
        (("i1,ann",), HEADER, "found 2 cells, expected 7", "row 1"),
    ],
)
def test_mistakes_name_their_place(
    tmp_path: Path, rows: tuple[str, ...], header: str, said: str, place: str
) -> None:
    path = write(tmp_path / "a.csv", *rows, header=header)
    with pytest.raises(UserError) as error:
        read_annotations(path)
    assert said in error.value.message
    assert place in error.value.where


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        read_annotations(str(tmp_path / "b.csv"))
