"""Rewards by name and by expression: `lsc(helpful.py:rate) + 0.5*rule:concise`.

Knows the grammar, the registry and the wrappers. The text is parsed, never evaluated: what is not
in the grammar is an error that points at its character.

    sum    := ["-"] product (("+" | "-") product)*
    product := [NUMBER "*"] atom ["*" NUMBER]
    atom   := FUNCTION "(" sum ("," sum)* ("," OPTION "=" VALUE)* ")" | NAME ["[" ATTRIBUTE "]"]
            | "(" sum ")"

A name is registered (`shorter`, `rule:concise`), a function in a file (`path.py:function`) or a
folder of a reward model; in quotes it may hold any character. Minus stands between spaces.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from accordant.base.errors import UserError, did_you_mean
from accordant.base.options import bind_values
from accordant.rewards.registry import REWARDS, list_rewards, reward_from_file
from accordant.rewards.reward import Reward
from accordant.rewards.transforms import CALIBRATIONS, TRANSFORMS
from accordant.rewards.wrappers import COMBINATIONS, Calibrated, Combined, Selected, Transformed

FUNCTIONS = (*COMBINATIONS, *CALIBRATIONS, *TRANSFORMS)

_TOKEN = re.compile(
    r"""\s*(?:(?P<number>\d+\.?\d*(?:[eE][+-]?\d+)?(?![\w/.:]))
    |(?P<text>"[^"]*"|'[^']*')
    |(?P<name>[\w./\\:~](?:[\w./\\:~]|-(?=\w))*)
    |(?P<sign>[-+*()\[\],=]))""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str  # number, text, name, sign or end
    text: str
    at: int  # character of the expression, from 0


def find_reward(expression: str, *, where: str = "reward", noun: str = "reward") -> Reward:
    """Read a reward: a name, a function in a file, or an expression of them.

    Args:
        expression: as a user writes it.
        where: place named in errors, such as `option --judge`.
        noun: what a reward is called in that place.

    Raises:
        UserError: the expression cannot be read, or there is no such reward, file or function;
            points at the character and suggests the nearest name.
    """
    path, colon, function = expression.rpartition(":")
    if expression.strip() in {reward.name for reward in list_rewards()}:
        return REWARDS[expression.strip()]
    # First of all, as a file's name may hold what an expression may not.
    if colon and path.endswith(".py") and function.isidentifier() and Path(path).is_file():
        return reward_from_file(Path(path), function)
    parser = _Parser(expression, where, noun)
    reward = parser.read_sum()
    parser.expect("end", "", "the end of the expression")
    return reward


