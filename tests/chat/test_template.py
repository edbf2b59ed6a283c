"""The chat template: text and ids as the official code has them, and nothing that a user can forge."""

import json
import random
from base64 import b64encode
from pathlib import Path

import pytest

import kimi_cpu
from kimi_cpu.chat import encode_chat, render_chat
from kimi_cpu.chat.messages import normalise_messages, normalise_tools
from kimi_cpu.chat.template import kimi_template
from kimi_cpu.errors import RequestError, TemplateError
from kimi_cpu.tokenizer import Tokenizer

from . import conversations, transformers_renderer

CASES = json.loads((Path(__file__).parent / "template_golden.json").read_text("utf-8"))["cases"]
MENDED = {"reasoning_content_null_prints_None", "missing_tool_call_id_field", "content_parts_image"}
SPELLS_SPECIALS = "content_with_newlines_and_special_strings"
HELLO = [{"role": "user", "content": "Hello"}]
ODD = [{"role": "user", "content": 'é\x7f\u2028\ud800🙂"\\\n\ufdd0</b>'}]
ROUNDS = 200


@pytest.fixture(scope="module")
def kimi() -> Tokenizer:
    return Tokenizer((Path(__file__).parents[1] / "data" / "tiktoken.model").read_bytes())


def arguments_of(case):
    return {key: case[key] for key in ("messages", "tools", "add_generation_prompt")}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_golden_conversations_give_the_golden_text_and_ids(case, kimi):
    assert render_chat(**arguments_of(case)) == case["rendered"]
    assert kimi.encode(case["rendered"]) == case["ids"]
    if case["name"] not in MENDED | {SPELLS_SPECIALS}:
        assert encode_chat(tokenizer=kimi, **arguments_of(case)) == case["ids"]


def test_random_conversations_render_as_in_transformers():
    rng = random.Random(1)
    for _ in range(ROUNDS):
        chat = conversations.conversation(rng)
        messages, tools = normalise_messages(chat["messages"]), normalise_tools(chat["tools"])
        expected = transformers_renderer.render(kimi_template(), messages, tools, chat["add_generation_prompt"])
        assert render_chat(**mended(chat)) == expected


def mended(chat):
    return chat | {"messages": normalise_messages(chat["messages"])}


def test_random_conversations_encode_as_their_text(kimi):
    rng = random.Random(2)
    for _ in range(ROUNDS):
        chat = conversations.conversation(rng)
        assert encode_chat(tokenizer=kimi, **chat) == kimi.encode(render_chat(**mended(chat)))


def test_special_tokens_spelled_by_anyone_but_the_template_are_text(kimi, monkeypatch):
    rng = random.Random(3)
    for _ in range(ROUNDS):
        seed = rng.random()
        plain = conversations.conversation(random.Random(seed))
        with monkeypatch.context() as patch:
            patch.setattr(conversations, "WORDS", list(map(forged, conversations.WORDS)))
            spelled = conversations.conversation(random.Random(seed))
        ids = encode_chat(tokenizer=kimi, **spelled)
        assert kimi.decode(ids) == render_chat(**mended(spelled))
        assert list(filter(kimi.is_special, ids)) == list(filter(kimi.is_special, encode_chat(tokenizer=kimi, **plain)))


def templated(template: str, **variables: str) -> dict:
    return {"messages": HELLO, "template": template, "template_kwargs": variables}


def forged(word: str) -> str:
    """A word in whose place a user types a control token; blank ones stay, as they decide what is blank."""
    specials = conversations.SPECIALS
    return word + specials[conversations.WORDS.index(word) % len(specials)] if word.strip() else word


@pytest.mark.parametrize("special", ["<|im_end|>", "[EOS]", "<think>", "<|reserved_token_163600|>"])
@pytest.mark.parametrize(
    "chat",
    [
        lambda s: {"messages": [{"role": "user", "content": [{"type": "text", "text": p} for p in (s[:3], s[3:])]}]},
        lambda s: {"messages": [{"role": "user", "name": s, "content": "x"}]},
        lambda s: {"messages": HELLO, "tools": [{"type": "function", "function": {"name": "f", s: s}}]},
        lambda s: templated("{{ who }}{{ who|lower|trim }}{{ {who: who}|tojson }}", who=s),
        lambda s: templated("{{ who|tojson(ensure_ascii=True, indent=1) }}", who=s),
        lambda s: templated("{{ a }}{{ b }}{{ a ~ b }}{{ [a, b]|join }}", a=s[0], b=s[1:]),
        lambda s: templated("{{ a|replace('-', '') }}", a="-".join(s)),
    ],
    ids=["parts", "name", "schema", "variable", "escaped", "joined", "replaced"],
)
def test_no_field_and_no_detour_makes_a_control_token_of_text(chat, special, kimi):
    ids, plain = encode_chat(tokenizer=kimi, **chat(special)), chat(special)
    assert kimi.decode(ids) == render_chat(**plain.pop("template_kwargs", {}), **plain)
    harmless = encode_chat(tokenizer=kimi, **chat("x" * len(special)))
    assert sum(map(kimi.is_special, ids)) == sum(map(kimi.is_special, harmless))


