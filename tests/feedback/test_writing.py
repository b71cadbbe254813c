"""Rows written back: what is read again is what was read, without the rows left out."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accordant.base.errors import UserError
from accordant.feedback.records import Origin
from accordant.feedback.sources import read_rows
from accordant.feedback.writing import Written, check_target, write_rows, write_without

ROWS = [
    {
        "prompt": f"Frage {n}?",
        "chosen": [{"role": "assistant", "content": f'ja, {n}\n"quoted", 中'}],
        "score": n / 2 if n else None,
        "note": "42" if n % 2 else "None",
    }
    for n in range(6)
]
FORMATS = (".jsonl", ".json", ".csv", ".tsv", ".parquet", ".jsonl.gz", ".csv.gz")


def read(path: Path):
    return [dict(row.values) for row in read_rows(str(path))]


@pytest.mark.parametrize("suffix", FORMATS)
def test_rows_survive_every_format(suffix, tmp_path):
    target = tmp_path / "deep" / f"rows{suffix}"
    write_rows(target, ROWS)
    found = read(target)
    for row, wanted in zip(found, ROWS, strict=True):
        assert row["prompt"] == wanted["prompt"]
        assert row["chosen"] == wanted["chosen"]
        assert row["score"] == wanted["score"]
    assert [path.name for path in target.parent.iterdir()] == [target.name]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.dictionaries(st.text(min_size=1, max_size=5), st.text()), min_size=1))
def test_any_text_survives_json_lines(tmp_path_factory, rows):
    target = tmp_path_factory.mktemp("w") / "rows.jsonl"
    write_rows(target, rows)
    assert read(target) == rows


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".csv", ".parquet"])
def test_named_rows_are_left_out_whatever_the_format(suffix, tmp_path):
    source, target = tmp_path / f"in{suffix}", tmp_path / "out.jsonl"
    write_rows(source, ROWS)
    drop = [Origin(str(source), row) for row in (2, 5)]
    assert write_without(str(source), target, drop) == Written(4, 2, 0)
    assert [row["prompt"] for row in read(target)] == [f"Frage {n}?" for n in (0, 2, 3, 5)]


def test_a_folder_keeps_its_files_apart_and_bad_rows_are_counted(tmp_path):
    folder = tmp_path / "data"
    write_rows(folder / "a.jsonl", ROWS[:3])
    (folder / "b.jsonl").write_text('{"prompt": "b"}\n{broken\n')
    target = tmp_path / "out.jsonl"
    written = write_without(str(folder), target, [Origin(str(folder / "a.jsonl"), 1)])
    assert written == Written(3, 1, 1)
    assert [row["prompt"] for row in read(target)] == ["Frage 1?", "Frage 2?", "b"]


def test_a_limit_counts_rows_read(tmp_path):
    source = tmp_path / "in.jsonl"
    write_rows(source, ROWS)
    written = write_without(str(source), tmp_path / "o.jsonl", [Origin(str(source), 1)], limit=3)
    assert written == Written(2, 1, 0)


def test_leaving_nothing_is_refused_and_nothing_is_written(tmp_path):
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    write_rows(source, ROWS[:1])
    with pytest.raises(UserError, match="every row"):
        write_without(str(source), target, [Origin(str(source), 1)])
    assert not target.exists()


def test_targets_that_must_not_be_written_are_refused(tmp_path):
    source = tmp_path / "in.jsonl"
    write_rows(source, ROWS)
    with pytest.raises(UserError, match="the feedback itself"):
        check_target(source, str(source), overwrite=True)
    with pytest.raises(UserError, match="the feedback itself"):
        check_target(source, str(tmp_path), overwrite=True)
    with pytest.raises(UserError, match="cannot be written as"):
        check_target(tmp_path / "out.txt", str(source), overwrite=False)
    other = tmp_path / "other" / "out.jsonl"
    write_rows(other, ROWS)
    with pytest.raises(UserError, match="exists"):
        check_target(other, str(source), overwrite=False)
    check_target(other, str(source), overwrite=True)
    check_target(tmp_path / "new.jsonl", str(source), overwrite=False)


def test_an_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    target = tmp_path / "rows.jsonl"
    write_rows(target, ROWS[:1])

    def fail(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(UserError, match="No space left"):
        write_rows(target, ROWS)
    assert len(read(target)) == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_columns_of_mixed_kinds_do_not_fit_parquet_and_say_so(tmp_path):
    with pytest.raises(UserError, match="Parquet"):
        write_rows(tmp_path / "x.parquet", [{"a": "text"}, {"a": [1]}])


def test_the_same_rows_give_the_same_compressed_file(tmp_path):
    for name in ("a", "b"):
        write_rows(tmp_path / f"{name}.jsonl.gz", ROWS)
    assert (tmp_path / "a.jsonl.gz").read_bytes() == (tmp_path / "b.jsonl.gz").read_bytes()
