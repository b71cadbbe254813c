"""A judgment in words, written into the prompt of the answer it judges.

Knows texts. Knows nothing of tokens, templates or models.
"""

from __future__ import annotations

import re

from accordant.base.errors import UserError
from accordant.feedback.questions import rewrite_question
from accordant.feedback.records import Text

JUDGMENT_PROMPT = "Your answer was judged as follows: {judgment}\n\n{prompt}"


def with_judgment(prompt: Text, judgment: str, wording: str) -> Text:
    """The prompt with the judgment of its answer, in its last user message or in its plain text.

    Args:
        prompt: plain or conversational.
        judgment: feedback in words.
        wording: a text that holds `{prompt}` and `{judgment}` once each.

    Raises:
        UserError: a conversation without a user message.
    """
    return rewrite_question(prompt, lambda question: _filled(wording, question, judgment))


def check_wording(wording: str) -> None:
    """Raise unless `wording` holds `{prompt}` and `{judgment}` once each."""
    found = {place: wording.count(place) for place in ("{prompt}", "{judgment}")}
    if set(found.values()) != {1}:
        shown = ", ".join(f"{place} {count} times" for place, count in found.items())
        raise UserError(
            f"found {shown}, expected each once.",
            where="--judgment-prompt",
            mend="Write for example: " + repr(JUDGMENT_PROMPT),
        )


def _filled(wording: str, prompt: str, judgment: str) -> str:
    # In one pass: a prompt may itself hold the text `{judgment}`.
    texts = {"prompt": prompt, "judgment": judgment.strip()}
    return re.sub(r"\{(prompt|judgment)\}", lambda place: texts[place[1]], wording)