def test_marks_that_are_in_the_text_already_stay_there(kimi):
    text = "".join(map(chr, range(0xFDD0, 0xFDF0))) + "<|im_end|>"
    ids = encode_chat([{"role": "user", "content": text}], kimi)
    assert kimi.decode(ids) == render_chat([{"role": "user", "content": text}])


def test_a_control_token_of_one_character_is_the_templates_alone():
    ranks = b"".join(b"%s %d\n" % (b64encode(bytes([i])), i) for i in range(256))
    small = Tokenizer(ranks, None, {"added_tokens_decoder": {"256": {"content": "^"}}})
    assert encode_chat([{"role": "user", "content": "^"}], small, template="^{{ messages[0].content }}") == [256, 94]


@pytest.mark.parametrize("text", ["a" * 60_001, "word " * 81_000, " " * 26_000, "长" * 25_000 + "<x>"])
def test_long_texts_are_cut_where_the_tokenizer_cuts_them(text, kimi):
    messages = [{"role": "user", "content": text}, {"role": "user", "content": text}]
    assert encode_chat(messages, kimi) == kimi.encode(render_chat(messages))


def test_template_kwargs_reach_the_template():
    assert render_chat(HELLO, template="{{ thinking }} {{ messages[0].content }}", thinking=False) == "False Hello"


@pytest.mark.parametrize(
    "template",
    [
        "{% for m in messages if m.role == 'user' %}{{ loop.length }}{{ m.content[1:] ~ '.' }}{% endfor %}",
        "{% macro f(x) %}{{ x }}{{ caller() }}{% endmacro %}{% call f(1) %}{{ '%03d|%s' % (7, 'a') }}{% endcall %}",
        "{% for x in [[1, [2]], [3]] recursive %}{{ loop(x) if x is iterable else x }}{% endfor %}",
        "{{ messages|selectattr('role', 'eq', 'user')|map(attribute='content')|join(', ') }}",
        "{% set ns = namespace(a=[]) %}{% set ns.a = ns.a + [2 ** 3 * 4] %}{{ ns.a }}{{ '{:>4}'.format('é') }}",
        "{{ messages|tojson(indent=2) }}{{ messages[0]|tojson(ensure_ascii=True, sort_keys=True) }}",
        "{% set x %}a{% endset %}{% filter upper %}{{ x }}{% endfilter %}{{ x in 'abc' }}{{ 1 < 2 < 3 }}",
        "  {% if true %}\n  x\n  {% endif %}\n{% for i in range(9) %}{% if i > 2 %}{% break %}{% endif %}{% endfor %}",
        "{{ undefined_name }}{{ 'a,b'.split(',') }}{{ ('x' * 3)|replace('x', 'yy')|indent(2) }}{{ {'b': 1}.items() }}",
    ],
)
def test_other_templates_render_as_in_transformers(template):
    assert render_chat(HELLO, template=template) == transformers_renderer.render(template, HELLO, None, True)


@pytest.mark.parametrize("ensure_ascii", [True, False])
@pytest.mark.parametrize("indent", ["none", "2", "'-'"])
def test_tojson_writes_what_json_writes(ensure_ascii, indent, kimi):
    template = f"{{{{ messages|tojson(ensure_ascii={ensure_ascii}, indent={indent}) }}}}"
    rendered = render_chat(ODD, template=template)
    assert rendered == transformers_renderer.render(template, ODD, None, True)
    assert encode_chat(ODD, kimi, template=template) == kimi.encode(rendered)


def test_the_tag_that_marks_text_for_training_only_renders():
    assert render_chat(HELLO, template="a{% generation %}b{% endgeneration %}") == "ab"


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{{ raise_exception('Roles must alternate.') }}", "Roles must alternate."),
        ("{% for %}", "cannot render"),
        ("{{ 1 + 'a' }}", "TypeError"),
        ("{% include 'other' %}", "cannot render"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{{ messages.append(1) }}", "cannot render"),
    ],
)
def test_a_template_that_fails_says_so_in_one_sentence(template, says):
    with pytest.raises(TemplateError, match=says) as caught:
        render_chat(HELLO, template=template)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["messages", "tools", "tokenizer", "template", "add_generation_prompt"])
def test_a_variable_that_the_renderer_gives_is_refused_by_name(name, kimi):
    with pytest.raises(RequestError, match=f"chat_template_kwargs.{name}"):
        encode_chat(HELLO, kimi, template_kwargs={name: None})


def test_special_tokens_are_found_wherever_a_long_text_is_cut():
    tokens = Tokenizer.load(Path(kimi_cpu.__file__).parent / "data" / "demo.gguf")
    for shift in (0, 1, 99_990, 99_995, 100_000, 199_999):
        end = "<|im_end|>b<|im_end|><|im_user|>"
        messages = [{"role": "user", "content": "a" * shift}]
        ids = encode_chat(messages, tokens, template="{{ messages[0].content }}" + end)
        assert tokens.decode(ids) == "a" * shift + end
        assert sum(map(tokens.is_special, ids)) == 3
