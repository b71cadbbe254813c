"""How the settings of a verb say that records become text."""

from __future__ import annotations

from accordant.base.errors import UserError
from accordant.checks.settings import CheckConfig
from accordant.tokens.rendering import JUDGMENT_PROMPT, Rendering
from accordant.training.settings import AlignConfig


def rendering_of(config: AlignConfig | CheckConfig) -> Rendering:
    """How records become text, as the settings say; reads the template's file.

    Raises:
        UserError: the template's file cannot be read.
    """
    template = None
    if config.chat_template is not None:
        try:
            template = config.chat_template.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise UserError(
                f"the chat template cannot be read ({error}).",
                where=str(config.chat_template),
                mend="Give a text file that holds the template.",
            ) from None
    wording = config.judgment_prompt or JUDGMENT_PROMPT
    return Rendering(config.system_prompt, config.chat, template, config.end_of_turn, wording)
