"""The columns of a table that say how its rows were measured: a capacity, a seed, a number of shots.

Rows of one system differ by them, so a sentence about such a table has to say what stands there. Which columns those
are is seen from their heads, from their place left of the measures, and from values that come back for several systems.
Sentences say it with a head and a value: "at an evaluation capacity of 1.25", "with 5 shots".
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Final, TypeVar

from trimtab.claims.claim_model import ColumnSetting
from trimtab.claims.text_range import TextRange
from trimtab.claims.wording import any_case, key, stem, word_set

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from trimtab.claims.number_kinds import TextNumber


def _stems(words: str) -> frozenset[str]:
    return frozenset(map(stem, word_set(words)))


_SETTINGS: Final = _stems("""
capacity seed k shot temperature rank epoch step iteration budget batch beam threshold bit context length window depth
width layer expert sample noise sparsity alpha beta gamma lambda sigma tau epsilon dropout fold trial run round stride
resolution hop neighbor horizon
""")
# Such last words are of a setting only behind one of these.
_RATES_OF: Final = _stems("""
learning batch beam window context sequence step patch group mask masking dropout noise sampling top
""")
_OF_SOMETHING: Final = _stems("rate size length ratio p k")
# A number of these is measured, or a part of a system's name, whatever its last word is.
_NO_SETTING: Final = any_case(
    r"[%/\u2191\u2193]|\b(?:per|average|avg|mean|median|error|success|win|pass|acceptance|hit|model|param\w*|drop"
    r"|solved|latency|speed|time|cost|failure|recall|accuracy|refusal|hallucination)\b"
)
# Columns that describe a system and are no benchmark.
DESCRIBES: Final = any_case(
    r"param|\bsizes?\b|\btokens?\b|\byears?\b|\bdates?\b|\branks?\b|\bcosts?\b|\bprice|\bcontext\b|\blayers?\b"
    r"|\bav(?:era)?g|^#|\bgpus?\b|\bflops?\b|\bdepth\b|\bwidth\b|\bexperts?\b|\bseeds?\b|\bsteps?\b|\bepochs?\b"
    r"|\bbudgets?\b|\bbatch\b"
)
MEASURED: Final = _stems("""
task benchmark dataset data metric endpoint measure measurement corpus suite domain language category environment env
game topic subject
""")
"""Heads of columns that say what was measured."""
_SYSTEMS: Final = _stems("model method system name approach algorithm llm agent")
_REMARKS: Final = _SYSTEMS | _stems("""
unit outcome status folder file path note comment reference id type source group team author
""")
_IN_FULL: Final = {
    "eval": "evaluation",
    "temp": "temperature",
    "cap": "capacity",
    "lr": "learning rate",
    "bs": "batch size",
    "ctx": "context",
    "len": "length",
    "seq": "sequence",
    "iter": "iteration",
    "iters": "iteration",
    "init": "initialization",
    "quant": "quantization",
    "opt": "optimizer",
    "thresh": "threshold",
    "train": "training",
}
_EMPTY: Final = word_set("num number no nr of the a an")
_WEAK_ENDS: Final = _stems("factor value level setting number count parameter")
_WORD: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_LABELLED: Final = re.compile(r"[A-Za-z]{1,3}[=_-]?(\d+(?:\.\d+)?)")
_COUNTS: Final = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
_NUMBER_WORDS: Final = {word: str(number) for number, word in enumerate(_COUNTS)}
_LETTERS: Final = re.compile(r"(?<![A-Za-z\d])[A-Za-z]+(?![A-Za-z\d])")
_NUMBER: Final = r"[-+\u2212]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:[eE][-+]?\d+)?"
_LINK: Final = any_case(
    r"[\s_]*(?:\b(?:factors?|values?|levels?|settings?|numbers?|counts?|parameters?)\s*)?(?:[=:#]|\b(?:of|is|was"
    r"|equals?|equal to|set to|fixed (?:at|to))\b)?\s*"
)
_NUMBER_BEHIND: Final = re.compile(rf"(?P<value>{_NUMBER}\s?%?)(?!\w|\.\d|\s?points?\b|\s?[-\u2013]\s?\d|\s+to\s+\d)")
_NUMBER_BEFORE: Final = any_case(rf"(?<![\w.,-])(?P<value>{_NUMBER}\s?%?|{'|'.join(_COUNTS)})[\s-]+$")
_MORE: Final = re.compile(rf"\s*(?:,|,?\s*and|,?\s*or|/|&)\s*(?P<value>{_NUMBER})(?!\w|\.\d)(?!\s*[A-Za-z-]*\s*=)")
_BEFORE: Final = any_case(
    r"(?:\b(?:at|with|using|under|for|in|on|by|and|when|where|if|given|of|from|to|while|but|after)\s+)?(?:\b(?:an?|the"
    r"|its|only)\s+)?(?:\b(?:random|sampling|decoding|lora|adapter|fixed|same)\s+)?$"
)
_OTHER_WORD: Final = re.compile(r"(?<![\w.-])[A-Za-z]+\.?[\s_-]+$")
_LONGEST: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingColumn:
    """A column that says how rows were measured: its head as printed and in words, and row → what stands there."""

    head: str
    name: tuple[str, ...]
    texts: Mapping[int, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingHead:
    """The name of such columns of all tables, in words, and all that stands in them."""

    name: tuple[str, ...]
    values: frozenset[str]


_Named = TypeVar("_Named", SettingColumn, SettingHead)


@dataclass(slots=True, kw_only=True)
class TableLines:
    """What stands in a table, the labels of its rows included.

    Attributes:
        heads: Column → its head, from left to right.
        rows: Row → column → text.
        labels: Columns of words that label rows.
    """

    heads: dict[int, str] = field(default_factory=dict)
    rows: dict[int, dict[int, str]] = field(default_factory=dict)
    labels: set[int] = field(default_factory=set)

    def add(self, row: int, column: int, head: str, text: str) -> None:
        """Add what stands at a place."""
        self.heads.setdefault(column, head)
        self.rows.setdefault(row, {})[column] = text

    def texts(self, column: int) -> dict[int, str]:
        """Return row → what stands in a column."""
        return {row: line[column] for row, line in self.rows.items() if line.get(column)}


@lru_cache(maxsize=4096)
def words(head: str) -> tuple[str, ...]:
    """Return the stems of a setting's name in full, without words that say nothing.

    >>> words("eval_capacity") == words("Evaluation capacity factor"), words("# shots")
    (True, ('shot',))
    """
    parts = [part.casefold() for part in _WORD.findall(head)]
    full = [word for part in parts for word in _IN_FULL.get(part, part).split()]
    left = [stem(word) for word in full if word not in _EMPTY and word != "n"] or [stem(word) for word in full]
    while len(left) > 1 and left[-1] in _WEAK_ENDS:
        left.pop()
    return tuple(left)


def find(
    lines: TableLines, measures: Collection[int], names: Callable[[str], bool], *, by_row: bool
) -> tuple[SettingColumn, ...]:
    """Return the setting columns of a table.

    Args:
        lines: The table.
        measures: Columns with numbers.
        names: Whether a text names a known system, benchmark or metric.
        by_row: Whether the systems are on the rows.
    """
    called = {column: words(head) for column, head in lines.heads.items() if head and not names(head)}
    typical = {
        column
        for column, name in called.items()
        if _names_a_setting(name) and not _NO_SETTING.search(lines.heads[column].replace("_", " "))
    }
    own = []
    if by_row:
        labels = sorted(lines.labels - typical)
        own = ([column for column in labels if set(called.get(column, ())) & _SYSTEMS] or labels)[:1]
    systems = lines.texts(own[0]) if own else {}
    chosen: list[SettingColumn] = []
    behind_measure = False
    for column in sorted(set(lines.heads) - set(own)):
        name, texts = called.get(column, ()), lines.texts(column)
        parts = _parts(texts, systems)
        if column in typical:
            is_setting = column in lines.labels or parts or not behind_measure
        elif column in lines.labels:
            is_setting = parts and not set(name) & (MEASURED | _REMARKS) and not any(map(names, set(texts.values())))
        else:
            # A measure seldom has each of its values twice.
            is_setting = parts and not behind_measure and min(Counter(texts.values()).values()) > 1
        if is_setting and name:
            chosen.append(SettingColumn(head=lines.heads[column], name=name, texts=texts))
        behind_measure |= column in measures and not is_setting and not DESCRIBES.search(lines.heads[column])
    return tuple(chosen) if behind_measure else ()


def _names_a_setting(name: tuple[str, ...]) -> bool:
    """Whether a head's last words are those of a setting: "capacity", "learning rate", but not "hit rate"."""
    if len(name) > 1 and name[-1] in _OF_SOMETHING:
        return name[-2] in _RATES_OF
    return bool(name) and name[-1] in _SETTINGS


