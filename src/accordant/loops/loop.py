"""The loop: a source of examples that are drawn from the policy, labelled and filtered in rounds.

Knows samplers, labellers, the reference and the files of rounds. Knows no loss and no optimiser:
the one trainer asks it for a step's examples like any other source.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accordant.base.chance import hashed_uniform
from accordant.base.errors import UserError
from accordant.loops.drawn import Drawn, Labelled, Round, read_round, write_round
from accordant.loops.labellers import Read, read_tokens
from accordant.loops.measures import measure_round
from accordant.objectives.registry import bind_options, get_objective
from accordant.sampling.sampler import LocalSampler, Sampler, as_stepper
from accordant.sampling.samples import SamplingOptions
from accordant.sampling.stepper import Guided, interpolate
from accordant.training.preparations.mechanism import prepare_examples
from accordant.training.preparations.workbench import Workbench
from accordant.training.sources import epoch_order

if TYPE_CHECKING:
    from torch import nn

    from accordant.loops.recipe import Draw, Recipe
    from accordant.loops.reference import MovingReference
    from accordant.objectives.registry import Objective
    from accordant.scoring.frozen import Frozen
    from accordant.tokens.examples import Example

ATTEMPTS = 4
"""Times a round is drawn again that left nothing to learn from."""


@dataclass(eq=False)
class Loop:
    """Rounds of a recipe, as a `Source` of the trainer.

    What a round draws is a function of the seed, the prompts, the number of the round and the
    policy, so that every process and every resumed run draws the same.

    Raises:
        UserError: the objective learns only from samples of the policy as it is, and the recipe
            gives others.
    """

    recipe: Recipe  # the method
    reference: MovingReference  # what log-ratios are taken to, moved as the recipe says
    start: Frozen  # the policy before the first step, which never moves
    # token ids of what is asked, taken in turn and in a new order every time round
    prompts: Sequence[tuple[int, ...]] = ()
    each: int = 16  # prompts a round
    # how answers are drawn; its seed and number of samples are not used
    sampling: SamplingOptions = field(default_factory=SamplingOptions)
    judge: Any = None  # a `Reward` or a `Preference`, as the labeller needs
    read: Read = read_tokens  # a sample to a prompt as the judge reads it
    given: Sequence[Example] = ()  # records to learn from, where the recipe draws none
    seed: int = 0  # of prompts' order, answers and drawn labels
    # where rounds are kept; a round that lies there is taken and not drawn. None for no files.
    folder: Path | None = None
    rows: list[Mapping[str, float]] = field(default_factory=list)
    steps = None
    known = ()

    def __post_init__(self) -> None:
        self.objective: Objective = get_objective(self.recipe.objective)
        self.options = bind_options(self.objective, self.recipe.options)
        self.sampling = replace(self.sampling, **self.recipe.sampling)
        self._round: Round | None = None
        self._kept: list[Example] = []
        if self.objective.on_policy and not self.on_policy:
            raise UserError(
                f"objective {self.objective.name!r} learns from answers of the policy as it is; "
                f"those of recipe {self.recipe.name!r} are of another drawer, temperature or "
                "version.",
                where="recipe",
                mend="Draw from the policy at temperature 1, one step a round, or choose another "
                "objective.",
            )

    @property
    def kind(self) -> str:
        """Record type of the examples."""
        return self.recipe.labeller.kind if self.recipe.labeller else self.given[0].kind

    @property
    def on_policy(self) -> bool:
        """Whether the answers of a step are samples of the policy as it then is."""
        bent = replace(
            self.sampling, temperature=1, top_p=1, top_k=0, min_p=0, repetition_penalty=1
        )
        return self.recipe.on_policy and bent == self.sampling

    def identity(self) -> Mapping[str, str]:
        """Return what a resumed loop must share: what is asked of whom, and the seed."""
        recipe = self.recipe
        method = (
            [(draw.drawer, draw.count) for draw in recipe.draws],
            [rule.__name__ for rule in recipe.filters],
            (recipe.labeller, recipe.passes, recipe.reference),
        )
        asked = (self.prompts, self.each, self.sampling, getattr(self.judge, "name", ""), self.seed)
        return {
            "recipe": recipe.name,
            "loop": hashlib.sha256(repr((method, asked)).encode()).hexdigest(),
        }

    def examples(self, step: int, policy: nn.Module) -> Sequence[Example]:
        """Return the examples of a step; the first of a round begins it.

        Raises:
            UserError: see `begin`.
            ValueError: the answers are of another version of the policy, and the objective is right
                on its own alone.
        """
        number, place = divmod(step, self.recipe.passes.steps)
        if self._round is None or self._round.number != number:
            self._round = self.begin(number, step - place, policy, midway=place > 0)
            self._kept = self.prepared(self._round, policy)
        if self.objective.on_policy and self._round.version != step:
            raise ValueError(
                f"answers of version {self._round.version} at step {step}: {self.objective.name!r} "
                "learns from answers of the policy as it is"
            )
        # Steps of a round share its examples evenly; with fewer examples than steps they repeat.
        shares = min(self.recipe.passes.steps, len(self._kept))
        return self._kept[place % shares :: shares]

    def begin(self, number: int, version: int, policy: nn.Module, *, midway: bool = False) -> Round:
        """Move the reference, draw a round (or read it where it was drawn before) and measure it.

        Args:
            number: of the round, from 0.
            version: optimiser steps the policy had taken at its start.
            policy: the model as it stands.
            midway: whether a resumed run enters it after its first step.

        Raises:
            UserError: the sampler or the judge failed, or every answer was dropped.
            ValueError: it is entered midway and was not kept.
        """
        # Rules that end the loop look at all rounds, of which a resumed run has seen none.
        for earlier in range(len(self.rows), number):
            known = self._read(earlier)
            self.rows.append(known.row if known is not None else {"round": float(earlier)})
        if number and not midway:
            self.reference.begin(number, policy)
        begun = self._read(number)
        if begun is None:
            if midway:
                raise ValueError(f"round {number} was drawn by an earlier policy and is not kept")
            begun = self._draw(number, version, policy)
            if self.folder is not None:
                write_round(self.folder, begun)
        self.rows.append(begun.row)
        return begun

    def _read(self, number: int) -> Round | None:
        return read_round(self.folder, number) if self.folder is not None else None

    def prepared(self, begun: Round, policy: nn.Module) -> list[Example]:
        """Return a round's examples with what the objective asks for."""
        bench = Workbench(self.objective, self.options, policy=lambda: policy)
        return list(prepare_examples(bench, begun.examples))

    def stopped(self) -> str:
        """Return why a rule of the recipe ends the loop; empty while none does."""
        return next(filter(None, (rule(self.rows) for rule in self.recipe.stop)), "")

    def _draw(self, number: int, version: int, policy: nn.Module) -> Round:
        """Draw a round and measure it, again while nothing is left of it to learn from."""
        for attempt in range(ATTEMPTS):
            if self.recipe.labeller is None:
                labelled = [Labelled(None, example) for example in self.given]
            else:
                drawn = self.draw_answers(number, version, policy, attempt)
                labelled = self.label(drawn, number, attempt)
            begun = Round(number, version, tuple(labelled))
            if begun.examples:
                return replace(begun, row=measure_round(begun, self.start))
        reasons = Counter(item.dropped for item in labelled)
        counts = ", ".join(f"{count} for {reason}" for reason, count in reasons.most_common())
        raise UserError(
            f"nothing is left to learn from in round {number}: {len(labelled)} prompts' answers "
            f"were dropped, {counts}.",
            where=f"recipe {self.recipe.name}",
            mend="Ask more prompts a round, draw at a higher temperature or longer answers, and "
            "look at what the judge says of them.",
        )

    def draw_answers(
        self, number: int, version: int, policy: nn.Module, attempt: int = 0
    ) -> list[Drawn]:
        """Draw every draw's answers to the prompts of a round."""
        prompts = []
        for place in range(number * self.each, (number + 1) * self.each):
            epoch, at = divmod(place, len(self.prompts))
            prompts.append(self.prompts[epoch_order(len(self.prompts), self.seed, epoch)[at]])
        columns = []
        for place, draw in enumerate(self.recipe.draws):
            # Draws from one distribution must not meet the same noise.
            seed = self._seed(f"{number} {attempt} {place}")
            options = replace(self.sampling, samples_per_prompt=draw.count, seed=seed)
            columns.append(self._sampler(draw, policy).sample(prompts, options))
        drawers = tuple(d.drawer for d in self.recipe.draws for _ in range(d.count))
        return [
            Drawn(tuple(prompt), tuple(s for row in rows for s in row), drawers, version)
            for prompt, *rows in zip(prompts, *columns, strict=True)
        ]

    def label(self, drawn: Sequence[Drawn], number: int, attempt: int = 0) -> list[Labelled]:
        """Filter answers, label what is left and filter again; in the order of `drawn`."""
        labelled = [self._filtered(Labelled(group)) for group in drawn]
        # Labels may be paid for: who is dropped already is not asked about.
        left = [at for at, item in enumerate(labelled) if not item.dropped]
        labeller: Any = self.recipe.labeller
        seed = self._seed(f"labels {number} {attempt}")
        records = labeller.label([drawn[at] for at in left], self.judge, self.read, seed)
        for at, record in zip(left, records, strict=True):
            item = self._filtered(record)
            if item.example is not None:
                name = f"round {number}, prompt {at}"
                item = replace(item, example=replace(item.example, index=at, id=name))
            labelled[at] = item
        return labelled

    def _filtered(self, item: Labelled) -> Labelled:
        """Drop the record for the first reason that a filter gives; what is dropped stays so."""
        reasons = (rule(item) for rule in self.recipe.filters)
        reason = item.dropped or next(filter(None, reasons), "")
        return replace(item, example=None, dropped=reason) if reason else item

    def _seed(self, purpose: str) -> int:
        return int(hashed_uniform(f"loop {self.seed} {purpose}") * 2**48)

    def _sampler(self, draw: Draw, policy: nn.Module) -> Sampler:
        """Return who draws: somebody else, the policy, the reference, or their mixture."""
        if draw.sampler is not None or draw.reference == 0:
            return draw.sampler or LocalSampler(policy)
        frozen = self.reference.frozen
        model: Any = frozen.source  # never a cache: it is drawn from
        reference = as_stepper(model, adapter=frozen.adapter)
        if draw.reference == 1:
            return LocalSampler(reference)
        mixed = interpolate((1 - draw.reference, draw.reference))
        return LocalSampler(Guided([as_stepper(policy), reference], mixed))
