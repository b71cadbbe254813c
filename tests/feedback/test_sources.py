"""Files, folders and hub ids: the same rows whatever holds them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import datasets
import pytest

from accordant.base.errors import UserError
from accordant.feedback.loading import load_feedback
from accordant.feedback.records import Binary, Comparison, Demonstration, Message, Ranking, Rating
from tests.feedback.rows import write_rows

ROWS = [
    {"prompt": "1+1?", "chosen": "2", "rejected": "null"},
    {"prompt": 'Say "a,\nb"', "chosen": "a, b", "rejected": "None"},
]
RECORDS = (Comparison("1+1?", "2", "null"), Comparison('Say "a,\nb"', "a, b", "None"))
CSV = 'prompt,chosen,rejected\n1+1?,2,null\n"Say ""a,\nb""","a, b",None\n'


def write_parquet(path: Path, rows: list[Any]) -> Path:
    datasets.Dataset.from_list(rows).to_parquet(str(path))
    return path


def test_the_same_rows_come_out_of_every_format(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.jsonl", ROWS)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress((tmp_path / "a.jsonl").read_bytes()))
    (tmp_path / "a.json").write_text(json.dumps(ROWS, indent=1))
    (tmp_path / "b.json").write_text(json.dumps({"version": 1, "data": ROWS}))
    (tmp_path / "c.json").write_text((tmp_path / "a.jsonl").read_text())
    (tmp_path / "a.csv").write_text(CSV)
    (tmp_path / "a.tsv").write_text(
        'prompt\tchosen\trejected\n1+1?\t2\tnull\n"Say ""a,\nb"""\ta, b\tNone\n'
    )
    write_parquet(tmp_path / "a.parquet", ROWS)
    files = sorted(tmp_path.iterdir())
    assert len(files) == 8
    for file in files:
        feedback = load_feedback(str(file))
        assert feedback.records == RECORDS, file.name
        assert [r.origin.row for r in feedback.records if r.origin] == [1, 2]


def test_a_single_object_in_json_is_one_row(tmp_path: Path) -> None:
    talk = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"messages": talk}))
    assert load_feedback(str(path)).records == (
        Demonstration((Message("user", "a"),), (Message("assistant", "b"),)),
    )


def test_csv_cells_are_read_by_what_their_columns_hold(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("prompt,completion,label\n1,42,True\n2,true,0\n")
    assert load_feedback(str(path)).records == (Binary("1", "42", True), Binary("2", "true", False))
    path.write_text('prompt,completions,rewards\np,"[""a"", ""b""]","[1, 2]"\n')
    assert load_feedback(str(path)).records == (Ranking("p", ("b", "a"), (2.0, 1.0)),)
    path.write_text("prompt,response,helpfulness\np,c,3\n")
    assert load_feedback(str(path)).records == (Rating("p", "c", {"helpfulness": 3.0}),)
    path.write_text("prompt,response,helpfulness\np,c,3\np,c,nan\np,c,\n")
    bad = load_feedback(str(path), on_bad_row="skip").skipped
    assert [row.reason for row in bad] == ["not a finite number", "missing value"]
    path.write_text('frage,chosen,rejected\n"[{""role"": ""user"", ""content"": ""x""}]",a,b\n')
    with pytest.raises(UserError, match="the prompt is a list of messages"):
        load_feedback(str(path), columns={"prompt": "frage"})


def test_conversations_survive_parquet_with_absent_fields_as_nulls(tmp_path: Path) -> None:
    rows = [
        {
            "prompt": [{"role": "user", "content": "a", "name": None}],
            "chosen": [{"role": "assistant", "content": "b", "name": "x"}],
            "rejected": [{"role": "assistant", "content": "c", "name": None}],
        }
    ]
    feedback = load_feedback(str(write_parquet(tmp_path / "a.parquet", rows)))
    assert feedback.records == (
        Comparison(
            (Message("user", "a"),), (Message("assistant", "b"),), (Message("assistant", "c"),)
        ),
    )


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", "[{]", "not JSON: .* at line 1"),
        ("a.json", '"text"', "expected a list of rows"),
        ("a.parquet", "no parquet", "not readable as Parquet"),
        ("a.csv", 'prompt,completion\n"a,b\n', "not CSV"),
        ("a.csv", "prompt,prompt\na,b\n", "names the column 'prompt' twice"),
        ("a.jsonl", "[" * 100_000, "cannot be read"),
        ("a.jsonl", '{"prompt": %s}' % ("9" * 5000), "cannot be read"),
        ("a.jsonl.gz", "no gzip", "cannot be read"),
        ("a.txt", "x", "file type '.txt' is not known"),
    ],
)
def test_broken_files_are_named(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=message) as error:
        load_feedback(str(tmp_path / name))
    assert error.value.where.startswith(str(tmp_path / name))


