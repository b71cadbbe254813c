"""Small worlds whose answers can be listed, and policies over them that are tables.

Knows token ids, token trees and scores. Knows nothing of rewards, labels or losses. All numbers are
float64 and every sum over answers is exact, so what a paper proves can be checked to the last
digits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product

import torch
from torch import Tensor, nn

from accordant.scoring.scores import Scores
from accordant.tokens.trees import TokenTree
from accordant_studies.laboratory.tables import TableStepper

# Smallest probability a table is given: softmax tables hold no zeros.


@dataclass(frozen=True)
class World:
    """Every answer there is, the same for every context, written in tokens.

    An answer is a path: at each of its tokens the policy is in a state and takes one of the choices
    allowed there. Answer tokens are `0 .. choices - 1`; context c is the prompt `(choices + c,)`.

    Args:
        contexts: number of prompts.
        answers: token ids of every answer; none is the beginning of another.
        states: the states a policy can be in, numbered from 0.
        paths: for every answer the state before each of its tokens.
        choices: tokens an answer is made of.
    """

    contexts: int
    answers: tuple[tuple[int, ...], ...]
    states: int
    paths: tuple[tuple[int, ...], ...] = field(repr=False)
    choices: int

    @property
    def size(self) -> int:
        """Return the number of answers."""
        return len(self.answers)

    @cached_property
    def lengths(self) -> Tensor:
        """Return tokens of every answer, int64 `[answers]`; an end token counts."""
        return torch.tensor([len(answer) for answer in self.answers])

    @cached_property
    def token_states(self) -> Tensor:
        """Return the state before every token, int64 `[tokens]`, answer by answer."""
        return torch.tensor([state for path in self.paths for state in path])

    @cached_property
    def token_choices(self) -> Tensor:
        """Return every token of every answer, int64 `[tokens]`, answer by answer."""
        return torch.tensor([token for answer in self.answers for token in answer])

    @cached_property
    def owner(self) -> Tensor:
        """Return answer every token belongs to, int64 `[tokens]`."""
        return torch.arange(self.size).repeat_interleave(self.lengths)

    @cached_property
    def allowed(self) -> Tensor:
        """Return choices some answer takes in each state, bool `[states, choices]`."""
        allowed = torch.zeros(self.states, self.choices, dtype=torch.bool)
        allowed[self.token_states, self.token_choices] = True
        return allowed

    @cached_property
    def _numbers(self) -> dict[tuple[int, ...], int]:
        return {answer: number for number, answer in enumerate(self.answers)}

    def number(self, answer: Sequence[int]) -> int:
        """Return the index of an answer given in tokens."""
        return self._numbers[tuple(answer)]

    def prompt(self, context: int) -> tuple[int, ...]:
        """Return the prompt of a context in tokens."""
        return (self.choices + context,)

    def tree(self, context: int, answers: Iterable[int]) -> TokenTree:
        """Return some answers, by index, to one context."""
        return TokenTree(self.prompt(context), tuple(self.answers[answer] for answer in answers))

    def context_of(self, prompt: Sequence[int]) -> int:
        """Return the context of a prompt.

        Raises:
            ValueError: it is not a prompt of this world.
        """
        context = prompt[0] - self.choices if len(prompt) == 1 else -1
        if not 0 <= context < self.contexts:
            raise ValueError(f"{tuple(prompt)} is not a prompt of this world")
        return context


def arms(count: int, contexts: int = 1) -> World:
    """Return a bandit: `count` answers of one token each."""
    return World(
        contexts=contexts,
        answers=tuple((arm,) for arm in range(count)),
        states=1,
        paths=((0,),) * count,
        choices=count,
    )


def strings(
    letters: int = 3, longest: int = 6, contexts: int = 1, memory: int | None = None
) -> World:
    """Return all strings over a few letters up to a length, each ended by an end token (`letters`).

    A string of the full length ends with certainty, so its end token has log-probability 0.

    Args:
        letters: size of the alphabet; letters are tokens `0 .. letters - 1`.
        longest: most letters.
        contexts: number of prompts.
        memory: letters the policy remembers, besides the length so far; None for all of them. With
            all, any distribution over answers can be represented; with few, strings that end alike
            share weights, and training on one moves the others, as in a network.
    """
    numbers: dict[tuple[int, ...], int] = {}

    def state(prefix: tuple[int, ...]) -> int:
        if len(prefix) == longest:
            return numbers.setdefault((longest,), len(numbers))
        kept = prefix if memory is None else prefix[max(len(prefix) - memory, 0) :]
        return numbers.setdefault((len(prefix), *kept), len(numbers))

    texts = [t for n in range(longest + 1) for t in product(range(letters), repeat=n)]
    paths = tuple(tuple(state(text[:n]) for n in range(len(text) + 1)) for text in texts)
    return World(
        contexts=contexts,
        answers=tuple((*text, letters) for text in texts),
        states=len(numbers),
        paths=paths,
        choices=letters + 1,
    )


class TabularPolicy(nn.Module):
    """A softmax over the choices of every state, one table of logits per context.

    Args:
        world: what it answers in.
        logits: float64 `[contexts, states, choices]`; zeros when None.
    """

    def __init__(self, world: World, logits: Tensor | None = None) -> None:
        super().__init__()
        self.world = world
        shape = (world.contexts, world.states, world.choices)
        start = torch.zeros(shape, dtype=torch.float64) if logits is None else logits.double()
        self.logits = nn.Parameter(start.expand(shape).clone())

    def table(self) -> Tensor:
        """Return every choice's log-probability in every state, `[contexts, states, choices]`."""
        return self.logits.masked_fill(~self.world.allowed, -float("inf")).log_softmax(-1)

    def logps(self) -> Tensor:
        """Return every answer's log-probability, `[contexts, answers]`; exponentials sum to 1."""
        world = self.world
        tokens = self.table()[:, world.token_states, world.token_choices]
        total = tokens.new_zeros(world.contexts, world.size)
        return total.index_add(1, world.owner, tokens)

    def stepper(self) -> TableStepper:
        """Return the table to be drawn from token by token, as samplers and loops do."""
        return TableStepper(self)

    def lay_out(self, trees: Sequence[TokenTree]) -> Callable[[], Scores]:
        """Return a function that scores `trees` as the table then stands, like the engine.

        Looking the answers up is done once, so that a batch can be scored many times.
        """
        world = self.world
        pairs = [
            (world.context_of(tree.prompt), world.number(continuation))
            for tree in trees
            for continuation in tree.continuations
        ]
        contexts, numbers = torch.tensor(pairs).T
        lengths = world.lengths[numbers]
        owner = torch.arange(len(pairs)).repeat_interleave(lengths)
        starts = (world.lengths.cumsum(0) - world.lengths)[numbers]
        tokens = torch.arange(len(owner)) - (lengths.cumsum(0) - lengths - starts)[owner]
        place = (contexts[owner], world.token_states[tokens], world.token_choices[tokens])
        tree = torch.arange(len(trees)).repeat_interleave(
            torch.tensor([len(t.continuations) for t in trees])
        )

        def score() -> Scores:
            return Scores(self.table()[place], owner, lengths, tree)

        return score


def random_policy(world: World, seed: int, scale: float = 1.0) -> TabularPolicy:
    """Return a policy with independent normal logits of standard deviation `scale`."""
    generator = torch.Generator().manual_seed(seed)
    shape = (world.contexts, world.states, world.choices)
    return TabularPolicy(
        world, scale * torch.randn(shape, generator=generator, dtype=torch.float64)
    )


def random_writer(world: World, seed: int, ending: float) -> TabularPolicy:
    """Return a random policy of strings of all kinds.

    Args:
        world: of strings; its last choice ends one.
        seed: of the logits, normal with standard deviation 0.5.
        ending: added to the logits of the end token; the lower, the longer are the strings.
    """
    logits = random_policy(world, seed, scale=0.5).logits.detach().clone()
    logits[..., -1] += ending
    return TabularPolicy(world, logits)
