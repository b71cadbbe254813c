"""What a run shares from its first row to its report: model, tokenizer, rendering, console, cache.

Knows settings of models and templates, and the loaders. Knows no verb and no feedback.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accordant.base.errors import UserError
from accordant.models.facts import ModelFacts, read_facts, text_config
from accordant.models.loading import LoadedModel, load
from accordant.runs.settings import SessionSettings
from accordant.tokens.fingerprint import fingerprint_tokenizer
from accordant.tokens.rendering import Rendering, encode_prompt

if TYPE_CHECKING:
    from rich.console import Console
    from torch import nn
    from transformers import PreTrainedTokenizerBase

    from accordant.feedback.records import Text
    from accordant.scoring.scores import Scores
    from accordant.tokens.examples import Example


@dataclass(frozen=True)
class Session:
    """One model at work; its weights are loaded when they are first asked for, and kept."""

    settings: SessionSettings  # of the model, and of how records become text
    facts: ModelFacts  # configuration and tokenizer of the model
    rendering: Rendering  # how records become text
    console: Console  # where people read along
    cache: Path  # folder of what is computed once
    # puts an adapter on the loaded model, or leaves it as it is
    adapt: Callable[[Any], Any] = lambda model: model
    given: LoadedModel | None = None  # the model where it is in memory already

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The model's tokenizer."""
        return self.facts.tokenizer

    @property
    def max_tokens(self) -> int | None:
        """Tokens a prompt and one answer may have together; None for no limit."""
        return self.settings.max_length or self.facts.positions

    @cached_property
    def loaded(self) -> LoadedModel:
        """The model with its weights, as it was found."""
        return self.given or load(self.settings)

    @cached_property
    def model(self) -> nn.Module:
        """The model with its adapter, prepared for scoring."""
        from accordant.models.families import why_apart
        from accordant.scoring.apart import sharing_of
        from accordant.scoring.installation import install

        model: nn.Module = install(self.adapt(self.loaded.model))
        reason = sharing_of(model).reason
        if reason and not why_apart(self.facts.config):
            # No plan could tell: it showed when the model was tried.
            self.say(f"prompts are not shared, each answer is computed with its own: {reason}")
        return model

    def other_model(self, name: str | None = None) -> nn.Module:
        """Load another model prepared for scoring, or, without a name, this one a second time."""
        from accordant.scoring.installation import install

        model: nn.Module = install(load(self.settings, name).model)
        return model

    def score(self, examples: Sequence[Example]) -> Scores:
        """Score the examples' own answers in the arithmetic of training, without gradients."""
        from accordant.models.precision import arithmetic
        from accordant.scoring.engine import score_all

        trees = [tree for example in examples for tree in example.own_trees]
        with arithmetic(self.model, self.settings.precision):
            return score_all(self.model, trees, self.settings.token_budget)

    def encode_prompt(self, text: Text) -> tuple[int, ...]:
        """Return the tokens of a prompt to be answered.

        Raises:
            UserError: the model has no embedding of one of them.
        """
        prompt = encode_prompt(text, self.tokenizer, self.rendering)
        self._refuse_unknown("a prompt", prompt)
        return prompt

    def refuse_unknown_tokens(self, examples: Sequence[Example]) -> None:
        """Refuse tokens that the tokenizer has and the model has not.

        A tokenizer may be larger than its model, as Gemma 3's is, where no text has such a token.

        Raises:
            UserError: an example has one.
        """
        for example in examples:
            for tree in example.trees:
                sequences = (tree.prompt, *tree.continuations)
                self._refuse_unknown(example.id, chain.from_iterable(sequences))

    def _refuse_unknown(self, name: str, tokens: Iterable[int]) -> None:
        size = getattr(text_config(self.facts.config), "vocab_size", None)
        highest = max(tokens, default=0)
        if size is None or highest < size:
            return
        token = self.tokenizer.convert_ids_to_tokens(highest)
        raise UserError(
            f"the tokenizer writes {token!r} in {name}, its token {highest:,}; the model knows "
            f"{size:,} tokens, from 0.",
            where=self.settings.model,
            mend="Give the model's own tokenizer, or let the model grow by "
            "`model.resize_token_embeddings(len(tokenizer))` and save both.",
        )

    def refuse_other_tokenizer(
        self, tokenizer: PreTrainedTokenizerBase, name: str, where: str
    ) -> None:
        """Refuse a model with another tokenizer, whose scores are of other tokens.

        Args:
            tokenizer: that of the other model.
            name: the other model.
            where: what named it.

        Raises:
            UserError: the two tokenizers differ.
        """
        if fingerprint_tokenizer(tokenizer) != fingerprint_tokenizer(self.tokenizer):
            raise UserError(
                f"{self.settings.model} and {name} have different tokenizers, so their "
                " log-probabilities cannot be compared token by token.",
                where=where,
                mend="Give the model that --model was trained from.",
            )

    def say(self, line: str) -> None:
        """Print a line as it is, without markup."""
        self.console.print(line, markup=False, highlight=False)


def open_session(
    settings: SessionSettings,
    *,
    console: Console | None = None,
    cache: Path = Path("cache"),
    adapt: Callable[[Any], Any] = lambda model: model,
    given: LoadedModel | None = None,
) -> Session:
    """Read what is known of a model before its weights are loaded.

    Args:
        settings: of the model, and of how records become text.
        console: where people read along; nowhere when None.
        cache: folder of what is computed once.
        adapt: puts an adapter on the loaded model.
        given: the model where it is in memory already; the settings' name is not looked up then.

    Raises:
        UserError: there is no such model, or a file of it or of the template cannot be read.
    """
    from rich.console import Console

    rendering = settings.rendering()
    # A model in memory is what it is, whatever lies on the disk under its name.
    facts = ModelFacts(given.model.config, given.tokenizer) if given else read_facts(settings)
    if rendering.chat_template is not None:
        # Saved with the model, so that who talks to it later uses the template it learnt.
        facts.tokenizer.chat_template = rendering.chat_template
    console = console or Console(quiet=True)
    return Session(settings, facts, rendering, console, cache, adapt, given)
