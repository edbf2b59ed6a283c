"""Prompts of chats that grow have the ids of the whole, and only what is new is looked at."""

import random

import pytest

from kimi_cpu.chat import PromptEncoder, encode_chat, prompts, template
from kimi_cpu.chat.messages import normalise_messages
from kimi_cpu.errors import RequestError

from . import conversations
from .test_template import forged, kimi  # noqa: F401 - a fixture

ROUNDS = 50


@pytest.fixture
def rendered(monkeypatch):
    """The messages of each rendering."""
    seen = []

    def spy(source, variables, mark=""):
        seen.append(variables["messages"])
        return render(source, variables, mark)

    render = template.render_template
    monkeypatch.setattr(template, "render_template", spy)
    return seen


def call(number, arguments="{}"):
    name = f"functions.f:{number}"
    return {"id": name, "type": "function", "function": {"name": "f", "arguments": arguments}}


def step(number, content="", arguments="{}"):
    """A turn of the assistant with a call, and its result."""
    calls = [call(number, arguments)]
    turn = {"role": "assistant", "content": content, "reasoning_content": f"thought {number}", "tool_calls": calls}
    return [turn, {"role": "tool", "content": f"result {number}", "tool_call_id": f"functions.f:{number}"}]


def user(text):
    return {"role": "user", "content": text}


def answer(text):
    return {"role": "assistant", "content": text, "reasoning_content": "thought"}


def test_any_chat_after_any_other_has_the_ids_of_the_whole(kimi, monkeypatch):  # noqa: F811
    """Growing, shrinking, with another end and other tools, of messages that spell control tokens."""
    monkeypatch.setattr(conversations, "WORDS", [*conversations.WORDS, *map(forged, conversations.WORDS)])
    rng, encoder = random.Random(1), PromptEncoder(kimi)
    for _ in range(ROUNDS):
        chat = conversations.conversation(rng)
        other = conversations.conversation(rng)["messages"]
        messages, tools = chat["messages"], chat["tools"]
        for _ in range(6):
            count = rng.randint(0, len(messages))
            variant = normalised(messages[:count] + rng.choice([[], other[: rng.randint(0, len(other))]]))
            given = rng.choice([tools, tools, None])
            if variant and rng.random() < 0.3:
                variant[-1] = variant[-1] | {"content": "x" + variant[-1]["content"]}
                begun = encoder.encode_beginning(variant, given).tolist()
                assert begun == encode_chat(variant, kimi, given)[: len(begun)]
            else:
                assert encoder.encode(variant, given).tolist() == encode_chat(variant, kimi, given)


def normalised(messages):
    """Messages whose results answer calls before them."""
    while True:
        try:
            return normalise_messages(messages)
        except Exception:
            messages = [message for message in messages if message["role"] != "tool"]


def test_any_chat_after_any_other_has_the_normal_form_of_the_whole(kimi):  # noqa: F811
    rng, encoder = random.Random(2), PromptEncoder(kimi)
    for _ in range(ROUNDS):
        messages, other = (conversations.conversation(rng)["messages"] for _ in range(2))
        for _ in range(8):
            given = messages[: rng.randint(0, len(messages))] + rng.choice([[], other[: rng.randint(0, len(other))]])
            assert remembered(encoder, given) == outcome(normalise_messages, given)


def test_results_find_their_calls_however_the_chat_has_grown(kimi):  # noqa: F811
    """Of an older turn, by an id that another call had before or that differs in its marks, without an id."""

    def turn(*ids):
        return {"role": "assistant", "content": None, "tool_calls": [call(0) | {"id": name} for name in ids]}

    def result(name=None):
        return {"role": "tool", "content": "x"} | ({} if name is None else {"tool_call_id": name})

    chats = [
        [user("go"), turn("a.b", "c"), result("c"), user("and"), result("a.b")],
        [user("go"), turn("a.b", "c"), result("c"), user("and"), result()],
        [user("go"), turn("a.b"), result("a_b"), turn("a_b"), result("a.b"), result("a_b")],
        [user("go"), turn("a.b"), result("a.b"), turn("a.b"), result("a.b"), turn("c"), result("a_b")],
        [user("go"), turn("a.b"), result("a.b"), user("and"), result("d")],
    ]
    for chat in chats:
        encoder = PromptEncoder(kimi)
        for count in range(1, len(chat) + 1):
            given = chat[:count]
            assert remembered(encoder, given) == outcome(normalise_messages, given)


def remembered(encoder, given):
    """The outcome of an encoder, which has seen the messages then."""

    def normalise(given):
        messages, own = encoder.normalise(given)
        encoder.encode(messages, given=own)
        return messages

    return outcome(normalise, given)


def outcome(normalise, given):
    """The normal form as it is printed, or why there is none."""
    try:
        return repr(normalise(given))
    except RequestError as e:
        return str(e)


def test_only_what_is_new_is_brought_to_normal_form(kimi, monkeypatch):  # noqa: F811
    seen, encoder = [], PromptEncoder(kimi)

    def spy(given, **options):
        seen.append(len(given))
        return normalise_messages(given, **options)

    monkeypatch.setattr(prompts, "normalise_messages", spy)
    worked = [user("go"), *step(0), *step(1)]
    objects = [*worked, *step(2, arguments={"x": 1})]
    chats = [
        (worked, 5),
        (worked, 2),  # the last calls, with their results
        ([*worked, *step(2)], 4),
        ([*worked, user("stop")], 3),
        (objects, 4),
        ([*objects, *step(3)], 6),  # arguments that are an object may be written otherwise
    ]
    for given, num_new in chats:
        remembered(encoder, given)
        assert seen.pop() == num_new
        encoder.encode_beginning(normalise_messages([*given, answer("done"), user("")]))


