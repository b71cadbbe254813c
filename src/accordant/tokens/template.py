"""How one tokenizer and one rendering write a conversation: template, start and end of a turn.

Knows chat templates and special tokens. Knows nothing of records, files or models. The end-of-turn
token is decided here and nowhere else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from accordant.base.errors import UserError
from accordant.feedback.conversations import common_length
from accordant.feedback.kinds.judgment import JUDGMENT_PROMPT, check_wording
from accordant.feedback.records import Message

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# Stands for an answer while a template is studied; no template contains it by chance.
PROBE = "accordantprobe"
THOUGHT = "accordantthought"
END_OF_THOUGHT = "</think>"


@dataclass(frozen=True, slots=True)
class Rendering:
    """How records become text.

    Args:
        system_prompt: put before conversations that have no system message of their own.
        chat: `auto` uses the chat template where the tokenizer has one (plain prompts become user
            messages), `always` refuses a tokenizer without one, `never` keeps plain text as it is.
        chat_template: Jinja source to use instead of the tokenizer's own.
        end_of_turn: token that ends an answer, instead of the one the template writes.
        judgment_prompt: how a judgment enters the prompt it is read with: a text that holds
            `{prompt}` (the prompt, or its last user message) and `{judgment}` once each. The
            prompt stands last by default, so that the answer follows the same text with and
            without the judgment and is tokenised alike.

    Raises:
        UserError: `judgment_prompt` lacks a place, or has one twice.
    """

    system_prompt: str | None = None
    chat: Literal["auto", "always", "never"] = "auto"
    chat_template: str | None = None
    end_of_turn: str | None = None
    judgment_prompt: str = JUDGMENT_PROMPT

    def __post_init__(self) -> None:
        check_wording(self.judgment_prompt)

    @property
    def fingerprint(self) -> str:
        """Hex digest that changes with any option."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Format:
    """What a tokenizer and a rendering come to.

    Args:
        tokenizer: of transformers.
        rendering: how records become text.
        chat: whether a chat template is applied; otherwise text is kept as it is.
        end_id: token id that ends an answer.
        end_text: that token as text.
        end_strips_left: whether the token swallows white space before it.
        writes_end: whether the template itself writes that token.
        tail: text the template writes after an answer, from that token on.
        surplus: end of the generation prompt that whole conversations do not have.
        opening: text the template writes before every answer, such as an empty thought.
        drops_thoughts: whether the template leaves `<think>...</think>` out of answers.
        border: last special token of the generation prompt, text and id; what follows it is
            tokenised alike with and without what stands before it.
        prefix: token ids the tokenizer puts before every text (BOS), for text kept as it is.
        start: token ids that stand for an empty prompt, for text kept as it is.
    """

    tokenizer: PreTrainedTokenizerBase
    rendering: Rendering
    chat: bool
    end_id: int
    end_text: str
    end_strips_left: bool = False
    writes_end: bool = True
    tail: str = ""
    surplus: str = ""
    opening: str = ""
    drops_thoughts: bool = False
    border: tuple[str, int] | None = None
    prefix: tuple[int, ...] = ()
    start: tuple[int, ...] = ()

    @property
    def stop_ids(self) -> tuple[int, ...]:
        """Token ids that generation stops at: `end_id`, and `eos_token` where that is another."""
        eos = self.tokenizer.eos_token_id
        return (self.end_id,) if eos in (None, self.end_id) else (self.end_id, int(eos))


def end_of_turn_ids(tokenizer: PreTrainedTokenizerBase, rendering: Rendering) -> tuple[int, ...]:
    """Return token ids that end an answer: the first is trained, generation stops at any of them.

    The trained one is, in this order: `rendering.end_of_turn`; the first special token that the
    chat template writes after an assistant message; the tokenizer's `eos_token`.

    Raises:
        UserError: there is no such token, or the chat template fails.
    """
    return read_format(tokenizer, rendering).stop_ids


def read_format(tokenizer: PreTrainedTokenizerBase, rendering: Rendering) -> Format:
    """Study how `tokenizer` and `rendering` begin and end an answer.

    Raises:
        UserError: options that contradict each other or the tokenizer, or a template that fails.
    """
    if applies_template(tokenizer, rendering):
        return _read_chat_format(tokenizer, rendering)
    if rendering.system_prompt is not None:
        raise UserError(
            "text that is kept as it is has no place for a system prompt.",
            where="--system-prompt",
            mend="Use a chat template (`--chat always`), or leave the system prompt out.",
        )
    end_id = _find_end(tokenizer, rendering)
    prefix = _read_prefix(tokenizer)
    start = next(
        (i for i in (tokenizer.bos_token_id, tokenizer.eos_token_id) if i is not None), end_id
    )
    return Format(
        tokenizer,
        rendering,
        chat=False,
        end_id=end_id,
        end_text=str(tokenizer.convert_ids_to_tokens(end_id)),
        prefix=prefix,
        start=prefix or (int(start),),
    )


def applies_template(tokenizer: PreTrainedTokenizerBase, rendering: Rendering) -> bool:
    """Tell whether records go through a chat template.

    Raises:
        UserError: `chat="always"` without a template.
    """
    if rendering.chat == "never":
        return False
    if rendering.chat_template or tokenizer.chat_template:
        return True
    if rendering.chat == "always":
        raise no_template("--chat always")
    return False


def no_template(where: str) -> UserError:
    """Return the error for conversations that no template can write."""
    return UserError(
        "the tokenizer has no chat template to write conversations with.",
        where=where,
        mend="Choose an instruction-tuned model, give a template with `--chat-template FILE`, or "
        "give prompt and completion as plain strings.",
    )


