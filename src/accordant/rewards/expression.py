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
from accordant.rewards.wrappers import (
    COMBINATIONS,
    Calibrated,
    combine_rewards,
    select_attribute,
    transform_reward,
)

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
    kind: str  # number, text, name, end, or the sign itself
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
    # Before it is parsed, as a file's name may hold what an expression may not.
    if colon and path.endswith(".py") and function.isidentifier() and Path(path).is_file():
        return reward_from_file(Path(path), function)
    parser = _Parser(expression, where, noun)
    reward = parser.read_sum()
    parser.expect("the end of the expression", "end")
    return reward


class _Parser:
    """A recursive-descent parser over the tokens of one expression."""

    def __init__(self, expression: str, where: str, noun: str) -> None:
        self.expression, self.place, self.noun = expression, where, noun
        self.tokens = self._split()
        self.next = 0

    def read_sum(self) -> Reward:
        """Read weighted terms; a single one of weight 1 is itself."""
        terms = [self._product(-1.0 if self.take("-") else 1.0)]
        while sign := self.take("+", "-"):
            terms.append(self._product(-1.0 if sign.kind == "-" else 1.0))
        rewards, weights = zip(*terms, strict=True)
        return rewards[0] if weights == (1.0,) else combine_rewards(rewards, "sum", weights)

    def _product(self, weight: float) -> tuple[Reward, float]:
        if number := self.take("number"):
            weight *= float(number.text)
            self.expect("`*` and a reward: a number can only weigh one", "*")
        reward = self._atom()
        if self.take("*"):
            weight *= float(self.expect("a number to weigh it by", "number").text)
        return reward, weight

    def _atom(self) -> Reward:
        if self.take("("):
            reward = self.read_sum()
            self.expect("`)`", ")")
            return reward
        token = self.expect(f"a {self.noun}", "name", "text")
        if token.kind == "name" and self.take("("):
            return self._call(token)
        reward = self._named(token)
        if not self.take("["):
            return reward
        attribute = self.expect("an attribute", "name", "text", "number")
        if attribute.text not in reward.attributes:
            known = f"It has {', '.join(reward.attributes)}."
            mend = f"{did_you_mean(attribute.text, reward.attributes)} {known}".strip()
            raise self._error(attribute, f"there is no attribute {attribute.text!r}.", mend)
        self.expect("`]`", "]")
        return select_attribute(reward, attribute.text)

    def _call(self, function: _Token) -> Reward:
        if function.text not in FUNCTIONS:
            mend = did_you_mean(function.text, FUNCTIONS, f"There are {', '.join(FUNCTIONS)}.")
            raise self._error(function, f"there is no function {function.text!r}.", mend)
        rewards: list[Reward] = []
        options: dict[str, str] = {}
        more = True
        while more:
            name = self.tokens[self.next]
            # A name is a reward unless `=` follows it; the end has nothing after it.
            if name.kind == "name" and self.tokens[self.next + 1].kind == "=":
                self.next += 2
                sign = "-" if self.take("-") else ""
                options[name.text] = sign + self.expect("a value", "number", "name", "text").text
            else:
                rewards.append(self.read_sum())
            more = self.take(",") is not None
        self.expect("`,` or `)`", ")")
        return self._applied(function, rewards, options)

    def _applied(
        self, function: _Token, rewards: Sequence[Reward], options: dict[str, str]
    ) -> Reward:
        name, place = function.text, self._where(function)
        if name in COMBINATIONS and not options:
            return combine_rewards(tuple(rewards), cast(Any, name))
        if name in COMBINATIONS or len(rewards) != 1:
            takes = "rewards and no option" if name in COMBINATIONS else "one reward"
            raise self._error(function, f"{name} takes {takes}.")
        if name in TRANSFORMS:
            bound = bind_values(TRANSFORMS[name], options, place)
            return transform_reward(rewards[0], name, {key: bound[key] for key in options})
        bound = bind_values(CALIBRATIONS[name], options, place, _against)
        # Defaults stay with the functions: a name says what is unusual.
        given = {key: bound[key] for key in options}
        source: Any = {key: given.pop(key) for key in ("at", "text", "over") if key in given}
        return Calibrated(rewards[0], name, given, **source)

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
            # Most expressions name no model, and torch takes seconds.
            from accordant.rewards.model import load_reward_model

            try:
                return load_reward_model(name)
            except UserError as error:
                where = f"{self._where(token)}, {error.where}"
                raise UserError(error.message, where=where, mend=error.mend) from error
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
                unread = _Token("sign", text[at], at)
                raise self._error(unread, f"cannot read {text[at]!r}.", "Put a name in quotes.")
            kind, word = str(match.lastgroup), match[str(match.lastgroup)]
            shown = word[1:-1] if kind == "text" else word
            tokens.append(_Token(word if kind == "sign" else kind, shown, match.start(kind)))
            at = match.end()
        return [*tokens, _Token("end", "", len(text))]

    def take(self, *kinds: str) -> _Token | None:
        """Step over the next token and return it, where it is of one of these kinds."""
        token = self.tokens[self.next]
        if token.kind not in kinds:
            return None
        # Whoever took the end would look for what follows it.
        self.next += token.kind != "end"
        return token

    def expect(self, expected: str, *kinds: str) -> _Token:
        """Step over what must come next, a token of one of these kinds.

        Raises:
            UserError: something else does.
        """
        token = self.take(*kinds)
        if token is None:
            other = self.tokens[self.next]
            shown = repr(other.text or "the end")
            raise self._error(other, f"found {shown}, expected {expected}.")
        return token

    def _where(self, token: _Token) -> str:
        if token.text == self.expression:
            return self.place
        return f"{self.place}, character {token.at + 1} of {self.expression!r}"

    def _error(self, token: _Token, message: str, mend: str = "") -> UserError:
        return UserError(message, where=self._where(token), mend=mend)


def _against(
    *, at: float | None = None, text: str | None = None, over: Literal["prompt", "all"] = "prompt"
) -> None:
    """State what every calibration compares with.

    Args:
        at: a reward that stands for the reference's.
        text: an answer whose reward stands for the reference's.
        over: references of the same prompt alone, or of all.
    """
