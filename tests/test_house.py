"""How the house is kept: one home for a name, public lists, sizes, and words one can search for.

Read from the source alone. A number that is held here may fall and never rise.
"""

from __future__ import annotations

import ast
import importlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import accordant

SOURCE = Path(accordant.__file__).parent
ROOMS = sorted(folder.name for folder in SOURCE.iterdir() if (folder / "__init__.py").is_file())
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)

# A verb is called alike on the command line and in Python, where `score` is also what the engine
# does, `evaluate` what a loss does and `@check` declares one; every file of a verb has `register`,
# every program `main`.
SHARED_NAMES = {"align", "check", "evaluate", "score", "sample", "register", "main"}
# Files found by being in a folder: each gives what the folder asks for, by the same names.
PLUGINS = ("feedback/kinds", "objectives/kinds")
TWO_HOMES: set[str] = {
    "accordant",
}
LONG_FUNCTIONS: set[str] = set()
LONG_FILES: set[str] = set()
# Names that are a module of their room as well: which of the two one gets depends on what was
# imported before.
AMBIGUOUS = {"suites.suite"}
# Docstrings of functions that begin with no verb, by room.
NO_VERB = dict.fromkeys(ROOMS, 0) | {
    "reports": 8,
}
WORDS = """
Accept Adapt Add Advance Align Allow Answer Append Apply Ask Assemble Attach Average Begin Bend
Bin Bind Blend Bootstrap Bound Bring Build Calibrate Call Carry Cast Centre Change Check Choose
Clear Clip Close Collect Colour Combine Compare Compile Complete Compute Concatenate Continue
Convert Copy Correct Correlate Count Cut Declare Decode Decorate Delete Derive Describe Detach
Differ Digest Divide Do Draw Drop Edit Empty Encode End Estimate Evaluate Explain Export Fail Feed
Fetch Fill Filter Find Finish Fit Follow Forget Format Freeze Gather Generate Give Go Group Guess
Guide Hand Hash Hide Hold Import Insert Install Intern Join Judge Keep Label Lay Leave Let Limit
List Load Lock Log Look Make Map Mark Mask Match Measure Merge Mismatch Mix Move Multiply Name
Normalise Note Number Open Order Overlay Pack Pad Pair Parse Part Pass Pick Place Plan Plot
Predict Prepare Print Put Quicken Quote Raise Rank Read Record Recover Reduce Refuse Register Reject
Release Remember Remove Render Repeat Replace Replay Report Require Reset Resolve Restore Return
Round Run Sample Save Say Scale Score Search Select Send Separate Serve Set Share Shift Shorten
Show Silence Skip Smooth Solve Sort Split Spread Stack Stand Start State Step Stop Stream Study
Subtract Sum Summarise Switch Take Talk Teach Tell Test Tokenise Train Transform Translate Trim
Try Turn Unpack Update Use Validate Verify Wait Walk Warn Watch Weigh Wrap Write Yield Zero
"""
VERBS = {*WORDS.split()}


@cache
def trees() -> dict[Path, ast.Module]:
    """Syntax trees of all files, by their place in the package."""
    return {
        file.relative_to(SOURCE): ast.parse(file.read_text(encoding="utf-8"))
        for file in sorted(SOURCE.rglob("*.py"))
    }


def functions_of(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, FUNCTIONS))


def decorators(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    calls = (d.func if isinstance(d, ast.Call) else d for d in function.decorator_list)
    return {getattr(call, "attr", getattr(call, "id", "")) for call in calls}


def listed(room: str) -> set[str]:
    return set(getattr(importlib.import_module(f"accordant.{room}"), "__all__", ()))


def test_a_public_name_has_one_home() -> None:
    homes: dict[str, set[str]] = defaultdict(set)
    for path, tree in trees().items():
        if path.parent.as_posix() in PLUGINS and path.name != "__init__.py":
            continue
        for node in tree.body:
            if isinstance(node, (*FUNCTIONS, ast.ClassDef)) and not node.name.startswith("_"):
                homes[node.name].add(path.as_posix())
    twice = {name: sorted(files) for name, files in homes.items() if len(files) > 1}
    told = "\n".join(f"{name}: {', '.join(files)}" for name, files in sorted(twice.items()))
    assert twice.keys() - SHARED_NAMES <= TWO_HOMES, told


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_lists_its_public_names_and_none_is_a_module_too(room: str) -> None:
    names = listed(room)
    assert names
    modules = {path.stem for path in (SOURCE / room).iterdir()}
    assert {f"{room}.{name}" for name in names & modules} <= AMBIGUOUS


@pytest.mark.parametrize("room", ROOMS)
def test_other_rooms_take_what_a_room_lists(room: str) -> None:
    public = listed(room)
    for path, tree in trees().items():
        if path.parts[0] == room or len(path.parts) == 1:
            continue
        for node in ast.walk(tree):
            if not isinstance(node, ast.ImportFrom) or node.module is None:
                continue
            if [*node.module.split("."), ""][:2] != ["accordant", room]:
                continue
            folder = SOURCE.joinpath(*node.module.split(".")[1:])
            names = {alias.name for alias in node.names}
            modules = {file.stem for file in folder.iterdir()} if folder.is_dir() else set()
            assert names - modules <= public, f"{path}, line {node.lineno}: not in {room}'s list"


def test_functions_and_files_are_short() -> None:
    functions = {
        function.name
        for tree in trees().values()
        for function in functions_of(tree)
        if (function.end_lineno or 0) - function.lineno >= 60
    }
    assert functions <= LONG_FUNCTIONS
    lengths = {p.as_posix(): len((SOURCE / p).read_text().splitlines()) for p in trees()}
    assert {path for path, lines in lengths.items() if lines > 400} <= LONG_FILES


def test_every_module_says_what_lives_there() -> None:
    assert not [path for path, tree in trees().items() if not ast.get_docstring(tree)]


def test_docstrings_of_functions_begin_with_a_verb() -> None:
    """Those of losses are formulas, and summaries for people; properties are nouns."""
    found: dict[str, list[str]] = defaultdict(list)
    for path, tree in trees().items():
        for function in functions_of(tree):
            words = (ast.get_docstring(function) or "").split()
            nouns = {"property", "cached_property", "objective", "check"} & decorators(function)
            if words and not nouns and words[0].strip(".,:;") not in VERBS:
                found[path.parts[0]].append(f"{path}:{function.lineno} {' '.join(words[:6])}")
    counts = Counter({room: len(places) for room, places in found.items()})
    worse = {room: places for room, places in found.items() if counts[room] > NO_VERB[room]}
    assert not worse, "\n".join(line for places in worse.values() for line in places)
