"""What may make another measurement of a sentence's values than the one that a table has.

Another version or run of a system, another amount of training, somebody else's report. Such a sentence may still be
supported by a table, and is never refuted by it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from trimtab.claims import comparison_words as compare
from trimtab.claims.result_words import plain
from trimtab.claims.text_range import TextRange, outside
from trimtab.claims.wording import WORD, any_case, word_set

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trimtab.claims.number_kinds import TextNumber
    from trimtab.claims.sentence_parts import Sentence

# Things of which a number is no amount that values depend on; it depends on any other: "on 1 GPU", "(40M)".
_NO_AMOUNT: Final = any_case(r"(?:papers?|authors?|models?|benchmarks?|data\s?sets?|tasks?|people|users?|categories)$")
# Somebody else's number, or what was done before measuring: "As listed in March", "Counting embeddings, Foo has".
_ELSEWHERE: Final = any_case(
    r"\bet al\b|\bhad\s+(?:\w+\s+)?(?:\w+ed|been|got|shown)\b|\b(?:by|until|since|before)\s+then\b"
    r"|(?:%|percent|per cent)\s+of\s+(?:it|its|their|the\s+(?:full|whole|data|training|original|teacher))\b"
    r"|\b(?:officially|reported(?!\s+in\s+(?:the\s+)?table)|says|said|claims|claimed|we\s+(?:get|got)"
    r"|at launch|in beta|for us|in our (?:own )?(?:hands|(?:re-?)?runs?|replications?|reproductions?|harness|set-?up)"
    r"|than (?:in )?the (?:paper|original|published \w+))\b"
    r"|[\u2191\u2193]\s*\d|\d\s*%?\s*[\u2191\u2193]|[,;:]\s*(?:this|these|that|it)\s+(?:is|was"
    r"|are|were)\b|\baccording to\b(?!\s+(?:the\s+|our\s+)?(?:table|figure|results?|paper)s?\b)|\bas\s+(?:listed|given"
    r"|published|reported|stated|measured|computed|quoted|printed)\b|^\s*(?:counting|excluding|including|ignoring"
    r"|averag(?:ed|ing)|removing|adding|measured|restricted|limited|scaled|trained|tuned|quantized|translated)\b[^,]*,"
)
# Words at a name that may make another version, size or run of it: "the new Foo-7B", "the Foo-7B variant".
_ANOTHER_BEFORE: Final = any_case(
    r"\b(?:our|new|newer|newest|latest|original|base|large|larger|small|smaller|updated|previous|earlier|old|older)\s+$"
    r"|\b(?:evaluated|judged|graded|scored|rated|generated|labelled|labeled|translated|filtered|verified)\s+(?:by|with|using)"
    r"\s+(?:the\s+)?$"
)
_ANOTHER_BEHIND: Final = any_case(
    r"\s*,\s*(?:then|by|via|from)\b|\s+(?:famil(?:y|ies)|variants?|versions?|baselines?|tests? of)\b"
)
# Plain words that may still make another number of a value: "each", "the latest", "overall", "per task".
_CHANGING: Final = word_set("""
open-source open-sourced flagship leading top-tier popular competitive
their they them its family competitor competitors rival counterpart baseline baselines variant version approach
approaches each per via as from average high low top level gap gain gains increase decrease difference improvement
release releases released introduce introduces introduced announce announces announced launch launches launched proposed
recent latest new small large almost nearly further merely better still much down up overall leaderboard setting
settings measure measured measures
""")
# Adverbs that only color a result; any other one may say where, when or how it was obtained.
_COLORING: Final = word_set("""
respectively clearly significantly substantially considerably slightly notably remarkably impressively surprisingly
interestingly markedly strikingly finally additionally specifically particularly consistently comfortably easily
dramatically drastically decisively convincingly marginally narrowly vastly massively strongly noticeably oddly
curiously strangely unsurprisingly unfortunately fortunately importantly crucially encouragingly disappointingly
""")
# "Models like Foo-7B": no one of them.
_SEVERAL: Final = any_case(
    r"\W*(?:[\w-]+\s+)?(?:models|systems|LLMs|methods|approaches|baselines)\s+(?:like|such as)\b"
)
# The "A" of "Outlier-A" and of "Model A" is no article.
_ONE_OF_SEVERAL: Final = re.compile(
    r"(?:^An?|(?<![\w-])an?|\b(?:[Ee]ach|[Ee]very|[Ss]ome|[Aa]ny|[Aa]nother))\s+(?:[a-z-]+\s+)?$"
)


def another_measurement(sentence: Sentence, harmless: Sequence[TextRange] = ()) -> bool:
    """Whether a parameter, a bracket behind a name, its words or the opening may make other values of a sentence's.

    Args:
        sentence: The sentence.
        harmless: What of it says nothing of how a number came about.
    """
    text = sentence.text
    return (
        measured_elsewhere(text)
        or bool(_SEVERAL.match(text))
        or (bool(compare.BEST.search(text)) and any(number.kind == "size" for number in sentence.numbers))
        or len(set(re.findall(r"pass@(\d+)", text))) > 1
        or bool(outside(sentence.origins, harmless))
        or any(_depends(sentence, number) for number in outside(sentence.numbers, harmless))
        or any(one_of_several(text, system.start, system.end) for system in sentence.systems)
        or any(
            another_version(text, name.start, name.end) or _bracket(sentence, name.end)
            for name in (*sentence.systems, *sentence.benchmarks)
        )
    )


def may_change(word: str) -> bool:
    """Whether a word may make another number of a result.

    No list holds all ways in which a number may be another one than a table's, so every word that is none of those
    with which results are told may: "Earlier, Foo-7B scored 50.0", "locally", "as a baseline", "their Foo-7B".
    """
    word = word.casefold().rstrip(".")
    if word.endswith("ly") and word != "only":
        return word not in _COLORING
    return word in _CHANGING or not plain(word)


def one_of_several(text: str, start: int, end: int) -> bool:
    """Whether an article makes a kind of a name [start, end): "a strong Foo-7B", and not "an F1 of"."""
    measure = re.match(r"\s+(?:of|scores?|rates?|accurac\w+|values?|results?|performance)\b", text[end:])
    return bool(_ONE_OF_SEVERAL.search(text[:start])) and not measure


def another_version(text: str, start: int, end: int) -> bool:
    """Whether words at a name [start, end) may make another version of it: "the new Foo-7B", "the Foo-7B variant"."""
    word = text[start:end].islower() and text[start:end].isalpha()  # "the lexicon baseline": all of it is the name
    return bool(_ANOTHER_BEFORE.search(text[:start]) or (not word and _ANOTHER_BEHIND.match(text, end)))


def _depends(sentence: Sentence, number: TextNumber) -> bool:
    """Whether values depend on a number: a temperature, an amount of training, a year that no header has."""
    words = sentence.text[number.start : number.end]
    if number.kind == "parameter":
        return not re.match(r"\u00b1|\+/-", words)
    if number.kind in ("size", "count"):
        size = re.search(r"\d[\d.]*\s?[BMKT]\b", words)
        named = size and any(size[0].replace(" ", "") in name.text for name in sentence.systems)
        return not (named or _NO_AMOUNT.search(words))
    if number.kind == "date":
        return words.startswith("(")  # behind a system, of its version
    released = re.search(r"\b(?:released|published|announced|introduced)\s+$", sentence.text[: number.start])
    return number.kind in ("version", "rank") or (number.kind == "year" and not released)


def _bracket(sentence: Sentence, end: int) -> bool:
    """Whether a bracket behind a name has words that nothing explains: "Foo-7B (chat)"."""
    bracket = re.match(r"\s*\(([^()]*)\)", sentence.text[end:])
    if not bracket:
        return False
    if re.search(r"^\d{4,8}$|\b(?:levels?|subsets?|splits?|parts?|versions?)\b", bracket[1]):
        return True  # "Foo-V3 (1226)" is of a date
    words = (TextRange.of(word) for word in WORD.finditer(sentence.text, end + bracket.start(1), end + bracket.end(1)))
    known = [*sentence.names, *sentence.numbers, *sentence.settings]
    left = [sentence.text[word.start : word.end].casefold() for word in outside(words, known)]
    return any(not plain(word) and word.rstrip(".") not in ("vs", "versus") for word in left)


def measured_elsewhere(text: str) -> bool:
    """Whether a sentence may give somebody else's number, or what was measured after a change that it opens with."""
    return bool(_ELSEWHERE.search(text))
