"""Words as they are compared: stems, the few that carry no content, and those that turn a sentence around."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from itertools import accumulate, permutations
from typing import TYPE_CHECKING, Final, NamedTuple

import snowballstemmer

if TYPE_CHECKING:
    from collections.abc import Sequence


def any_case(pattern: str) -> re.Pattern[str]:
    """Return an expression that is looked for in any letters."""
    return re.compile(pattern, re.IGNORECASE)


def any_of(alternatives: str) -> re.Pattern[str]:
    """Return an expression for one of some words, or phrases, that are separated by "|"."""
    return any_case(rf"\b(?:{alternatives})\b")


def word_set(words: str) -> frozenset[str]:
    """Return the words of a list that is written as text."""
    return frozenset(words.split())


_STEMMER: Final = snowballstemmer.stemmer("english")
_TOKEN: Final = re.compile(r"\d+(?:,\d{3})+(?:\.\d+)?|\w+(?:\.\d+\w*)*\+?(?:'t\b|\u2019t\b)?")
NEGATIONS: Final = word_set(
    "no not never none neither nor without cannot fail fails failed lack lacks unable hardly rarely"
)
WORD: Final = re.compile(r"[^\W_](?:[\w'\u2019+/@.-]*\w)?\+?")
"""A word of a sentence as a reader sees it: "fine-tuned", "don't", "w/o", "HumanEval+"."""
# Letters of alphabets that part words by spaces; in others a run is a word, and "\u5728HumanEval\u4e0a" three.
_LETTER: Final = (
    "A-Za-z0-9\u00b2\u00b3\u00b9\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u052f\u1d62-\u1d6a\u1e00-\u1fff\u2070-\u209c\u2207"
)
_NAME_WORD: Final = re.compile(
    rf"[{_LETTER}]+(?:\.\d+(?=\D|$)|\.\d+[A-Za-z]+)*\+?|[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+"
)
_RAISED: Final = "\u00b2\u00b3\u00b9\u2070\u2074\u2075\u2076\u2077\u2078\u2079"
_PLUS: Final = re.compile(r"\s*\(\+\)")
_LONGEST: Final = 16
_STOP: Final = word_set("""
a an the of to in on for at by with from as and or is are was were be been being that this these those it its we our
their they them which who also then thus hence so such can may might will would could has have had do does did into
over both each per via using i you he she his her there here while when where than
""")
SAYING: Final = _STOP | word_set("""
achieve achieves achieved achieving reach reaches reached reaching obtain obtains obtained get gets got score scores
scored yield yields yielded attain attains attained report reports reported result results show shows shown give gives
given perform performs performed performance set sets new best better worse higher lower average accuracy value values
test tests train training dev validation data dataset datasets task tasks model models method methods system systems
and with without not only but all none other others our ours their previous work paper table figure number
""")
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


class PlacedWord(NamedTuple):
    """A word in lower case, at characters [start, end) of its text."""

    word: str
    start: int
    end: int


@lru_cache(maxsize=131072)
def stem(word: str) -> str:
    """Return the stem of a lower-case word; numbers stay as they are."""
    stemmed: str = _STEMMER.stemWord(word) if word.isalpha() else word
    return stemmed


OPPOSITES: Final[dict[str, frozenset[str]]] = {}
for _pair in _OPPOSITES.split(","):
    for _word, _opposite in permutations(map(stem, _pair.split())):
        OPPOSITES[_word] = OPPOSITES.get(_word, frozenset()) | {_opposite}


def tokens(text: str) -> list[PlacedWord]:
    """Return the words of ``text`` in lower case, with their places."""
    return [PlacedWord(match[0].casefold(), match.start(), match.end()) for match in _TOKEN.finditer(text)]


def negates(word: str) -> bool:
    """Whether a word turns its sentence around."""
    return word in NEGATIONS or word.endswith(("n't", "n\u2019t"))


LISTED: Final = any_case(r"[\s%]*(?:points?)?\s*(?:,\s*(?:and|or)?|and|or|/|&|\+)\s*(?:the\s+)?")
"""What joins the names or values of one list: "A, B and the C", "55.5 %, 75.1 and 88.2"."""
_EMPTY: Final = frozenset(word for word in _STOP if not negates(word))


def content(word: str) -> bool:
    """Whether a word says something: not an article, preposition, pronoun or auxiliary."""
    return word not in _EMPTY


def stems(text: str) -> list[str]:
    """Return the stems of the words with content, in order."""
    return [stem(word) for word in plain(text).split() if word not in _EMPTY]


def plain(text: str) -> str:
    """Return text in which only words, numbers and their order count.

    >>> plain("It \u201cworks\u201d: 96.2\u2009% of  cases.")
    'it works 96.2 of cases'
    """
    return " ".join(_TOKEN.findall(text)).casefold()


@lru_cache(maxsize=65536)
def key(text: str) -> str:
    """Return what is left of a name when case, spaces, hyphens and other marks do not matter.

    >>> key("DeepSeek-Coder 6.7B_base") == key("deepseekcoder-6.7b-base")
    True
    >>> key("R\u00b2") == key("R2"), key("\u0394 loss") == key("loss")
    (True, False)
    >>> key("Foo-7B\u00b2") == key("Foo-7B")
    True
    """
    return "".join(word for word, _, _ in name_words(text))


def name_words(text: str) -> list[PlacedWord]:
    """Return the words of ``text`` of which names are made, in lower case, with their places; "(+)" counts as "+"."""
    words = []
    for match in _NAME_WORD.finditer(text):
        plus = _PLUS.match(text, match.end())
        # A raised digit behind more than one letter is the mark of a footnote: "HumanEval\u00b9", but "R\u00b2".
        unmarked = match[0].rstrip(_RAISED)
        letters = unmarked if len(unmarked) > 1 else match[0]
        word = letters.casefold() if letters.isascii() else _without_accents(letters)
        words.append(PlacedWord(word + "+" * bool(plus), match.start(), plus.end() if plus else match.end()))
    return words


def _without_accents(word: str) -> str:
    letters = unicodedata.normalize("NFKD", word).casefold()
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def keys_from(words: Sequence[PlacedWord], first: int) -> list[str]:
    """Return the keys of the texts that begin with a word: of one word, of two, and so on up to sixteen.

    >>> keys_from(name_words("HumanEval Pro (0-shot)"), 0)
    ['humaneval', 'humanevalpro', 'humanevalpro0', 'humanevalpro0shot']
    """
    return list(accumulate(placed.word for placed in words[first : first + _LONGEST]))
