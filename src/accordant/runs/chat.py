"""A conversation with a model: history, commands and the terminal loop.

Knows messages, how they are rendered, and streams of text. Knows nothing of options' names on the
command line; input and output are functions that are handed in.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from accordant.base.errors import UserError
from accordant.feedback.records import Message, Text
from accordant.models.loading import LoadedModel, load_model
from accordant.runs.settings import ChatConfig
from accordant.sampling.samples import SamplingOptions
from accordant.sampling.streaming import ResumingStepper, stream
from accordant.tokens.rendering import Rendering, applies_template, encode_prompt, end_of_turn_ids

if TYPE_CHECKING:
    from rich.console import Console

LEAST_ROOM = 16
"""Tokens an answer needs; with less room left in the model's positions the conversation is full."""

HELP = """\
/reset          forget the conversation
/system TEXT    set the system message and start over; without TEXT, the chat template's own
/quit           leave (also Ctrl-D); Ctrl-C stops an answer
/help           this list"""


@dataclass
class ChatSession:
    """One conversation."""

    loaded: LoadedModel
    # how answers are sampled; its stop tokens are completed by the chat template's
    options: SamplingOptions
    # how messages become text; holds the system message
    rendering: Rendering = field(default_factory=Rendering)
    # messages so far, without the system message
    history: list[Message] = field(default_factory=list)

    @cached_property
    def stepper(self) -> ResumingStepper:
        """Who answers: it keeps keys and values as far as the next prompt agrees with the last."""
        return ResumingStepper(self.loaded.model)

    @property
    def has_template(self) -> bool:
        """Whether messages are rendered; a model without chat template continues plain text."""
        return applies_template(self.loaded.tokenizer, self.rendering)

    def reset(self) -> None:
        """Forget the messages."""
        self.history.clear()

    def set_system(self, text: str | None) -> None:
        """Start over with another system message; None is the chat template's own.

        Raises:
            UserError: the chat template knows no system message; the old one stays.
        """
        rendering = replace(self.rendering, system_prompt=text)
        end_of_turn_ids(self.loaded.tokenizer, rendering)
        self.rendering = rendering
        self.reset()

    def answer(self, text: str) -> Iterator[str]:
        """Say something and stream what the model answers.

        The exchange enters the history when the stream ends, also when it is closed early: then
        with what was said so far. A model without chat template sees `text` alone.

        Raises:
            UserError: the conversation does not fit the model's positions, or the template refuses
                it; the history is as before.
        """
        asked = [*self.history, Message("user", text)]
        prompt: Text = tuple(asked) if self.has_template else text
        tokens = encode_prompt(prompt, self.loaded.tokenizer, self.rendering)
        options, turn = self._fit(len(tokens)), len(self.history) // 2
        pieces = stream(self.stepper, self.loaded.tokenizer, tokens, options, ordinal=turn)
        return self._record(asked, pieces)

    def _record(self, asked: list[Message], pieces: Iterator[str]) -> Iterator[str]:
        """Pass pieces on; whichever way the stream ends, the exchange enters the history."""
        answer = ""
        try:
            for piece in pieces:
                answer += piece
                yield piece
        finally:
            if answer:
                self.history = [*asked, Message("assistant", answer)]

    def _fit(self, prompt_tokens: int) -> SamplingOptions:
        """Return the options with stop tokens, and no more new tokens than there are positions."""
        # Models end a turn by their own tokens too, whatever the chat template writes.
        configured = getattr(self.loaded.model.generation_config, "eos_token_id", None)
        known = configured if isinstance(configured, list) else [configured]
        written = end_of_turn_ids(self.loaded.tokenizer, self.rendering)
        ids = dict.fromkeys((*self.options.stop_ids, *written, *known))
        most, limit = self.options.max_new_tokens, self.stepper.positions
        if limit is not None:
            most = min(most, limit - prompt_tokens)
            if limit - prompt_tokens < LEAST_ROOM:
                raise UserError(
                    f"the conversation has {prompt_tokens} tokens, the model {limit} positions.",
                    mend="Start over with /reset.",
                )
        stop_ids = tuple(token for token in ids if token is not None)
        return replace(self.options, max_new_tokens=most, stop_ids=stop_ids)


def run_command(session: ChatSession, line: str) -> str | None:
    """Do what a line that starts with '/' says.

    Returns:
        what to tell the user; None to leave.
    """
    name, _, rest = line[1:].partition(" ")
    match name:
        case "quit" | "exit":
            return None
        case "help":
            return HELP
        case "reset":
            session.reset()
            return "The conversation is forgotten."
        case "system":
            text = rest.strip() or None
            session.set_system(text)
            whose = "this" if text else "the chat template's"
            return f"The conversation starts over with {whose} system message."
    return f"There is no command /{name}; /help lists them."


def talk(session: ChatSession, read: Callable[[], str], write: Callable[[str], None]) -> None:
    """Read a line, answer it, and so on, until /quit or the end of the input.

    Args:
        session: the conversation.
        read: returns the next line; EOFError ends the conversation.
        write: shows a piece of text at once, without adding a line break.
    """
    while True:
        try:
            line = read().strip()
        except (EOFError, KeyboardInterrupt):
            write("\n")
            return
        try:
            if line.startswith("/"):
                reply = run_command(session, line)
                if reply is None:
                    return
                write(reply + "\n")
            elif line:
                _say(session, line, write)
        except UserError as error:
            write(f"{error}\n")


def _say(session: ChatSession, line: str, write: Callable[[str], None]) -> None:
    pieces = session.answer(line)
    try:
        for piece in pieces:
            write(piece)
        write("\n")
    except KeyboardInterrupt:
        write(" [stopped]\n")
    finally:
        # So that what was shown enters the history, and the next prompt builds on it.
        with suppress(AttributeError):
            pieces.close()  # type: ignore[attr-defined]


def run_chat(
    model: str | None, settings: ChatConfig | None = None, *, console: Console | None = None
) -> None:
    """Load a model and talk to it in the terminal, or answer once.

    One answer is given to the settings' `prompt`, or to the whole standard input where that is no
    terminal; otherwise lines are read until /quit.

    Args:
        model: as for `load_model`.
        settings: of sampling, the system message, and of fetching the model.
        console: where to write; None is standard output.

    Raises:
        UserError: the model cannot be loaded, or there is nothing to answer.
    """
    settings = settings or ChatConfig()
    prompt = settings.prompt
    if prompt is None and not sys.stdin.isatty():
        prompt = sys.stdin.read()
    if prompt is not None and not prompt.strip():
        raise UserError("there is nothing to answer.", where="prompt", mend="Write a message.")
    names = ("max_new_tokens", "temperature", "top_p", "top_k", "seed")
    options = SamplingOptions(**{name: getattr(settings, name) for name in names})
    loaded = load_model(
        model, revision=settings.revision, trust_remote_code=settings.trust_remote_code
    )
    session = ChatSession(loaded, options)
    if settings.system is not None:
        session.set_system(settings.system)

    def write(text: str) -> None:
        if console is None:
            print(text, end="", flush=True)  # noqa: T201
        else:
            console.out(text, end="", highlight=False)
            console.file.flush()

    if prompt is not None:
        _say(session, prompt.strip(), write)
        return
    write(f"{loaded.source.name}. /help lists the commands, /quit leaves.\n")
    if not session.has_template:
        write("The model has no chat template: it continues each line as plain text.\n")
    talk(session, lambda: input("> "), write)