def _parts(texts: Mapping[int, str], systems: Mapping[int, str]) -> bool:
    """Whether a column tells rows of one system apart."""
    pairs = {(systems[row], text) for row, text in texts.items() if row in systems}
    return len(pairs) > len({system for system, _ in pairs})


def same_value(value: str, text: str) -> bool:
    """Whether a value that a sentence gives is what stands in a column; "1.25" is "c1.25", too.

    >>> same_value("1.250", "1.25"), same_value("five", "5"), same_value("1.25", "c1.25"), same_value("1.2", "1.25")
    (True, True, True, False)
    """
    labelled = _LABELLED.fullmatch(text)
    return _plain(value) == _plain(text) or (labelled is not None and _plain(value) == _plain(labelled[1]))


def _plain(text: str) -> Decimal | str:
    folded = text.strip().casefold().replace(",", "").replace("\u2212", "-").rstrip("%\u00d7x ")
    try:
        return Decimal(_NUMBER_WORDS.get(folded, folded)).normalize()
    except InvalidOperation:
        return key(text)


def called(columns: Sequence[_Named], text: str) -> list[_Named]:
    """Return the columns that a sentence calls so, in full, else by their last words."""
    name = words(text)
    whole = [column for column in columns if column.name == name]
    return whole or [column for column in columns if column.name[-len(name) :] == name]


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingPhrase(TextRange):
    """The words of a sentence that say what stands in such a column."""

    setting: ColumnSetting


