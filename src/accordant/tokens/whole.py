"""Finished conversations in tokens, to the last one that the chat template writes.

Knows prompts, answers and tokenizers. Knows nothing of models. Training ends an answer with its
end-of-turn token; what reads a whole conversation, as reward models do, stands on the template's
last token, which may come after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from accordant.base.errors import UserError
from accordant.feedback.records import Message, Text, flat
from accordant.tokens.template import Rendering, apply_template, read_format
from accordant.tokens.tokenizing import token_ids
from accordant.tokens.trees import TokenTree

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def encode_whole(
    prompt: Text,
    answers: Sequence[Text],
    tokenizer: PreTrainedTokenizerBase,
    rendering: Rendering,
    max_tokens: int | None = None,
) -> tuple[TokenTree, ...]:
    """Encode answers with their prompt, as `apply_chat_template` writes finished conversations.

    Plain text gets the tokenizer's special tokens and an end-of-turn token.

    Args:
        prompt: what was asked.
        answers: one at least.
        tokenizer: of the model that reads.
        rendering: how texts become one.
        max_tokens: of a prompt with one answer; None for no limit.

    Returns:
        One tree with all answers, or a tree for each where they do not begin alike. The last token
        of a continuation is where its answer is read.

    Raises:
        UserError: a conversation is longer, or the template refuses it.
    """
    form = read_format(tokenizer, rendering)
    if form.chat:
        texts = []
        for answer in answers:
            asked, answered = (
                (Message(role, text),) if isinstance(text, str) else text
                for role, text in (("user", prompt), ("assistant", answer))
            )
            turns = (*asked, *answered)
            texts.append(apply_template(turns, tokenizer, rendering, for_answer=False))
        # The template writes its own first token: the tokenizer would put another before it.
        wholes = [tuple(ids) for ids in token_ids(texts, tokenizer)]
    else:
        texts = [flat(prompt) + flat(answer) for answer in answers]
        ids = token_ids(texts, tokenizer)
        wholes = [(*form.prefix, *tokens, form.end_id) for tokens in ids]
    longest = max(map(len, wholes))
    if max_tokens is not None and longest > max_tokens:
        # Cut short, an answer would be read where it is not finished: a number, but of nothing.
        raise UserError(
            f"a conversation has {longest:,} tokens, at most {max_tokens:,} can be read.",
            where=f"prompt beginning {flat(prompt)[:60]!r}",
            mend="Leave it out, or raise --max-length where the model has room.",
        )
    # What the first and the last in order share, all do.
    ends = zip(min(wholes), max(wholes), strict=False)
    equal = next((at for at, (one, other) in enumerate(ends) if one != other), longest)
    # What is read needs a token of its own, even where one answer begins another.
    shared = min(equal, *(len(whole) - 1 for whole in wholes))
    if not shared:
        return tuple(TokenTree(whole[:-1], (whole[-1:],)) for whole in wholes)
    return (TokenTree(wholes[0][:shared], tuple(whole[shared:] for whole in wholes)),)
