"""Classes of characters for regular expressions, and the pattern of words.

The classes tell scripts and combining marks apart.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import cache
from itertools import chain

# First and last characters of blocks of scripts that put no spaces between words: Thai and Lao,
# Burmese, Khmer, Tai scripts, Hiragana and Katakana, Javanese, Chinese characters.
UNSPACED_BLOCKS = (
    (0x0E00, 0x0EFF),
    (0x1000, 0x109F),
    (0x1780, 0x17FF),
    (0x1950, 0x19FF),
    (0x1A20, 0x1AAF),
    (0x3005, 0x3007),
    (0x3041, 0x30FF),
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xA980, 0xA9FF),
    (0xAA60, 0xAA7F),
    (0xF900, 0xFAFF),
    (0x20000, 0x323AF),
)
# Ranges that contain all combining marks except variation selectors above the last one.
MARK_BLOCKS = ((0x0300, 0x20FF), (0x2C00, 0x33FF), (0xA600, 0xABFF), (0xFB00, 0xFE2F))
MARK_BLOCKS_ABOVE = ((0x10000, 0x11FFF), (0x16000, 0x16FFF), (0x1B000, 0x1EFFF))


def character_class(codes: Iterable[int]) -> str:
    """Return the inside of a character class, such as ``a-cx``, of code points above ASCII.

    Parameters
    ----------
    codes : iterable of int
        Code points in ascending order.

    Returns
    -------
    str
        Empty without code points.
    """
    ranges: list[list[int]] = []
    for code in codes:
        if ranges and code == ranges[-1][1] + 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return "".join(chr(a) if a == b else f"{chr(a)}-{chr(b)}" for a, b in ranges)


UNSPACED = "".join(f"{chr(first)}-{chr(last)}" for first, last in UNSPACED_BLOCKS)


def is_unspaced(char: str) -> bool:
    """Return whether a character belongs to a script that puts no spaces between words."""
    return any(first <= ord(char) <= last for first, last in UNSPACED_BLOCKS)


@cache
def marks() -> str:
    """Return the inside of a character class of all combining marks.

    Word characters of regular expressions of Python do not include them.
    """
    blocks = (*MARK_BLOCKS, *MARK_BLOCKS_ABOVE)
    codes = chain.from_iterable(range(first, last + 1) for first, last in blocks)
    return character_class(code for code in codes if unicodedata.category(chr(code))[0] == "M")


@cache
def word_pattern() -> re.Pattern[str]:
    """Return the pattern of words, which include combining marks, and of punctuation marks."""
    return re.compile(rf"[\w{marks()}]+|[^\w\s]")
