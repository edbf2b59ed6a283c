"""A template that loops for ever or builds gigabytes is stopped; one that works much for a reason is not."""

import pytest

from kimi_cpu.chat import render_chat
from kimi_cpu.errors import TemplateError

MESSAGES = [{"role": "user", "content": "hi" * 10}] * 100
SIXTY = "{% for i in range(60) %}"
MANY = "{% for i in range(99999) %}"
TWO_NESTED = (
    "{% set ns = namespace(x=[1], y=[1]) %}"
    + SIXTY
    + "{% set ns.x = [ns.x, ns.x] %}{% set ns.y = [ns.y, ns.y] %}{% endfor %}"
)
TWO_TUPLES = TWO_NESTED.replace("[ns", "(ns").replace("x]", "x)").replace("y]", "y)")
LONG, LONG_LINES = "('x' * 100000)", "('x\n' * 100000)"
LONG_LIST = "range(90000)|list"

STOPPED = "stopped|nested too deeply"

SILENT_LOOPS = {
    "ranges": MANY + MANY + "{% endfor %}{% endfor %}",
    "a list over and over": "{% for a in messages %}" * 4 + "{% endfor %}" * 4,
    "a condition that never holds": MANY + "{% for b in range(99999) if b < 0 %}{% endfor %}{% endfor %}",
    "mapped generators": MANY + "{{ range(99999)|map('string')|list|length }}{% endfor %}",
    "selected items": MANY + "{% set x = range(99999)|select|list %}{% endfor %}",
    "lists made": MANY + "{% set x = range(99999)|list %}{% endfor %}",
    "maxima": MANY + "{% set x = range(99999)|max %}{% endfor %}",
    "memberships": MANY + "{% set x = 'a' in range(99999) %}{% endfor %}",
    "membership tests": MANY + "{% set x = 'a' is in range(99999) %}{% endfor %}",
    "methods": MANY + "{% set x = range(99999).count('a') %}{% endfor %}",
    "words": MANY + "{% set x = ('x ' * 100000)|wordcount %}{% endfor %}",
    "slices": "{% set l = range(99999)|list %}" + MANY + "{% set x = l[:] %}{% endfor %}",
    "list comparisons": "{% set l = range(9999)|list %}" + MANY + "{% if l < l %}{% endif %}{% endfor %}",
    "calls": "{% set c = cycler(1, 2) %}" + MANY * 2 + "{% set x = c.next() %}{% endfor %}{% endfor %}",
    "recursion without end": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "recursion that doubles": "{% macro f(n) %}{% if n and f(n - 1) or f(n - 1) %}{% endif %}{% endmacro %}{{ f(60) }}",
    "loops that call themselves": "{% for x in [40] recursive %}{% if x %}{{ loop([x-1]*2) }}{% endif %}{% endfor %}",
}
GROWTH = {
    "fixed text in a loop": MANY + "x" * 100_000 + "{% endfor %}",
    "small pieces": MANY * 2 + "x{% endfor %}{% endfor %}",
    "tilde": "{% set ns = namespace(x='ab') %}" + SIXTY + "{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
    "plus": "{% set ns = namespace(x='ab') %}" + SIXTY + "{% set ns.x = ns.x + ns.x %}{% endfor %}",
    "captured output": "{% set ns = namespace(x='ab') %}"
    + SIXTY
    + "{% set y %}{{ ns.x }}{{ ns.x }}{% endset %}{% set ns.x = y %}{% endfor %}",
    "list plus": "{% set ns = namespace(x=[1]) %}" + SIXTY + "{% set ns.x = ns.x + ns.x %}{% endfor %}",
    "times": "{{ 'x' * 10000000000 }}",
    "list times": "{{ 10000000000 * [0] }}",
    "power": "{{ 10 ** 1000000000 }}",
    "squares": "{% set n = namespace(x=10) %}" + SIXTY + "{% set n.x = n.x * n.x %}{% endfor %}",
    "center": "{{ 'x'|center(10000000000) }}",
    "ljust": "{{ 'x'.ljust(10000000000) }}",
    "zfill": "{{ 'x'.zfill(10000000000) }}",
    "printf": "{{ '%10000000000d' % 1 }}",
    "printf with a width": "{{ '%*d' % (10000000000, 1) }}",
    "printf of a test": "{{ '%10000000000d' is even }}",
    "printf filter": "{{ '%10000000000d'|format(1) }}",
    "str.format": "{{ '{:10000000000d}'.format(1) }}",
    "str.format with a width": "{{ '{:{}d}'.format(1, 10000000000) }}",
    "str.format_map": "{{ '{a:10000000000d}'.format_map({'a': 1}) }}",
    "strftime": "{{ strftime_now('%10000000000Y') }}",
    "replace": "{{ " + LONG + "|replace('x', 'y' * 100000) }}",
    "str.replace": "{{ " + LONG + ".replace('x', 'y' * 100000) }}",
    "str.replace of nothing": "{{ " + LONG + ".replace('', 'y' * 100000) }}",
    "join": "{{ range(90000)|join('y' * 100000) }}",
    "str.join": "{{ ('y' * 100000).join(" + LONG + ") }}",
    "indent": "{{ " + LONG_LINES + "|indent(100000) }}",
    "indent with a text": "{{ " + LONG_LINES + "|indent('y' * 100000) }}",
    "tabs": "{{ ('\t' * 100000).expandtabs(100000) }}",
    "truncate": "{{ " + LONG + "|truncate(5, end='y' * 10000000000) }}",
    "batch": "{{ [1]|batch(1000000000, 1)|list }}",
    "slice": "{{ [1]|slice(1000000000, 1)|list }}",
    "round": "{{ 1.5|round(1000000000, 'floor') }}",
    "JSON indent": "{{ " + LONG_LIST + "|tojson(indent=100000) }}",
    "JSON indent with a text": "{{ " + LONG_LIST + "|tojson(indent='y' * 100000) }}",
    "JSON separators": "{{ " + LONG_LIST + "|tojson(separators=('y' * 100000, ':')) }}",
    "lists within lists": TWO_NESTED + "{{ ns.x }}",
    "tuples within tuples as a key": TWO_TUPLES + "{{ {ns.x: 1} }}",
    "tuples within tuples looked up": TWO_TUPLES + "{{ messages[0][ns.x] }}",
    "tuples within tuples got": TWO_TUPLES + "{{ {'a': 1}.get(ns.x) }}",
    "tuples within tuples as an attribute": TWO_TUPLES + "{{ messages|attr(ns.x) }}",
    "tuples within tuples as safe text": TWO_TUPLES + "{{ ns.x|safe }}",
    "tuples within tuples as the name of a test": TWO_TUPLES + "{{ ns.x is filter }}",
    "lists within lists in lower case": TWO_NESTED + "{{ ns.x is lower }}",
    "lists within lists as JSON": TWO_NESTED + "{{ ns.x|tojson }}",
    "lists within lists joined": TWO_NESTED + "{{ ns.x ~ '' }}",
    "lists within lists compared": TWO_NESTED + "{{ ns.x == ns.y }}",
    "lists within lists tested": TWO_NESTED + "{{ ns.x is eq ns.y }}",
    "lists within lists found": TWO_NESTED + "{{ [ns.x].index(ns.y) }}",
    "namespaces within namespaces": "{% set ns = namespace(x=1) %}"
    + SIXTY
    + "{% set ns.x = namespace(a=ns.x, b=ns.x) %}{% endfor %}{{ '%s' % ns.x }}",
    "objects within objects": "{% set ns = namespace(x={}) %}"
    + SIXTY
    + "{% set ns.x = {'a': ns.x, 'b': ns.x} %}{% endfor %}{{ ns.x.values() }}",
    "blocks": "{% block a %}{{ 'x' * 1000 }}{% endblock %}" + MANY + "{{ self.a() }}{% endfor %}",
    "callers": "{% macro f() %}{{ caller() }}{{ caller() }}{% endmacro %}"
    + "{% call f() %}" * 15
    + "x" * 1000
    + "{% endcall %}" * 15,
    "joiners": "{% set j = joiner('x' * 1000000) %}" + MANY + "{{ j() }}{% endfor %}",
    "source": "x" * 2_000_000,
    "depth of source": "{% if 1 %}" * 5000 + "{% endif %}" * 5000,
}


