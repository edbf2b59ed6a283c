"""Strings that a tokenizer may stumble over, from a seeded generator."""

from random import Random

SCRIPTS = (  # first and last code point of blocks that mix letters, marks, numbers and punctuation
    (0x20, 0x7E),
    (0x00, 0x1F),
    (0x7F, 0xFF),
    (0x100, 0x24F),
    (0x2B0, 0x36F),  # modifier letters, combining marks
    (0x370, 0x52F),  # Greek, Cyrillic
    (0x590, 0x6FF),  # Hebrew, Arabic
    (0x900, 0x97F),  # Devanagari
    (0xE00, 0xE7F),  # Thai
    (0x10A0, 0x10FF),  # Georgian
    (0x1100, 0x11FF),  # Hangul Jamo
    (0x1C80, 0x1CBF),
    (0x1E00, 0x1FFF),
    (0x2000, 0x206F),  # spaces, separators, joiners
    (0x2070, 0x218F),  # superscripts, letterlike, number forms
    (0x2190, 0x2BFF),
    (0x2E80, 0x303F),  # radicals, CJK punctuation, Han digits
    (0x3040, 0x30FF),  # kana
    (0x3400, 0x9FFF),
    (0xA640, 0xA7FF),
    (0xAC00, 0xD7A3),
    (0xF900, 0xFAFF),
    (0xFE00, 0xFFFF),
    (0x10000, 0x10FFF),
    (0x11000, 0x12FFF),
    (0x16E40, 0x18CFF),
    (0x1D000, 0x1D7FF),
    (0x1F000, 0x1FAFF),
    (0x20000, 0x323FF),
    (0xE0000, 0xE01EF),
    (0x100000, 0x10FFFF),
)
SNIPPETS = (
    *("'s", "'T", "'re", "'VE", "'m", "'lL", "'d", "'ſ", "’s", "'", "''", "don't", "I'LL", "x'sy"),
    *("\r\n", "\n", "\r", "\n\n ", " \n", "\t", "  ", " ", "\u00a0", "\u3000", "\x1c", "\x85", "\u2028", "\u200b"),
    *("def f(x):\n    return x**2\n", "</div>\n", '{"a": [1, -2.5e10]}', "#include <stdio.h>", "camelCaseHTTPServer"),
    *("<|im_end|>", "<|im_", "|>", "[EOS]", "[PAD", "<think>", "</think", "<|reserved_token_163600|>", "<<|im_user|>"),
    *(
        "1234567",
        "3.14",
        "٣٤٥",
        "Ⅷ",
        "½",
        "〇一二",
        "〡〢",
        "⺀⺁",
        "\U00016ff0",
        "中文字符",
        "日本語テキスト",
        "한국어",
    ),
    *("é", "e\u0301", "\u0301\u0301", "ǅ", "ʰ", "ﬁ", "ß", "İ", "👩‍👩‍👧", "🇩🇪", "✊🏿", "\ufeff", "\ufffd", "\x00"),
)


def random_text(random: Random) -> str:
    """One string of one to several hundred characters: a mixture of scripts, snippets, runs and any code point."""
    out = []
    for _ in range(random.choice((1, 2, 4, 8, 16))):
        kind = random.randrange(6)
        if kind == 0:
            out.append("".join(_any_character(random) for _ in range(random.randrange(1, 12))))
        elif kind == 1:
            first, last = random.choice(SCRIPTS)
            out.append("".join(_character(random, first, last) for _ in range(random.randrange(1, 20))))
        elif kind == 2:
            out.append(random.choice(SNIPPETS))
        elif kind == 3:
            out.append("".join(random.choices("abcdefgXYZ 0123'\n\t-_.,(){}<>|[]", k=random.randrange(1, 40))))
        elif kind == 4:
            run = random.choice(SNIPPETS) if random.random() < 0.5 else _any_character(random)
            out.append(run * random.choice((2, 3, 5, 17, 120)))
        else:
            out.append(
                " " * random.randrange(3) + "".join(random.choices("thequickBrownFOX", k=random.randrange(1, 15)))
            )
    return "".join(out)


def _any_character(random: Random) -> str:
    """Any code point that is no surrogate, all planes alike."""
    plane = random.choice((0, 0, 0, *range(17)))
    return _character(random, plane << 16, plane << 16 | 0xFFFF)


def _character(random: Random, first: int, last: int) -> str:
    """A character of a range; a surrogate is drawn again."""
    while 0xD800 <= (code_point := random.randint(first, last)) <= 0xDFFF:
        pass
    return chr(code_point)
