"""A jinja2 environment as transformers sets it up, which limits the work of a template.

A template comes with a model file, so it may be anybody's. Jinja's sandbox keeps it away from the system, but not from
looping for ever or building gigabytes. Here every loop turn, call, filter, operator, comparison and output is charged
to a budget: steps for time, characters for memory, before the work is done where the work could be large. The counts
are the same on every machine and need neither a thread, nor a timer, nor a trace function.
"""

import json
import re
from collections.abc import Generator, ItemsView, Iterator, KeysView, ValuesView
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from functools import lru_cache, wraps
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.runtime import Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace
from jinja2.visitor import NodeTransformer

BASE_BUDGET = 16_000_000  # characters, whatever the conversation
BUDGET_PER_INPUT = 32  # characters that each character of the conversation adds
STEP = 32  # characters that one operation counts for, about a microsecond
REFERENCE = 8  # characters that an item of a list counts for
MAX_SOURCE = 100_000  # characters, which compile in a second; Kimi's templates have 3,000 to 6,000
MAX_BITS = 4096  # of an integer
MAX_WIDTH = 1000  # of a printf or str.format field
MAX_SEPARATOR = 16  # characters between the items of a JSON list
NOT_ASCII = re.compile(r"[^\0-~]")  # escaped by json.dumps besides quotes, backslashes and controls
WIDE_FIELD = re.compile(r"\d{4,}|\*|\{[^{}]*\{")  # the last: a width that is itself a field

FLAT_FILTERS = {"length", "count", "first", "last", "default", "d", "list", "items", "reverse"}
FLAT_TESTS = {"boolean", "callable", "defined", "false", "float", "integer", "iterable", "mapping", "none", "number"}
FLAT_TESTS |= {"sameas", "sequence", "string", "true", "undefined"}
MODULO_TESTS = {"divisibleby", "even", "odd"}  # of a text, `%` would print
WITHDRAWN_FILTERS = ("pprint", "urlize", "xmlattr", "wordwrap", "sum")  # no chat template needs them; all can explode
WITHDRAWN_METHODS = {"translate", "maketrans", "to_bytes"}
FLAT_METHODS = {"get", "items", "keys", "values", "copy"}


class Exhausted(Exception):
    """The template did more work than any chat template has reason to."""


class Budget:
    """The characters that one rendering may still spend. mark: the character that it must not escape."""

    def __init__(self, characters: int, mark: str):
        self._left = characters
        self.mark = mark

    def spend(self, characters: int) -> None:
        """Exhausted: there is less left."""
        self._left -= characters
        if self._left < 0:
            raise Exhausted

    def spend_on(self, value: object) -> None:
        """Charges for a walk through a value, or for printing it; shared parts count as often as they are met."""
        if isinstance(value, str | bytes):
            self.spend(len(value))
            return
        pending = [value]
        while pending:
            value = pending.pop()
            self.spend(len(value) if isinstance(value, str | bytes) else STEP)
            if isinstance(value, list | tuple | set | frozenset | KeysView | ValuesView | ItemsView):
                self.spend(len(value))
                pending.extend(value)
            elif isinstance(value, dict):
                self.spend(len(value))
                pending.extend(value)
                pending.extend(value.values())
            elif isinstance(value, range):
                self.spend(STEP * len(value))
            elif isinstance(value, Namespace):
                pending.append(object.__getattribute__(value, "_Namespace__attrs"))


_BUDGET: ContextVar[Budget] = ContextVar("template budget")


@contextmanager
def budget_for(inputs: object, mark: str) -> Iterator[None]:
    """Gives the templates that are compiled and rendered inside a budget in proportion to the inputs."""
    size = _Gauge()
    size.spend_on(inputs)
    token = _BUDGET.set(Budget(BASE_BUDGET + BUDGET_PER_INPUT * size.spent, mark))
    try:
        yield
    finally:
        _BUDGET.reset(token)


class _Gauge(Budget):
    """A budget without an end, which measures what is spent."""

    def __init__(self):
        self.spent = 0

    def spend(self, characters: int) -> None:
        self.spent += characters