class _Parser:
    """A recursive-descent parser over the tokens of one expression."""

    def __init__(self, expression: str, where: str, noun: str) -> None:
        self.expression, self.place, self.noun = expression, where, noun
        self.tokens = self._split()
        self.next = 0

    def read_sum(self) -> Reward:
        """Read weighted terms; a single one of weight 1 is itself."""
        sign = -1.0 if self.take("-") else 1.0
        terms = [self._product(sign)]
        while self._peek().text in ("+", "-") and self._peek().kind == "sign":
            terms.append(self._product(-1.0 if self._advance().text == "-" else 1.0))
        rewards, weights = zip(*terms, strict=True)
        if weights == (1.0,):
            return cast(Reward, rewards[0])
        return Combined(rewards, "sum", weights)

    def _product(self, weight: float) -> tuple[Reward, float]:
        if self._peek().kind == "number":
            weight *= float(self._advance().text)
            self.expect("sign", "*", "`*` and a reward: a number can only weigh one")
        reward = self._atom()
        if self.take("*"):
            weight *= float(self.expect("number", None, "a number to weigh it by").text)
        return reward, weight

    def _atom(self) -> Reward:
        token = self._advance()
        if token.text == "(" and token.kind == "sign":
            reward = self.read_sum()
            self.expect("sign", ")", "`)`")
            return reward
        if token.kind not in ("name", "text"):
            raise self._error(token, f"found {token.text or 'the end'!r}, expected a {self.noun}.")
        if token.kind == "name" and self.take("("):
            return self._call(token)
        reward = self._named(token)
        return self._attribute(reward) if self.take("[") else reward

    def _call(self, function: _Token) -> Reward:
        if function.text not in FUNCTIONS:
            mend = did_you_mean(function.text, FUNCTIONS, f"There are {', '.join(FUNCTIONS)}.")
            raise self._error(function, f"there is no function {function.text!r}.", mend)
        rewards: list[Reward] = []
        options: dict[str, Any] = {}
        while True:
            following = self.tokens[min(self.next + 1, len(self.tokens) - 1)]
            if self._peek().kind == "name" and following.text == "=":
                name = self._advance().text
                self.expect("sign", "=", "`=`")
                sign = "-" if self.take("-") else ""
                options[name] = sign + self._advance().text
            else:
                rewards.append(self.read_sum())
            if not self.take(","):
                break
        self.expect("sign", ")", "`,` or `)`")
        return self._applied(function, rewards, options)

    def _applied(
        self, function: _Token, rewards: Sequence[Reward], options: dict[str, str]
    ) -> Reward:
        name = function.text
        if name in COMBINATIONS and rewards and not options:
            how = cast(Literal["sum", "mean", "min", "max"], name)
            return Combined(tuple(rewards), how)
        if name in COMBINATIONS or len(rewards) != 1:
            takes = "rewards and no option" if name in COMBINATIONS else "one reward"
            raise self._error(function, f"{name} takes {takes}.")
        place = self._where(function)
        if name in TRANSFORMS:
            return Transformed(rewards[0], name, _bound(TRANSFORMS[name], options, place))
        # What every calibration may be told, and what its own function takes.
        source: dict[str, object] = {
            key: options.pop(key) for key in ("at", "text", "over") if key in options
        }
        bound = _bound(CALIBRATIONS[name], options, place)
        chosen = bind_values(_source, source, place)
        return Calibrated(rewards[0], name, bound, **cast(Any, chosen))

    def _attribute(self, reward: Reward) -> Reward:
        token = self._advance()
        if token.text not in reward.attributes:
            mend = (
                did_you_mean(token.text, reward.attributes)
                + " It has "
                + ", ".join(reward.attributes)
            )
            raise self._error(token, f"there is no attribute {token.text!r}.", f"{mend}.".strip())
        self.expect("sign", "]", "`]`")
        return Selected(reward, token.text)

    def _named(self, token: _Token) -> Reward:
        name = token.text
        path, colon, function = name.rpartition(":")
        if name in REWARDS:
            return REWARDS[name]
        if colon and path.endswith(".py"):
            return reward_from_file(Path(path), function)
        if name in FUNCTIONS:
            raise self._error(token, f"{name} is a function.", f"Write {name}(...).")
        if "/" in name or Path(name).is_dir():
            mend = "Name a registered reward, or a function of your own as path.py:function."
            raise self._error(token, f"{name!r} would be a reward model; none is read yet.", mend)
        names = ", ".join(sorted(REWARDS))
        choices = f"Choose one of {names}, or a function of your own as path.py:function."
        mend = did_you_mean(name, REWARDS, choices)
        raise self._error(token, f"there is no {self.noun} {name!r}.", mend)

    def _split(self) -> list[_Token]:
        tokens, at = [], 0
        text = self.expression.rstrip()
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                at += len(text[at:]) - len(text[at:].lstrip())
                token = _Token("sign", text[at], at)
                raise self._error(token, f"cannot read {text[at]!r}.", "Put a name in quotes.")
            kind = str(match.lastgroup)
            word = match[kind]
            tokens.append(_Token(kind, word[1:-1] if kind == "text" else word, match.start(kind)))
            at = match.end()
        return [*tokens, _Token("end", "", len(text))]

    def _peek(self) -> _Token:
        return self.tokens[self.next]

    def _advance(self) -> _Token:
        token = self._peek()
        self.next = min(self.next + 1, len(self.tokens) - 1)
        return token

    def take(self, sign: str) -> bool:
        """Step over a sign where it comes next."""
        if self._peek().kind == "sign" and self._peek().text == sign:
            self.next += 1
            return True
        return False

    def expect(self, kind: str, text: str | None, expected: str) -> _Token:
        """Step over what must come next.

        Raises:
            UserError: something else does.
        """
        token = self._peek()
        if token.kind != kind or text not in (None, token.text):
            raise self._error(token, f"found {token.text or 'the end'!r}, expected {expected}.")
        return self._advance()

    def _where(self, token: _Token) -> str:
        if token.text == self.expression:
            return self.place
        return f"{self.place}, character {token.at + 1} of {self.expression!r}"

    def _error(self, token: _Token, message: str, mend: str = "") -> UserError:
        return UserError(message, where=self._where(token), mend=mend)


def _source(
    *, at: float | None = None, text: str | None = None, over: Literal["prompt", "all"] = "prompt"
) -> None:
    """State what every calibration compares with.

    Args:
        at: a reward that stands for the reference's.
        text: an answer whose reward stands for the reference's.
        over: references of the same prompt alone, or of all.
    """


def _bound(function: Any, options: dict[str, str], where: str) -> dict[str, Any]:
    """Return the user's options in their types; defaults stay with the function."""
    bound = bind_values(function, options, where)
    return {name: bound[name] for name in options}
