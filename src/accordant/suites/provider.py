"""Models for inspect-ai: a folder here, or a server that speaks OpenAI's protocol.

Knows inspect-ai's messages, the rendering and samplers. Knows no suite. What is asked at the same
time is answered in one batch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessage,
    ChatMessageAssistant,
    GenerateConfig,
    ModelAPI,
    ModelOutput,
    ModelUsage,
)
from inspect_ai.tool import ToolChoice, ToolInfo

from accordant.feedback.records import Message, Text
from accordant.models.facts import read_facts
from accordant.models.loading import load
from accordant.models.settings import ModelSettings
from accordant.sampling.sampler import LocalSampler, Sampler
from accordant.sampling.samples import Sample, SamplingOptions
from accordant.sampling.server import ServerSampler
from accordant.suites.batches import Batches
from accordant.tokens.rendering import encode_prompt, end_of_turn_ids
from accordant.tokens.settings import TemplateSettings


class AccordantModels(ModelAPI):
    """A model by the name accordant knows it by, here or on a server.

    Args:
        model_name: a folder, an adapter folder, a GGUF file, a hub id or `embedded`. Beside a
            server it gives the tokenizer and the chat template.
        base_url: of an OpenAI-compatible server that answers; None loads the model here.
        api_key: of the server.
        config: inspect's defaults for sampling.
        served: name of the model on the server; `model_name` where that is empty.
        batch_size: prompts answered together.
        settings: of the model and its template, as on the command line of `accordant`.

    Raises:
        UserError: there is no such model or setting.
    """

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig = GenerateConfig(),  # noqa: B008 - inspect's own default
        served: str = "",
        batch_size: int = 16,
        **settings: Any,
    ) -> None:
        super().__init__(model_name, base_url, api_key, [], config)
        known = {
            name: settings.pop(name) for name in TemplateSettings.model_fields if name in settings
        }
        chosen = ModelSettings(model=model_name, **settings)
        self.rendering = TemplateSettings(**known).rendering()
        self.tokenizer = read_facts(chosen).tokenizer
        if self.rendering.chat_template is not None:
            self.tokenizer.chat_template = self.rendering.chat_template
        self.batch_size = batch_size
        self.sampler: Sampler = (
            LocalSampler(load(chosen).model)
            if base_url is None
            else ServerSampler(
                base_url, served or model_name, self.tokenizer, api_key=api_key or ""
            )
        )
        self.stops = end_of_turn_ids(self.tokenizer, self.rendering)
        # The sampler is looked up when asked: whoever holds the provider may exchange it.
        self.batches = Batches[tuple[int, ...], list[Sample]](
            lambda prompts, options: self.sampler.sample(prompts, options), batch_size
        )
        self.seen: Counter[tuple[int, ...]] = Counter()

    def max_connections(self) -> int:
        """Return how many prompts may wait at the same time: those of a batch."""
        return self.batch_size

    async def generate(
        self,
        input: list[ChatMessage],
        tools: list[ToolInfo],
        tool_choice: ToolChoice,  # noqa: ARG002 - inspect's call
        config: GenerateConfig,
    ) -> ModelOutput:
        """Answer a conversation; says how many tokens it took, or inspect would have to guess.

        Raises:
            ValueError: tools are offered, which models here are not taught to call.
        """
        if tools:
            raise ValueError("accordant's models are asked without tools")
        prompt = encode_prompt(_to_text(input), self.tokenizer, self.rendering)
        (sample,) = await self.batches.ask(prompt, self._options(prompt, config))
        text = str(self.tokenizer.decode(list(sample.tokens), skip_special_tokens=True)).strip()
        message = ChatMessageAssistant(content=text, model=self.model_name, source="generate")
        reason: Any = "stop" if sample.finished else "max_tokens"
        read, written = len(prompt), len(sample.completion)
        usage = ModelUsage(input_tokens=read, output_tokens=written, total_tokens=read + written)
        choice = ChatCompletionChoice(message=message, stop_reason=reason)
        return ModelOutput(model=self.model_name, choices=[choice], usage=usage)

    def _options(self, prompt: tuple[int, ...], config: GenerateConfig) -> SamplingOptions:
        # The same prompt again (epochs, several turns) is to get another sample.
        seed = (config.seed or 0) + self.seen[prompt]
        self.seen[prompt] += 1
        given = {"max_new_tokens": config.max_tokens}
        given |= {name: getattr(config, name) for name in ("temperature", "top_p", "top_k")}
        chosen: dict[str, Any] = {name: v for name, v in given.items() if v is not None}
        return SamplingOptions(seed=seed, stop_ids=self.stops, batch_size=self.batch_size, **chosen)


def _to_text(messages: Sequence[ChatMessage]) -> Text:
    """Return messages as a text; a single one of a user as it is, to be rendered as a prompt."""
    if len(messages) == 1 and messages[0].role == "user":
        return messages[0].text
    return tuple(Message(message.role, message.text) for message in messages)
