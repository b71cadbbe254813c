"""Settings: precedence, unknown keys, wrong types, round trips."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from accordant.base.errors import UserError
from accordant.base.setting_values import change_settings, load_settings, settings_to_yaml
from accordant.base.settings import Settings, setting
from accordant.base.yaml_files import parse_value, read_yaml, to_yaml


class Run(Settings):
    """Settings of an imagined verb."""

    data: tuple[str, ...] = setting((), "Files | folders.", panel="Data")
    learning_rate: float = setting(1e-5, "Step size.", gt=0)
    epochs: int = setting(1, "Passes.")
    note: str = setting("", "Words.")
    report: bool = setting(True, "Write a report.")
    truncation: Literal["error", "drop"] = setting("error", "Long rows.")
    folder: Path | None = setting(None, "Where.", default_text="here")
    options: dict[str, float | int | bool | str] = setting({}, "More.", flag="--option")


def write(folder: Path, text: str) -> Path:
    path = folder / "run.yaml"
    path.write_text(text)
    return path


def error_of(**arguments: object) -> str:
    with pytest.raises(UserError) as caught:
        load_settings(Run, **arguments)  # type: ignore[arg-type]
    return str(caught.value)


def test_options_beat_the_file_and_the_file_beats_the_defaults(tmp_path: Path) -> None:
    file = write(tmp_path, "epochs: 3\nnote: from the file\n")
    run = load_settings(Run, config_file=file, options={"epochs": "5"})
    assert (run.epochs, run.note, run.learning_rate) == (5, "from the file", 1e-5)
    run = load_settings(Run, config_file=file, assignments=["epochs=7"])
    assert (run.epochs, run.note) == (7, "from the file")


def test_an_option_adds_to_a_mapping_of_the_file(tmp_path: Path) -> None:
    file = write(tmp_path, "options: {beta: 0.1, smooth: true}\n")
    run = load_settings(Run, config_file=file, options={"options": ["beta=0.2", "name=x=y"]})
    assert run.options == {"beta": 0.2, "smooth": True, "name": "x=y"}


def test_an_option_adds_to_what_a_file_leaves_empty(tmp_path: Path) -> None:
    file = write(tmp_path, "options:\n")
    assert load_settings(Run, config_file=file, options={"options": ["a=1"]}).options == {"a": 1}


def test_dotted_assignments_reach_the_entries_of_mappings(tmp_path: Path) -> None:
    file = write(tmp_path, "options:\n  smooth: true\n")
    run = load_settings(Run, config_file=file, assignments=["options.beta=1e-3"])
    assert run.options == {"smooth": True, "beta": 1e-3}


@pytest.mark.parametrize("source", ["data: rows.jsonl\n", "data: [rows.jsonl]\n"])
def test_a_lone_value_is_a_list_of_one(tmp_path: Path, source: str) -> None:
    assert load_settings(Run, config_file=write(tmp_path, source)).data == ("rows.jsonl",)
    assert load_settings(Run, assignments=["data=rows.jsonl"]).data == ("rows.jsonl",)


def test_text_settings_take_text_that_looks_like_a_number() -> None:
    assert load_settings(Run, assignments=["note=12"]).note == "12"
    assert load_settings(Run, options={"note": "true"}).note == "true"


def test_an_unknown_key_names_the_file_the_line_and_the_nearest(tmp_path: Path) -> None:
    file = write(tmp_path, "epochs: 2\nlerning_rate: 1\n")
    message = error_of(config_file=file)
    assert f"{file}, line 2" in message
    assert "'lerning_rate'" in message
    assert "Did you mean 'learning_rate'?" in message


@pytest.mark.parametrize(
    ("line", "found", "expected"),
    [
        ("epochs: many", "'many'", "a whole number"),
        ("epochs: 1.5", "1.5", "a whole number"),
        ("learning_rate: fast", "'fast'", "a number"),
        ("learning_rate: 0", "0", "a number above 0"),
        ("learning_rate: .nan", "nan", "a finite number"),
        ("report: perhaps", "'perhaps'", "true or false"),
        ("note: 12", "12", "text"),
        ("truncation: dorp", "'dorp'", "Did you mean 'drop'?"),
        ("options: 3", "3", "a mapping"),
        ("data: [1]", "1", "text"),
        ("options: {beta: [1]}", "[1]", "a number or"),
    ],
)
def test_a_wrong_value_says_where_what_and_what_was_expected(
    tmp_path: Path, line: str, found: str, expected: str
) -> None:
    file = write(tmp_path, line + "\n")
    message = error_of(config_file=file)
    assert message.startswith(f"{file}, line 1, key ")
    assert f"found {found}" in message
    assert expected in message


def test_an_option_is_named_by_its_flag() -> None:
    assert error_of(options={"epochs": "x"}).startswith("--epochs: found 'x'")
    assert error_of(options={"options": ["beta"]}).startswith("--option: found 'beta'")
    assert error_of(assignments=["epochs"]).startswith("--set: found 'epochs'")


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    file = write(tmp_path, "epochs: x\n")
    message = error_of(config_file=file, options={"learning_rate": "-1"})
    assert "2 settings are wrong" in message
    assert "line 1" in message
    assert "--learning-rate" in message


def test_one_key_given_twice_on_the_command_line_is_an_error() -> None:
    assert "twice" in error_of(options={"epochs": "1"}, assignments=["epochs=2"])
    assert "twice" in error_of(assignments=["epochs=1", "epochs=2"])


def test_a_part_of_what_has_no_parts_is_an_error() -> None:
    assert "no parts" in error_of(assignments=["note=x", "note.y=1"])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("epochs: 1\nepochs: 2\n", "line 2"),
        ("epochs: [1\n", "is not YAML"),
        ("- epochs\n", "found no `key: value`"),
        ("a: &a {b: *a}\n", "contains itself"),
        ("? [1, 2]\n: 3\n", "not a word"),
    ],
)
def test_a_broken_file_is_told_by_its_line(tmp_path: Path, text: str, problem: str) -> None:
    message = error_of(config_file=write(tmp_path, text))
    assert "run.yaml" in message
    assert problem in message


def test_a_missing_or_unreadable_file_is_told(tmp_path: Path) -> None:
    assert "no such file" in error_of(config_file=tmp_path / "none.yaml")
    assert "cannot be read" in error_of(config_file=tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"note: \xff\n")
    assert "cannot be read" in error_of(config_file=tmp_path / "latin.yaml")


def test_an_empty_file_sets_nothing(tmp_path: Path) -> None:
    assert load_settings(Run, config_file=write(tmp_path, "# nothing\n")) == Run()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("2E5", 2e5),
        (".5", 0.5),
        ("7", 7),
        ("no", "no"),
        ("on", "on"),
        ("12:30", "12:30"),
        ("010", "010"),
        ("2024-01-01", "2024-01-01"),
        ("true", True),
        ("null", None),
        ("[1, a]", [1, "a"]),
        ("{", "{"),
        ("a: b: c", "a: b: c"),
    ],
)
def test_yaml_reads_words_as_words_and_numbers_as_numbers(text: str, value: object) -> None:
    read = parse_value(text)
    assert read == value
    assert type(read) is type(value)


scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
names = st.text(min_size=1, max_size=8)
values = st.recursive(
    scalars, lambda v: st.lists(v, max_size=3) | st.dictionaries(names, v, max_size=3)
)


@settings(max_examples=60, deadline=None)
@given(values=st.dictionaries(names, values, max_size=4))
def test_what_is_written_as_yaml_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, object]
) -> None:
    path = tmp_path_factory.getbasetemp() / "round.yaml"
    path.write_text(to_yaml(values), encoding="utf-8", newline="")
    assert read_yaml(path).values == values


@settings(max_examples=60, deadline=None)
@given(
    run=st.builds(
        Run,
        data=st.lists(st.text(), max_size=2),
        learning_rate=st.floats(min_value=1e-12, max_value=1),
        note=st.text(),
        report=st.booleans(),
        folder=st.none() | st.just(Path("a/b")),
        options=st.dictionaries(names, st.integers() | st.booleans() | st.text(), max_size=3),
    )
)
def test_settings_survive_being_written_and_loaded(
    tmp_path_factory: pytest.TempPathFactory, run: Run
) -> None:
    path = tmp_path_factory.getbasetemp() / "settings.yaml"
    path.write_text(settings_to_yaml(run), encoding="utf-8", newline="")
    assert load_settings(Run, config_file=path) == run


def test_changed_settings_are_checked_and_mistakes_told_by_their_place() -> None:
    changed = change_settings(Run(), {"epochs": "3", "data": "one.jsonl"}, {})
    assert changed == Run(epochs=3, data=("one.jsonl",))
    with pytest.raises(UserError, match=r"^--vary epochs: found 'many', expected a whole"):
        change_settings(Run(), {"epochs": "many"}, {"epochs": "--vary epochs"})


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        Run().epochs = 2  # type: ignore[misc]


def test_truth_values_and_numbers_are_not_taken_for_each_other(tmp_path: Path):
    for line in ("epochs: true", "report: 1"):
        with pytest.raises(UserError, match="expected"):
            load_settings(Run, config_file=write(tmp_path, line))