@pytest.mark.parametrize("template", SILENT_LOOPS.values(), ids=SILENT_LOOPS.keys())
def test_a_template_that_loops_is_stopped(template):
    with pytest.raises(TemplateError, match=STOPPED):
        render_chat(MESSAGES, template=template)


@pytest.mark.parametrize("template", GROWTH.values(), ids=GROWTH.keys())
def test_a_template_that_grows_is_stopped(template):
    with pytest.raises(TemplateError, match=STOPPED):
        render_chat(MESSAGES, template=template)


@pytest.mark.parametrize(
    "template",
    [
        "{{ 'x'.translate({120: 'y' * 1000}) }}",
        "{{ (1).to_bytes(1000000, 'big') }}",
        "{{ lipsum(n=9) }}",
        "{{ [1]|sum }}",
    ],
)
def test_what_grows_and_no_template_needs_is_not_there(template):
    with pytest.raises(TemplateError, match="unsafe|undefined|No filter"):
        render_chat(MESSAGES, template=template)


def test_the_error_says_what_happened_in_one_sentence():
    with pytest.raises(TemplateError, match="loops or grows") as caught:
        render_chat(MESSAGES, template=SILENT_LOOPS["ranges"])
    assert "\n" not in str(caught.value)


def test_a_stopped_template_leaves_the_next_one_its_whole_budget():
    with pytest.raises(TemplateError):
        render_chat(MESSAGES, template=SILENT_LOOPS["ranges"])
    assert len(render_chat(MESSAGES)) > 3000


@pytest.mark.parametrize(("count", "length"), [(0, 0), (5_000, 10), (3, 3_000_000)])
def test_long_conversations_are_not_stopped(count, length):
    messages = [{"role": role, "content": "x" * length} for role in ("user", "assistant")] * count
    assert render_chat(messages).count("x") == 2 * count * length


def test_a_template_may_go_through_a_conversation_for_each_of_its_messages():
    template = "{% for a in messages %}{% for b in messages[:loop.index] %}{{ b.role[0] }}{% endfor %}{% endfor %}"
    assert render_chat(MESSAGES, template=template) == "u" * 5050
