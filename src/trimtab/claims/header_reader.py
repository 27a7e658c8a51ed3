"""What headers say: each number of a table with its subject, benchmark, metric and setting.

A header part that names a benchmark or metric, or only a setting, is not a subject; every other part is, so that a
table may have its models in rows or in columns. What the headers leave open is taken from the caption when that says
one thing only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from trimtab.claims import settings, vocabulary
from trimtab.claims.wording import MEANS, any_case, key, stems

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from decimal import Decimal

    from trimtab.claims.claim_model import MeasurementSetting
    from trimtab.claims.name_registry import Registry
    from trimtab.claims.vocabulary import Axis
    from trimtab.documents.parts import Document, TableCell

_ARROW: Final = any_case(
    "(?P<down>\u2193|\\b(?:lower|less|smaller)\\s+is\\s+better)|(?P<up>\u2191|\\b(?:higher|more|larger)\\s+is\\s+better)"
)
_PLUS: Final = re.compile(r"\s*\(\s*\+\s*\)")
# A bracket that says a unit or which way is better.
_BRACKETS: Final = any_case(r"[(\[][^()\[\]]*[)\]]|\b(?:lower|higher) is better\b")
_LISTED: Final = re.compile(r"[\w@.-]+(?:\s*/\s*[\w@.-]+)+")
SIZE: Final = re.compile(r"[~\u2248]?\d+(?:\.\d+)?\s?[BM](?:-A\d+(?:\.\d+)?B)?")
""" "62B" says how large a system is: a sentence's values are never of this form."""
USUAL_METRICS: Final = frozenset({"accuracy", "pass", "exact_match", "f1", "win_rate"})
"""What numbers measure where nothing says it."""
AXES: Final[tuple[Axis, Axis]] = ("row", "column")
ACROSS: Final[Mapping[Axis, Axis]] = {"row": "column", "column": "row"}


class HeaderLine(NamedTuple):
    """A row or a column of a table."""

    table: tuple[str, int]
    axis: Axis
    at: int

    @property
    def side(self) -> tuple[tuple[str, int], Axis]:
        """All lines beside it: the rows or the columns of its table."""
        return self.table, self.axis


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What one header says.

    Attributes:
        subject: Key of the system it can be; empty if it says anything else.
        named: Whether it names a benchmark, a metric or a setting.
        benchmark: Id, where it names one.
        metric: Id, where it names one.
        setting: How its numbers were obtained.
        lower: Whether less is better, by an arrow or words; None where it does not say.
        words: Stems.
    """

    subject: str
    named: bool
    benchmark: str
    metric: str
    setting: MeasurementSetting
    lower: bool | None
    words: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measurement:
    """One number of a table.

    Attributes:
        cell: Where it stands.
        document: The file.
        value: The number.
        index: Which of the numbers of its cell it is, counted from 0.
        subjects: Ids of what its headers name besides benchmark and metric.
        names: Keys of everything its headers can be called.
        benchmark: Id; empty if no known one is named.
        metric: Id; empty if none is named.
        setting: How it was obtained.
        lower: Whether less is better: by an arrow or a word in its headers, else by its metric or benchmark, else by
            the caption; None where nothing says.
        words: Stems of its headers.
        around: Stems of its caption.
    """

    cell: TableCell
    document: Document
    value: Decimal
    index: int
    subjects: frozenset[str]
    names: frozenset[str]
    benchmark: str
    metric: str
    setting: MeasurementSetting
    lower: bool | None
    words: frozenset[str]
    around: frozenset[str]

    @property
    def table(self) -> tuple[str, int]:
        """Which table it is in."""
        return self.cell.document, self.cell.table

    @property
    def heads(self) -> tuple[str, ...]:
        """All of its headers, the row's first."""
        return (*self.cell.row_path, *self.cell.column_path)

    def path(self, axis: Axis) -> tuple[str, ...]:
        """Return the header of its row or of its column."""
        return self.cell.row_path if axis == "row" else self.cell.column_path

    def line(self, axis: Axis) -> HeaderLine:
        """Return its row or its column."""
        return HeaderLine(self.table, axis, self.cell.row if axis == "row" else self.cell.column)


