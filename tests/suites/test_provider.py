"""Our models under inspect-ai: their answers are those of the sampler, here and behind a server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

pytest.importorskip("inspect_ai", reason="needs the extra accordant[eval]")

from inspect_ai.model import ChatMessageSystem, ChatMessageUser, GenerateConfig, get_model
from transformers import AutoModelForCausalLM, LlamaConfig

from accordant.feedback.records import Message
from accordant.sampling.sampler import LocalSampler
from accordant.sampling.samples import SamplingOptions
from accordant.suites.registry import get_suite
from accordant.tokens.rendering import encode_prompt
from tests.sampling.test_server import server  # noqa: F401 - a fixture
from tests.suites.test_inspection import run
from tests.tokens.small_tokenizers import TOKENIZERS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model with a chat template, as it lies on a disk."""
    path = tmp_path_factory.mktemp("model")
    tokenizer = TOKENIZERS["chatml"]
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=512,
        initializer_range=0.3,
    )
    AutoModelForCausalLM.from_config(config).save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


def load(folder: Path, **settings: Any) -> Any:
    return get_model(f"accordant/{folder}", memoize=False, precision="float32", **settings)


def ask(model: Any, conversations: list[Any], **config: Any) -> list[Any]:
    """All answers, asked for at the same time."""
    outputs: dict[int, Any] = {}

    async def one(place: int) -> None:
        outputs[place] = await model.generate(conversations[place], config=GenerateConfig(**config))

    async def everything() -> None:
        async with anyio.create_task_group() as group:
            for place in range(len(conversations)):
                group.start_soon(one, place)

    anyio.run(everything)
    return [outputs[place] for place in range(len(conversations))]


def test_answers_are_the_samplers_with_their_counts(folder: Path) -> None:
    model = load(folder)
    asked = [
        "Hello there",
        [ChatMessageSystem(content="Be brief."), ChatMessageUser(content="What is a quark?")],
    ]
    outputs = ask(model, asked, max_tokens=7, seed=5)
    api = model.api
    texts = ["Hello there", (Message("system", "Be brief."), Message("user", "What is a quark?"))]
    prompts = [encode_prompt(text, api.tokenizer, api.rendering) for text in texts]
    options = SamplingOptions(7, seed=5, stop_ids=api.stops)
    for output, prompt in zip(outputs, prompts, strict=True):
        ((sample,),) = LocalSampler(api.sampler.stepper).sample([prompt], options)
        text = api.tokenizer.decode(list(sample.tokens), skip_special_tokens=True).strip()
        assert output.completion == text
        assert output.usage.input_tokens == len(prompt)
        assert output.usage.output_tokens == len(sample.completion)
        assert output.stop_reason == ("stop" if sample.finished else "max_tokens")


def test_what_waits_together_is_answered_together(folder: Path) -> None:
    model = load(folder, batch_size=4)
    batches = []
    sample = model.api.sampler.sample
    model.api.sampler.sample = lambda prompts, options: (
        batches.append(len(prompts)),
        sample(prompts, options),
    )[1]
    ask(model, [f"question {i}" for i in range(9)], max_tokens=2)
    assert sum(batches) == 9
    assert max(batches) == 4
    assert len(batches) <= 4


def test_the_same_question_again_gets_another_sample(folder: Path) -> None:
    model = load(folder)
    outputs = ask(model, ["same"] * 6, max_tokens=8)
    assert len({output.completion for output in outputs}) > 1


def test_a_suite_runs_on_a_folder(folder: Path, tmp_path: Path) -> None:
    questions = tmp_path / "q.jsonl"
    questions.write_text('{"question": "a?", "answers": ["a"]}\n{"question": "b?"}\n')
    _, numbers = run(get_suite("honesty"), load(folder), tmp_path, questions=str(questions))
    assert numbers["correct"] + numbers["wrong"] + numbers["refused"] == pytest.approx(1)


def test_a_server_answers_with_the_tokenizer_of_the_folder(folder: Path, server: Any) -> None:  # noqa: F811
    url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    model = load(folder, base_url=url, served="tiny", api_key="k", chat="never")
    (output,) = ask(model, ["ab"], max_tokens=3)
    ((_, body, key),) = server.asked
    assert body["model"] == "tiny"
    assert body["prompt"] == list(model.api.tokenizer("ab", add_special_tokens=False)["input_ids"])
    assert key == "Bearer k"
    assert output.usage.output_tokens == 3
