"""The columns of a table that say how its rows were measured: a capacity, a seed, a number of shots.

Rows of one system differ by them, so a sentence about such a table has to say what stands there. Which columns those
are is seen from their heads, from their place left of the measures, and from values that come back for several systems.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from trimtab.claims.wording import any_case, key, stem, word_set

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence


def _stems(words: str) -> frozenset[str]:
    return frozenset(map(stem, word_set(words)))


_SETTINGS: Final = _stems("""
capacity seed k shot temperature rank epoch step iteration budget batch beam threshold bit context length window depth
width layer expert sample noise sparsity alpha beta gamma lambda sigma tau epsilon dropout fold trial run round stride
resolution hop neighbor horizon
""")
# Such last words are of a setting only behind one of these.
_RATES_OF: Final = _stems("""
learning batch beam window context sequence step patch group mask masking dropout noise sampling
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
task benchmark dataset data metric endpoint measure measurement corpus suite domain language category
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
EMPTY_WORDS: Final = frozenset({"num", "number", "n", "no", "nr", "of", "the", "a", "an"})
_WEAK_ENDS: Final = _stems("factor value level setting number count parameter")
_WORD: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_LABELLED: Final = re.compile(r"[A-Za-z]{1,3}[=_-]?(\d+(?:\.\d+)?)")
_COUNTS: Final = "zero one two three four five six seven eight nine ten"
_NUMBER_WORDS: Final = {word: str(number) for number, word in enumerate(_COUNTS.split())}


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingColumn:
    """A column that says how rows were measured: its head as printed and in words, and row → what stands there."""

    head: str
    name: tuple[str, ...]
    texts: Mapping[int, str]


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
    left = [stem(word) for word in full if word not in EMPTY_WORDS] or [stem(word) for word in full]
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
        return name[-2] in _RATES_OF or name[-2:] in (("top", "p"), ("top", "k"))
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


def called(columns: Sequence[SettingColumn], head: str) -> SettingColumn | None:
    """Return the one column that a sentence calls so, in full or by its last words; None where it is not just one."""
    name = words(head)
    whole = [column for column in columns if column.name == name]
    fitting = whole or [column for column in columns if column.name[-len(name) :] == name]
    return fitting[0] if len(fitting) == 1 else None
