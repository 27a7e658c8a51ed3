"""Words as they are compared: stems, the few that carry no content, and those that turn a sentence around."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

import snowballstemmer

_STEMMER: Final = snowballstemmer.stemmer("english")
_TOKEN: Final = re.compile(r"\d+(?:,\d{3})+(?:\.\d+)?|\w+(?:\.\d+\w*)*\+?(?:'t\b|\u2019t\b)?")
_NEGATIONS_WORDS: Final = """
no not never none neither nor without cannot fail fails failed lack lacks unable hardly rarely
"""
NEGATIONS: Final = frozenset(_NEGATIONS_WORDS.split())
_NAME_WORD: Final = re.compile(r"[A-Za-z0-9]+(?:\.\d+(?=\D|$)|\.\d+[A-Za-z]+)*\+?")
_PLUS: Final = re.compile(r"\s*\(\+\)")
_STOP_WORDS: Final = """
a an the of to in on for at by with from as and or is are was were be been being that this these those it its we our
their they them which who also then thus hence so such can may might will would could has have had do does did into
over both each per via using i you he she his her there here while when where than
"""
_STOP: Final = frozenset(_STOP_WORDS.split())
_SAYING_WORDS: Final = """
achieve achieves achieved achieving reach reaches reached reaching obtain obtains obtained get gets got score scores
scored yield yields yielded attain attains attained report reports reported result results show shows shown give gives
given perform performs performed performance set sets new best better worse higher lower average accuracy value values
test tests train training dev validation data dataset datasets task tasks model models method methods system systems
and with without not only but all none other others our ours their previous work paper table figure number
"""
SAYING: Final = frozenset(_SAYING_WORDS.split()) | _STOP
"""Words of which sentences about results are made; a header of one of them is no name to look for in a sentence."""
MEANS: Final = frozenset({"average", "avg", "mean", "overall"})
"""What a row or column of means is called; in a sentence it is an average."""
_OPPOSITES: Final = """
more less, higher lower, high low, better worse, increase decrease, improve degrade, improvement degradation, gain
loss, above below, best worst, largest smallest, larger smaller, faster slower, most least, up down, outperform
underperform, exceed trail, rise fall, strong weak, stronger weaker, greater less, greater smaller, maximum minimum,
maximize minimize, always never, all none, before after, with without, positive negative, highest lowest, easier
harder, cheaper dearer, helps hurts, significant insignificant, efficient inefficient
"""


@lru_cache(maxsize=131072)
def stem(word: str) -> str:
    """Return the stem of a lower-case word; numbers stay as they are."""
    found: str = _STEMMER.stemWord(word) if word.isalpha() else word
    return found


OPPOSITES: Final[dict[str, frozenset[str]]] = {}
for _pair in _OPPOSITES.split(","):
    _one, _other = map(stem, _pair.split())
    OPPOSITES[_one] = OPPOSITES.get(_one, frozenset()) | {_other}
    OPPOSITES[_other] = OPPOSITES.get(_other, frozenset()) | {_one}


def tokens(text: str) -> list[tuple[str, int, int]]:
    """Return the words of ``text`` in lower case, with their places."""
    return [(match[0].casefold(), match.start(), match.end()) for match in _TOKEN.finditer(text)]


def negates(word: str) -> bool:
    """Whether a word turns its sentence around."""
    return word in NEGATIONS or word.endswith(("n't", "n\u2019t"))


def content(word: str) -> bool:
    """Whether a word says something: not an article, preposition, pronoun or auxiliary."""
    return word not in _STOP or negates(word)


def stems(text: str) -> list[str]:
    """Return the stems of the words with content, in order."""
    return [stem(word) for word, _, _ in tokens(text) if content(word)]


def plain(text: str) -> str:
    """Return text in which only words, numbers and their order count.

    >>> plain("It \u201cworks\u201d: 96.2\u2009% of  cases.")
    'it works 96.2 of cases'
    """
    return " ".join(word for word, _, _ in tokens(text))


@lru_cache(maxsize=65536)
def key(text: str) -> str:
    """Return what is left of a name when case, spaces, hyphens and other marks do not matter.

    >>> key("DeepSeek-Coder 6.7B_base") == key("deepseekcoder-6.7b-base")
    True
    """
    return "".join(word for word, _, _ in name_words(text)).casefold()


def name_words(text: str) -> list[tuple[str, int, int]]:
    """Return the words of ``text`` with their places; "(+)" counts as "+"."""
    found = []
    for match in _NAME_WORD.finditer(text):
        plus = _PLUS.match(text, match.end())
        end = plus.end() if plus else match.end()
        found.append((match[0] + ("+" if plus else ""), match.start(), end))
    return found
