"""Rendering and tokenising: what is trained is what the template writes, and what is generated."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from accordant.base.errors import UserError
from accordant.feedback.records import (
    Binary,
    Comparison,
    Demonstration,
    JointPair,
    Judgment,
    Message,
    Origin,
    Ranking,
    Rating,
    Steps,
)
from accordant.tokens.lengths import Lengths
from accordant.tokens.rendering import Rendering, encode, encode_prompt, end_of_turn_ids, render
from tests.tokens.small_tokenizers import (
    CHATML,
    ENDS,
    FAMILIES,
    REWRITING,
    SPECIAL,
    THINKING,
    TOKENIZERS,
    WORDS,
    byte_level,
)

PLAIN = Rendering(chat="never")
words = st.text(max_size=30) | st.sampled_from(["\n", "\n\nyes", " a", "  b\n", "land", "é🙂", "."])
answers = words.filter(lambda text: text.strip())


def user(text: str) -> Message:
    return Message("user", text)


def assistant(text: str) -> tuple[Message, ...]:
    return (Message("assistant", text),)


def whole_tokens(tokenizer: Any, messages: tuple[Message, ...]) -> list[int]:
    """The conversation as transformers tokenises it, up to the last end-of-turn token."""
    turns = [{"role": m.role, "content": m.content} for m in messages]
    text = tokenizer.apply_chat_template(turns, tokenize=False)
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    end = tokenizer.convert_tokens_to_ids(END_OF[tokenizer.chat_template])
    return ids[: len(ids) - ids[::-1].index(end)]


END_OF = {TOKENIZERS[family].chat_template: ENDS[family] for family in FAMILIES}


@given(
    family=st.sampled_from(FAMILIES), turns=st.lists(words, min_size=1, max_size=5), data=st.data()
)
@settings(deadline=None, max_examples=300)
def test_prompt_and_continuations_are_the_tokens_of_the_whole_conversation(
    family: str, turns: list[str], data: st.DataObject
) -> None:
    tokenizer = TOKENIZERS[family]
    turns = turns if len(turns) % 2 else turns[:-1]
    roles = ["user", "assistant"]
    prompt = tuple(Message(roles[i % 2], text) for i, text in enumerate(turns))
    completions = data.draw(st.lists(answers, min_size=2, max_size=3))
    record = Ranking(prompt, tuple(assistant(text) for text in completions))

    (example,) = encode([record], tokenizer, Rendering(), max_tokens=None).examples

    tree = example.trees[0]
    for text, continuation in zip(completions, tree.continuations, strict=True):
        whole = whole_tokens(tokenizer, (*prompt, *assistant(text)))
        assert list(tree.prompt + continuation) == whole


@given(family=st.sampled_from(FAMILIES), question=words, answer=answers)
@settings(deadline=None, max_examples=200)
def test_the_end_of_turn_is_trained_exactly_once(family: str, question: str, answer: str) -> None:
    tokenizer = TOKENIZERS[family]
    record = Demonstration((user(question),), assistant(answer))
    encoded = encode([record], tokenizer, Rendering(), max_tokens=None)
    continuation = encoded.examples[0].trees[0].continuations[0]
    end = tokenizer.convert_tokens_to_ids(ENDS[family])
    assert continuation[-1] == end == encoded.end_of_turn_ids[0]
    assert continuation.count(end) == 1


@given(family=st.sampled_from(FAMILIES), question=words, answer=answers)
@settings(deadline=None, max_examples=200)
def test_trained_prompts_are_generation_prompts_unless_a_token_straddles(
    family: str, question: str, answer: str
) -> None:
    tokenizer = TOKENIZERS[family]
    prompt = (user(question),)
    record = Demonstration(prompt, assistant(answer))
    (example,) = encode([record], tokenizer, Rendering(), max_tokens=None).examples
    trained = example.trees[0].prompt
    generation = encode_prompt(prompt, tokenizer, Rendering())
    assert generation[: len(trained)] == trained
    if not answer[0].isspace():
        assert generation == trained


def test_a_line_break_that_merges_with_the_prompt_belongs_to_the_continuation() -> None:
    qwen = TOKENIZERS["qwen"]
    prompt = (user("hi"),)
    record = Comparison(prompt, assistant("\nyes"), assistant("no"))
    (example,) = encode([record], qwen, Rendering(), max_tokens=None).examples
    tree = example.trees[0]
    generation = encode_prompt(prompt, qwen, Rendering())
    merged = qwen("\n\n", add_special_tokens=False)["input_ids"]
    assert len(merged) == 1, "the tokenizer of this test merges two line breaks"
    assert tree.prompt == generation[:-1]
    assert tree.continuations[0][0] == merged[0]
    assert tree.continuations[1][0] == generation[-1]


def test_prompts_are_tokenised_as_they_are_before_a_word() -> None:
    """GPT-2's rules part line breaks before a word; trained and generated prompts agree on it."""
    chatml = TOKENIZERS["chatml"]
    for prompt in ("Question?\n\n", "Answer: "):
        alone = chatml(prompt, add_special_tokens=False)["input_ids"]
        whole = chatml(prompt + "yes", add_special_tokens=False)["input_ids"]
        assert whole[: len(alone)] != alone, "alone the prompt has other tokens than in the whole"
        (example,) = encode([Demonstration(prompt, "yes")], chatml, PLAIN, max_tokens=None).examples
        tree = example.trees[0]
        assert list(tree.prompt + tree.continuations[0][:-1]) == whole
        assert tree.prompt == encode_prompt(prompt, chatml, PLAIN)


