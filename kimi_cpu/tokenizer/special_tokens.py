"""The 256 ids after the base vocabulary: control tokens, found by name."""

from ..errors import TokenizerError

NUM_SPECIAL_TOKENS = 256  # tokenization_kimi.py: num_reserved_special_tokens
KIMI_NUM_BASE = 163_584  # lines of Kimi K2's tiktoken.model
KIMI_NAMES = {  # offset from the base vocabulary -> text, as in K2 Thinking's tokenizer_config.json
    0: "[BOS]",
    1: "[EOS]",
    2: "<|im_end|>",
    3: "<|im_user|>",
    4: "<|im_assistant|>",
    6: "<|start_header_id|>",
    7: "<|end_header_id|>",
    9: "[EOT]",
    10: "<|im_system|>",
    11: "<|tool_calls_section_begin|>",
    12: "<|tool_calls_section_end|>",
    13: "<|tool_call_begin|>",
    14: "<|tool_call_argument_begin|>",
    15: "<|tool_call_end|>",
    17: "<|im_middle|>",
    22: "<think>",
    23: "</think>",
    254: "[UNK]",
    255: "[PAD]",
}
EOS_NAMES = ("<|im_end|>", "[EOS]")  # generation_config.json and config.json of K2 Thinking


def special_tokens_from_config(tokenizer_config: dict | None, num_base: int) -> dict[str, int]:
    """Text -> id of the 256 ids from num_base on: named in added_tokens_decoder, the rest `<|reserved_token_ID|>`.
    None: Kimi K2 Thinking's names, wherever the base vocabulary ends. TokenizerError: a name that is empty, given
    twice or for an id outside these 256. Source: tokenization_kimi.py, TikTokenTokenizer.__init__."""
    if tokenizer_config is None:
        names = {num_base + offset: text for offset, text in KIMI_NAMES.items()}
    else:
        names = _names(tokenizer_config)
    for token_id, text in names.items():
        if not num_base <= token_id < num_base + NUM_SPECIAL_TOKENS:
            raise TokenizerError(
                f"The tokenizer configuration names id {token_id} {text!r}, which is not one of the "
                f"{NUM_SPECIAL_TOKENS} ids from {num_base} on. Use the configuration that belongs to the rank file."
            )
    ids = range(num_base, num_base + NUM_SPECIAL_TOKENS)
    specials = {names.get(i, f"<|reserved_token_{i}|>"): i for i in ids}
    if len(specials) != NUM_SPECIAL_TOKENS or "" in specials:
        raise TokenizerError("The tokenizer configuration gives one special token's text twice, or an empty one.")
    return specials


def _names(tokenizer_config: dict) -> dict[int, str]:
    """Id -> text of added_tokens_decoder."""
    try:
        decoder = tokenizer_config.get("added_tokens_decoder", {})
        names = {int(token_id): token["content"] for token_id, token in decoder.items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise TokenizerError(f"added_tokens_decoder in the tokenizer configuration is malformed: {error!r}.") from error
    try:
        "".join(names.values()).encode()
    except (TypeError, UnicodeEncodeError) as error:
        raise TokenizerError(f"added_tokens_decoder in the tokenizer configuration holds no text: {error}.") from error
    return names
