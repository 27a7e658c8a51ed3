"""Was all of a sentence understood? Every name, number and word that can change what it says has to be explained.

The sentence is cut at commas, brackets and conjunctions. A part that names no system, benchmark or value is free, as
long as it does not begin with a word that makes a condition of it ("without", "when", "unless"). In the other parts
each word has to be a name, a number, a word that the facts were read from, or one of the words of which sentences about
results are made. What is left is named.

What is left keeps the facts it may bear on from being decided. Something left in an *aside* ("…, surpassing all open
models", "…, which is 9 points higher than …") bears on the aside's own facts: an aside adds an assertion and takes none
back. Anything else that is left ("with retrieval", "quantized") bears on all facts of the sentence.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Final

from trimtab.claims import comparison_words as compare
from trimtab.claims import mentions
from trimtab.claims.other_measurements import another_measurement, changing_words
from trimtab.claims.plain_words import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from trimtab.claims.claim_model import Fact
    from trimtab.claims.sentence_facts import Understood
    from trimtab.claims.sentence_parts import Sentence

# What kind of system a name is, right in front of it: "the base model Foo", "larger models such as Foo".
_KIND_OF: Final = re.compile(
    r"(?:(?:much|similarly|comparably|even|significantly|far)\s+)?(?:\b(?:base|original|backbone|teacher|reasoning|coding|code|language"
    r"|flagship|dense|MoE|open|closed|open-source|closed-source|open-weights?|proprietary|larger|smaller|bigger|sized|reward"
    r"|recent|competing|existing|powerful|advanced|popular|strong|stronger|strongest|distilled|foundation|sparse)\s+){1,4}"
    r"(?:models?|LLMs?|systems?|baselines?|counterparts?|competitors?)\s+(?:(?:such as|like|including)\s+)?$",
    re.IGNORECASE,
)
_SUCH_AS: Final = re.compile(
    r"(?:models?|LLMs?|systems?|baselines?|counterparts?|competitors?)\s*,?\s+(?:such as|like)\s+$", re.IGNORECASE
)
_WITH_VALUE: Final = re.compile(
    r"\bwith\s+(?:(?:an?|the|its|respective)\s+)?(?:[\w@-]+\s+){0,2}?(?:(?:scores?|accurac(?:y|ies)|results?|values?|rates?|averages?|pass@\d+)\s+)?"
    r"(?:of\s+|at\s+)?$",
    re.IGNORECASE,
)
_CONDITIONS_WORDS: Final = """
with without using when whenever after before under given if unless except excluding during than
only where until whether assuming through without w/o at in on for within across beyond among amid
"""
_CONDITIONS: Final = frozenset(_CONDITIONS_WORDS.split())
# How a sentence may begin without a condition.
_OPENING: Final = re.compile(
    r"\b(?:in (?:particular|addition|contrast|fact|turn|summary|short|comparison"
    r"|this (?:work|paper|report|post|release|update|section|repository|table)"
    r"|our (?:experiments?|evaluations?|tests?|work|paper)|the (?:table|figure)s?|terms of)"
    r"|for (?:example|instance|comparison|reference)|at the same time|on the (?:other|one) hand)\b",
    re.IGNORECASE,
)
# What a benchmark is, behind its name: ", a comprehensive evaluation over 11 popular benchmarks".
_WHAT_IT_IS: Final = re.compile(
    r"[,(]\s*(?:an?|the)\s+(?:[\w-]+\s+){0,4}?(?:evaluations?|benchmarks?|suites?|collections?|leaderboards?|datasets?|tests?)\b",
    re.IGNORECASE,
)
_RELEASES: Final = re.compile(
    r"\bwe\s+(?:have\s+|also\s+)*(?:releas|introduc|present|announc|launch|propos)(?:e|ed)\b", re.IGNORECASE
)
_CONCEDES: Final = re.compile(r"\s*(?:although|though)\b", re.IGNORECASE)
# What changes a sentence wherever in it it stands.
_TURNING: Final = re.compile(
    r"\b(?:not(?!\s+only\b)|never|no(?!\s+longer)|none|neither|nor|cannot|unless|except|excluding|if|would|could|might|may|should"
    r"|expected|projected|estimated|up to|as high as|at best|at worst|most|majority|several|many|some|few"
    r"|any|all|every|second"
    r"|among|one of|similar|comparable|on par|match(?:es|ed|ing)?|close to|worse|better|higher|lower|more"
    r"|less|fewer|best"
    r"|^only|highest|lowest|worst|without|twice|half|double|ratio)\b|\b\w+n['\u2019]t\b",
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
_ASIDE: Final = re.compile(
    r"(?:[,;:(]|\s[-\u2013\u2014]+\s)?\s*(?:(?:and|even|also|thus|thereby|far|while|or|just|\w+ly)\s+)*"
    r"(?:(?:surpass|outperform|exceed|beat|match|outscor|outpac|demonstrat|show|showcas|highlight|prov|indicat|mak|sett"
    r"|establish|clos|narrow|rank|lead|trail|approach|rival|reflect|underscor|mark|represent|illustrat|confirm|lagg"
    r"|position|plac|suggest|exemplify|achiev|reach|attain|obtain|scor|yield|underperform|overtak|edg|fall)ing\b"
    r"|(?:which|that)\s+(?:also\s+|even\s+|\w+ly\s+)*(?:(?:is|are|was|were)\s+(?:\w+ly\s+|only\s+|also\s+|still\s+|even\s+)*"
    r"(?:\d|the\b|an?\b|higher|lower|better|worse|comparable|competitive|close|superior|on par|similar|state)"
    r"|outperforms?|surpass(?:es)?|exceeds?|beats?|match(?:es)?|demonstrates?|shows?|highlights?|indicates?|makes?|sets?"
    r"|gains?|leads?|ranks?|proves?|marks?|suggests?|represents?|underscores?)"
    r"|(?:about|around|roughly|nearly|only|some|~)?\s*[+\u2212-]?\d[\d.]*\s*(?:%|points?|pp|x|times)?\s*(?:points?\s+)?"
    r"(?:absolute\s+)?(?:points?\s+)?(?:higher|lower|better|worse|more|less|above|below|ahead|behind|improvement|gain)"
    r"|(?:on par with|comparable (?:to|with)|competitive with|close to|second only to|similar to|ahead of|behind"
    r"|well above|above|below|up from|compared (?:to|with)|rivall?ing|a new"
    r"|the (?:highest|best|first|lowest|strongest|top|only|largest)"
    r"|an? (?:\w+[- ]){0,3}(?:improvement|gain|increase|model|LLM|system|method|family|result|score|record))\b"
    r"|\+\d)",
    re.IGNORECASE,
)
# What a part about nothing measured may say of the whole sentence, and of a system that is then another one.
_UNREAL: Final = re.compile(
    r"\b(?:would|could|might|may|estimate[ds]?|projected|projection|expected|hypothetical(?:ly)?|if|unless|assuming)\b",
    re.IGNORECASE,
)
_CHANGED: Final = re.compile(
    r"(?!(?:released|published|announced|introduced|proposed|called|named|dubbed|developed|created|designed|presented"
    r"|compared|followed|denoted|listed|launched|open-sourced|opensourced|considered|licensed|maintained|posted|updated"
    r"|hosted|led|co-developed|sponsored|cited|speed|indeed)$)[\w-]+ed",
    re.IGNORECASE,
)
# A hedge on the whole sentence, wherever it stands.
_DOUBT: Final = re.compile(
    r"\b(?:estimate\w*|project\w*|expect\w*|if|unless|would|could|might|may|should|according|assum\w+|suppos\w+|claim\w*"
    r"|report(?:ed|s)? by|when|only (?:if|when|with|on|in|for)|with|without|using|under|given|except\w*)\b",
    re.IGNORECASE,
)
_DIRECTIONS: Final = frozenset({"better", "worse", "higher", "lower", "more", "less", "fewer", "with", "best"})
_JOINS: Final = re.compile(r"(?:but|and|yet)\b", re.IGNORECASE)
_WORD: Final = re.compile(r"[^\W_](?:[\w'\u2019+/@.-]*\w)?\+?")


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadWords:
    """What of a sentence was not understood.

    Attributes:
        words: In order, runs of neighbors together.
        facts: Indices of the facts on which they may bear, of facts that give one tuple two values, and of those whose
            benchmark the order of the sentence does not tell.
    """

    words: tuple[str, ...]
    facts: tuple[int, ...]


def unread(understood: Understood) -> UnreadWords:
    """Return what of a sentence was not understood."""
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
    asides = _asides(sentence.text, edges)
    # Characters of an aside bear on its facts, all others on every fact.
    bearing = [next((aside for aside in asides if _in(start, [aside])), (0, len(sentence.text))) for start, _ in left]
    doubled, dated = _doubled(understood), _dated(sentence)
    harmless = [*covered, *asides, *_harmless(sentence, edges)]
    conditioned = another_measurement(sentence) or bool(changing_words(sentence, harmless))
    return UnreadWords(
        words=_runs(sentence.text, left),
        facts=tuple(
            index
            for index, fact in enumerate(understood.facts)
            if conditioned
            or _in(fact.start, bearing)
            or fact in doubled
            or fact.start in understood.unordered
            or {fact.subject, fact.comparator} & dated
        ),
    )


def makes_a_condition(text: str) -> bool:
    """Whether a text begins with a word that makes a condition of it: "For the larger model:", not "For example:"."""
    first = _WORD.search(text)
    return first is not None and first[0].casefold() in _CONDITIONS and not _OPENING.match(text, first.start())


def opens_an_aside(text: str, start: int, end: int) -> bool:
    """Whether a part [start, end) of a text only adds an assertion: ", which is 9 points higher"."""
    return bool(_ASIDE.match(text, start)) and not _DOUBT.search(text, start, end)


def turning_words(text: str, names: Sequence[tuple[int, int]] = ()) -> tuple[str, ...]:
    """Return the words that can turn a sentence around or doubt it, wherever they stand outside its names.

    >>> turning_words("Without tools Foo-7B would not reach 71.3.")
    ('Without', 'would', 'not')
    """
    matches = [match for pattern in (_TURNING, _DOUBT, _UNREAL) for match in pattern.finditer(text)]
    spans = {match.start(): match for match in matches if not _in(match.start(), names)}
    # What only says in which direction two values differ is a relation, which is read.
    return tuple(spans[at][0] for at in sorted(spans) if spans[at][0].casefold() not in _DIRECTIONS)


def _dated(sentence: Sentence) -> set[str]:
    """Return the systems with a date in brackets, "Foo (2023/03/15)": it may be another version than the table's."""
    return {
        one.text
        for one in sentence.systems
        if re.match(r"\s*\(", sentence.text[one.end :])
        and any(
            number.kind in ("date", "year") and one.end <= number.start <= one.end + 2 for number in sentence.numbers
        )
    }


