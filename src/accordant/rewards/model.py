"""Reward models: a backbone with a head of values, read at a conversation's last token.

Knows transformers' classification models, the engine and how conversations become tokens. Knows no
loss and no data. A folder written here is one that `AutoModelForSequenceClassification` loads; what
it cannot say (temperature, residuals, how texts are written) stands beside it in JSON.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from accordant.base.errors import UserError
from accordant.base.files import write_whole
from accordant.feedback.records import Message, Text
from accordant.models.adapters import base_model_of
from accordant.models.heads import ValueHead
from accordant.models.loading import load_model
from accordant.models.saving import save_model
from accordant.models.sources import resolve_source
from accordant.rewards.reward import Answer, Rewards, rows_by_prompt
from accordant.scoring.engine import ScoreOptions, score_all
from accordant.scoring.installation import install
from accordant.tokens.template import Rendering
from accordant.tokens.trees import TokenTree
from accordant.tokens.whole import encode_whole

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedTokenizerBase

FILE = "accordant_reward.json"
VERSION = 1


@dataclass(frozen=True, slots=True, eq=False)
class RewardModel:
    """A reward read off a model's last hidden state, by a head of one value an attribute.

    Args:
        model: a classification model whose `score` is a `ValueHead`, prepared by `install`.
        tokenizer: its tokenizer.
        name: how it is reported.
        rendering: how a prompt and an answer become one text.
        temperature: rewards are divided by it; fitted, differences are log-odds of preference.
        residual_sd: held-out deviation of each attribute from its ratings; empty where unknown.
        max_tokens: of a prompt with an answer; None for no limit.
        token_budget: tokens of one forward pass.
    """

    model: nn.Module
    tokenizer: PreTrainedTokenizerBase
    name: str = "reward model"
    rendering: Rendering = field(default_factory=Rendering)
    temperature: float = 1.0
    residual_sd: tuple[float, ...] = ()
    max_tokens: int | None = None
    token_budget: int = 4096

    @property
    def head(self) -> ValueHead:
        """The head, trained along by whoever trains the model."""
        head: ValueHead = base_model_of(self.model).score
        return head

    @property
    def attributes(self) -> tuple[str, ...]:
        """Names of the head's values."""
        return tuple(base_model_of(self.model).config.id2label.values())

    @property
    def description(self) -> str:
        """What it scores."""
        return f"the reward model {self.name}: {', '.join(self.attributes)}"

    def score(self, answers: Sequence[Answer]) -> Rewards:
        """Score a batch; answers to one prompt share its computation.

        Raises:
            UserError: the template refuses a prompt, or a conversation is too long.
        """
        trees: list[TokenTree] = []
        order: list[int] = []
        for prompt, rows in rows_by_prompt(answers).items():
            texts = [_as_answer(prompt, answers[row].text) for row in rows]
            shape = (self.tokenizer, self.rendering, self.max_tokens)
            trees += encode_whole(prompt, texts, *shape)
            order += rows
        # A language model's head would be most of the work, and is not even there.
        options = ScoreOptions(logps=False, values=self.head)
        scores = score_all(self.model, trees, self.token_budget, options)
        assert scores.values is not None
        values = np.empty((len(answers), len(self.attributes)))
        # Trees come prompt by prompt, answers in the order they were asked in.
        values[order] = scores.last_tokens(scores.values).double().numpy() / self.temperature
        return Rewards(values)

    def tokens_of(self, answer: Answer) -> list[int]:
        """Return the tokens of an answer with its prompt, to be read at the last."""
        # One answer alone: what it shares with others changes no token.
        texts = [_as_answer(answer.prompt, answer.text)]
        shape = (self.tokenizer, self.rendering, self.max_tokens)
        (tree,) = encode_whole(answer.prompt, texts, *shape)
        return [*tree.prompt, *tree.continuations[0]]

    def save(self, folder: str | Path, *, card: str, overwrite: bool = False) -> Path:
        """Write a folder that transformers loads and that gives the same numbers there.

        Raises:
            UserError: the folder exists and `overwrite` is not set, or it cannot be written.
        """
        self.pad_readably()
        target = save_model(self.model, self.tokenizer, folder, card=card, overwrite=overwrite)
        self.write_record(target)
        return target

    def write_record(self, folder: Path) -> None:
        """Write what is kept beside the weights; see `FILE`."""
        record = {
            "version": VERSION,
            "read": "last",
            "names": self.attributes,
            "temperature": self.temperature,
            "residual_sd": self.residual_sd,
            "chat": self.rendering.chat,
            "system_prompt": self.rendering.system_prompt,
        }
        write_whole(folder / FILE, f"{json.dumps(record, indent=1)}\n".encode())

    def pad_readably(self) -> None:
        """Pad, here and in transformers, with a token that no conversation ends with.

        transformers reads a row at its last token that is not padding: where a conversation ended
        with the padding token, as with the usual pad = eos, it would read one too early.
        """
        last = replace(self, max_tokens=None).tokens_of(Answer("a", "b"))[-1]
        ends = {last, self.tokenizer.eos_token_id}
        known = (self.tokenizer.pad_token_id, self.tokenizer.unk_token_id, *range(len(ends) + 1))
        pad = next(token for token in known if token is not None and token not in ends)
        base_model_of(self.model).config.pad_token_id = self.tokenizer.pad_token_id = pad