def apply_template(
    messages: Sequence[Message],
    tokenizer: PreTrainedTokenizerBase,
    rendering: Rendering,
    *,
    for_answer: bool,
) -> str:
    """Write a conversation with the chat template, `for_answer` up to where an answer begins.

    Raises:
        UserError: the template refuses the conversation.
    """
    turns = [{"role": message.role, "content": message.content} for message in messages]
    if rendering.system_prompt is not None and (not turns or turns[0]["role"] != "system"):
        turns.insert(0, {"role": "system", "content": rendering.system_prompt})
    try:
        text = tokenizer.apply_chat_template(
            turns,
            tokenize=False,
            add_generation_prompt=for_answer,
            chat_template=rendering.chat_template,
        )
    except Exception as error:  # templates raise what they like; all of it is about the template
        roles = ", ".join(turn["role"] for turn in turns)
        raise UserError(
            f"the chat template refuses a conversation of the roles {roles}: {error}.",
            mend="Leave out the roles it does not know (often `system`), or give another template "
            "with `--chat-template FILE`.",
        ) from None
    return str(text)


def _read_chat_format(tokenizer: PreTrainedTokenizerBase, rendering: Rendering) -> Format:
    question = [Message("user", "question")]
    prompt = apply_template(question, tokenizer, rendering, for_answer=True)
    bare = apply_template(question, tokenizer, rendering, for_answer=False)
    answered = [*question, Message("assistant", PROBE)]
    whole = apply_template(answered, tokenizer, rendering, for_answer=False)
    before, is_written, rest = whole.rpartition(PROBE)
    if not is_written:
        raise UserError(
            "the chat template does not write what the assistant says.",
            where="--chat-template",
            mend="Give a template that writes the content of every message.",
        )
    # What the generation prompt has beyond this, such as an opened thought, is not in whole
    # conversations, and so cannot stand before answers that are trained.
    header = prompt[: common_length(prompt, before)]
    # Phi-3's template ends whatever is no generation prompt with the end of the text.
    if not header.startswith(bare.removesuffix(tokenizer.eos_token or "")):
        raise rewrites_history()
    thinking = Message("assistant", f"<think>\n{THOUGHT}\n{END_OF_THOUGHT}\n\n{PROBE}")
    thought = apply_template([*question, thinking], tokenizer, rendering, for_answer=False)
    end_id = _find_end(tokenizer, rendering, rest)
    end_text = str(tokenizer.convert_ids_to_tokens(end_id))
    added: Any = tokenizer.added_tokens_decoder.get(end_id)
    return Format(
        tokenizer,
        rendering,
        chat=True,
        end_id=end_id,
        end_text=end_text,
        end_strips_left=bool(added is not None and added.lstrip),
        writes_end=end_text in rest,
        tail=rest,
        surplus=prompt[len(header) :],
        opening=before[len(header) :],
        drops_thoughts=THOUGHT not in thought,
        border=_find_border(tokenizer, header),
    )


def _find_border(tokenizer: PreTrainedTokenizerBase, header: str) -> tuple[str, int] | None:
    """Find the last special token of `header` that cuts text whatever stands around it."""
    places = [
        (header.rfind(token.content), token.content, int(token_id))
        for token_id, token in tokenizer.added_tokens_decoder.items()
        # A token that is normalised or takes blanks with it may be read otherwise in another place.
        if not (token.normalized or token.single_word or token.lstrip)
    ]
    place, text, token_id = max(places, default=(-1, "", 0))
    return (text, token_id) if place >= 0 else None


def rewrites_history() -> UserError:
    """Return the error for a template whose text of a prompt changes once the answer follows."""
    return UserError(
        "the chat template writes the prompt differently once the answer follows it, so no place "
        "separates the two (templates that drop or move earlier thinking do this).",
        mend="Remove from earlier turns what the template drops, give a template that keeps the "
        "history with `--chat-template FILE`, or give plain text with `--chat never`.",
    )


def _find_end(tokenizer: PreTrainedTokenizerBase, rendering: Rendering, rest: str = "") -> int:
    """Find the id of the token that ends an answer, of which `rest` is what a template writes."""
    if rendering.end_of_turn is not None:
        ids = tokenizer(rendering.end_of_turn, add_special_tokens=False)["input_ids"]
        if len(ids) != 1:
            raise UserError(
                f"'{rendering.end_of_turn}' is {len(ids)} tokens, expected one.",
                where="--end-of-turn",
                mend=f"Name a special token, such as {tokenizer.eos_token or '<|im_end|>'}.",
            )
        return int(ids[0])
    special = {*tokenizer.all_special_ids, *tokenizer.added_tokens_decoder}
    # An unknown word is no end, but where tokenizers give both one id (GPT-2's <|endoftext|>).
    special -= {tokenizer.unk_token_id} - {tokenizer.eos_token_id}
    written = tokenizer(rest, add_special_tokens=False)["input_ids"]
    end_id = next((i for i in written if i in special), tokenizer.eos_token_id)
    if end_id is None:
        raise UserError(
            "the tokenizer has no end-of-sequence token, so answers would never end.",
            mend="Name a token that ends an answer with `--end-of-turn TOKEN`.",
        )
    return int(end_id)


def _read_prefix(tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """Return the special tokens the tokenizer puts before a text; those after it are left out."""
    bare, full = (
        list(tokenizer("a", add_special_tokens=added)["input_ids"]) for added in (False, True)
    )
    for start in range(len(full) - len(bare) + 1):
        if full[start : start + len(bare)] == bare:
            return tuple(map(int, full[:start]))
    return ()
