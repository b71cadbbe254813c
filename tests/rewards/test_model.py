"""A reward model reads what other tools read: the same tokens, the same place, the same numbers."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)

from accordant.base.errors import UserError
from accordant.feedback.records import Message
from accordant.models.adapters import LoraOptions, attach_lora
from accordant.models.merging import merge_adapter
from accordant.rewards.expression import find_reward
from accordant.rewards.model import FILE, RewardModel, load_reward_model, make_reward_model
from accordant.rewards.reward import Answer, Reward, score_answers
from accordant.tokens.rendering import Rendering
from accordant.tokens.trees import TokenTree
from accordant.tokens.whole import encode_whole
from tests.families import CONFIGS
from tests.tokens.small_tokenizers import TOKENIZERS

TALK = (Message("user", "Why?"), Message("assistant", "So."), Message("user", "No!"))
ANSWERS = [
    Answer(prompt, text)
    for prompt in ("What is a quark?", TALK, "Name a colour.")
    for text in ("A particle.", "Blue, I think, and sometimes green.")
]


def make(
    tokenizer: str = "chatml",
    family: str = "llama",
    attributes: tuple[str, ...] = ("reward",),
    **fields: Any,
) -> RewardModel:
    config = CONFIGS[family].__class__(**CONFIGS[family].to_dict())
    config.vocab_size = len(TOKENIZERS[tokenizer])
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config).eval()
    return make_reward_model(model, clone(tokenizer), attributes, seed=3, **fields)


def clone(name: str) -> Any:
    return copy.deepcopy(TOKENIZERS[name])


def elsewhere(folder: Path, answers: list[Answer], side: str = "right") -> np.ndarray:
    """Score padded rows of transformers' own model, made as its users make them."""
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side=side)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    conversations = [
        [
            *(
                [{"role": "user", "content": answer.prompt}]
                if isinstance(answer.prompt, str)
                else [{"role": m.role, "content": m.content} for m in answer.prompt]
            ),
            {"role": "assistant", "content": answer.text},
        ]
        for answer in answers
    ]
    rows = tokenizer.apply_chat_template(
        conversations, return_tensors="pt", padding=True, return_dict=True
    )
    with torch.no_grad():
        return model(**rows).logits.double().numpy()


@pytest.mark.parametrize("family", ["llama", "qwen2", "gemma", "mistral", "gpt2"])
def test_a_saved_reward_gives_the_same_numbers_under_transformers(family, tmp_path) -> None:
    reward = make(family=family)
    assert isinstance(reward, Reward)
    values = score_answers(reward, ANSWERS).values
    folder = reward.save(tmp_path / "rm", card="")
    assert elsewhere(folder, ANSWERS) == pytest.approx(values, abs=1e-4)
    again = load_reward_model(str(folder))
    assert score_answers(again, ANSWERS).values == pytest.approx(values, abs=1e-4)
    assert np.ptp(values) > 0.1


@pytest.mark.parametrize("tokenizer", ["chatml", "llama3", "gemma", "mistral"])
def test_the_padding_of_a_saved_reward_never_hides_what_is_read(tokenizer, tmp_path) -> None:
    reward = make(tokenizer)
    # The usual choice, by which transformers reads one token early.
    reward.tokenizer.pad_token = reward.tokenizer.eos_token
    answers = [a for a in ANSWERS if tokenizer != "mistral" or isinstance(a.prompt, str)]
    values = score_answers(reward, answers).values
    folder = reward.save(tmp_path / "rm", card="")
    for side in ("left", "right"):
        assert elsewhere(folder, answers, side) == pytest.approx(values, abs=1e-4)


def test_several_attributes_keep_their_names(tmp_path) -> None:
    reward = make(attributes=("helpfulness", "verbosity"), temperature=2.0, residual_sd=(0.5, 1.0))
    folder = reward.save(tmp_path / "rm", card="")
    again = load_reward_model(str(folder))
    assert again.attributes == ("helpfulness", "verbosity")
    assert (again.temperature, again.residual_sd) == (2.0, (0.5, 1.0))
    values = score_answers(again, ANSWERS).values
    # What is divided by the temperature is divided here alone.
    assert elsewhere(folder, ANSWERS) == pytest.approx(2 * values, abs=1e-4)
    chosen = find_reward(f"{folder}[verbosity]")
    assert score_answers(chosen, ANSWERS).values[:, 0] == pytest.approx(values[:, 1])
    with pytest.raises(UserError, match=r"no attribute 'helpful'.*'helpfulness'"):
        find_reward(f"{folder}[helpful]")


def test_an_adapter_brings_its_head_and_merges_into_a_plain_folder(tmp_path) -> None:
    reward = make()
    start = score_answers(reward, ANSWERS).values
    adapted = attach_lora(reward.model, LoraOptions(rank=2))
    names = [name for name, weight in adapted.named_parameters() if weight.requires_grad]
    assert any("score" in name for name in names)
    assert any("lora_B" in name for name in names)
    with torch.no_grad():
        for weight in adapted.parameters():
            if weight.requires_grad:
                weight.add_(0.05)
    moved = RewardModel(adapted, reward.tokenizer)
    values = score_answers(moved, ANSWERS).values
    assert np.abs(values - start).max() > 1e-3
    merged = RewardModel(merge_adapter(adapted), reward.tokenizer)
    folder = merged.save(tmp_path / "rm", card="")
    assert elsewhere(folder, ANSWERS) == pytest.approx(values, abs=1e-4)


