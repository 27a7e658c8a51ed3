"""What stands above a sentence or a table, and may make other numbers of everything below it: "Dev split", "4-bit".

A heading, a caption or a sentence such as "All numbers in this section are zero-shot" says how numbers came about, and
no list holds all of such words. So every word of them may, but for names and the few that headings are made of. Where
the source has the word in its own headers or caption, too, it sets nothing apart.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from trimtab.claims.header_reader import USUAL_METRICS
from trimtab.claims.number_kinds import numbers
from trimtab.claims.other_measurements import may_change
from trimtab.claims.result_words import RESULT_VERB
from trimtab.claims.text_range import TextRange, outside
from trimtab.claims.wording import WORD, any_case, any_of, key, stems, word_set

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trimtab.claims.name_registry import Mention, Registry
    from trimtab.claims.vocabulary import HeaderVocabulary
    from trimtab.documents.parts import Document

_HEADINGS: Final = word_set("""
main results result experiment experiments experimental evaluation evaluations setup introduction abstract conclusion
conclusions discussion analysis benchmark benchmarks performance summary overview comparison comparisons
findings finding observation observations insights insight remarks
quantitative key highlights news updates update model models background related work readme report paper study
leaderboard tables table figure figures key takeaways takeaway details what how we our the quality downstream research
project card notes note release survey
ours et al avg all baseline baselines methods method systems capabilities general about across different various several
two three four five six seven eight nine ten many some other these those this following follows below above here see
""")
_HEADERS: Final = word_set("""
a an the of on in and or for model models method methods system systems name score scores acc accuracy result results
value values performance benchmark benchmarks dataset datasets task tasks ours our et al average avg mean
""")
"""Words of headers that make no other quantity of a number."""
SYMBOL: Final = re.compile("[\u00b1\u0394#]")
"""Marks in headers that make a spread, a difference or a count of a number."""
# "4.2 Results", "Table 3": the number says nothing of the results.
_NUMBERED: Final = re.compile(
    r"^\W*(?:[A-Z]|\d+)(?:\.\d+)*(?:[.):]\s+|\s+(?=[A-Z]))|(?i:\b(?:table|figure|fig|section|appendix)s?\.?\s*[A-Z]?\d+)"
)
_SETTING: Final = any_case(
    r"dev|development|validation|val|splits?|subsets?|replications?|reproductions?|errors?|external|quantized|hypothes[ei]s"
    r"|drafts?|wrong|incorrect|\d+-?bits?|int[48]|fp(?:4|8|16)|(?:\d+|zero|one|few)-shot|minutes|latency|energy|seconds"
    r"|ranks?|servers?|held-out|\w+@(?!1\b)\d+"
)
_ABOVE: Final = any_case(
    r"\b(?:in this (?:section|part|chapter)|as follows|the following|hypothes[ei]s|wanted to test|drafts?|wrong"
    r"|incorrect|others? (?:report|claim|found)\w*|could not reproduce|did the same|as a whole"
    r"|(?:all|these|the (?:published|reported|following)) (?:numbers|results|scores|values|figures))\b"
)
"""How a sentence without a result speaks of those that follow."""
# "Test set" is another split than a table's that says it is of the development set; where nothing says so, it is not.
_TEST: Final = any_case(r"\btest(?:ing)?[ -](?:sets?|splits?|servers?|data|parts?)\b|^\W*test\W*$")
_SPLITS: Final = frozenset({"dev", "develop", "valid", "val"})
_INTRODUCING: Final = (
    r"compar|present|introduc|summari[sz]|describ|discuss|list|cover|stud(?:y|ies)|investigat|explor|look|releas"
    r"|thank|evaluat"
)
_QUALITY: Final = (
    r"strong|good|close|similar|clear|impressive|competitive|different|encouraging|comparable|consistent|important"
)
# Sentences that only say what follows, or what something is: "We compare five systems", "VITS is an end-to-end model".
_INTRODUCES: Final = any_case(
    r"^\W*(?:research )?questions?:|^\W*(?:(?:in this \w+|here|now|below|finally|next)[,:]?\s+)?"
    r"(?:we|this \w+|the \w+|it|(?:tables?|figures?|sections?)(?: \w+)?)\s+"
    rf"(?:\w+ly\s+|also\s+|first\s+|then\s+|now\s+|below\s+)?(?:{_INTRODUCING})\w*\b"
    r"|^\W*(?:this \w+|the (?:report|paper|results?)|(?:the )?(?:tables?|figures?|sections?)(?: \w+)?)\s+"
    r"(?:below\s+|above\s+|also\s+)?(?:shows?|gives?|contains?|provides?|holds?|has|are in)\b"
    r"|^\W*we (?:now )?(?:show|give|provide|report) (?:the |our |all )?(?:main )?"
    r"(?:results|numbers|scores|that|how)\b"
    r"|^\W*(?:the\s+)?(?-i:[A-Z])\S*(?:\s\S+)?\s+(?:is|are|was|were)\s+(?:an?|one of|the)\s"
    rf"|\b(?:is|are|was|were)\s+(?:\w+ly\s+|very\s+|quite\s+|all\s+)?(?:{_QUALITY})\b"
    r"|\b(?:can be found|available|thanks?|please cite|differ|vary|in bold(?:face)?|bolded|underlined)\b"
    r"|\bha(?:s|ve) (?:become|been|made|seen|shown|attracted|improved)\b"
)
# What of such a sentence, or of a title, says how: "with 16 experts", "in Swedish", "quantized", "the worst of five".
_CONDITION: Final = re.compile(
    r"(?i:\b(?:with|without|w/o|using|under|after|before|at|via|per|only|(?:worst|best|median|last|first) (?:of|over)))"
    r"\b[^,;:.()]*|\b[Ii]n (?=[A-Z\d])[^,;:.()]*|(?<!based )\b(?:[Oo]n|[Ff]rom) (?:the )?(?=[A-Z\d])[^,;:.()]*"
    r"|(?i:\b(?!(?:relat|propos|detail|extend|unifi|updat|releas|publish|advanc|supervis|weight|generat|ne|fe|spe)ed\b"
    r"|train|[\w-]*based)[a-z-]+ed\b)"
    r"(?!\s+by\b)"
)
# What a title says of the data set itself: "Adversarial GLUE", "COCO-O (out of distribution)".
_VERSION: Final = re.compile(r"\([^()]*\)|\b(?!\w*ing\b)[A-Z][\w-]+\s+(?=[A-Z]{2}[\w+-]*\b(?!\s+[a-z]+))")
# A sentence that says something of the results before it, and none that says what they mean.
_BACK: Final = any_case(
    r"^\W*(?:note|mind|beware|caution|this|these|that|those|they|it|both|all (?:of )?(?:these|those|them)"
    r"|the (?:values|numbers|results|scores|figures))\b"
    r"|\b(?:this|these|those)\b(?!\s+(?:papers?|works?|reports?|sections?))|^\s*\("
    r"|\b(?:later|bugs?|buggy|mistakes?|errors?|wrong|incorrect|invalid|broken|crash\w*|swapped|leak\w*|contaminat\w*"
    r"|outdated|superseded|preliminary|estimates?|ignore|corrected|fix(?:ed)?)\b"
)
_MEANS_SOMETHING: Final = any_case(
    r"\b(?:shows?|suggests?|indicates?|confirms?|demonstrates?|means?|implies|highlights?|makes?|supports?|proves?"
    r"|agrees?)\b"
)
_CAPTION: Final = 10
_SUBJECT: Final = any_of("we|it|they|this|that|which|helps?|improves?|grows?|does|do|can")
_ABOUT_THE_WORK: Final = any_case(
    r"\W*(?:[\dA-Z.]+\s+)?(?:abstract|introduction|conclusions?|background|motivation|related work)\b"
)
"""Headings of sections that say what the whole work is about."""
_ABSTRACT: Final = any_case(r"\W*abstract\W*$")


def scope_words(text: str, registry: Registry, vocabulary: HeaderVocabulary) -> tuple[str, ...]:
    """Return the words and numbers of a heading or a caption that may make other numbers of what stands under it."""
    names = [
        name
        for name in _known(text, registry, vocabulary)
        if (name.kind != "metrics" or name.id in USUAL_METRICS) and not sets_apart(name.text)
    ]
    words = _left(_NUMBERED.sub(lambda match: " " * len(match[0]), text), names)
    test = ("test",) * bool(_TEST.search(text))
    return (
        tuple(
            word
            for word in words
            if sets_apart(word) or (stems(word) and may_change(word) and word.casefold() not in _HEADINGS)
        )
        + test
    )


def condition_words(text: str, registry: Registry, vocabulary: HeaderVocabulary) -> tuple[str, ...]:
    """Return the words of a title, or of a sentence that introduces others, that say how numbers came about."""
    return tuple(
        word
        for word in scope_words(text, registry, vocabulary)
        if sets_apart(word) or word == "test" or any(word in match[0] for match in _CONDITION.finditer(text))
    )


def title_words(text: str, registry: Registry, vocabulary: HeaderVocabulary) -> tuple[str, ...]:
    """Return the words of a title above other headings that may make other numbers of all of a report.

    A title says what the report is about, and only some of it how its numbers came about: "Encoders in Swedish".
    """
    versions = " ; ".join(match[0] for match in _VERSION.finditer(text))
    return (*condition_words(text, registry, vocabulary), *scope_words(versions, registry, vocabulary))


def is_about_the_work(heading: str) -> bool:
    """Whether a section says what the whole work is about, so that its sentences are no set-up of its results."""
    return bool(_ABOUT_THE_WORK.match(heading))


def is_abstract(heading: str) -> bool:
    """Whether a section tells of a whole work in one paragraph, so that no sentence is the set-up of the next."""
    return bool(_ABSTRACT.match(heading))


def setup_words(text: str, registry: Registry, vocabulary: HeaderVocabulary) -> tuple[str, ...]:
    """Return the words of a sentence without a result that may make other numbers of those behind it.

    Whatever it says may: "We use 8 shots", "Only 12 raters took part". One that only introduces what follows does so
    by its conditions alone: "We compare five systems at 8 kHz".
    """
    if not _INTRODUCES.search(text):
        return scope_words(text, registry, vocabulary)
    return condition_words(text, registry, vocabulary)


def said_of_results_before(text: str) -> bool:
    """Whether a sentence without a result says how those before it came about: "These are for 8-bit models"."""
    return bool(_BACK.search(text)) and not _MEANS_SOMETHING.search(text)


def is_a_caption(text: str) -> bool:
    """Whether a sentence behind a table only says what it holds: "Averages over ten languages."."""
    return len(text.split()) <= _CAPTION and not RESULT_VERB.search(text) and not _SUBJECT.search(text)


def apart_from(word: str, known: frozenset[str], cell: str) -> bool:
    """Whether a word sets a claim apart from a cell with these headers, in a table with these stems in and above it."""
    if word == "test":
        return word not in known and bool(_SPLITS & known)
    if "@" in word and (cut_offs := re.findall(r"\S+@\d+", cell.casefold())):
        return word.casefold() not in cut_offs
    # A number that the source has somewhere, too, need not be the same thing there: "2 bits" and "Llama-2".
    return word.isdigit() or (word not in known and not (stems(word) and set(stems(word)) <= known))


def header_words(text: str, registry: Registry, vocabulary: HeaderVocabulary) -> tuple[str, ...]:
    """Return the words of a table's headers that may make another quantity of a number: "rank" of "MMLU rank"."""
    words = (word for word in _left(text, _known(text, registry, vocabulary)) if word.casefold() not in _HEADERS)
    return (*words, *SYMBOL.findall(text))


