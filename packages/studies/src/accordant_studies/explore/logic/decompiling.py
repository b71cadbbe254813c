"""From the equation of a loss to the structure it is the loss of.

Knows polynomials and formulas. Knows nothing of scores or registered losses. A loss falls in a
ratio of two polynomials in probabilities; each is read as the weighted model count of a formula.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from accordant_studies.explore.logic.formulas import PROPOSITIONS, Formula, formula_of
from accordant_studies.explore.logic.structures import Structure, prefer

_COPIES = {"M_w": "C_w", "M_l": "C_l"}


class NoFormulaError(ValueError):
    """The polynomial counts no formula; the message says why."""


def decompile(ratio: str) -> Structure:
    """Return the structure behind a loss that falls in this ratio.

    Args:
        ratio: quotient of polynomials in the probabilities of propositions, such as
            `M_w * (1 - M_l) / (M_l * (1 - M_w))`; the names are those of `formulas`.

    Raises:
        NoFormulaError: numerator or denominator counts no formula.
        ValueError: it is no such quotient.
    """
    from sympy import fraction, together  # type: ignore[import-untyped]

    numerator, denominator = fraction(together(_parse(ratio)))
    return prefer(counted_by(numerator), counted_by(denominator))


def counted_by(polynomial: Any) -> Formula:
    """Return the formula whose weighted model count is this polynomial (sympy's, or text).

    A polynomial of degree one in every proposition is fixed by its values at the corners, where
    every probability is 0 or 1, and there a count is 1 where its formula holds and 0 elsewhere. So
    the polynomial counts a formula exactly when it is 0 or 1 at every corner, and the corners are
    the formula's truth table. A square of a policy's probability is first read as the product with
    a copy's, as the paper does for DPO-positive.

    Raises:
        NoFormulaError: no formula is counted by it.
    """
    from sympy import Poly, Symbol

    expression = _parse(polynomial) if isinstance(polynomial, str) else polynomial
    flat = _without_squares(expression)
    names = tuple(name for name in PROPOSITIONS if Symbol(name) in flat.free_symbols)
    poly = Poly(flat, *map(Symbol, names)) if names else None
    table = 0
    for world in range(1 << len(names)):
        corner = [world >> k & 1 for k in range(len(names))]
        value = poly.eval(tuple(corner)) if poly is not None else flat
        if value not in (0, 1):
            holding = ", ".join(n for n, holds in zip(names, corner, strict=True) if holds)
            raise NoFormulaError(
                f"{expression} counts the world where {holding or 'nothing'} holds {value} times"
            )
        table |= int(value) << world
    return formula_of(table, names)


def _without_squares(expression: Any) -> Any:
    """Return the polynomial with v^2 replaced by v times the proposition of a copy."""
    from sympy import Add, Mul, Poly, Symbol

    symbols = sorted(expression.free_symbols, key=str)
    if not symbols:
        return expression
    terms = []
    for powers, coefficient in Poly(expression, *symbols).terms():
        factors = [coefficient]
        for symbol, power in zip(symbols, powers, strict=True):
            copies = [symbol, Symbol(_COPIES.get(str(symbol), ""))]
            if power > (2 if str(symbol) in _COPIES else 1):
                raise NoFormulaError(f"{expression} has {symbol} to the power {power}")
            factors += copies[:power]
        terms.append(Mul(*factors))
    return Add(*terms)


def _parse(text: str) -> Any:
    """Return a quotient of polynomials; nothing is executed."""
    try:
        return _build(ast.parse(text.strip(), mode="eval").body)
    except SyntaxError as error:
        raise ValueError(f"{text!r} is no quotient of polynomials: {error.msg}") from error


_ARITHMETIC: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.Pow: lambda a, b: a**b,
}


def _build(node: ast.expr) -> Any:
    from sympy import Integer, Symbol

    if isinstance(node, ast.Name) and node.id in PROPOSITIONS:
        return Symbol(node.id)
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return Integer(node.value)
    if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
        return _ARITHMETIC[type(node.op)](_build(node.left), _build(node.right))
    known = ", ".join(PROPOSITIONS)
    raise ValueError(f"{ast.unparse(node)!r} is neither arithmetic nor a proposition of {known}")