def _doubled(understood: Understood) -> set[Fact]:
    """Return the facts that give one tuple two values: "rises from 71.0 to 86.7", "has 71.0 (tuned: 86.7)"."""
    found: set[Fact] = set()
    for one, other in combinations((fact for fact in understood.facts if fact.relation == "equals"), 2):
        same = (one.subject, one.benchmark, one.metric, one.setting) == (
            other.subject,
            other.benchmark,
            other.metric,
            other.setting,
        )
        if same and one.value != other.value:
            found |= {one, other}
    return found


def _asides(text: str, edges: Sequence[int]) -> list[tuple[int, int]]:
    """Return the parts, as characters [start, end), that only add an assertion."""
    return [(start, end) for start, end in pairwise(edges) if start and opens_an_aside(text, start, end)]


def _harmless(sentence: Sentence, edges: Sequence[int]) -> list[tuple[int, int]]:
    """Return what says nothing of how a number came about: a release, what a benchmark is, another measure."""
    parts = [
        (start, end)
        for start, end in pairwise(edges)
        if _WHAT_IT_IS.match(sentence.text, start)
        or (_CONCEDES.match(sentence.text, start) and any(start <= metric.start < end for metric in sentence.metrics))
    ]
    return [*parts, *(match.span() for match in _RELEASES.finditer(sentence.text))]


