"""The words that compare, deny and count: "outperforms", "by 18.8 points", "does not", "on all benchmarks except MBPP".

"Better" is judged in the direction of the metric, "higher" by the number alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final, cast

from trimtab.claims.result_words import RESULT_VERB
from trimtab.claims.text_range import TextRange, covered
from trimtab.claims.wording import LISTED, any_case, any_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from trimtab.claims.claim_model import Quantifier, Relation
    from trimtab.claims.number_kinds import TextNumber
    from trimtab.claims.sentence_parts import Sentence

_THAN: Final = r"(?:[\w-]+ ){0,4}than"
_CUES: Final = {
    "better": rf"outperform(?!ed \w*\s?by)\w*|surpass(?!ed \w*\s?by)\w*"
    rf"|beats?|beating|outscor\w*|outpac\w*|tops|(?:better|more accurate"
    rf"|stronger) {_THAN}"
    r"|ahead of|leads|leading|improv\w+ (?:over|upon|on(?= [A-Z]))|gains?(?= [\d+]\S* (?:\w+ )?(?:points? )?over\b)"
    r"|wins (?:over|against)|overtakes?|edges out|superior to",
    "greater": rf"exceed(?!ed \w*\s?by)\w*|higher {_THAN}",
    "worse": rf"underperform\w*|(?:outperformed|surpassed|beaten|overtaken|bested) by"
    rf"|(?:worse|less accurate|weaker) {_THAN}|behind|trails?|trailing|falls? short of"
    rf"|lags(?: behind)?"
    r"|loses to|inferior to",
    "less": rf"lower {_THAN}|exceeded by",
}
_DELTAS: Final = {
    "better": "improvements?|gains?|better|ahead|lead|advantage|margin",
    "greater": "increases?|higher|more",
    "worse": "worse|degradations?|behind",
    "less": "drops?|decreases?|lower|reductions?|declines?|less|fewer",
}
_EXTREMES: Final = {
    "best": r"best|top|strongest|state[- ]of[- ]the[- ]art|ranks first|first place",
    "highest": "highest",
    "worst": "worst",
    "lowest": "lowest",
}


def _either(words: Mapping[str, str]) -> str:
    """Return an expression with one named group for each relation."""
    return "|".join(f"(?P<{name}>{pattern})" for name, pattern in words.items())


CUE: Final = any_case(rf"\b(?:{_either(_CUES)})(?!\w)")
AGAINST: Final = any_case(r"\b(?:compared (?:to|with)|relative to|over|versus|vs\.?|than)(?:\s+(?:the|on|in))*\s*$")
BEST: Final = any_case(
    rf"\b(?:the\s+)?(?:overall\s+)?(?:{_either(_EXTREMES)})(?:\s+(?:results?|scores?|performance|values?|accuracy|numbers?|model"
    r"|method|system|of all|overall))*(?![\w-])"
)
THAN_ON: Final = any_of(
    rf"{_either({'better': 'better', 'greater': 'higher|more', 'worse': 'worse', 'less': 'lower|less'})}"
)
EVERYONE: Final = any_case(
    r"^\s*(?:the scores? of\s+)?(?:all|any|every)\s+(?:of\s+)?(?:the\s+)?(?:other\s+)?(?:models?|methods?|systems?"
    r"|baselines?|llms?|others|competitors?|rows?)\b"
)
_DELTA_AFTER: Final = any_case(
    r"^[\s-]*(?:(?:[\w-]+\s+){0,2}points?\s+|(?:(?!(?:on|in|for|and|or|at|with|to|of|vs|is|are|which|but|while|as|than|by)\b)"
    rf"[\w@-]+\s+){{1,2}}(?=(?:better|worse|ahead|behind|higher|lower)\b))?(?:absolute\s+|relative\s+|percentage\s+|points?\s+)*(?:{_either(_DELTAS)})\b"
)
_BY: Final = any_case(
    r"\b(?:by|gains?|with (?:a|an) (?:\w+ )?(?:margin|lead|advantage|gap) of)\s+(?:about\s+|around\s+|roughly\s+"
    r"|over\s+|under\s+|(?:more|less) than\s+|at (?:least|most)\s+|up to\s+|an?\s+|absolute\s+"
    r"|relative\s+|margin\s+of\s+)*$"
)
# "A lead of 4.7 points", "more data gives 6.7 points": the size of a difference, whoever has it.
# So is "The lead of Foo on A is 4.7", and a rank is no value either.
_SIZE_BEFORE: Final = any_case(
    r"\b(?P<noun>lead|advantage|margin|gap|gains?|improvement|boost|increase|decrease|drop|loss|reduction|difference|rank"
    r"|position)\s+(?:(?:of|on|in|over|for|to|between|against|from|at)\s[^,;:()]*?)?(?:of|is|was)\s+"
    r"(?:about\s+|only\s+|up to\s+)*$"
)
_GIVES: Final = any_case(
    r"\b(?:gives?|gave|adds?|added|brings?|brought|costs?|loses?|lost|gains?|gained)\s+(?:\w+\s+){0,3}$"
)
_GIVES_US: Final = any_case(
    r"\b(?:gain(?:s|ed|ing)?|(?:gives?|gave|brings?|brought|earns?|costs?)\s+(?:us|you|them))\s+(?:an?\s+)?$"
)
_SHARE_OF: Final = any_case(r"\s*of\s+(?:[\w'\u2019-]+\s+){0,4}$")
_BRACKETED: Final = re.compile(r"[(,]\s*$")
_ELLIPSIS: Final = any_case(r"\b(?:but|and|while|yet)\s+(?:only\s+|just\s+)?(?:by\s+)?$")
_ELLIPSIS_BEFORE: Final = any_case(r"(?:,|\b(?:but|and|while))\s+$")
_NOT: Final = any_case(
    r"\b(?:does|do|did|is|are|was|were|has|have|had|can|could|will|would)(?:n['\u2019]t|\s+not)\b|\bcannot\b"
    r"|\bnot(?!\s+only\b)\b|\bnever\b|\bno longer\b|\bno(?=\s+(?:better|worse|higher|lower|more|less)\b)|\bfail(?:s|ed"
    r"|ing)? to\b|\bunable to\b|\b(?:neither|nor)\b|\bhardly\b|\brarely\b"
)
_DENIED: Final = any_case(
    r"\s*(?:(?:yet|even|ever|always|quite|actually|really|also|to|be|been|able to|have|a|an|the|at|by|any|\w+ly)\s+)*"
)
_REACH: Final = any_case(
    r"(?:match|equal|meet|pass|cross|break|attain|surpass|exceed|improve|outperform|beat|lead|win|top|come)\b"
)
_NO_VERB: Final = any_case(r"neither|nor|never|hardly|rarely")
_COUNTS: Final = ("", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_COUNT: Final = rf"(?:\d+|{'|'.join(_COUNTS[1:])})"
_BENCHMARKS: Final = r"(?:benchmarks?|datasets?|data sets?|tasks?|tests?|evaluations?|columns?)"
_ALL: Final = any_case(
    rf"\b(?:on|across|in|over|for)\s+(?:all|every|each|both)(?:\s+of)?(?:\s+(?:the|these|our))?(?:\s+{_COUNT})?"
    rf"(?:\s+(?:single|evaluated|tested|reported|considered))?\s+{_BENCHMARKS}\b|\bacross the board\b"
)
_SOME: Final = any_case(
    rf"\b(?:on|in|across)\s+({_COUNT})\s+(?:out\s+)?of\s+(?:the\s+|all\s+)?({_COUNT})\s+{_BENCHMARKS}\b"
)
_EXCEPT: Final = any_case(
    r"\b(?:except(?:ing)?(?:\s+for)?|other than|apart from|excluding|but not|but)(?:\s+on)?\s+(?:the\s+)?$"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """On which benchmarks a comparison is said to hold, and the characters that say so."""

    quantifier: Quantifier = ""
    exceptions: tuple[str, ...] = ()
    count: int = 0
    of: int = 0
    used: tuple[TextRange, ...] = ()


def scope(sentence: Sentence) -> Scope:
    """Return what a clause says about all benchmarks, or so many of them."""
    if some := _SOME.search(sentence.own):
        return Scope(quantifier="count", count=_number(some[1]), of=_number(some[2]), used=(TextRange.of(some),))
    every = _ALL.search(sentence.own)
    if not every:
        return Scope()
    exceptions: list[str] = []
    used, end = [TextRange.of(every)], every.end()
    for name in sentence.benchmarks:
        gap = sentence.own[end : name.start]
        first = not exceptions and (but := _EXCEPT.search(gap)) and not gap[: but.start()].strip(" ,")
        if name.start >= every.end() and (first or (exceptions and LISTED.fullmatch(gap))):
            exceptions.append(name.text)
            used.append(TextRange(end, name.end))
            end = name.end
    return Scope(quantifier="all", exceptions=tuple(exceptions), used=tuple(used))


def negation(sentence: Sentence) -> TextRange | None:
    """Return the characters of the word that denies a clause, if exactly one does.

    What it denies has to follow: a result, a comparison or a value. "Models that do not use tools reach 80" denies
    nothing of the result.
    """
    words = list(_NOT.finditer(sentence.own))
    if len(words) != 1:
        return None
    (word,) = words
    between = _DENIED.match(sentence.own, word.end())
    at = between.end() if between else word.end()
    denies = (
        any(pattern.match(sentence.own, at) for pattern in (RESULT_VERB, _REACH, CUE, BEST, THAN_ON))
        or any(at <= value.start <= at + 1 for value in sentence.values)
        or (_NO_VERB.fullmatch(word[0]) and CUE.search(sentence.own, word.end()))
    )
    return TextRange.of(word) if denies else None


def deltas(sentence: Sentence) -> dict[TextNumber, Relation]:
    """Return the values that are differences, with their direction."""
    read: dict[TextNumber, Relation] = {}
    last: Relation | None = None
    cue = CUE.search(sentence.own)
    for value in sentence.values:
        before = sentence.own[: value.start]
        after = _DELTA_AFTER.match(sentence.text[value.end :])
        signed = sentence.text[value.start] in "+\u2212-" and _BRACKETED.search(before)
        if after:
            last = read[value] = relation_of(after)
        elif cue and cue.end() <= value.start + 1 and (_BY.search(before) or signed):
            last = read[value] = relation_of(cue)
        elif last and _ELLIPSIS.search(before):
            read[value] = last
    for value, other in reversed(list(pairwise(sentence.values))):
        # "2x and 14x higher": both are.
        joined = LISTED.fullmatch(sentence.text, value.end, other.start)
        if joined and other in read and value.quantity.unit == other.quantity.unit != "":
            read.setdefault(value, read[other])
    return {value: read[value] for value in sentence.values if value in read}


def sizes_a_difference(sentence: Sentence, value: TextNumber) -> bool:
    """Whether a value is a rank, a share of a system's value, or a difference of which no two sides were read.

    Such are "+4.5", "96.2 % of Foo-7B", and the second value of "gains 7.8 over X and Y 6.9".
    """
    before = sentence.own[: value.start]
    if sentence.text[value.start] == "+" or _GIVES_US.search(before):
        return True
    noun = _SIZE_BEFORE.search(before)
    if noun and not covered(noun.start("noun"), sentence.names):
        return True
    if value.quantity.unit == "%" and any(
        _SHARE_OF.fullmatch(sentence.text, value.end, name.start) for name in sentence.systems
    ):
        return True
    first = min((number.start for number in deltas(sentence)), default=value.start)
    tied = (name for name in sentence.systems if sentence.text[name.end : value.start].isspace())
    if first < value.start and any(_ELLIPSIS_BEFORE.search(before[: name.start]) for name in tied):
        return True
    return bool(value.quantity.unit == "points" and _GIVES.search(before))


def words_of(values: Iterable[TextNumber], sentence: Sentence) -> list[TextRange]:
    """Return the characters of the words that make values differences."""
    used = []
    for value in values:
        if after := _DELTA_AFTER.match(sentence.text[value.end :]):
            used.append(TextRange(value.end, value.end + after.end()))
        if before := _BY.search(sentence.own[: value.start]):
            used.append(TextRange(before.start(), value.start))
    return used


def relation_of(match: re.Match[str]) -> Relation:
    """Return the relation whose words were found."""
    return cast("Relation", match.lastgroup)  # the groups are named after relations


def _number(word: str) -> int:
    return int(word) if word.isdigit() else _COUNTS.index(word.casefold())
