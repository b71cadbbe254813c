"""Settings that say how records become text and how long they may be.

Knows names, ranges and defaults, and reads the template's file. Knows nothing of tokenizers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from accordant.base.errors import UserError
from accordant.base.settings import Settings, setting
from accordant.tokens.template import Rendering

DATA = "Data"


class TemplateSettings(Settings):
    """Settings of rendering: the chat template, what it is told, and the longest example."""

    chat: Literal["auto", "always", "never"] = setting(
        "auto",
        "Whether plain prompts go through the chat template as user messages: where there is one, "
        "always, or never (text is kept as it is).",
        panel=DATA,
    )
    chat_template: Path | None = setting(
        None,
        "Jinja file to use, and to save with the model, instead of the tokenizer's own template.",
        panel=DATA,
        default_text="the tokenizer's",
    )
    system_prompt: str | None = setting(
        None,
        "System message of conversations that have none of their own.",
        panel=DATA,
        default_text="the chat template's",
    )
    end_of_turn: str | None = setting(
        None,
        "Token that ends an answer.",
        panel=DATA,
        default_text="what the chat template writes after one",
    )
    judgment_prompt: str | None = setting(
        None,
        "How a judgment enters the prompt: a text that holds `{prompt}` and `{judgment}`.",
        panel=DATA,
        default_text="the judgment in a sentence, then the prompt",
    )
    max_length: int | None = setting(
        None,
        "Longest allowed example: prompt and one answer, in tokens.",
        panel=DATA,
        default_text="what the model can read",
        ge=2,
    )

    def rendering(self) -> Rendering:
        """Return how records become text; reads the template's file.

        Raises:
            UserError: the file cannot be read, or the wording of judgments lacks a place.
        """
        template = None
        if self.chat_template is not None:
            try:
                template = self.chat_template.read_text(encoding="utf-8")
            except (OSError, ValueError) as error:
                raise UserError(
                    f"the chat template cannot be read ({error}).",
                    where=str(self.chat_template),
                    mend="Give a text file that holds the template.",
                ) from None
        wording = {"judgment_prompt": self.judgment_prompt} if self.judgment_prompt else {}
        return Rendering(self.system_prompt, self.chat, template, self.end_of_turn, **wording)