@given(family=st.sampled_from(FAMILIES), question=words, answer=answers)
@settings(deadline=None, max_examples=200)
def test_plain_text_kept_as_it_is_decodes_to_itself(
    family: str, question: str, answer: str
) -> None:
    tokenizer = TOKENIZERS[family]
    # The byte-fallback decoder takes one leading blank off and cannot tell '▁' from a blank.
    assume("▁" not in question + answer and (question or family != "mistral"))
    (example,) = encode(
        [Demonstration(question, answer)], tokenizer, PLAIN, max_tokens=None
    ).examples
    tree = example.trees[0]
    end = tokenizer.eos_token_id
    assert tree.continuations[0][-1] == end
    body = tree.prompt + tree.continuations[0][:-1]
    text = tokenizer.decode(body, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    assert text == question + answer
    assert tree.prompt == encode_prompt(question, tokenizer, PLAIN)


def test_text_kept_as_it_is_begins_with_bos_once() -> None:
    tokenizer = TOKENIZERS["mistral"]
    bos = tokenizer.bos_token_id
    for prompt in ("What?", "<s>What?"):
        ids = encode_prompt(prompt, tokenizer, PLAIN)
        assert ids[0] == bos
        assert ids.count(bos) == 1


def test_chat_templates_write_bos_and_nothing_adds_another(family: str, tokenizer: Any) -> None:
    ids = encode_prompt("What?", tokenizer, Rendering())
    if tokenizer.bos_token_id is not None:
        assert ids[0] == tokenizer.bos_token_id
        assert ids.count(tokenizer.bos_token_id) == 1


def test_an_empty_plain_prompt_is_bos_else_end_of_sequence(raw: Any) -> None:
    assert encode_prompt("", TOKENIZERS["llama3"], PLAIN) == (TOKENIZERS["llama3"].bos_token_id,)
    assert encode_prompt("", raw, PLAIN) == (raw.eos_token_id,)


def test_text_that_already_ends_with_the_end_of_turn_gets_no_second_one(raw: Any) -> None:
    with_end = Demonstration("a", " b<|endoftext|>")
    without = Demonstration("a", " b")
    trees = [e.trees for e in encode([with_end, without], raw, PLAIN, max_tokens=None).examples]
    assert trees[0] == trees[1]


def test_plain_prompts_become_user_messages_where_there_is_a_template(tokenizer: Any) -> None:
    plain = Comparison("hi", "yes", "no")
    chat = Comparison((user("hi"),), assistant("yes"), assistant("no"))
    for rendering in (Rendering(), Rendering(chat="always")):
        trees = encode([plain, chat], tokenizer, rendering, max_tokens=None).examples
        assert trees[0].trees == trees[1].trees


def test_the_end_of_turn_is_the_templates_own_then_the_tokenizers(
    family: str, tokenizer: Any
) -> None:
    own = tokenizer.convert_tokens_to_ids(ENDS[family])
    eos = tokenizer.eos_token_id
    assert end_of_turn_ids(tokenizer, Rendering()) == tuple(dict.fromkeys((own, eos)))
    assert end_of_turn_ids(tokenizer, PLAIN) == (eos,)


def test_a_named_end_of_turn_replaces_the_templates(chatml: Any) -> None:
    rendering = Rendering(end_of_turn="<|endoftext|>")
    named = chatml.convert_tokens_to_ids("<|endoftext|>")
    encoded = encode([Demonstration("hi", "yes")], chatml, rendering, max_tokens=None)
    assert encoded.end_of_turn_ids == (named, chatml.eos_token_id)
    continuation = encoded.examples[0].trees[0].continuations[0]
    assert chatml.decode(continuation) == "yes<|endoftext|>"


def test_a_template_without_an_end_token_gets_end_of_sequence_in_place_of_its_tail(
    raw: Any,
) -> None:
    rendering = Rendering(chat_template=WORDS)
    encoded = encode([Demonstration("hi", "yes")], raw, rendering, max_tokens=None)
    tree = encoded.examples[0].trees[0]
    # The blank after the colon is part of the answer's first token.
    assert raw.decode(tree.prompt) == "### user: hi\n### assistant:"
    assert raw.decode(tree.continuations[0]) == " yes<|endoftext|>"
    assert "no special token" in encoded.notes[0]


def test_a_generation_prompt_that_opens_a_thought_is_trained_and_generated_without_it(
    raw: Any,
) -> None:
    rendering = Rendering(chat_template=THINKING)
    encoded = encode([Demonstration("hi", "<think>")], raw, rendering, max_tokens=None)
    tree = encoded.examples[0].trees[0]
    assert raw.decode(tree.prompt).endswith("<|im_start|>assistant\n")
    assert raw.decode(tree.continuations[0]) == "<think><|im_end|>"
    assert encode_prompt("hi", raw, rendering) == tree.prompt
    assert "<think>" in encoded.notes[0]


def test_earlier_thinking_that_a_template_drops_only_from_the_whole_is_refused_by_row(
    raw: Any,
) -> None:
    template = CHATML.replace(
        "{{ m['content'] }}",
        "{% if messages[-1]['role'] == 'assistant' and not loop.last %}"
        "{{ m['content'].split('</think>')[-1] }}{% else %}{{ m['content'] }}{% endif %}",
    )
    thinking = (user("a"), Message("assistant", "<think>hm</think>b"), user("c"))
    good = Demonstration((user("a"),), assistant("b"), Origin("a.jsonl", 1))
    bad = Demonstration(thinking, assistant("d"), Origin("a.jsonl", 2))
    with pytest.raises(UserError, match="thinking") as error:
        encode([good, bad], raw, Rendering(chat_template=template), max_tokens=None)
    assert error.value.where == "a.jsonl, row 2"


ROW = Origin("a.jsonl", 3)
TALK = Demonstration((user("a"),), assistant("b"), ROW)
PLAIN_ROW = Demonstration("hi", "yes", ROW)
RENDERED = "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
CUTTING = Rendering(chat_template=CHATML.replace("m['content']", "m['content'].split('#')[0]"))
UNTHINKING = Rendering(
    chat_template=CHATML.replace(
        "{{ m['content'] }}",
        "{% if m['role'] == 'assistant' and '</think>' not in m['content'] %}<think></think>"
        "{% endif %}{{ m['content'] }}",
    ).replace("assistant\n{% endif %}", "assistant\n<think></think>{% endif %}")
)
# Record, tokenizer (None: one without a template), rendering, message, what place or mend say.
REFUSED: list[tuple[Demonstration, str | None, Rendering, str, str]] = [
    (TALK, None, Rendering(), "no chat template", "a.jsonl, row 3"),
    (TALK, None, Rendering(), "no chat template", "--chat-template"),
    (PLAIN_ROW, None, Rendering(chat="always"), "no chat template", "--chat always"),
    (TALK, None, PLAIN, "cannot be kept as plain text", "a.jsonl, row 3"),
    (PLAIN_ROW, None, Rendering(system_prompt="s"), "no place for a system prompt", ""),
    (PLAIN_ROW, None, Rendering(chat_template=REWRITING), "differently once the answer", ""),
    (Demonstration("hi", "yes # no", ROW), None, CUTTING, "leaves out a part", "a.jsonl, row 3"),
    (
        Demonstration("hi", "<think>sum</think>4", ROW),
        *(None, UNTHINKING, "another prompt before an answer with thoughts", "a.jsonl, row 3"),
    ),
    (PLAIN_ROW, "chatml", Rendering(end_of_turn="two words"), "expected one", "--end-of-turn"),
    (
        Demonstration((Message("system", "s"), user("a")), assistant("b"), ROW),
        *("gemma", Rendering(), "System role not supported", "a.jsonl, row 3"),
    ),
    *(
        (
            Demonstration("hi", "yes<|im_end|> and no", ROW),
            *("chatml", rendering, "before its end", "a.jsonl, row 3"),
        )
        for rendering in (Rendering(), PLAIN)
    ),
    (Demonstration(RENDERED, "yes"), "chatml", Rendering(), "already holds", "--chat never"),
]


@pytest.mark.parametrize(("record", "family", "rendering", "message", "hint"), REFUSED)
def test_what_cannot_be_written_as_it_is_meant_is_refused(
    raw: Any,
    record: Demonstration,
    family: str | None,
    rendering: Rendering,
    message: str,
    hint: str,
) -> None:
    with pytest.raises(UserError, match=message) as error:
        encode([record], TOKENIZERS[family] if family else raw, rendering, max_tokens=None)
    assert hint in str(error.value)


def test_a_tokenizer_without_end_of_sequence_is_refused() -> None:
    endless = byte_level(SPECIAL["chatml"])
    with pytest.raises(UserError, match="never end"):
        encode([Demonstration("a", "b")], endless, Rendering(), max_tokens=None)


def test_text_that_was_rendered_before_is_kept_on_request(chatml: Any) -> None:
    (example,) = encode([Demonstration(RENDERED, "yes")], chatml, PLAIN, max_tokens=None).examples
    assert chatml.decode(example.trees[0].prompt) == RENDERED


def test_thoughts_that_a_template_drops_from_answers_are_trained_as_they_stand(raw: Any) -> None:
    template = CHATML.replace("{{ m['content'] }}", "{{ m['content'].split('</think>')[-1] }}")
    rendering = Rendering(chat_template=template)
    texts = ("<think>\nsum\n</think>\n\n4", "<think>\nguess\n</think>\n\n4")
    record = Comparison((user("2+2?"),), *map(assistant, texts))
    encoded = encode([record], raw, rendering, max_tokens=None)
    tree = encoded.examples[0].trees[0]
    assert tuple(raw.decode(ids) for ids in tree.continuations) == tuple(
        f"{text}<|im_end|>" for text in texts
    )
    assert tree.prompt == encode_prompt(record.prompt, raw, rendering)
    assert "leaves thoughts out" in encoded.notes[0]


def test_a_thought_that_the_prompt_opens_goes_on_in_the_answer(raw: Any) -> None:
    template = CHATML.replace(
        "{{ m['content'] }}",
        "{% if m['role'] == 'assistant' %}<think>\n{{ m['content'].removeprefix('<think>\n') }}"
        "{% else %}{{ m['content'] }}{% endif %}",
    ).replace("<|im_start|>assistant\n{% endif %}", "<|im_start|>assistant\n<think>\n{% endif %}")
    record = Demonstration("hi", "<think>\nsum\n</think>\n\n4")
    encoded = encode([record], raw, Rendering(chat_template=template), max_tokens=None)
    tree = encoded.examples[0].trees[0]
    assert raw.decode(tree.prompt).endswith("<think>\n")
    assert raw.decode(tree.continuations[0]) == "sum\n</think>\n\n4<|im_end|>"


def test_what_a_template_writes_before_every_answer_is_told(raw: Any) -> None:
    template = CHATML.replace(
        "{{ m['content'] }}",
        "{% if m['role'] == 'assistant' %}<think></think>{% endif %}{{ m['content'] }}",
    )
    encoded = encode(
        [Demonstration("hi", "yes")], raw, Rendering(chat_template=template), max_tokens=None
    )
    assert raw.decode(encoded.examples[0].trees[0].continuations[0]).startswith("<think></think>")
    assert "before every answer" in encoded.notes[0]


def test_a_template_that_ends_what_is_no_generation_prompt_is_read(raw: Any) -> None:
    template = CHATML.replace(
        "{% if add_generation_prompt %}",
        "{% if not add_generation_prompt %}{{ eos_token }}{% else %}",
    )
    rendering = Rendering(chat_template=template)
    encoded = encode([Demonstration("hi", "yes")], raw, rendering, max_tokens=None)
    assert raw.decode(encoded.examples[0].trees[0].continuations[0]) == "yes<|im_end|>"


def test_the_system_prompt_goes_before_conversations_that_have_none(chatml: Any) -> None:
    rendering = Rendering(system_prompt="Be brief.")
    own = (Message("system", "Be long."), user("hi"))
    given, kept = (
        chatml.decode(encode_prompt(prompt, chatml, rendering)) for prompt in ("hi", own)
    )
    assert given.startswith("<|im_start|>system\nBe brief.<|im_end|>")
    assert kept.startswith("<|im_start|>system\nBe long.<|im_end|>")
    assert "brief" not in kept


def test_special_tokens_that_swallow_blanks_leave_none_before_the_end() -> None:
    from tokenizers import AddedToken

    tokenizer = byte_level(SPECIAL["chatml"])
    tokenizer.add_special_tokens({"eos_token": AddedToken("<|stop|>", lstrip=True, special=True)})
    tokenizer.chat_template = CHATML.replace("<|im_end|>", "<|stop|>")
    prompt = (user("hi"),)
    (example,) = encode(
        [Demonstration(prompt, assistant("yes  "))], tokenizer, Rendering(), max_tokens=None
    ).examples
    turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes  "}]
    text = tokenizer.apply_chat_template(turns, tokenize=False).removesuffix("\n")
    whole = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert list(example.trees[0].prompt + example.trees[0].continuations[0]) == whole


def test_every_record_type_gives_its_trees(chatml: Any) -> None:
    records = [
        Demonstration("p", "a"),
        Binary("p", "a", False),
        Comparison("p", "a", "b"),
        Ranking("p", ("a", "b", "c"), (2.0, 1.0, 1.0)),
        Rating("p", "a", {"helpfulness": 3.0}),
        Judgment("p", "a", "too short", True),
        JointPair("p", "a", "q", "b"),
        Steps("p", ("a", "b"), (True, False)),
    ]
    examples = encode(records, chatml, Rendering(), max_tokens=None).examples
    shapes = [tuple(len(tree.continuations) for tree in example.trees) for example in examples]
    assert shapes == [(1,), (1,), (2,), (3,), (1,), (1, 1), (1, 1), (1,)]
    assert [example.index for example in examples] == list(range(8))
    assert [example.label for example in examples] == [None, False, *[None] * 3, True, None, None]
    assert examples[3].rewards == (2.0, 1.0, 1.0)
    assert chatml.decode(examples[7].trees[0].continuations[0]) == "a\nb<|im_end|>"
    kinds = "demonstration binary comparison ranking rating judgment joint_pair steps"
    assert [example.kind for example in examples] == kinds.split()


def test_encoding_in_chunks_changes_nothing(chatml: Any) -> None:
    records = [Comparison(f"question {i}", f"yes {i}", f"no {i}") for i in range(1100)]
    calls: list[tuple[int, int]] = []
    encoded = encode(
        records, chatml, Rendering(), max_tokens=None, progress=lambda a, b: calls.append((a, b))
    )
    assert calls == [(512, 1100), (1024, 1100), (1100, 1100)]
    for index in (0, 511, 512, 1099):
        alone = encode([records[index]], chatml, Rendering(), max_tokens=None).examples[0]
        assert encoded.examples[index].trees == alone.trees


def test_lengths_are_those_before_truncation(chatml: Any) -> None:
    records = [Comparison("hi " * n, "yes", "no " * n) for n in (1, 30)]
    full = encode(records, chatml, Rendering(), max_tokens=None)
    trees = [example.trees[0] for example in full.examples]
    expected = Lengths(
        tuple(len(tree.prompt) for tree in trees),
        tuple(len(c) for tree in trees for c in tree.continuations),
        tuple(len(tree.prompt) + max(map(len, tree.continuations)) for tree in trees),
    )
    limit = max(expected.sequences) - 1
    cut = encode(records, chatml, Rendering(), max_tokens=limit, truncation="drop")
    assert full.lengths == cut.lengths == expected


def test_render_shows_the_text_that_encode_tokenises(tokenizer: Any, family: str) -> None:
    record = Comparison((user("hi"),), assistant("yes"), assistant("no"))
    (text,) = render(record, tokenizer, Rendering())
    (example,) = encode([record], tokenizer, Rendering(), max_tokens=None).examples
    turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes"}]
    whole = tokenizer.apply_chat_template(turns, tokenize=False)
    assert whole.startswith(text.prompt + text.continuations[0] + ENDS[family])
    tree = example.trees[0]
    ids = tokenizer(text.prompt + text.continuations[0], add_special_tokens=False)["input_ids"]
    assert tuple(ids) == (tree.prompt + tree.continuations[0])[:-1]


def test_rendering_options_have_their_own_fingerprints() -> None:
    options = [
        Rendering(),
        Rendering(system_prompt=""),
        Rendering(system_prompt="x"),
        Rendering(chat="never"),
        Rendering(chat_template="x"),
        Rendering(end_of_turn="x"),
    ]
    assert len({rendering.fingerprint for rendering in options}) == len(options)
    assert Rendering(system_prompt="x").fingerprint == options[2].fingerprint