def test_messages_that_are_changed_after_are_others(kimi):  # noqa: F811
    encoder, given = PromptEncoder(kimi), [user("go"), *step(0), user([{"type": "text", "text": "a"}]), answer("b")]
    remembered(encoder, given)
    given[1]["tool_calls"][0]["function"]["arguments"] = '{"x": 1}'
    given[3]["content"][0]["text"] = "c"
    assert remembered(encoder, given) == outcome(normalise_messages, given)


def test_only_what_is_new_is_rendered(kimi, rendered):  # noqa: F811
    encoder = PromptEncoder(kimi)
    worked = [user("go"), *step(0), *step(1)]
    answered = [*worked, *step(2), answer("done"), user("more")]
    chats = [
        (worked, 5),
        (worked, 0),
        ([*worked, *step(2)], 2),
        (answered, 8),  # without the reasoning of its turns, as there is an answer now
        ([*answered, answer("yes"), user("and?")], 2),
        ([*answered, answer("no"), user("why?")], 2),
        ([*worked, user("stop")], 5),  # with it again
    ]
    for messages, num_new in chats:
        encoder.encode(messages)
        assert len(rendered.pop()) == num_new


def test_a_chat_begins_with_all_before_the_text_of_its_last_message(kimi):  # noqa: F811
    encoder, messages = PromptEncoder(kimi), [user("go"), *step(0)]
    begun = encoder.encode_beginning(messages).tolist()
    for text in ("result 0", "another", "2", "长"):
        ids = encode_chat([*messages[:-1], messages[-1] | {"content": text}], kimi)
        assert ids[: len(begun)] == begun
    assert kimi.decode(begun).endswith("## Return of functions.f:0\n")


def test_chat_before_a_beginning_is_not_looked_at_again(kimi, rendered):  # noqa: F811
    encoder, worked = PromptEncoder(kimi), [user("go"), *step(0), *step(1)]
    remembered(encoder, worked)
    rendered.clear()
    encoder.encode_beginning([*worked, answer("done"), user("")])
    assert [len(chat) for chat in rendered] == [5, 1, 1]  # turns without their reasoning, and the last message twice
    rendered.clear()
    given = [*worked, answer("done"), user("more")]
    assert remembered(encoder, given) == outcome(normalise_messages, given)
    assert [len(chat) for chat in rendered] == [1]


def test_what_python_takes_for_equal_is_not_the_same_text(kimi):  # noqa: F811
    encoder = PromptEncoder(kimi)
    for arguments in ({"a": 1, "b": 2}, {"a": True, "b": 2}, {"a": 1.0, "b": 2}, {"b": 2, "a": 1}, '{"a": 1}'):
        messages = normalise_messages([user("go"), *step(0, arguments=arguments)])
        assert encoder.encode(messages).tolist() == encode_chat(messages, kimi)
    for default in (1, True, 1.0):
        tools = [{"type": "function", "function": {"name": "f", "parameters": {"default": default}}}]
        assert encoder.encode(messages, tools).tolist() == encode_chat(messages, kimi, tools)


def test_text_that_is_the_name_of_the_end_ends_nothing(kimi):  # noqa: F811
    encoder, other = PromptEncoder(kimi), [user("a"), user("b")]
    encoder.encode([user("a"), user("<|im_end|>")])
    assert encoder.encode(other).tolist() == encode_chat(other, kimi)


@pytest.mark.parametrize("piece", ["a" * 9_000, "word " * 30_000, "长" * 12_345 + " <x>", " " * 24_999])
def test_long_chats_are_cut_where_the_tokenizer_cuts_them(piece, kimi):  # noqa: F811
    encoder, messages = PromptEncoder(kimi), []
    for _ in range(6):
        messages = [*messages, user(piece), *step(len(messages), piece)]
        chat = normalise_messages(messages)
        assert encoder.encode(chat).tolist() == encode_chat(chat, kimi)


def test_chats_of_another_template_are_rendered_whole(kimi, rendered):  # noqa: F811
    source = "{% for m in messages %}{{ loop.revindex }}{{ m.content }}<|im_end|>{% endfor %}"
    encoder = PromptEncoder(kimi, source)
    for messages in ([user("a")], [user("a"), user("b")]):
        assert encoder.encode(messages).tolist() == encode_chat(messages, kimi, template=source)
    assert rendered == [[user("a")], [user("a")], [user("a"), user("b")], [user("a"), user("b")]]


def test_names_that_reach_into_each_other_have_chats_rendered_whole():
    for others, stands in (((), True), (("<|im_end|>!",), False), (("x<|im",), False), (("<|im_middle|>",), True)):
        assert prompts._stands_alone("<|im_end|>", {"<|im_end|>", *others}) is stands
    assert not prompts._stands_alone("<|im_end|>", {"<|end|>"})


def test_the_oldest_chats_are_forgotten(kimi, rendered, monkeypatch):  # noqa: F811
    monkeypatch.setattr(prompts, "MOST_CHATS", 2)
    monkeypatch.setattr(prompts, "MOST_CHARACTERS", 1000)
    encoder = PromptEncoder(kimi)

    def num_rendered(*messages):
        encoder.encode(list(messages))
        return len(rendered.pop())

    a, b, c, more, long = map(user, ("a", "b", "c", "more", "x" * 700))
    assert [num_rendered(m) for m in (a, b, c)] == [1, 1, 1]
    assert [num_rendered(m, more) for m in (b, a, b)] == [1, 2, 0]  # a was forgotten for c, and c for a
    assert [num_rendered(m, more) for m in (long, b, long)] == [2, 2, 2]  # there is no room for both
    assert [num_rendered(user("y" * 2000)) for _ in range(2)] == [1, 1]  # it would take the place of all
    assert num_rendered(long, more) == 0
