"""Formulas about what models deem valid: read, tabulate, simplify, write.

Knows propositions and sympy's boolean algebra. Knows nothing of probabilities, scores or losses.
A truth table is an integer: bit i holds the formula's value in world i, and bit k of i says whether
the k-th proposition holds in that world.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

Formula = Any  # sympy's Boolean, which has no types to check against

# What each proposition says; the name is what formulas are written with.
PROPOSITIONS = {
    "M_w": "the policy deems the chosen answer valid",
    "M_l": "the policy deems the rejected answer valid",
    "R_w": "the reference deems the chosen answer valid",
    "R_l": "the reference deems the rejected answer valid",
    "C_w": "another policy deems the chosen answer valid (in a loss: a copy of this one)",
    "C_l": "another policy deems the rejected answer valid (in a loss: a copy of this one)",
    "G": "the margin is met: a proposition of constant weight exp(-margin)",
}
_WRITTEN = {
    "M_w": "M(x, y_w)",
    "M_l": "M(x, y_l)",
    "R_w": "Ref(x, y_w)",
    "R_l": "Ref(x, y_l)",
    "C_w": "M'(x, y_w)",
    "C_l": "M'(x, y_l)",
    "G": "Margin",
}


def parse(text: str) -> Formula:
    """Read a formula such as `Implies(M_l, M_w)` or `R_w & ~M_l`.

    Connectives are And, Or, Not, Implies, Xor and Equivalent (of two) as functions, `&`, `|`, `~`,
    `^`, `>>` (implies) as operators, and the words `and`, `or`, `not`, `True`, `False`. Nothing is
    executed.

    Raises:
        ValueError: it is no such formula, or names an unknown proposition.
    """
    try:
        return _build(ast.parse(text.strip(), mode="eval").body)
    except SyntaxError as error:
        raise ValueError(f"{text!r} is not a formula: {error.msg}") from error


def _build(node: ast.expr) -> Formula:
    if isinstance(node, ast.Name) and node.id in PROPOSITIONS:
        return _sympy().Symbol(node.id)
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        return _sympy().true if node.value else _sympy().false
    connective, parts = _read_node(node)
    return connect(connective, *map(_build, parts))


def connect(connective: str, *parts: Formula) -> Formula:
    """Join formulas: `connect("And", p, q)`; connectives as `parse` names them."""
    return getattr(_sympy().logic.boolalg, connective)(*parts)


def _sympy() -> Any:
    import sympy  # type: ignore[import-untyped]

    return sympy


def _read_node(node: ast.expr) -> tuple[str, Sequence[ast.expr]]:
    """Return the connective of a node and what it connects."""
    operators = {ast.BitAnd: "And", ast.BitOr: "Or", ast.BitXor: "Xor", ast.RShift: "Implies"}
    words = {ast.And: "And", ast.Or: "Or", ast.Not: "Not", ast.Invert: "Not"}
    functions = ("And", "Or", "Not", "Implies", "Xor", "Equivalent")
    if isinstance(node, ast.BinOp) and type(node.op) in operators:
        return operators[type(node.op)], (node.left, node.right)
    if isinstance(node, ast.BoolOp):
        return words[type(node.op)], node.values
    if isinstance(node, ast.UnaryOp) and type(node.op) in words:
        return words[type(node.op)], (node.operand,)
    if isinstance(node, ast.Call) and ast.unparse(node.func) in functions and not node.keywords:
        return ast.unparse(node.func), node.args
    found = ast.unparse(node)
    known = ", ".join(PROPOSITIONS)
    raise ValueError(f"{found!r} is neither a connective nor one of the propositions {known}")


def names_in(*formulas: Formula) -> tuple[str, ...]:
    """Return propositions that occur in the formulas, in the order of `PROPOSITIONS`."""
    found = {str(symbol) for formula in formulas for symbol in formula.free_symbols}
    return tuple(name for name in PROPOSITIONS if name in found)


def tabulate(formula: Formula, names: Sequence[str]) -> int:
    """Return the truth table of `formula` over the worlds of `names`, world by world.

    Raises:
        ValueError: a proposition of the formula is not among `names`.
    """
    missing = set(names_in(formula)) - set(names)
    if missing:
        raise ValueError(f"the worlds do not say whether {sorted(missing)} hold")
    everything = (1 << (1 << len(names))) - 1
    columns = {name: column(k, len(names)) for k, name in enumerate(names)}
    return _value(formula, columns, everything)


def column(k: int, count: int) -> int:
    """Return the truth table of the k-th of `count` propositions."""
    return sum(1 << world for world in range(1 << count) if world >> k & 1)


def _value(formula: Formula, columns: dict[str, int], everything: int) -> int:
    """Return a formula's truth table from those of its propositions, for all worlds at once."""
    kind = type(formula).__name__
    if kind == "Symbol":
        return columns[str(formula)]
    if kind in ("BooleanTrue", "BooleanFalse"):
        return everything if kind == "BooleanTrue" else 0
    parts = [_value(part, columns, everything) for part in formula.args]
    if kind == "Not":
        return everything & ~parts[0]
    if kind == "Implies":
        return everything & ~parts[0] | parts[1]
    if kind == "Equivalent":
        return everything & ~(parts[0] ^ parts[1])
    total = parts[0]
    for part in parts[1:]:
        if kind == "And":
            total &= part
        elif kind == "Or":
            total |= part
        elif kind == "Xor":
            total ^= part
        else:
            raise TypeError(f"no meaning is known for the connective {kind}")
    return total


