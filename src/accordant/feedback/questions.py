"""The question within a prompt: its plain text, or the last user message of its conversation.

Knows texts. Knows nothing of tokens, templates or models.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from accordant.base.errors import UserError
from accordant.feedback.records import Text


def rewrite_question(prompt: Text, rewritten: Callable[[str], str]) -> Text:
    """Return the prompt with its question rewritten, and all else as it was.

    Raises:
        UserError: a conversation without a user message.
    """
    if isinstance(prompt, str):
        return rewritten(prompt)
    users = [place for place, message in enumerate(prompt) if message.role == "user"]
    if not users:
        raise UserError("the prompt has no user message that anything could be put into.")
    last = users[-1]
    message = replace(prompt[last], content=rewritten(prompt[last].content))
    return (*prompt[:last], message, *prompt[last + 1 :])
