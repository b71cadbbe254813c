"""Conversations over a tiny model: history, commands, and what happens when they do not fit."""

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast

from accordant.base.errors import UserError
from accordant.feedback.records import Message
from accordant.models.loading import LoadedModel
from accordant.models.sources import ModelSource
from accordant.runs.chat import HELP, ChatSession, run_command, talk
from accordant.sampling.samples import SamplingOptions
from accordant.tokens.rendering import Rendering, encode_prompt
from tests.drawing import draw

TEMPLATE = (
    "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}<end>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
SPECIAL = ["<end>", "<user>", "<assistant>", "<system>"]


def loaded_model(*, template=TEMPLATE, positions=400):
    letters = [*map(chr, range(97, 123)), *"? 0123456789"]
    vocabulary = {t: i for i, t in enumerate([*SPECIAL, *letters, "<unk>"])}
    core = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    core.decoder = decoders.Fuse()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        eos_token="<end>",
        unk_token="<unk>",
        additional_special_tokens=SPECIAL[1:],
        chat_template=template,
    )
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=positions,
        bos_token_id=None,
        eos_token_id=0,
        initializer_range=0.3,
    )
    model = AutoModelForCausalLM.from_config(config).eval()
    return LoadedModel(model, tokenizer, ModelSource("tiny", "folder"))


OPTIONS = SamplingOptions(max_new_tokens=15, seed=2)


def test_an_answer_is_sampled_from_the_rendered_conversation():
    loaded = loaded_model()
    session = ChatSession(loaded, OPTIONS)
    history = []
    for turn, text in enumerate(["hello?", "and now", "again"]):
        said = "".join(session.answer(text))
        history.append(Message("user", text))
        tokens = encode_prompt(tuple(history), loaded.tokenizer, Rendering())
        options = SamplingOptions(
            max_new_tokens=15, seed=2, stop_ids=(0,), samples_per_prompt=turn + 1
        )
        expected = draw(loaded.model, [tokens], options)[turn]
        assert said == loaded.tokenizer.decode(expected.tokens, skip_special_tokens=True)
        if said:
            history.append(Message("assistant", said))
        else:
            history.pop()
        assert session.history == history


def test_the_same_question_is_answered_anew_in_a_later_turn_only():
    loaded = loaded_model()
    first = "".join(ChatSession(loaded, OPTIONS).answer("hello?"))
    assert "".join(ChatSession(loaded, OPTIONS).answer("hello?")) == first
    session = ChatSession(loaded, OPTIONS)
    list(session.answer("hello?"))
    session.reset()
    assert session.history == []
    assert "".join(session.answer("hello?")) == first


def test_a_system_message_changes_the_prompt_and_starts_over():
    session = ChatSession(loaded_model(), OPTIONS)
    plain = "".join(session.answer("hello?"))
    told = run_command(session, "/system be brief")
    assert "system message" in told
    assert session.history == []
    assert session.rendering.system_prompt == "be brief"
    assert "".join(session.answer("hello?")) != plain
    run_command(session, "/system")
    assert "".join(session.answer("hello?")) == plain


def test_a_template_without_system_messages_keeps_the_old_conversation():
    template = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no') }}{% endif %}"
    session = ChatSession(loaded_model(template=template + TEMPLATE), OPTIONS)
    list(session.answer("hello?"))
    before = list(session.history)
    with pytest.raises(UserError, match="template refuses"):
        session.set_system("be brief")
    assert session.history == before
    assert session.rendering.system_prompt is None


def test_a_stopped_answer_stays_in_the_history_as_far_as_it_was_said():
    session = ChatSession(loaded_model(), OPTIONS)
    pieces = session.answer("hello?")
    said = next(pieces) + next(pieces)
    pieces.close()
    assert session.history == [Message("user", "hello?"), Message("assistant", said)]


def test_a_full_conversation_is_refused_and_stays_as_it_was():
    session = ChatSession(loaded_model(positions=80), OPTIONS)
    list(session.answer("hello?"))
    before = list(session.history)
    with pytest.raises(UserError, match="/reset"):
        session.answer("x" * 70)
    assert session.history == before


def test_an_answer_is_shortened_to_the_room_there_is():
    session = ChatSession(loaded_model(positions=60), SamplingOptions(max_new_tokens=500))
    said = "".join(session.answer("hello?"))
    assert len(said) <= 60


def test_a_model_without_template_continues_plain_text():
    loaded = loaded_model(template=None)
    session = ChatSession(loaded, OPTIONS)
    assert not session.has_template
    said = "".join(session.answer("hello"))
    ids = loaded.tokenizer("hello", add_special_tokens=False)["input_ids"]
    options = SamplingOptions(max_new_tokens=15, seed=2, stop_ids=(0,))
    expected = draw(loaded.model, [ids], options)[0].tokens
    assert said == loaded.tokenizer.decode(expected, skip_special_tokens=True)


def converse(session, *lines):
    """What a terminal shows for these lines, then end of input."""
    waiting, shown = list(lines), []

    def read():
        if not waiting:
            raise EOFError
        line = waiting.pop(0)
        if isinstance(line, BaseException):
            raise line
        return line

    talk(session, read, shown.append)
    return "".join(shown), waiting


def test_the_loop_answers_lines_and_obeys_commands():
    session = ChatSession(loaded_model(), OPTIONS)
    shown, left = converse(session, "/help", "", "hello?", "/nonsense", "/quit", "never read")
    assert HELP in shown
    assert "no command /nonsense" in shown
    assert session.history[0].content == "hello?"
    assert session.history[1].content in shown
    assert left == ["never read"]


def test_the_loop_survives_what_a_user_can_get_wrong():
    session = ChatSession(loaded_model(positions=80), OPTIONS)
    shown, left = converse(session, "x" * 90, "/reset", "hello?")
    assert "Start over with /reset." in shown
    assert len(session.history) == 2
    assert left == []


def test_an_interrupt_stops_the_answer_and_not_the_loop(monkeypatch):
    session = ChatSession(loaded_model(), OPTIONS)
    written = []

    def write(text):
        written.append(text)
        if len(written) == 3:
            raise KeyboardInterrupt

    lines = iter(["hello?", "/reset"])

    def read():
        try:
            return next(lines)
        except StopIteration:
            raise EOFError from None

    talk(session, read, write)
    shown = "".join(written)
    assert "[stopped]" in shown
    assert "forgotten" in shown


def test_answers_stop_where_the_models_own_generation_does():
    loaded = loaded_model()
    free = draw(
        loaded.model,
        [encode_prompt((Message("user", "hello?"),), loaded.tokenizer, Rendering())],
        SamplingOptions(max_new_tokens=15, seed=2, stop_ids=(0,)),
    )[0]
    loaded.model.generation_config.eos_token_id = [0, free.tokens[4]]
    said = "".join(ChatSession(loaded, OPTIONS).answer("hello?"))
    end = free.tokens.index(free.tokens[4])
    assert said == loaded.tokenizer.decode(free.tokens[:end], skip_special_tokens=True)