def test_a_csv_row_with_too_few_cells_is_a_bad_row(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("prompt,completion\na,b\nc\n")
    with pytest.raises(UserError, match="found 1 cells, expected 2") as error:
        load_feedback(str(path))
    assert error.value.where == f"{path}, row 2"


def pair(name: str) -> dict[str, str]:
    return {"prompt": name, "chosen": "a", "rejected": "b"}


def prompts(source: Path, **options: Any) -> list[Any]:
    return [r.prompt for r in load_feedback(str(source), **options).records]  # type: ignore[union-attr]


def test_split_files_of_a_folder_are_recognised(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    write_rows(tmp_path / "data" / "train-00000-of-00002.jsonl", [pair("t0")])
    write_parquet(tmp_path / "data" / "train-00001-of-00002.parquet", [pair("t1")])
    write_rows(tmp_path / "data" / "my_test.jsonl", [pair("e")])
    write_rows(tmp_path / "dev.jsonl", [pair("v")])
    write_rows(tmp_path / "notes.jsonl", [{"note": "no feedback"}])
    assert prompts(tmp_path) == ["t0", "t1"]
    assert prompts(tmp_path, split="test") == ["e"]
    assert prompts(tmp_path, split="validation") == ["v"]
    with pytest.raises(UserError, match="no split 'holdout'; found test, train, validation"):
        load_feedback(str(tmp_path), split="holdout")


def test_splits_of_one_kind_are_told_apart_and_one_must_be_chosen(tmp_path: Path) -> None:
    for name in ("train_prefs", "train_sft", "test_prefs"):
        write_rows(tmp_path / f"{name}-00000-of-00001.jsonl", [pair(name)])
    assert prompts(tmp_path, split="train_sft") == ["train_sft"]
    assert prompts(tmp_path, split="test") == ["test_prefs"]
    assert prompts(tmp_path / "train_prefs-00000-of-00001.jsonl", split="train_prefs")
    with pytest.raises(UserError, match="could be the train split: train_prefs, train_sft"):
        load_feedback(str(tmp_path))
    with pytest.raises(UserError, match="found test_prefs, train_prefs, train_sft"):
        load_feedback(str(tmp_path), split="train_gen")


def test_a_folder_without_split_names_is_training_data(tmp_path: Path) -> None:
    write_rows(tmp_path / "b.jsonl", [pair("b")])
    write_rows(tmp_path / "a.jsonl", [pair("a")])
    write_rows(tmp_path / ".hidden.jsonl", [pair("h")])
    assert prompts(tmp_path) == ["a", "b"]
    with pytest.raises(UserError, match="no split 'test'"):
        load_feedback(str(tmp_path), split="test")


def test_rows_of_a_folder_name_their_own_file(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.jsonl", [pair("a")])
    write_rows(tmp_path / "b.jsonl", [pair("b"), {**pair("b"), "chosen": ""}])
    with pytest.raises(UserError) as error:
        load_feedback(str(tmp_path))
    assert error.value.where == f"{tmp_path}/b.jsonl, row 2, column 'chosen'"


def test_a_subset_is_a_sub_folder(tmp_path: Path) -> None:
    (tmp_path / "easy").mkdir()
    (tmp_path / "hard").mkdir()
    write_rows(tmp_path / "easy" / "a.jsonl", [pair("e")])
    write_rows(tmp_path / "hard" / "a.jsonl", [pair("h")])
    assert prompts(tmp_path, subset="hard") == ["h"]
    with pytest.raises(UserError, match="no subset 'odd'; found easy, hard"):
        load_feedback(str(tmp_path), subset="odd")


def test_single_files_have_no_splits_or_subsets(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "a.jsonl", [pair("a")])
    assert prompts(path, split="train") == ["a"]
    with pytest.raises(UserError, match="no split 'test'"):
        load_feedback(str(path), split="test")
    with pytest.raises(UserError, match="no subsets"):
        load_feedback(str(path), subset="x")


def test_folders_that_datasets_saved_are_read(tmp_path: Path) -> None:
    train = datasets.Dataset.from_list([pair("t")])
    test = datasets.Dataset.from_list([pair("e")])
    datasets.DatasetDict({"train": train, "test": test}).save_to_disk(str(tmp_path / "both"))
    train.save_to_disk(str(tmp_path / "one"))
    assert prompts(tmp_path / "both") == ["t"]
    assert prompts(tmp_path / "both", split="test") == ["e"]
    assert prompts(tmp_path / "one") == ["t"]


def test_missing_files_are_no_hub_ids_and_suggest_the_nearest(tmp_path: Path) -> None:
    write_rows(tmp_path / "feedback.jsonl", [pair("a")])
    with pytest.raises(UserError, match=r"Did you mean '.*feedback\.jsonl'"):
        load_feedback(str(tmp_path / "fedback.jsonl"))
    with pytest.raises(UserError, match="no such file or folder"):
        load_feedback("nowhere.jsonl")
    with pytest.raises(UserError, match="no such file or folder"):
        load_feedback("two words")
    with pytest.raises(UserError, match="no data is named"):
        load_feedback(" ")
    with pytest.raises(UserError, match="cannot be read"):
        load_feedback(str(tmp_path / ("x" * 300)))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no data files"):
        load_feedback(str(tmp_path / "empty"))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Stands for the hub, which tests cannot reach: real data sets under ids."""
    shelf: dict[str, Any] = {}

    def load_dataset(source: str, subset: str | None, split: str | None) -> Any:
        if (source, subset) not in shelf:
            raise datasets.exceptions.DatasetNotFoundError(f"Dataset '{source}' doesn't exist")
        table = shelf[source, subset]
        return table[split] if split else table

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return shelf


def test_hub_ids_take_the_training_split_unless_told(hub: dict[str, Any]) -> None:
    train, test = (datasets.Dataset.from_list([pair(name)]) for name in ("t", "e"))
    hub["lab/pairs", None] = datasets.DatasetDict({"train": train, "test": test})
    hub["lab/pairs", "small"] = datasets.DatasetDict({"test": test})
    hub["lab/odd", None] = datasets.DatasetDict({"a": train, "b": test})
    feedback = load_feedback("lab/pairs")
    assert feedback.records == (Comparison("t", "a", "b"),)
    assert str(feedback.records[0].origin) == "lab/pairs (train), row 1"
    assert load_feedback("lab/pairs", split="test").records == (Comparison("e", "a", "b"),)
    assert load_feedback("lab/pairs", subset="small").records == (Comparison("e", "a", "b"),)
    with pytest.raises(UserError, match="no split 'train'; found a, b"):
        load_feedback("lab/odd")


def test_a_hub_id_that_cannot_be_loaded_is_a_readable_error(hub: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="Dataset 'lab/none' doesn't exist") as error:
        load_feedback("lab/none")
    assert error.value.where == "lab/none"
    assert "local file" in error.value.mend