class MeteredEnvironment(ImmutableSandboxedEnvironment):
    """The sandbox with a meter. Source of the settings: transformers/utils/chat_template_utils.py."""

    intercepted_binops = frozenset(("+", "*", "**", "%"))

    def __init__(self):
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=[loopcontrols, _GenerationTag],
            finalize=_charge_output,
            optimized=False,  # nothing is computed while compiling
        )
        del self.globals["lipsum"]
        self.globals |= {"raise_exception": _raise_exception, "strftime_now": _strftime_now}
        self.filters["tojson"] = _tojson
        for name in WITHDRAWN_FILTERS:
            del self.filters[name]
        self.filters = {name: _metered_filter(name, function) for name, function in self.filters.items()}
        self.tests = {name: _metered_test(name, function) for name, function in self.tests.items()}

    def call(self, context: Any, called: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Makes a call of the template's, charged for its arguments and its result."""
        owner = getattr(called, "__self__", None)
        if owner is self:  # a charge that was written into the template
            return called(*args)
        budget = _BUDGET.get()
        budget.spend(STEP)
        if isinstance(owner, str | bytes | list | tuple | dict | range) or hasattr(called, "__wrapped__"):
            name = called.__name__
            owner = getattr(called.__wrapped__, "__self__", "") if owner is None else owner
            budget.spend_on((args, kwargs) if name in FLAT_METHODS else owner)
            _charge_growth(budget, name, (owner, *args, *kwargs.values()))
        elif not isinstance(called, Macro):
            budget.spend_on((args, kwargs))
        result = super().call(context, called, *args, **kwargs)
        _charge_result(budget, result)
        return result

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Whether a template may have this attribute."""
        return attr not in WITHDRAWN_METHODS and super().is_safe_attribute(obj, attr, value)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Applies an operator that can make a large value of small ones, charged before it does."""
        budget = _BUDGET.get()
        budget.spend(STEP)
        if isinstance(left, int) and isinstance(right, int):
            bits = left.bit_length() * abs(right) if operator == "**" else left.bit_length() + right.bit_length()
            if bits > MAX_BITS:
                raise Exhausted
        elif operator == "*":
            for sequence, times in ((left, right), (right, left)):
                if isinstance(sequence, str | bytes | list | tuple) and isinstance(times, int):
                    budget.spend(len(sequence) * max(0, times))
        elif operator == "%" and isinstance(left, str):
            _charge_format(budget, left, right)
        elif operator == "+":
            budget.spend(sum(len(side) for side in (left, right) if isinstance(side, str | bytes | list | tuple)))
        return super().call_binop(context, operator, left, right)

    def charge_slice(self, value: Any) -> Any:
        """Charges for a slice that was just made."""
        _BUDGET.get().spend(STEP + (len(value) if isinstance(value, str | list | tuple) else 0))
        return value

    def charge_operand(self, value: Any) -> Any:
        """Charges for a value that is about to be compared, joined by `~`, or looked up, which hashes all of a
        tuple."""
        _BUDGET.get().spend_on(value)
        return value

    def step(self, cost: int) -> bool:
        """Charges for a turn of a loop or an entry into a macro. True, so that it can stand in a condition."""
        _BUDGET.get().spend(cost)
        return True


@lru_cache(maxsize=8)
def compile_template(source: str) -> jinja2.Template:
    """The template with its charges written in. jinja2.TemplateError and others: it cannot be compiled."""
    if len(source) > MAX_SOURCE:
        raise Exhausted
    environment = MeteredEnvironment()
    tree = _WriteCharges().visit(environment.parse(source))
    tree.set_environment(environment)
    return environment.from_string(tree)


class _WriteCharges(NodeTransformer):
    """Writes a charge wherever the sandbox has no hook: loops, macros, comparisons, `~`, slices and keys."""

    def _visit_body(self, node: Any) -> Any:
        cost = STEP + 4 * sum(1 for _ in node.find_all(nodes.Node))
        cost += sum(len(data.data) for data in node.find_all(nodes.TemplateData))
        self.generic_visit(node)
        step = _call("step", nodes.Const(cost, lineno=node.lineno))
        if isinstance(node, nodes.For) and node.test is not None:
            node.test = nodes.And(step, node.test, lineno=node.lineno)
        node.body.insert(0, nodes.ExprStmt(step, lineno=node.lineno))
        return node

    visit_For = visit_Macro = visit_CallBlock = visit_Block = _visit_body

    def visit_Compare(self, node: nodes.Compare) -> nodes.Compare:
        self.generic_visit(node)
        node.expr = _charged(node.expr)
        for operand in node.ops:
            operand.expr = _charged(operand.expr)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Concat:
        self.generic_visit(node)
        node.nodes = [_charged(operand) for operand in node.nodes]
        return node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Expr:
        self.generic_visit(node)
        if isinstance(node.arg, nodes.Slice):
            return _call("charge_slice", node)
        node.arg = _charged(node.arg)
        return node

    def visit_Pair(self, node: nodes.Pair) -> nodes.Pair:
        self.generic_visit(node)
        node.key = _charged(node.key)
        return node


def _call(method: str, argument: nodes.Expr) -> nodes.Call:
    """A call of a method of the environment."""
    function = nodes.EnvironmentAttribute(method, lineno=argument.lineno)
    return nodes.Call(function, [argument], [], None, None, lineno=argument.lineno)


def _charged(operand: nodes.Expr) -> nodes.Expr:
    return operand if isinstance(operand, nodes.Const) else _call("charge_operand", operand)


class _GenerationTag(Extension):
    """{% generation %}, with which training marks the assistant's text; here it only renders."""

    tags = {"generation"}

    def parse(self, parser: Any) -> nodes.Node:
        line = next(parser.stream).lineno
        return nodes.Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True), lineno=line)