def _covered(understood: Understood) -> list[tuple[int, int]]:
    sentence = understood.sentence
    spans = [(one.start, one.end) for one in (*sentence.systems, *sentence.benchmarks, *sentence.metrics)]
    spans += [(one.start, one.end) for one in sentence.numbers if one.kind not in ("unread", "rank")]
    spans += [*understood.used, *sentence.origins, *(match.span() for match in _OPENING.finditer(sentence.text))]
    for start in (*(one.start for one in sentence.systems), *(one.start for one in sentence.numbers)):
        before = compare.AGAINST.search(sentence.text[:start])
        if before:
            spans.append((before.start(), start))
        for pattern in (_KIND_OF, _SUCH_AS):
            if before := pattern.search(sentence.text, 0, start):
                spans.append((before.start(), start))
    for one in sentence.values:
        if one.hedge != "exactly":
            spans.append((max(0, one.start - 14), one.start))
        if match := _WITH_VALUE.search(sentence.text, max(0, one.start - 60), one.start):
            spans.append((match.start(), match.start() + 4))
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
    asserted = [*(one.start for one in sentence.benchmarks), *(one.start for one in sentence.values)]
    asserting = any(start <= place < end for place in asserted) or compare.CUE.search(sentence.text, start, end)
    turning = [match.span() for match in _TURNING.finditer(sentence.text, start, end)]
    turning = [span for span in turning if not _in(span[0], covered)]
    if not asserting and not systems and _WHAT_IT_IS.match(sentence.text, start):
        return turning
    if not asserting:
        first = _WORD.search(sentence.text, start + bool(_JOINS.match(sentence.text, start)) * 4, end)
        turning = [span for span in turning if first and span[0] == first.start()]
        unreal = (match.span() for match in _UNREAL.finditer(sentence.text, start, end))
        turning += [span for span in unreal if not _in(span[0], covered)]
        if not systems and first and first[0].casefold() not in _CONDITIONS:
            amount = any(start <= one.start < end and one.kind in ("size", "count") for one in sentence.numbers)
            if not _CHANGED.fullmatch(first[0]) or (amount and "trained" in first[0].casefold()):
                return turning
        if systems and _STATES.match(sentence.text[systems[0].end : end]):
            words = [word for word in words if word[1] <= systems[0].start]
    return [*turning, *(word for word in words if not plain(sentence.text[slice(*word)].casefold().rstrip(".")))]


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
