"""No file of the package imports itself by way of others: read from the source, all imports count.

An import within a function or for type checkers alone ties files together as one at the top does.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import accordant

SOURCE = Path(accordant.__file__).parents[1]


def modules() -> dict[str, Path]:
    files = (SOURCE / "accordant").rglob("*.py")
    return {
        ".".join(file.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__"): file
        for file in files
    }


def imports_of(tree: ast.AST, known: Mapping[str, object]) -> Iterator[str]:
    """The modules of the package that a file names; `from room import module` names the module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module in known:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in known else str(node.module)


def import_graph() -> dict[str, set[str]]:
    known = modules()
    return {
        name: {*imports_of(ast.parse(file.read_text(encoding="utf-8")), known)} - {name}
        for name, file in known.items()
    }


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """One circle through every file that reaches itself, each told once.

    Files that import nothing within what is left are taken away until none is: what remains lies
    on circles, or leads to one.
    """
    left = {name: set(others) for name, others in graph.items()}
    while leaves := {name for name, others in left.items() if not others & left.keys()}:
        left = {name: others for name, others in left.items() if name not in leaves}
    found: list[list[str]] = []
    while left:
        path = [min(left)]
        while (following := min(left[path[-1]] & left.keys())) not in path:
            path.append(following)
        circle = path[path.index(following) :]
        found.append(circle)
        left = {name: others for name, others in left.items() if name not in circle}
        while leaves := {name for name, others in left.items() if not others & left.keys()}:
            left = {name: others for name, others in left.items() if name not in leaves}
    return found


def test_a_circle_is_found_and_a_tail_to_it_is_none():
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set(), "e": {"a"}}
    assert circles(graph) == [["b", "c"]]


def test_no_circle_of_files():
    told = [" -> ".join([*circle, circle[0]]) for circle in circles(import_graph())]
    assert not told, "these files import each other:\n" + "\n".join(told)