def sets_apart(word: str) -> bool:
    """Whether a word is of a setting or a measure, so that it certainly makes other numbers of what stands below it."""
    return bool(_SETTING.fullmatch(word))


def _known(text: str, registry: Registry, vocabulary: HeaderVocabulary) -> list[Mention]:
    """Return the names of a text that are known; one that nobody knows may be what all numbers below it are of."""
    return [
        name
        for name in registry.mentions(text, vocabulary)
        if name.kind not in ("models", "benchmarks") or name.id in vocabulary or key(name.text) in vocabulary
    ]


def _left(text: str, names: Sequence[Mention]) -> dict[str, None]:
    """Return the words outside some names of a text, in order."""
    words = (TextRange.of(word) for word in WORD.finditer(text))
    return dict.fromkeys(text[word.start : word.end] for word in outside(words, names))


def speaks_of_what_follows(text: str) -> bool:
    """Whether a sentence says something about the numbers of those behind it."""
    return bool(_ABOVE.search(text))


@dataclass(frozen=True, slots=True, kw_only=True)
class AboveLine:
    """What stands above a line of a document: its headings, sentences that speak of what follows, and the last one."""

    line: int
    section: str = ""
    speaking: tuple[str, ...] = ()
    last: str = ""

    @property
    def sentences(self) -> tuple[str, ...]:
        """The sentences that may speak of what follows; one with a result speaks of itself."""
        if not self.last or any(number.kind == "value" for number in numbers(self.last)):
            return self.speaking
        return tuple(dict.fromkeys((*self.speaking, self.last)))


def lines_above(document: Document) -> list[AboveLine]:
    """Return, in order, what stands above each line; the last sentence before a table may be what it is called."""
    lines = [AboveLine(line=0)]
    speaking: tuple[str, ...] = ()
    for span in document.spans:
        if span.kind not in ("sentence", "heading") or span.position.line is None:
            continue
        if span.kind == "heading":
            section = " > ".join(filter(None, (span.section, span.text)))
            lines.append(AboveLine(line=span.position.line, section=section))
            speaking = ()
            continue
        if span.section != lines[-1].section:
            speaking = ()
        if speaks_of_what_follows(span.text):
            speaking += (span.text,)
        lines.append(AboveLine(line=span.position.line, section=span.section, speaking=speaking, last=span.text))
    return lines


def above_line(lines: Sequence[AboveLine], line: int | None) -> AboveLine:
    """Return what stands above a line; nothing for a page of a PDF, which has none."""
    return lines[bisect_right(lines, line or 0, key=lambda above: above.line) - 1]