def phrases(text: str, heads: Sequence[SettingHead]) -> tuple[SettingPhrase, ...]:
    """Return what a sentence says of columns, in order; nothing where one is named without a value."""
    tokens = [TextRange.of(match) for match in _LETTERS.finditer(text)] if heads else []
    placed: list[SettingPhrase] = []
    at = 0
    while at < len(tokens):
        runs = (tokens[at : at + size] for size in range(min(4, len(tokens) - at), 0, -1))
        run, phrase = next(((run, phrase) for run in runs if (phrase := _phrase(text, run, heads))), ((), None))
        if phrase and not any(phrase.start < other.end for other in placed):
            placed.append(phrase)
        at += len(run) or 1
    return tuple(placed)


def _phrase(text: str, tokens: Sequence[TextRange], heads: Sequence[SettingHead]) -> SettingPhrase | None:
    """Return what a run of words says, if it is the name of a column or its end, and a value stands beside it."""
    if any(text[end.start : end.end].casefold() in _EMPTY for end in (tokens[0], tokens[-1])):
        return None
    if any(not re.fullmatch(r"[\s_.\-]{1,2}", text[word.end : after.start]) for word, after in pairwise(tokens)):
        return None
    name = TextRange(tokens[0].start, tokens[-1].end)
    columns = called(heads, text[name.start : name.end])
    phrase = _beside(text, name, frozenset().union(*(head.values for head in columns))) if columns else None
    if phrase is None:
        return None
    before = _BEFORE.search(text[max(0, phrase.start - _LONGEST) : phrase.start])
    if before and before[0]:
        return replace(phrase, start=phrase.start - len(before[0]))
    other_word = _OTHER_WORD.search(text, max(0, phrase.start - _LONGEST), phrase.start)
    return None if other_word else phrase  # a "training capacity" may be another column's