def formula_of(table: int, names: Sequence[str]) -> Formula:
    """Return the shortest exclusive or, sum of products or product of sums with this table."""
    sympy = _sympy()
    worlds = 1 << len(names)
    if table == 0:
        return sympy.false
    if table == (1 << worlds) - 1:
        return sympy.true
    symbols = [sympy.Symbol(name) for name in names]
    if len(names) == 2 and table == column(0, 2) ^ column(1, 2):
        return connect("Xor", *symbols)
    minterms = [[w >> k & 1 for k in range(len(names))] for w in range(worlds) if table >> w & 1]
    forms = [form(symbols, minterms) for form in (sympy.SOPform, sympy.POSform)]
    return min(forms, key=lambda form: (form.count_ops(), str(form)))


def simplify(formula: Formula) -> Formula:
    """Return an equivalent formula, as short as `formula_of` finds one."""
    names = names_in(formula)
    return formula_of(tabulate(formula, names), names)


def entails(premise: Formula, conclusion: Formula) -> bool:
    """Say whether `conclusion` holds in every world in which `premise` does."""
    names = names_in(premise, conclusion)
    return tabulate(premise, names) & ~tabulate(conclusion, names) == 0


def equivalent(one: Formula, other: Formula) -> bool:
    """Say whether both hold in the same worlds."""
    return entails(one, other) and entails(other, one)


def write(formula: Formula) -> str:
    """Return a formula as people read it: `M(x, y_l) implies M(x, y_w)`.

    A disjunction with negated parts is written as the implication it is.
    """
    return _written(formula, outermost=True)


def _written(formula: Formula, outermost: bool = False) -> str:
    kind = type(formula).__name__
    if kind == "Symbol":
        return _WRITTEN[str(formula)]
    if kind in ("BooleanTrue", "BooleanFalse"):
        return "true" if kind == "BooleanTrue" else "false"
    parts = sorted(formula.args, key=_reading_order)
    if kind == "Not":
        return f"not {_written(parts[0])}"
    if kind == "Or" and (negated := [part for part in parts if type(part).__name__ == "Not"]):
        rest = [part for part in parts if part not in negated]
        if rest:
            left = _joined([part.args[0] for part in negated], " and ")
            right = _joined(rest, " or ") if len(rest) > 1 else _written(rest[0], outermost=True)
            text = f"{left} implies {right}"
            return text if outermost else f"({text})"
    if kind == "Implies":
        text = f"{_written(formula.args[0])} implies {_written(formula.args[1])}"
    else:
        text = _joined(parts, {"And": " and ", "Or": " or ", "Xor": " xor "}[kind])
    return text if outermost else f"({text})"


def _joined(parts: Sequence[Formula], word: str) -> str:
    return word.join(_written(part) for part in sorted(parts, key=_reading_order))


def _reading_order(formula: Formula) -> tuple[int, str]:
    """Return propositions in their order, then what is negated, then what is nested."""
    kind = type(formula).__name__
    inner = formula.args[0] if kind == "Not" else formula
    place = list(PROPOSITIONS).index(str(inner)) if inner.is_Symbol else len(PROPOSITIONS)
    return place + len(PROPOSITIONS) * (kind == "Not"), str(formula)