@jinja2.pass_context
def _charge_output(_context: Any, value: Any) -> Any:
    """Charges for a value of `{{ }}` before it becomes text."""
    budget = _BUDGET.get()
    budget.spend(STEP)
    budget.spend_on(value)
    return value


def _metered_filter(name: str, function: Any) -> Any:
    """The filter, charged for its arguments and its result."""

    @wraps(function)
    def metered(*args: Any, **kwargs: Any) -> Any:
        budget = _BUDGET.get()
        budget.spend(STEP)
        values = (*args, *kwargs.values())
        for value in values:
            if name not in FLAT_FILTERS:
                budget.spend_on(value)
        _charge_growth(budget, name, values)
        result = function(*args, **kwargs)
        if isinstance(result, Generator):
            return _counted(budget, result)
        _charge_result(budget, result)
        return result

    return metered


def _metered_test(name: str, function: Any) -> Any:
    """The test, charged for its arguments."""

    @wraps(function)
    def metered(*args: Any) -> Any:
        _BUDGET.get().spend(STEP)
        if name in MODULO_TESTS and isinstance(args[0], str):
            raise Exhausted
        if name not in FLAT_TESTS:
            _BUDGET.get().spend_on(args)
        return function(*args)

    return metered


def _counted(budget: Budget, items: Iterator[Any]) -> Iterator[Any]:
    """The items, each charged when it is taken."""
    for item in items:
        budget.spend(STEP)
        yield item


def _charge_result(budget: Budget, result: object) -> None:
    """Charges for the memory of a result: its characters, or its references."""
    if isinstance(result, str | bytes):
        budget.spend(len(result))
    elif isinstance(result, list | tuple | dict):
        budget.spend(REFERENCE * len(result))


def _charge_growth(budget: Budget, name: str, values: tuple) -> None:
    """Charges for the long result that a filter or a method of str can make of short arguments, before it does."""
    if name in FLAT_FILTERS or name in FLAT_METHODS:
        return
    texts = [value for value in values if isinstance(value, str)]
    numbers = sum(abs(value) for value in values if isinstance(value, int))
    lengths = [len(text) for text in texts]
    if name in ("format", "format_map") and texts:
        _charge_format(budget, texts[0], values)
    elif name == "replace" and len(texts) > 2:
        budget.spend((lengths[0] + 1 if not texts[1] else texts[0].count(texts[1])) * lengths[2])
    elif name in ("indent", "expandtabs", "tojson", "join", "translate", "truncate"):
        widest = max((numbers, *lengths[1:]) if name != "join" else lengths, default=0)
        items = sum(len(value) for value in values if isinstance(value, str | list | tuple | dict))
        budget.spend(numbers + widest * items if name in ("indent", "expandtabs", "join") else numbers)
    else:
        budget.spend(numbers)


def _charge_format(budget: Budget, text: str, values: object) -> None:
    """Charges for a printf or str.format text; its fields may be at most 999 wide, and only as written in it."""
    if WIDE_FIELD.search(text.replace("{{", "")):
        raise Exhausted
    budget.spend(len(text) * MAX_WIDTH if "%" in text or "{" in text else len(text))
    budget.spend_on(values)


def _tojson(
    value: Any, ensure_ascii: bool = False, indent: Any = None, separators: Any = None, sort_keys: bool = False
) -> str:
    """transformers' tojson: json.dumps without HTML escapes. Indented text is charged as it grows."""
    if any(len(separator) > MAX_SEPARATOR for separator in separators or ()):
        raise Exhausted
    encoder = json.JSONEncoder(ensure_ascii=False, indent=indent, separators=separators, sort_keys=sort_keys)
    budget = _BUDGET.get()
    pieces = []
    for piece in encoder.iterencode(value) if indent is not None else (encoder.encode(value),):
        budget.spend(len(piece))
        pieces.append(piece)
    text = "".join(pieces)
    return NOT_ASCII.sub(lambda found: _escaped(found[0], budget.mark), text) if ensure_ascii else text


def _escaped(character: str, mark: str) -> str:
    """The character as JSON spells it in ASCII; the mark as it is."""
    return character if character == mark else json.dumps(character)[1:-1]


def _raise_exception(message: str) -> None:
    raise jinja2.TemplateError(message)


def _strftime_now(form: str) -> str:
    if WIDE_FIELD.search(form):
        raise Exhausted
    return datetime.now().strftime(form)
