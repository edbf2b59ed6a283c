"""Control tokens: found by name, never made of text that a person or a tool wrote."""

import pytest

from kimi_cpu.errors import TokenizerError
from kimi_cpu.tokenizer import Tokenizer, special_tokens_from_config


def config(**names):
    return {"added_tokens_decoder": {i: {"content": text, "special": True} for i, text in names.items()}}


def test_kimi_has_its_256_special_tokens(kimi):
    assert kimi.n_vocab == 163_840
    assert len(kimi.special_tokens) == 256
    assert kimi.special_tokens["<|im_end|>"] == 163_586
    assert kimi.special_tokens["</think>"] == 163_607
    assert kimi.special_tokens["<|reserved_token_163589|>"] == 163_589
    assert kimi.eos_ids == (163_586, 163_585)


def test_typed_special_tokens_are_ordinary_text_unless_allowed(kimi):
    for text, token_id in kimi.special_tokens.items():
        assert kimi.encode(text) == [token_id]
        typed = kimi.encode(text, special=False)
        assert not any(map(kimi.is_special, typed))
        assert kimi.decode(typed) == kimi.decode([token_id]) == text
        assert kimi.token_bytes(token_id) == text.encode()


def test_names_come_from_the_configuration():
    specials = special_tokens_from_config(config(**{"1000": "<a>", "1255": "<b>"}), 1000)
    assert specials["<a>"] == 1000 and specials["<b>"] == 1255 and specials["<|reserved_token_1001|>"] == 1001
    assert sorted(specials.values()) == list(range(1000, 1256))


def test_without_a_configuration_kimis_names_follow_the_base_vocabulary():
    specials = special_tokens_from_config(None, 300)
    assert specials["[BOS]"] == 300 and specials["<think>"] == 322 and specials["[PAD]"] == 555


@pytest.mark.parametrize(
    "broken",
    [
        config(**{"999": "<below>"}),
        config(**{"1256": "<above>"}),
        config(**{"1000": "<a>", "1001": "<a>"}),
        config(**{"1000": ""}),
        config(**{"1000": None}),
        config(**{"1000": "\ud800"}),
        config(**{"one": "<a>"}),
        {"added_tokens_decoder": ["<a>"]},
        {"added_tokens_decoder": {"1000": "<a>"}},
    ],
    ids=str,
)
def test_a_configuration_that_does_not_fit_is_refused(broken):
    with pytest.raises(TokenizerError):
        special_tokens_from_config(broken, 1000)


def test_of_special_tokens_that_begin_alike_the_longest_is_taken(small_ranks):
    tokenizer = Tokenizer(small_ranks, None, config(**{"257": "<x", "258": "<xy>", "259": "<", "260": "|"}))
    names = {i: text for text, i in tokenizer.special_tokens.items()}
    assert [names[i] for i in tokenizer.encode("<xy><x<|")] == ["<xy>", "<x", "<", "|"]
