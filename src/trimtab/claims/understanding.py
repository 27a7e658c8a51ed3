"""Was all of a sentence understood? Every name, number and word that can change what it says has to be explained.

The sentence is cut at commas, brackets and conjunctions. A part that names no system, benchmark or value is free, as
long as it does not begin with a word that makes a condition of it ("without", "when", "unless"). In the other parts
each word has to be a name, a number, a word that the facts were read from, or one of the words of which sentences about
results are made. What is left is named; a sentence with something left is not decided.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from trimtab.claims import comparison_words as compare
from trimtab.claims import mentions

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from trimtab.claims.sentence_facts import Understood
    from trimtab.claims.sentence_parts import Sentence

_PLAIN_WORDS: Final = """
a an the of to in on for at by as and or is are was were be been being that this these those it its it's our their which
who also then thus hence so such has have had having do does did done both each per via here there i.e e.g respectively
overall we us i they them from
achieve achieves achieved achieving reach reaches reached reaching obtain obtains obtained obtaining get gets got
getting score scores scored scoring yield yields yielded yielding attain attains attained attaining report reports
reported reporting show shows showed shown showing give gives gave given giving perform performs performed performing
record records recorded recording register registers registered hit hits post posts posted deliver delivers delivered
see sees saw produce produces produced demonstrate demonstrates demonstrated exhibit exhibits exhibited stand stands
stood come comes came sets set establish establishes established earn earns earned boast boasts manage manages managed
remain remains remained rank ranks ranked measure measured measures observe observed find found achieves evaluate
evaluated evaluates
performance performances result results accuracy accuracies value values rate rates point points percent percentage
absolute average mean model models method methods system systems approach approaches baseline baselines benchmark
benchmarks dataset datasets task tasks test tests suite leaderboard evaluation evaluations table column row margin gap
difference improvement gain gains lead advantage increase decrease level terms comparison compared setting settings
metric metrics number numbers counterpart llm llms variant version family competitor competitors rival
strong impressive remarkable notable competitive good solid excellent outstanding respectable new significant
significantly substantial substantially considerable considerably clear clearly large small slight slightly just even
only still already notably remarkably impressively surprisingly interestingly however moreover furthermore additionally
finally specifically particular particularly flagship proposed open-source open-sourced latest recent popular superior
promising merely easily further wide widely well much far down up
about around roughly approximately nearly almost but while whereas although though yet
"""
_PLAIN: Final = frozenset(_PLAIN_WORDS.split())
_CONDITIONS_WORDS: Final = """
with without using when whenever after before under given if unless except excluding during than
only where until whether assuming through without w/o
"""
_CONDITIONS: Final = frozenset(_CONDITIONS_WORDS.split())
# What changes a sentence wherever in it it stands.
_TURNING: Final = re.compile(
    r"\b(?:not(?!\s+only\b)|never|no(?!\s+longer)|none|neither|nor|cannot|unless|except|excluding|if|would|could|might|may|should"
    r"|expected|projected|estimated|up to|as high as|at best|at worst|most|majority|several|many|some|few"
    r"|any|all|every|second"
    r"|among|one of|similar|comparable|on par|match(?:es|ed|ing)?|close to|worse|better|higher|lower|more"
    r"|less|fewer|best"
    r"|highest|lowest|worst|without|twice|half|double|ratio)\b|\b\w+n['\u2019]t\b",
    re.IGNORECASE,
)
_STATES: Final = re.compile(
    r"^\s*(?:also\s+)?(?:uses?|used|employs?|adopts?|contains?|supports?|includes?|features?|introduces?|is|was|has|had|runs?"
    r"|builds?|comes?|combines?|consists?|extends?|follows?|relies|requires?|activates?|provides?|offers?|trains?)\b"
)
_CUT: Final = re.compile(
    r"[,;:()\[\]]|\s[-\u2013\u2014]+\s|\b(?:while|whereas|although|though|because|since|but|which|yet|and(?=\s+[a-z]+s\b))\b",
    re.IGNORECASE,
)
_JOINS: Final = re.compile(r"(?:but|and|yet)\b", re.IGNORECASE)
_WORD: Final = re.compile(r"[^\W_](?:[\w'\u2019+/@.-]*\w)?\+?")


def unread(understood: Understood) -> tuple[str, ...]:
    """Return the words of a sentence that were not understood, runs of neighbors together, in order."""
    sentence = understood.sentence
    covered = _covered(understood)
    left: list[tuple[int, int]] = []
    left += _names(understood)
    left += [
        (one.start, one.end)
        for one in sentence.numbers
        if one.kind in ("unread", "rank") and not _in(one.start, covered)
    ]
    left += _values(understood)
    edges = [0, *(match.start() for match in _CUT.finditer(sentence.text)), len(sentence.text)]
    for start, end in pairwise(edges):
        left += _part(sentence, start, end, covered)
    return _runs(sentence.text, left)


def _covered(understood: Understood) -> list[tuple[int, int]]:
    sentence = understood.sentence
    spans = [(one.start, one.end) for one in (*sentence.systems, *sentence.benchmarks, *sentence.metrics)]
    spans += [(one.start, one.end) for one in sentence.numbers if one.kind not in ("unread", "rank")]
    spans += understood.used
    for start in (*(one.start for one in sentence.systems), *(one.start for one in sentence.numbers)):
        before = compare.AGAINST.search(sentence.text[:start])
        if before:
            spans.append((before.start(), start))
    for one in sentence.values:
        if one.hedge != "exactly":
            spans.append((max(0, one.start - 14), one.start))
    spans += [match.span() for pattern in mentions.MARKS for match in pattern.finditer(sentence.text)]
    return spans


def _names(understood: Understood) -> list[tuple[int, int]]:
    """Return the systems and benchmarks that no fact is about."""
    facts, sentence = understood.facts, understood.sentence
    subjects = {name for fact in facts for name in (fact.subject, fact.comparator)}
    marks = {name for fact in facts for name in (fact.benchmark, fact.comparator_benchmark, *fact.exceptions)}
    left = [one for one in sentence.systems if one.text not in subjects]
    left += [one for one in sentence.benchmarks if one.text not in marks]
    return [(one.start, one.end) for one in left]


def _values(understood: Understood) -> list[tuple[int, int]]:
    """Return the values that no fact holds."""
    held = {(fact.start, fact.end) for fact in understood.facts}
    return [
        (one.start, one.end)
        for one in understood.sentence.values
        if (one.start, one.end) not in held and not _in(one.start, understood.used)
    ]


def _part(
    sentence: Sentence, start: int, end: int, covered: Sequence[tuple[int, int]]
) -> Iterable[tuple[int, int]]:  # fmt: skip
    """Return the words of one part that were not understood."""
    words = [(match.start(), match.end()) for match in _WORD.finditer(sentence.text, start, end)]
    words = [word for word in words if not _in(word[0], covered)]
    systems = [one for one in sentence.systems if start <= one.start < end]
    said = [*(one.start for one in sentence.benchmarks), *(one.start for one in sentence.values)]
    asserting = any(start <= place < end for place in said) or compare.CUE.search(sentence.text, start, end)
    turning = [match.span() for match in _TURNING.finditer(sentence.text, start, end)]
    turning = [span for span in turning if not _in(span[0], covered)]
    if not asserting:
        first = _WORD.search(sentence.text, start + bool(_JOINS.match(sentence.text, start)) * 4, end)
        turning = [span for span in turning if first and span[0] == first.start()]
        if not systems and first and first[0].casefold() not in _CONDITIONS:
            return turning
        if systems and _STATES.match(sentence.text[systems[0].end : end]):
            words = [word for word in words if word[1] <= systems[0].start]
    return [*turning, *(word for word in words if sentence.text[slice(*word)].casefold().rstrip(".") not in _PLAIN)]


def _in(place: int, spans: Iterable[tuple[int, int]]) -> bool:
    return any(start <= place < end for start, end in spans)


def _runs(text: str, spans: Iterable[tuple[int, int]]) -> tuple[str, ...]:
    """Return the texts of spans, those with only a space between them as one."""
    runs: list[list[int]] = []
    for start, end in sorted(set(spans)):
        if runs and start <= runs[-1][1] + 1 and not text[runs[-1][1] : start].strip():
            runs[-1][1] = max(end, runs[-1][1])
        else:
            runs.append([start, end])
    return tuple(dict.fromkeys(text[start:end] for start, end in runs))
