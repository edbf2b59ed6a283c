"""Decoding id by id."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kimi_cpu.errors import TokenizerError
from kimi_cpu.tokenizer import StreamDecoder

any_ids = st.lists(st.integers(0, 163_839) | st.integers(0, 255))


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=("Cs",))), st.booleans())
def test_text_comes_out_whole_and_never_in_half_characters(kimi, text, special):
    stream = StreamDecoder(kimi)
    out = consumed = ""
    sent = b""
    for token_id in kimi.encode(text, special=special):
        out += stream.push(token_id)
        sent += kimi.token_bytes(token_id)
        consumed = sent.decode(
            errors="ignore"
        )  # what is complete: of valid text only the last character can lack bytes
        assert out == consumed
    assert out + stream.flush() == text


@settings(deadline=None)
@given(any_ids)
def test_any_ids_joined_are_what_decode_gives(kimi, ids):
    stream = StreamDecoder(kimi)
    whole = kimi.decode(ids)
    out = ""
    for token_id in ids:
        out += stream.push(token_id)
        assert whole.startswith(out)
    assert out + stream.flush() == whole


@settings(deadline=None)
@given(any_ids, st.integers(0, 50))
def test_a_flush_starts_anew(kimi, ids, cut):
    stream = StreamDecoder(kimi)
    pieces = [*map(stream.push, ids[:cut]), stream.flush(), *map(stream.push, ids[cut:]), stream.flush()]
    assert "".join(pieces) == kimi.decode(ids[:cut]) + kimi.decode(ids[cut:])


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=60), st.data())
def test_a_stream_of_separately_encoded_parts_gives_the_whole_text(kimi, text, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=5)))
    parts = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    stream = StreamDecoder(kimi)
    out = "".join(stream.push(i) for part in parts for i in kimi.encode(part, special=False))
    assert out + stream.flush() == text


def test_an_unfinished_character_is_replaced_at_the_end(kimi):
    first, *_ = kimi.encode("\U0001f9ff")
    stream = StreamDecoder(kimi)
    assert stream.push(first) == ""
    assert stream.flush() == "\ufffd"
    assert stream.flush() == ""


@pytest.mark.parametrize("token_id", [-1, 163_840, 10**12])
def test_an_id_outside_the_vocabulary_is_refused(kimi, token_id):
    with pytest.raises(TokenizerError, match=str(token_id)):
        StreamDecoder(kimi).push(token_id)
    with pytest.raises(TokenizerError, match=str(token_id)):
        kimi.decode([5, token_id, 7])
