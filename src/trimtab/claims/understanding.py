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
from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from trimtab.claims import comparison_words as compare
from trimtab.claims import settings
from trimtab.claims.citation_marks import MARKS
from trimtab.claims.other_measurements import another_measurement, may_change
from trimtab.claims.result_words import plain
from trimtab.claims.text_range import TextRange, covered, outside
from trimtab.claims.vocabulary import SYSTEM_BEHIND
from trimtab.claims.wording import MEANS, WORD, any_case, any_of, key, word_set

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from trimtab.claims.claim_model import Fact, Quantity
    from trimtab.claims.number_kinds import TextNumber
    from trimtab.claims.sentence_facts import Understood
    from trimtab.claims.sentence_parts import Sentence

# What kind of system a name is, right in front of it: "the base model Foo", "larger models such as Foo".
_KIND_OF: Final = any_case(
    r"(?:(?:much|similarly|comparably|even|significantly|far)\s+)?(?:\b(?:base|original|backbone|teacher|reasoning|coding|code|language"
    r"|flagship|dense|MoE|open|closed|open-source|closed-source|open-weights?|proprietary|larger|smaller|bigger|sized|reward"
    r"|recent|competing|existing|powerful|advanced|popular|strong|stronger|strongest|distilled|foundation|sparse)\s+){1,4}"
    r"(?:models?|LLMs?|systems?|baselines?|counterparts?|competitors?)\s+(?:(?:such as|like|including)\s+)?$"
)
_SUCH_AS: Final = any_case(
    r"(?:models?|LLMs?|systems?|baselines?|counterparts?|competitors?)\s*,?\s+(?:such as|like)\s+$"
)
_WITH_VALUE: Final = any_case(
    r"\bwith\s+(?:(?:an?|the|its|respective)\s+)?(?:[\w@-]+\s+){0,2}?(?:(?:scores?|accurac(?:y|ies)|results?|values?"
    r"|rates?|averages?|pass@\d+)\s+)?(?:of\s+|at\s+)?$"
)
_CONDITIONS: Final = word_set("""
with without using when whenever after before under given if unless except excluding during than
only where until whether assuming through without w/o at in on for within across beyond among amid
""")
# How a sentence may begin without a condition.
_OPENING: Final = any_of(
    r"in (?:particular|addition|contrast|fact|turn|summary|short|comparison|this (?:work|paper|report|post|release"
    r"|update|section|repository|table)|our (?:experiments?|evaluations?|tests?|work|paper)|the (?:table|figure)s?"
    r"|terms of)|for (?:example|instance|comparison|reference)|at the same time|on the (?:other|one) hand"
)
# What a benchmark is, behind its name: ", a comprehensive evaluation over 11 popular benchmarks".
_WHAT_IT_IS: Final = any_case(
    r"[,(]\s*(?:an?|the)\s+(?:[\w-]+\s+){0,4}?(?:evaluations?|benchmarks?|suites?|collections?|leaderboards?|datasets?|tests?)\b"
)
_RELEASES: Final = any_case(
    r"\bwe\s+(?:have\s+|also\s+)*(?:releas|introduc|present|announc|launch|propos)(?:e|ed)\b"
    r"|\b(?:released|published|announced|introduced)\s+(?:in\s+)?(?:[A-Z][a-z]+\s+)?(?:19|20)\d\d\b"
    r"|\bas\s+tables?\s+\w+\s+(?:shows?|reports?|lists?)\b"
)
_CONCEDES: Final = any_case(r"\s*(?:although|though)\b")
# "Beats it only on A", "is second", "sets a record": no rule knows whether it is. "Only 61.1" only colors the value.
_QUALIFIES: Final = any_case(
    r"\b(?:only(?!\s+(?:about\s+|around\s+)?[\d~]|\s+(?:achiev|reach|obtain|scor|attain|get|got|manag|has|have|had|an?\b))"
    r"|solely|exclusively|nothing but|narrowly|barely|(?:second|third|fourth|fifth|sixth)(?!-)|wins?|won|in the lead"
    r"|in front|on top(?![\w-])|dominate[sd]?|(?:the|an?|new|previous|best)\s+(?:[\w-]+\s+)?records?"
    r"|takes\s+(?:the|first)\s+\w+|number one|c[ao]mes? first)\b"
    r"(?!\s+(?:of|to)\s+(?:January|February|March|April|May|June|July|August))"
)
# What changes a sentence wherever in it it stands.
_TURNING: Final = any_case(
    r"\b(?:not(?!\s+only\b)|never|no(?!\s+longer)|none|neither|nor|cannot|unless|except|excluding|if|would|could|might"
    r"|may|should|expected|projected|estimated|up to|as high as|at best|at worst|most|majority|several|many|some|few"
    r"|any|all|every|second|among|one of|similar|comparable|on par|match(?:es|ed|ing)?|close to|worse|better|higher"
    r"|lower|more|less|fewer|best|^only|highest|lowest|worst|without|twice|half|double|ratio)\b|\b\w+n['\u2019]t\b"
)
_STATES: Final = re.compile(
    r"^\s*(?:also\s+)?(?:uses?|used|employs?|adopts?|contains?|supports?|includes?|features?|introduces?|is|was|has|had|runs?"
    r"|builds?|comes?|combines?|consists?|extends?|follows?|relies|requires?|activates?|provides?|offers?|trains?)\b"
)
_CUT: Final = any_case(
    r"[,;:()\[\]]|\s[-\u2013\u2014]+\s|\b(?:while|whereas|although|though|because|since|but|which|yet|and(?=\s+[a-z]+s\b))\b"
)
_SURPASSING: Final = (
    r"(?:surpass|outperform|exceed|beat|match|outscor|outpac|demonstrat|show|showcas|highlight|prov|indicat|mak|sett"
    r"|establish|clos|narrow|rank|lead|trail|approach|rival|reflect|underscor|mark|represent|illustrat|confirm|lagg"
    r"|position|plac|suggest|exemplify|achiev|reach|attain|obtain|scor|yield|underperform|overtak|edg|fall)ing\b"
)
_WHICH_SURPASSES: Final = (
    r"(?:which|that)\s+(?:also\s+|even\s+|\w+ly\s+)*"
    r"(?:(?:is|are|was|were)\s+(?:\w+ly\s+|only\s+|also\s+|still\s+|even\s+)*"
    r"(?:\d|the\b|an?\b|higher|lower|better|worse|comparable|competitive|close|superior|on par|similar|state)"
    r"|outperforms?|surpass(?:es)?|exceeds?|beats?|match(?:es)?|demonstrates?|shows?|highlights?|indicates?|makes?|sets?"
    r"|gains?|leads?|ranks?|proves?|marks?|suggests?|represents?|underscores?)"
)
_POINTS_HIGHER: Final = (
    r"(?:about|around|roughly|nearly|only|some|~)?\s*[+\u2212-]?\d[\d.]*\s*(?:%|points?|pp|x|times)?\s*(?:points?\s+)?"
    r"(?:absolute\s+)?(?:points?\s+)?"
    r"(?:higher|lower|better|worse|more|less|above|below|ahead|behind|improvement|gain)"
)
_A_RECORD: Final = (
    r"(?:on par with|comparable (?:to|with)|competitive with|close to|second only to|similar to|ahead of|behind"
    r"|well above|above|below|up from|compared (?:to|with)|rivall?ing|a new"
    r"|the (?:highest|best|first|lowest|strongest|top|only|largest)"
    r"|an? (?:\w+[- ]){0,3}(?:improvement|gain|increase|model|LLM|system|method|family|result|score|record))\b"
)
_ASIDE: Final = any_case(
    r"(?:[,;:(]|\s[-\u2013\u2014]+\s)?\s*(?:(?:and|even|also|thus|thereby|far|while|or|just|\w+ly)\s+)*"
    rf"(?:{_SURPASSING}|{_WHICH_SURPASSES}|{_POINTS_HIGHER}|{_A_RECORD}|\+\d)"
)
# What a part about nothing measured may say of the whole sentence, and of a system that is then another one.
_UNREAL: Final = any_of(
    r"would|could|might|may|estimate[ds]?|projected|projection|expected|hypothetical(?:ly)?|if|unless|assuming"
)
_CHANGED: Final = any_case(
    r"(?!(?:released|published|announced|introduced|proposed|called|named|dubbed|developed|created|designed|presented"
    r"|compared|followed|denoted|listed|launched|open-sourced|opensourced|considered|licensed|maintained|posted"
    r"|updated|hosted|led|co-developed|sponsored|cited|speed|indeed)$)[\w-]+ed"
)
# A hedge on the whole sentence, wherever it stands.
_DOUBT: Final = any_of(
    r"estimate\w*|project\w*|expect\w*|if|unless|would|could|might|may|should|according|assum\w+|suppos\w+|claim\w*"
    r"|report(?:ed|s)? by|when|only (?:if|when|with|on|in|for)|with|without|using|under|given|except\w*"
)
_DIRECTIONS: Final = frozenset({"better", "worse", "higher", "lower", "more", "less", "fewer", "with", "best"})
AVERAGED: Final = any_of("averages?|averaged|averaging|avg|mean")
_JOINS: Final = any_case(r"(?:but|and|yet)\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadWords:
    """What of a sentence was not understood.

    Attributes:
        words: In order, runs of neighbors together.
        facts: Indices of the facts on which they may bear, and of facts that give one tuple two values.
    """

    words: tuple[str, ...] = ()
    facts: tuple[int, ...] = ()


def unread(understood: Understood) -> UnreadWords:
    """Return what of a sentence was not understood."""
    sentence, facts = understood.sentence, understood.facts
    if not facts:
        return UnreadWords()
    explained = _explained(understood)
    cuts = [0, *(match.start() for match in _CUT.finditer(sentence.text)), len(sentence.text)]
    parts = [TextRange(start, end) for start, end in pairwise(cuts)]
    asides = [part for part in parts if part.start and opens_an_aside(sentence.text, part.start, part.end)]
    words = outside(map(TextRange.of, WORD.finditer(sentence.text)), explained)
    left = [*_in_no_fact(understood, explained), *_of_several(understood)]
    left += outside(sentence.origins, _harmless(sentence, parts))
    left += outside(map(TextRange.of, _QUALIFIES.finditer(sentence.text)), explained)
    for part in parts:
        left += _unread_in(sentence, part, [word for word in words if part.holds(word.start)], explained)
    # Characters of an aside bear on its facts, all others on every fact.
    bearing = [next((aside for aside in asides if aside.holds(place.start)), sentence) for place in left]
    harmless = _harmless(sentence, parts)
    telling = outside(words, (*asides, *harmless))
    conditioned = another_measurement(sentence, harmless) or any(may_change(_said(sentence, word)) for word in telling)
    doubled = _doubled(facts)
    return UnreadWords(
        words=_runs(sentence.printed, left),
        facts=tuple(
            index for index, fact in enumerate(facts) if conditioned or covered(fact.start, bearing) or fact in doubled
        ),
    )


def _of_several(understood: Understood) -> list[TextRange]:
    """Return the settings of a comparison in two of them, and the word for a mean of several benchmarks.

    Which of two settings is whose, and what the mean of some cells is, no cell says.
    """
    sentence = understood.sentence
    left: list[TextRange] = []
    if any(fact.relation != "equals" for fact in understood.facts):
        left += sentence.several
        if len(settings.shots(sentence.text)) > 1:
            left += (number for number in sentence.numbers if number.kind == "setting")
        counted: dict[str, list[TextNumber]] = defaultdict(list)
        for number in sentence.numbers:
            if number.kind in ("count", "size"):
                counted[_said(sentence, number).split()[-1].rstrip("s")].append(number)
        # "X with 4 experts beats Y with 6 experts": two settings, of whatever the table calls it.
        left += (number for same in counted.values() if len(same) > 1 for number in same)
    marks = [name for name in sentence.benchmarks if key(name.text) not in MEANS]
    if len(sentence.values) < len(marks):
        left += outside(map(TextRange.of, AVERAGED.finditer(sentence.text)), sentence.names)
    return left


def _said(sentence: Sentence, word: TextRange) -> str:
    return sentence.text[word.start : word.end]


def makes_a_condition(text: str) -> bool:
    """Whether a text begins with a word that makes a condition of it: "For the larger model:", not "For example:"."""
    first = WORD.search(text)
    return first is not None and first[0].casefold() in _CONDITIONS and not _OPENING.match(text, first.start())


def opens_an_aside(text: str, start: int, end: int) -> bool:
    """Whether a part [start, end) of a text only adds an assertion: ", which is 9 points higher"."""
    return bool(_ASIDE.match(text, start)) and not _DOUBT.search(text, start, end)


def turning_words(text: str, names: Sequence[TextRange] = ()) -> tuple[str, ...]:
    """Return the words that can turn a sentence around or doubt it, wherever they stand outside its names.

    >>> turning_words("Without tools Foo-7B would not reach 71.3.")
    ('Without', 'would', 'not')
    """
    matches = [match for pattern in (_TURNING, _DOUBT, _UNREAL) for match in pattern.finditer(text)]
    words = {match.start(): match[0] for match in matches if not covered(match.start(), names)}
    # What only says in which direction two values differ is a relation, which is read.
    return tuple(words[at] for at in sorted(words) if words[at].casefold() not in _DIRECTIONS)


def _doubled(facts: Sequence[Fact]) -> set[Fact]:
    """Return the facts that give one tuple two values: "rises from 71.0 to 86.7", "has 71.0 (tuned: 86.7)"."""
    values: dict[tuple[object, ...], set[Quantity | None]] = defaultdict(set)
    equalities = {
        fact: (fact.subject, fact.benchmark, fact.metric, fact.setting) for fact in facts if fact.relation == "equals"
    }
    for fact, place in equalities.items():
        values[place].add(fact.value)
    return {fact for fact, place in equalities.items() if len(values[place]) > 1}


def _harmless(sentence: Sentence, parts: Sequence[TextRange]) -> list[TextRange]:
    """Return what says nothing of how a number came about: a release, what a benchmark is, another measure."""
    conceded = (part for part in parts if _CONCEDES.match(sentence.text, part.start))
    return [
        *(part for part in parts if _WHAT_IT_IS.match(sentence.text, part.start)),
        *(part for part in conceded if any(part.holds(metric.start) for metric in sentence.metrics)),
        *(TextRange.of(match) for match in _RELEASES.finditer(sentence.text)),
        *(origin for origin in sentence.origins if _RELEASES.search(sentence.text, 0, origin.start)),
    ]


def _explained(understood: Understood) -> list[TextRange]:
    """Return the characters that a fact was read from, or that change no fact."""
    sentence, text = understood.sentence, understood.sentence.text
    ranges: list[TextRange] = [
        *sentence.names,
        *(number for number in sentence.numbers if number.kind not in ("unread", "rank")),
        *understood.used,
        *sentence.origins,
        *sentence.settings,
        *(TextRange.of(match) for pattern in (_OPENING, *MARKS) for match in pattern.finditer(text)),
    ]
    for place in (*sentence.systems, *sentence.numbers):
        ranges += [
            TextRange(before.start(), place.start)
            for pattern in (compare.AGAINST, _KIND_OF, _SUCH_AS)
            if (before := pattern.search(text, 0, place.start))
        ]
    for system in sentence.systems:
        if system.text.islower() and (noun := SYSTEM_BEHIND.match(text, system.end)):
            ranges.append(TextRange.of(noun))
    for value in sentence.values:
        if value.hedge != "exactly":
            ranges.append(TextRange(max(0, value.start - 14), value.start))
        if match := _WITH_VALUE.search(text, max(0, value.start - 60), value.start):
            ranges.append(TextRange(match.start(), match.start() + 4))
    return ranges


def _in_no_fact(understood: Understood, explained: Sequence[TextRange]) -> list[TextRange]:
    """Return the systems, benchmarks and numbers that no fact is about."""
    facts, sentence = understood.facts, understood.sentence
    systems = {name for fact in facts for name in (fact.subject, fact.comparator)}
    marks = {name for fact in facts for name in (fact.benchmark, fact.comparator_benchmark, *fact.exceptions)}
    held = {(fact.start, fact.end) for fact in facts}
    return [
        *(name for name in sentence.systems if name.text not in systems),
        *(name for name in sentence.benchmarks if name.text not in marks),
        *outside((number for number in sentence.numbers if number.kind in ("unread", "rank")), explained),
        *outside((value for value in sentence.values if (value.start, value.end) not in held), understood.used),
    ]


def _unread_in(
    sentence: Sentence, part: TextRange, words: Sequence[TextRange], explained: Sequence[TextRange]
) -> list[TextRange]:
    """Return what of one part, with these unexplained words, was not understood."""
    text, start, end = sentence.text, part.start, part.end
    turning = outside(map(TextRange.of, _TURNING.finditer(text, start, end)), explained)
    systems = [name for name in sentence.systems if part.holds(name.start)]
    asserted = any(part.holds(place.start) for place in (*sentence.benchmarks, *sentence.values))
    if not asserted and not compare.CUE.search(text, start, end):
        if not systems and _WHAT_IT_IS.match(text, start):
            return turning
        first = WORD.search(text, start + bool(_JOINS.match(text, start)) * 4, end)
        turning = [word for word in turning if first and word.start == first.start()]
        turning += outside(map(TextRange.of, _UNREAL.finditer(text, start, end)), explained)
        if not systems and first and first[0].casefold() not in _CONDITIONS:
            amount = any(part.holds(number.start) and number.kind in ("size", "count") for number in sentence.numbers)
            if not _CHANGED.fullmatch(first[0]) or (amount and "trained" in first[0].casefold()):
                return turning
        if systems and _STATES.match(text[systems[0].end : end]):
            words = [word for word in words if word.end <= systems[0].start]
    return [*turning, *(word for word in words if not plain(_said(sentence, word).casefold().rstrip(".")))]


def _runs(text: str, ranges: Iterable[TextRange]) -> tuple[str, ...]:
    """Return the texts of ranges, those with only a space between them as one."""
    runs: list[TextRange] = []
    for words in sorted(ranges, key=lambda words: (words.start, words.end)):
        last = runs[-1] if runs else words
        if runs and words.start <= last.end + 1 and not text[last.end : words.start].strip():
            runs[-1] = TextRange(last.start, max(last.end, words.end))
        else:
            runs.append(words)
    return tuple(dict.fromkeys(text[run.start : run.end] for run in runs))
