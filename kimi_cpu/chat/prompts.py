"""Prompts of chats that grow: what an earlier one began with is not normalised, rendered or encoded again."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import chain, takewhile
from threading import Lock
from typing import Any, NamedTuple

import numpy as np

from ..errors import RequestError
from ..tokenizer import Tokenizer
from ..tokenizer.pretokenize import NOTHING_BEFORE, Before
from .messages import normalise_messages, well_formed
from .template import chat_variables, ids_of_pieces, kimi_template, rendered_pieces

JsonObject = dict[str, Any]
Messages = Sequence[Mapping[str, Any]]  # as they came
MOST_CHATS = 64  # that are remembered
MOST_CHARACTERS = 4_000_000  # of their texts; one that fills a context of 262,144 tokens has about 1,000,000
END = "<|im_end|>"


class _Chat(NamedTuple):
    """A chat that was encoded: its tools (Python's repr), its messages, and the ids i32[n] to the end of the last of
    them, with all that stands before them. ends: i64[messages, 3], how many ids these are at the end of each message,
    and what must be known of their text (Before). given: the messages as they came, up to the first of which _is_text
    is false."""

    tools: str
    messages: list[JsonObject]
    ids: np.ndarray
    ends: np.ndarray
    given: list[JsonObject]

    @property
    def text(self) -> Before:
        """What must be known of its text."""
        return Before(*self.ends[-1, 1:].tolist()) if len(self.ends) else NOTHING_BEFORE

    def beginning(self, count: int) -> "_Chat":
        """The chat of the first messages alone; the arrays are views."""
        ids = self.ids[: self.ends[count - 1, 0] if count else 0]
        return _Chat(self.tools, self.messages[:count], ids, self.ends[:count], self.given[:count])


NOTHING = _Chat("", [], np.zeros(0, np.int32), np.zeros((0, 3), np.int64), [])


class PromptEncoder:
    """Encodes chats to the ids of encode_chat, and remembers the latest. Thread-safe.

    A chat that begins with the messages of one before costs its further messages only, and has the ids of the whole:

    * After the tools and the system prompt, Kimi's template writes one message after the other, and looks at nothing
      but the message itself and whether it stands before the last answer without calls: there the assistant's reasoning
      is left out. So further messages are written as in a chat of their own, and those before them as they were, up to
      the first turn of the assistant of which that is no longer true.
    * Each message ends with a control token, over which no other token reaches, and no merge.
    * Where a long text is cut to be encoded depends on nothing behind the cut (ids_of_pieces).

    Chats of other templates are encoded as a whole.
    """

    def __init__(self, tokenizer: Tokenizer, template: str | None = None):
        """template: Jinja source, Kimi K2 Thinking's own by default."""
        self._tokenizer, self._template = tokenizer, kimi_template() if template is None else template
        self._is_kimis = self._template == kimi_template() and _stands_alone(END, tokenizer.special_tokens)
        self._chats: tuple[_Chat, ...] = ()  # the latest first
        self._lock = Lock()  # of a change of them

    def normalise(self, given: Messages) -> tuple[list[JsonObject], list[JsonObject]]:
        """normalise_messages of a list of messages, and a copy of these for `encode`, which nobody changes."""
        chats = self._chats if isinstance(given, list) else ()  # anything else is refused below
        counts = [_num_equal(chat.given, given) for chat in chats]
        most = max(counts, default=0)
        known = chats[counts.index(most)] if most else NOTHING
        begun = known.messages[:most]
        while begun and begun[-1]["role"] == "tool":  # results and their calls belong together
            begun.pop()
        if begun and begun[-1].get("tool_calls"):
            begun.pop()
        if begun:
            num_calls = sum(len(message.get("tool_calls", ())) for message in begun)
            with suppress(RequestError):  # a result of an earlier call, perhaps
                new = well_formed(given[len(begun) :])
                return begun + normalise_messages(new, num_calls=num_calls), known.given[: len(begun)] + new
        own = well_formed(given)
        return normalise_messages(own), own

    def encode(
        self,
        messages: list[JsonObject],
        tools: Iterable[Mapping[str, Any]] | None = None,
        template_kwargs: Mapping[str, object] | None = None,
        given: Sequence[JsonObject] = (),
    ) -> np.ndarray:
        """Ids i32[n] of a chat for the model to answer, which is remembered. messages: as `normalise` makes them, and
        never changed after, as the ids. given: the copy of what they were made of. Errors as encode_chat."""
        variables = chat_variables(messages, tools, True, template_kwargs or {})
        if not self._is_kimis:
            return np.asarray(self._whole(variables), np.int32)
        tools_text = repr(variables["tools"])
        known = self._known(tools_text, messages)
        new, ends = self._behind(variables, len(known.messages), known.text)
        return self._grown(known, tools_text, messages, new, ends, given)

    def encode_beginning(
        self,
        messages: list[JsonObject],
        tools: Iterable[Mapping[str, Any]] | None = None,
        template_kwargs: Mapping[str, object] | None = None,
    ) -> np.ndarray:
        """Ids i32[n] with which a chat's prompt begins whatever the text of its last message is. The chat without that
        one is remembered, unless it is an answer. Otherwise as `encode`."""
        *begun, last = messages
        variables = chat_variables(begun, tools, True, template_kwargs or {})
        both = [variables | {"messages": [*begun, last | {"content": text}]} for text in ("a", "1")]
        if not self._is_kimis or not begun or last["role"] == "assistant":  # those before it are written otherwise then
            first, second = map(self._whole, both)
            return np.asarray(first[: _num_equal(first, second)], np.int32)
        tools_text = repr(variables["tools"])
        known = self._known(tools_text, begun)
        new, ends = self._behind(variables, len(known.messages), known.text)
        num_new, num_chars, run = ends[-1] if ends else (0, *known.text)
        first, second = (self._behind(chat, len(begun), Before(num_chars, run))[0] for chat in both)
        new = new[:num_new] + first[: _num_equal(first, second)]
        return self._grown(known, tools_text, begun, new, ends)

    def _whole(self, variables: JsonObject) -> list[int]:
        """The ids of a chat, whatever is known of it."""
        pieces = rendered_pieces(self._template, variables, self._tokenizer)
        return list(chain.from_iterable(ids_of_pieces(pieces, self._tokenizer)))

    def _behind(
        self, variables: JsonObject, num_known: int, text: Before
    ) -> tuple[list[int], list[tuple[int, int, int]]]:
        """The ids behind so many messages of a chat, which have that text, and rows of _Chat.ends for the others."""
        pieces = self._pieces(variables, num_known)
        ids, ends, begin = list[int](), list[tuple[int, int, int]](), 0
        for place, found in enumerate(ids_of_pieces(pieces, self._tokenizer, text)):
            ids += found
            if place % 2 and pieces[place] == END:
                text, begin = text.followed_by("".join(pieces[begin : place + 1])), place + 1
                ends.append((len(ids), text.num_chars, text.run))
        return ids, ends

    def _grown(
        self,
        known: _Chat,
        tools: str,
        messages: list[JsonObject],
        new: list[int],
        ends: list[tuple[int, int, int]],
        given: Sequence[JsonObject] = (),
    ) -> np.ndarray:
        """The ids of a chat that is known and of what came behind it; that to the end of its messages is remembered."""
        ids = np.concatenate((known.ids, np.asarray(new, np.int32)))
        ids.flags.writeable = False  # the request, and the chat that is remembered, have it as it is
        if messages:
            new_ends = np.asarray(ends, np.int64).reshape(-1, 3) + (len(known.ids), 0, 0)
            all_ends = np.concatenate((known.ends, new_ends))
            all_ends = all_ends[-len(messages) :]  # those before them are of the tools and of Kimi's own system prompt
            kept = [*known.messages, *messages[len(known.messages) :]]
            num_texts = _num_equal(known.given, given)  # at least
            new_texts = takewhile(_is_text, given[num_texts : len(messages)])
            texts = [*known.given[:num_texts], *map(_shared, new_texts, kept[num_texts:])]
            self._remember(_Chat(tools, kept, ids[: all_ends[-1, 0]], all_ends, texts))
        return ids

    def _pieces(self, variables: JsonObject, num_known: int) -> list[str]:
        """The text behind so many messages, as rendered_pieces cuts it."""
        if not num_known:
            return rendered_pieces(self._template, variables, self._tokenizer)
        messages = variables["messages"][num_known:]
        pieces = rendered_pieces(self._template, variables | {"messages": messages, "tools": None}, self._tokenizer)
        has_system = bool(messages) and messages[0]["role"] == "system"
        return pieces if has_system else pieces[pieces.index(END) + 1 :]  # without Kimi's own

    def _known(self, tools: str, messages: list[JsonObject]) -> _Chat:
        """The longest beginning of a chat that is remembered; an empty one where there is none."""
        chats = [chat for chat in self._chats if chat.tools == tools]
        counts = [_num_alike(chat.messages, messages) for chat in chats]
        most = max(counts, default=0)
        return chats[counts.index(most)].beginning(most) if most else NOTHING

    def _remember(self, chat: _Chat) -> None:
        """Remembers a chat in place of those that are beginnings of it, and forgets the oldest."""
        if chat.text.num_chars > MOST_CHARACTERS:
            return
        with self._lock:
            chats, num_chars = [chat], chat.text.num_chars
            for other in self._chats:
                if other.tools == chat.tools and other.messages == chat.messages[: len(other.messages)]:
                    given = max(other.given, chats[0].given, key=len)
                    chats[0] = chat._replace(given=given)
                    continue
                num_chars += other.text.num_chars
                if len(chats) == MOST_CHATS or num_chars > MOST_CHARACTERS:
                    break
                chats.append(other)
            self._chats = tuple(chats)


def _num_alike(old: list[JsonObject], new: list[JsonObject]) -> int:
    """How many messages two chats begin with that are the same and written the same."""
    pairs = enumerate(zip(old, new, strict=False))
    same = next((i for i, (a, b) in pairs if not _are_same(a, b)), min(len(old), len(new)))
    first, last = sorted((_num_answered(old), _num_answered(new)))
    return next((i for i in range(first, min(last, same)) if new[i]["role"] == "assistant"), same)


def _are_same(a: JsonObject, b: JsonObject) -> bool:
    """Whether two messages have the same text: to Python 1, 1.0 and true are equal, and so are objects in any order."""
    if a is b or a != b:
        return a is b
    pairs = zip(a.get("tool_calls", ()), b.get("tool_calls", ()), strict=True)
    arguments = ((one["function"]["arguments"], other["function"]["arguments"]) for one, other in pairs)
    return all(isinstance(one, str) or repr(one) == repr(other) for one, other in arguments)


def _num_equal(old: Sequence[Any], new: Sequence[Any]) -> int:
    """How many messages, or ids, two chats begin with that are equal."""
    try:
        if old == new[: len(old)]:
            return len(old)
        pairs = enumerate(zip(old, new, strict=False))
        return next((i for i, (a, b) in pairs if a != b), min(len(old), len(new)))
    except Exception:  # of what a caller has put into a message: arrays cannot be compared
        return 0


def _is_text(value: object) -> bool:
    """Whether a message, or a part of it, has nothing but texts: among others, equal ones need not be written the same,
    as 1 and true, or the arguments of a call as an object."""
    if isinstance(value, dict):
        return not isinstance(value.get("arguments"), dict) and all(map(_is_text, value.values()))
    return value is None or isinstance(value, str) or (isinstance(value, list) and all(map(_is_text, value)))


def _shared(value: Any, other: Any) -> Any:
    """A value in which each part that another one has as well is the other's: both are kept, and take memory once."""
    if value == other:
        return other
    if isinstance(value, dict) and isinstance(other, dict):
        return {name: _shared(item, other.get(name)) for name, item in value.items()}
    return value


def _num_answered(messages: list[JsonObject]) -> int:
    """How many messages there are up to the last answer without calls."""
    answers = (i for i in reversed(range(len(messages))) if messages[i]["role"] == "assistant")
    return next((i + 1 for i in answers if not messages[i].get("tool_calls")), 0)


def _stands_alone(name: str, names: Iterable[str]) -> bool:
    """Whether a name is a special token's, and wherever it is written no other special token reaches into it."""
    others = {other for other in names if other != name}
    overlaps = (other.endswith(name[:n]) for other in others for n in range(1, len(name)))
    return name in names and not any(name in other for other in others) and not any(overlaps)