def make_reward_model(
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    attributes: Sequence[str] = ("reward",),
    *,
    seed: int = 0,
    **fields: Any,
) -> RewardModel:
    """Make a reward model of a causal language model, whose backbone it takes over.

    Args:
        model: a causal language model of transformers, without adapter.
        tokenizer: its tokenizer.
        attributes: names of what is read.
        seed: of the head.
        fields: of `RewardModel`.

    Raises:
        UserError: transformers has no classification model of this family.
    """
    import torch
    from transformers import AutoModelForSequenceClassification

    config = model.config
    config.id2label = dict(enumerate(attributes))
    config.label2id = {name: place for place, name in config.id2label.items()}
    config.problem_type = "regression"
    try:
        # On no device: only the shell is wanted, the weights are there already.
        with torch.device("meta"):
            shell: Any = AutoModelForSequenceClassification.from_config(config)
        backbone = getattr(model, model.base_model_prefix)
        setattr(shell, shell.base_model_prefix, backbone)
        width = shell.score.weight.shape[1]
    except (ValueError, AttributeError) as error:
        raise UserError(
            f"{type(model).__name__} has no classification model that reads at the last token.",
            where="model",
            mend="Choose a family for which transformers has a ForSequenceClassification class.",
        ) from error
    # One configuration: attention is chosen in it, for backbone and shell alike.
    shell.config = backbone.config
    shell.score = ValueHead(width, attributes, seed=seed, bias=False).to(model.device)
    reward = RewardModel(install(shell.eval()), tokenizer, **fields)
    reward.pad_readably()
    return reward


def load_reward_model(name: str, *, trust_remote_code: bool = False, **fields: Any) -> RewardModel:
    """Load a reward model: a folder, or a hub id, of a sequence-classification model.

    Args:
        name: where it is.
        trust_remote_code: run model code that comes with the weights.
        fields: of `RewardModel`, instead of what is kept beside the weights.

    Raises:
        UserError: there is none, it has no head or an adapter's folder was named, or it is read
            elsewhere than at the last token.
    """
    source = resolve_source(name)
    if source.kind == "adapter":
        raise UserError(
            "an adapter alone is no reward model.", where=name, mend="Merge it with its base first."
        )
    loaded = load_model(name, dtype="auto", trust_remote_code=trust_remote_code, classifier=True)
    model: Any = loaded.model
    if not any("SequenceClassification" in kind for kind in model.config.architectures or ()):
        raise UserError(
            f"this is a {' or '.join(model.config.architectures or ['model'])}, no reward model: "
            "its head would be random.",
            where=name,
            mend="Train one on it with `accordant reward train`.",
        )
    score = getattr(model, "score", None)
    if score is None or not hasattr(score, "weight"):
        raise UserError(
            f"{type(model).__name__} has no head `score` over its last token.",
            where=name,
            mend="Take a model whose class is a ForSequenceClassification with such a head.",
        )
    names = model.config.id2label.values()
    head = ValueHead(score.weight.shape[1], [*names], bias=getattr(score, "bias", None) is not None)
    # In float32 whatever the file's format: rewards are compared by small differences.
    head.load_state_dict({key: value.float() for key, value in score.state_dict().items()})
    model.score = head.to(model.device)
    if len(names) == 1 and [*names] == ["LABEL_0"]:
        # transformers' name for a label that has none.
        model.config.id2label = {0: "reward"}
    reward = RewardModel(install(model), loaded.tokenizer, name)
    return replace(reward, **(_read_record(source.path) | fields))


def record_calibration(
    reward: RewardModel, *, temperature: float, residual_sd: tuple[float, ...]
) -> RewardModel:
    """Keep a calibration beside the weights of a loaded reward model, and return it so.

    Args:
        reward: loaded from a folder, which its name names.
        temperature: see `RewardModel`.
        residual_sd: see `RewardModel`.
    """
    calibrated = replace(reward, temperature=temperature, residual_sd=residual_sd)
    folder = resolve_source(reward.name).path
    assert folder is not None
    calibrated.write_record(folder)
    return calibrated


def _read_record(folder: Path | None) -> dict[str, Any]:
    """Return the fields that are kept beside the weights; none for other people's models."""
    file = folder / FILE if folder is not None else None
    if file is None or not file.is_file():
        return {}
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        if record["version"] != VERSION:
            raise ValueError(f"version {record['version']}, expected {VERSION}")
        return {
            "temperature": float(record["temperature"]),
            "residual_sd": tuple(record["residual_sd"]),
            "rendering": Rendering(chat=record["chat"], system_prompt=record["system_prompt"]),
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"what is kept beside the weights cannot be read ({error}).",
            where=str(file),
            mend="Restore it, or remove it to read the bare rewards.",
        ) from error


def _as_answer(prompt: Text, text: str) -> Text:
    return text if isinstance(prompt, str) else (Message("assistant", text),)