def test_a_language_model_is_no_reward_model(tmp_path) -> None:
    reward = make()
    folder = reward.save(tmp_path / "rm", card="")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(
        json.dumps(config | {"architectures": ["LlamaForCausalLM"]})
    )
    with pytest.raises(UserError, match="LlamaForCausalLM, no reward model"):
        load_reward_model(str(folder))


def test_a_folder_without_its_head_is_refused(tmp_path) -> None:
    from safetensors.torch import load_file, save_file

    folder = make().save(tmp_path / "rm", card="")
    weights = load_file(folder / "model.safetensors")
    del weights["score.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"1 weights are missing.*score\.weight"):
        load_reward_model(str(folder))


def test_what_lies_beside_the_weights_must_be_readable(tmp_path) -> None:
    folder = make().save(tmp_path / "rm", card="")
    (folder / FILE).write_text('{"version": 7}')
    with pytest.raises(UserError, match="version 7, expected 1"):
        find_reward(str(folder))
    (folder / FILE).unlink()
    assert load_reward_model(str(folder)).temperature == 1.0


def test_public_shapes_are_read(tmp_path) -> None:
    """One output or several, as others save them: no file of ours, a bare linear head."""
    for count in (1, 3):
        config = CONFIGS["qwen2"].__class__(**CONFIGS["qwen2"].to_dict())
        config.num_labels, config.vocab_size = count, len(TOKENIZERS["chatml"])
        config.pad_token_id = 0
        folder = tmp_path / str(count)
        torch.manual_seed(1)
        AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)
        tokenizer = clone("chatml")
        tokenizer.pad_token_id = 0
        tokenizer.save_pretrained(folder)
        reward = load_reward_model(str(folder))
        values = score_answers(reward, ANSWERS).values
        assert elsewhere(folder, ANSWERS) == pytest.approx(values, abs=1e-4)
        assert reward.attributes == (
            ("reward",) if count == 1 else ("LABEL_0", "LABEL_1", "LABEL_2")
        )


def test_a_conversation_is_read_at_the_last_token_that_its_template_writes() -> None:
    tokenizer = clone("chatml")
    (tree,) = encode_whole("What?", ["So.", "No."], tokenizer, Rendering())
    for text, rest in zip(("So.", "No."), tree.continuations, strict=True):
        messages = [{"role": "user", "content": "What?"}, {"role": "assistant", "content": text}]
        written = tokenizer.apply_chat_template(messages, return_dict=False)
        assert [*tree.prompt, *rest] == written
    # One answer that begins another still has a token of its own.
    (tree,) = encode_whole("", ["a", "a a"], tokenizer, Rendering(chat="never"))
    assert all(tree.continuations)


def test_a_text_gets_one_token_of_beginning_not_two() -> None:
    tokenizer = clone("llama3")
    (tree,) = encode_whole("What?", ["So."], tokenizer, Rendering())
    assert [*tree.prompt].count(tokenizer.bos_token_id) == 1


def test_answers_that_share_no_beginning_get_a_tree_each() -> None:
    tokenizer = clone("chatml")
    trees = encode_whole("", ["One.", "Two."], tokenizer, Rendering(chat="never"))
    assert len(trees) == 2
    assert all(isinstance(tree, TokenTree) for tree in trees)


def test_a_conversation_that_is_too_long_is_refused_and_never_cut() -> None:
    reward = make(max_tokens=24)
    with pytest.raises(UserError, match="tokens, at most 24 can be read"):
        score_answers(reward, [Answer("What?", "word " * 30)])


def test_the_reward_of_an_answer_does_not_depend_on_the_batch() -> None:
    reward = make()
    together = score_answers(reward, ANSWERS).values
    alone = [score_answers(reward, [answer]).values[0] for answer in ANSWERS]
    assert np.array(alone) == pytest.approx(together, abs=1e-5)


def test_trl_reads_the_same_accuracy_and_margin_off_a_saved_folder(tmp_path) -> None:
    """TRL 1.16's own evaluation of a reward, on conversations as its users give them."""
    pytest.importorskip("trl", reason="TRL comes with accordant[bench]")
    from datasets import Dataset
    from trl import RewardConfig, RewardTrainer

    folder = make().save(tmp_path / "rm", card="")
    reward = load_reward_model(str(folder))
    texts = [(f"Name {n} colours.", f"{n} blue.", "Green, and sometimes red.") for n in range(6)]
    rows = [
        {
            "prompt": [{"role": "user", "content": prompt}],
            "chosen": [{"role": "assistant", "content": chosen}],
            "rejected": [{"role": "assistant", "content": rejected}],
        }
        for prompt, chosen, rejected in texts
    ]
    trainer = RewardTrainer(
        model=str(folder),
        args=RewardConfig(
            str(tmp_path / "trl"),
            bf16=False,
            use_cpu=True,
            report_to=[],
            per_device_eval_batch_size=2,
            disable_dropout=True,
        ),
        train_dataset=Dataset.from_list(rows),
        eval_dataset=Dataset.from_list(rows),
    )
    metrics = trainer.evaluate()
    chosen, rejected = (
        score_answers(reward, [Answer(row[0], row[at]) for row in texts]).values[:, 0]
        for at in (1, 2)
    )
    assert metrics["eval_margin"] == pytest.approx((chosen - rejected).mean(), abs=1e-3)
    assert metrics["eval_accuracy"] == pytest.approx((chosen > rejected).mean())
    assert metrics["eval_loss"] == pytest.approx(
        np.logaddexp(0, rejected - chosen).mean(), abs=1e-3
    )