class HeaderReader:
    """Reads headers with the known names; each text once.

    Args:
        registry: Known names.
    """

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.short_names = lru_cache(maxsize=None)(self._short_names)
        self._read_once = lru_cache(maxsize=None)(self._read)
        self._subjects = lru_cache(maxsize=None)(self._named_in)

    def read(self, text: str, *, second: bool = False) -> Header:
        """Return what a header says; ``second``: of the number in brackets under one such as "HumanEval (+)"."""
        return self._read_once(text, second)

    def says_its_measure(self, cell: TableCell) -> bool:
        """Whether the headers of a cell name a metric, or say which way is better."""
        heads = [self.read(part) for part in (*cell.row_path, *cell.column_path)]
        return any(head.metric or head.lower is not None for head in heads)

    def measurements(self, document: Document, cell: TableCell, *, by_caption: bool = True) -> Iterator[Measurement]:
        """Yield the numbers of a cell; none if it only says how large a system is.

        Args:
            document: The file.
            cell: One of its cells.
            by_caption: Whether a metric that only the caption names is that of this cell. It is not in a table with a
                column of that metric: "perplexity and recall", with one column for each.
        """
        if not cell.numbers or SIZE.fullmatch(cell.text.strip()):
            return
        caption = self.read(cell.caption)
        if not by_caption:
            caption = replace(caption, metric="", lower=None)
        names = frozenset(
            name
            for path in (cell.row_path, cell.column_path)
            for name in (*vocabulary.names(path), *self.short_names(path))
        )
        listed = self._listed(cell)
        for index, value in enumerate(cell.numbers):
            second = index == 1
            column, row = (self.read(" ".join(path), second=second) for path in (cell.column_path, cell.row_path))
            parts = [self.read(part, second=second) for part in (*cell.row_path, *cell.column_path)]
            benchmark = column.benchmark or row.benchmark or caption.benchmark
            in_parts = next((part.metric for part in parts if part.metric), "")
            metric = (listed and listed[index]) or column.metric or row.metric or in_parts or caption.metric
            yield Measurement(
                cell=cell,
                document=document,
                value=value,
                index=index,
                names=names,
                subjects=frozenset(part.subject for part in parts if part.subject)
                | self._subjects(cell.row_path)
                | self._subjects(cell.column_path),
                benchmark=benchmark,
                metric=metric,
                setting=settings.over(settings.over(column.setting, row.setting), caption.setting),
                lower=self._lower((column, row), metric, benchmark, caption),
                words=column.words | row.words,
                around=caption.words,
            )

    def _listed(self, cell: TableCell) -> tuple[str, ...]:
        """Return the metrics of a cell's numbers where its headers or caption name one for each: "EM / F1"."""
        texts = (text for part in (*cell.column_path, *cell.row_path, cell.caption) for text in _LISTED.findall(part))
        lists = (tuple(self.registry.id_of(name.strip(), "metrics") for name in text.split("/")) for text in texts)
        return next((ids for ids in lists if all(ids) and len(ids) == len(cell.numbers)), ())

    def _short_names(self, path: tuple[str, ...]) -> Mapping[str, str]:
        """Return key → what sentences call a header that leave out its measure: "test-clean" for "test-clean WER"."""
        shortened: dict[str, str] = {}
        for part in path:
            rest = part
            for metric in reversed(self.registry.find(part, ("metrics",))):
                rest = f"{rest[: metric.start]} {rest[metric.end :]}"
            rest = _BRACKETS.sub(" ", rest).strip(" ,:;/|-\u2193\u2191")
            name = key(rest)
            if name in MEANS:  # over what it is a mean nobody says
                shortened["average"] = "average"
            elif (
                name != key(part)
                and vocabulary.nameable(name)
                and not set(rest.casefold().split()) <= vocabulary.GENERIC
            ):
                shortened[name] = rest
        return shortened

    def _named_in(self, path: tuple[str, ...]) -> frozenset[str]:
        """Return the keys of the names in a path, without those that only say a benchmark, a metric or a setting."""
        runs = vocabulary.names(path).items()
        return frozenset(
            name for name, run in runs if name not in vocabulary.ORDINARY and not self.read(run.text).named
        )

    def _lower(self, heads: tuple[Header, ...], metric: str, benchmark: str, caption: Header) -> bool | None:
        """Return whether less is better, by the nearest that says so."""
        less_is_better = self.registry.better(metric, "metrics") == "lower" if metric else None
        known = [less_is_better, True if self.registry.better(benchmark, "benchmarks") == "lower" else None]
        directions = (*(head.lower for head in heads), *known, caption.lower)
        return next((lower for lower in directions if lower is not None), None)

    def _read(self, text: str, second: bool) -> Header:  # noqa: FBT001 - the cache's key
        if _PLUS.search(text):
            text = _PLUS.sub("+" if second else "", text)
        registry, spaced = self.registry, text.replace("_", " ")
        # Underscores part the words of a benchmark's column, but hold the name of an arm together.
        # A method takes its words with it: the "loss" of "auxiliary loss" is no metric.
        inside = [mention for mention in registry.find(text, ("metrics", "methods")) if mention.kind == "metrics"]
        mentions = [*registry.find(spaced, ("benchmarks",)), *(inside or registry.endpoint(text))]
        benchmarks = {mention.id for mention in mentions if mention.kind == "benchmarks"}
        metrics = {mention.id for mention in mentions if mention.kind == "metrics"}
        setting = settings.read(spaced)
        named = bool(mentions) or setting != settings.NOTHING
        subject = "" if named else registry.id_of(name := vocabulary.called(text), "models") or key(name)
        arrows = {bool(match["down"]) for match in _ARROW.finditer(text)}
        return Header(
            subject="" if subject in vocabulary.ORDINARY else subject,
            named=named,
            benchmark=next(iter(benchmarks)) if len(benchmarks) == 1 else "",
            metric=next(iter(metrics)) if len(metrics) == 1 else "",
            setting=setting,
            lower=next(iter(arrows)) if len(arrows) == 1 else None,
            words=frozenset(stems(spaced)),
        )