def _beside(text: str, name: TextRange, values: frozenset[str]) -> SettingPhrase | None:
    """Return a head with its value: what stands in the column first, else a number behind it or a count before."""

    def phrase(start: int, end: int, value: str) -> SettingPhrase:
        return SettingPhrase(start, end, setting=ColumnSetting(head=text[name.start : name.end], value=value))

    behind = _LINK.match(text, name.end)
    place = behind.end() if behind else name.end
    before = len(text[: name.start].rstrip(" -"))
    worded = [
        *(phrase(name.start, place + len(value), value) for value in values if _stands(text, value, place)),
        *(
            phrase(before - len(value), name.end, value)
            for value in values
            if before >= len(value) and _stands(text, value, before - len(value))
        ),
    ]
    if worded:
        return max(worded, key=lambda phrase: len(phrase.setting.value))
    number = _NUMBER_BEHIND.match(text, place)
    count = _NUMBER_BEFORE.search(text, max(0, name.start - _LONGEST), name.start)
    if number and (more := _MORE.match(text, number.end())) and _known(more["value"], values):
        return None  # "capacities of 1.25 and 2.0": not one row
    if number and (_known(number["value"], values) or not (count and _known(count["value"], values))):
        known = _known(number["value"], values) or "%" not in number["value"]
        return phrase(name.start, number.end(), number["value"].strip()) if known else None
    if count and (_known(count["value"], values) or all(value.isdigit() for value in values)):
        return phrase(count.start("value"), name.end, count["value"].strip())
    return None


def _stands(text: str, value: str, place: int) -> bool:
    """Whether a value of words stands at a place as whole words."""
    return (
        any(map(str.isalpha, value))
        and text[place : place + len(value)].casefold() == value.casefold()
        and not re.match(r"[\w-]", text[place + len(value) : place + len(value) + 1])
        and not re.match(r"[\w-]", text[max(0, place - 1) : place])
    )


def _known(value: str, values: Iterable[str]) -> bool:
    return any(same_value(value, text) for text in values)


def paired(phrases: Sequence[SettingPhrase], values: Sequence[TextNumber]) -> bool:
    """Whether a sentence tells to which value each phrase belongs: each column is said once, or once for each value.

    Then values and phrases take turns: "50.0 at capacity 1.25 and 60.0 at capacity 2.0".
    """
    for same in _by_head(phrases).values():
        in_order: list[TextRange] = sorted((*same, *values), key=lambda place: place.start)
        in_turn = all((first in same) != (second in same) for first, second in pairwise(in_order))
        if len(same) > 1 and not (len(same) == len(values) and in_turn):
            return False
    return True


def of_value(
    phrases: Sequence[SettingPhrase], index: int, whole: Sequence[SettingPhrase]
) -> tuple[ColumnSetting, ...]:  # fmt: skip
    """Return what is said of columns for one value of a sentence.

    Args:
        phrases: Those that may be about it.
        index: Which value of the sentence it is.
        whole: All phrases of the sentence.
    """
    groups = _by_head(whole).values()
    return tuple(same[index if len(same) > 1 else 0].setting for same in groups if len(same) > 1 or same[0] in phrases)


def _by_head(phrases: Iterable[SettingPhrase]) -> dict[tuple[str, ...], list[SettingPhrase]]:
    groups: dict[tuple[str, ...], list[SettingPhrase]] = defaultdict(list)
    for phrase in phrases:
        groups[words(phrase.setting.head)].append(phrase)
    return groups
