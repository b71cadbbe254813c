"""The public surface: what `accordant.` offers, loaded when it is used."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import accordant
from accordant.base.errors import UserError, nearest


@pytest.mark.parametrize("name", accordant.__all__)
def test_every_public_name_is_there_and_keeps_its_identity(name: str) -> None:
    assert getattr(accordant, name) is getattr(accordant, name)
    assert name in dir(accordant)


@pytest.mark.parametrize(
    "room", [m.name for m in pkgutil.iter_modules(accordant.__path__, "accordant.") if m.ispkg]
)
def test_every_name_a_room_lists_is_there(room: str) -> None:
    package = importlib.import_module(room)
    for name in getattr(package, "__all__", ()):
        assert getattr(package, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = accordant.no_such_name


def test_a_user_error_reads_place_then_finding_then_mend() -> None:
    error = UserError("found 3.", where="rows.jsonl, row 7", mend="Write 4.")
    assert str(error) == "rows.jsonl, row 7: found 3. Write 4."
    assert str(UserError("found 3.")) == "found 3."


def test_the_nearest_word_is_suggested_or_the_few_there_are() -> None:
    assert nearest("Lerning-rate", ["learning-rate", "epochs"]) == "Did you mean 'learning-rate'?"
    assert nearest("zzz", ["b", "a"]) == "Known: a, b."
    assert nearest("zzz", [f"word{n}" for n in range(100)]) == ""
    assert nearest("zzz", []) == ""
