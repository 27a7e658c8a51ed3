"""A claim: one statement of a report, and the facts in it that something could support or contradict.

Values are kept as they were written ("96.2", not 96.2 as binary), because a comparison is made at the claim's own
precision. A claim is plain data: ``claims.jsonl`` holds one a line, and :func:`schema` says what a line may hold.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from operator import not_
from typing import TYPE_CHECKING, Annotated, Any, Final, Generic, Literal, TypeVar

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from trimtab.errors import ClaimError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

EXTRACTOR: Final = "rules/2"
TABLE_EXTRACTOR: Final = "tables/2"
"""Of a claim that is a number in a table of the report, and no sentence."""
MODEL_EXTRACTOR: Final = "model/"
"""Before the name of the model that read a claim's sentence."""
_Record = TypeVar("_Record")
_STRICT: Final = ConfigDict(extra="forbid", strict=True)

Relation = Literal["equals", "greater", "less", "better", "worse", "same", "best", "worst", "highest", "lowest"]
Hedge = Literal["exactly", "about", "over", "under", "at least", "at most"]
Quantifier = Literal["", "all", "count"]


class Kind(StrEnum):
    """What a statement asserts, and so which rules apply to it."""

    NUMERIC = "numeric"
    COMPARISON = "comparison"
    TREND = "trend"
    METHOD = "method"
    CITATION = "citation"
    OPINION = "opinion"


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnSetting:
    """What a statement says of a column that parts the rows of a table: "evaluation capacity", "1.25"."""

    __pydantic_config__ = _STRICT

    head: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasurementSetting:
    """How a number was obtained; what is not said is None and matches anything.

    Attributes:
        shots: Examples in the prompt.
        k: Of pass@k.
        decoding: "greedy" or "sampled".
        split: Part of the benchmark.
        problems: Number of problems.
        columns: What it says of columns that part the rows of a table.
    """

    __pydantic_config__ = _STRICT

    shots: int | None = None
    k: int | None = None
    decoding: Literal["greedy", "sampled"] | None = None
    split: str | None = None
    problems: int | None = None
    columns: Annotated[tuple[ColumnSetting, ...], Field(exclude_if=not_)] = ()

    def conflicts(self, other: MeasurementSetting) -> tuple[str, ...]:
        """Return the fields in which both say something, and not the same."""
        names = ("shots", "k", "decoding", "split", "problems")
        pairs = ((name, getattr(self, name), getattr(other, name)) for name in names)
        return tuple(name for name, mine, its in pairs if None not in (mine, its) and mine != its)

    def words(self) -> str:
        """Return what is said, for a reader."""
        parts = [f"{self.shots}-shot"] if self.shots is not None else []
        parts += [f"k={self.k}"] if self.k is not None else []
        parts += [f"{self.problems} problems"] if self.problems is not None else []
        parts += [f"{column.head} {column.value}" for column in self.columns]
        return ", ".join((*parts, *filter(None, (self.decoding, self.split))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """A number as it was written.

    Attributes:
        text: Digits, with a sign and a point, for example "96.2".
        unit: "%", "points", "x", another unit, or empty.
    """

    __pydantic_config__ = _STRICT

    text: str
    unit: str = ""

    def __post_init__(self) -> None:
        try:
            finite = Decimal(self.text).is_finite()
        except InvalidOperation:
            finite = False
        if not finite:
            raise ClaimError(f"a value must be a number as it is written, got {self.text!r}")

    @property
    def value(self) -> Decimal:
        """The number."""
        return Decimal(self.text)

    @property
    def decimals(self) -> int:
        """Digits after the point as written: the precision of the statement."""
        return max(0, -int(self.value.as_tuple().exponent))


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One thing a claim says about a number.

    Attributes:
        subject: What was measured, as written: usually a model.
        relation: "equals" compares a value, the others compare two values or all of a column. "better", "worse", "best"
            and "worst" are judged in the direction of the metric, the others by the number.
        benchmark: On what, as written.
        metric: In what, as written.
        setting: How.
        value: The value ("equals"), or the size of the difference.
        hedge: How firmly the value is stated.
        relative: The difference is a share of the comparator.
        comparator: The other side's subject; empty if it is the same.
        comparator_benchmark: The other side's benchmark; empty if it is the same.
        negated: The statement denies it.
        quantifier: "all": of every benchmark both have been measured on; "count": of ``count`` of ``of`` of them.
        exceptions: Benchmarks that are left out of "all".
        count: See ``quantifier``.
        of: See ``quantifier``.
        start: First character in the statement.
        end: One past the last.
    """

    __pydantic_config__ = _STRICT

    subject: str
    relation: Relation = "equals"
    benchmark: str = ""
    metric: str = ""
    setting: MeasurementSetting = MeasurementSetting()
    value: Quantity | None = None
    hedge: Hedge = "exactly"
    relative: bool = False
    comparator: str = ""
    comparator_benchmark: str = ""
    negated: bool = False
    quantifier: Quantifier = ""
    exceptions: tuple[str, ...] = ()
    count: int = 0
    of: int = 0
    start: int = 0
    end: int = 0

    def words(self) -> str:
        """Return the fact as it was understood, for a reader."""
        place = " ".join(filter(None, (self.benchmark, self.metric if self.metric != self.benchmark else "")))
        how = f" ({setting})" if (setting := self.setting.words()) else ""
        hedge = "" if self.hedge == "exactly" else f"{self.hedge} "
        value = f"{hedge}{self.value.text}{self.value.unit}" if self.value else ""
        on = f" on {place}{how}" if place else how
        no = "not " if self.negated else ""
        if self.relation == "equals":
            return f"{self.subject}{on}: {no}{value}"
        if self.relation in ("best", "worst", "highest", "lowest"):
            return f"{self.subject}{on}: {no}the {self.relation}"
        other = " on ".join(filter(None, (self.comparator, self.comparator_benchmark))) or "all others"
        by = f" by {value}" if value else ""
        return f"{self.subject}{on}: {no}{self.relation} than {other}{by}{self._of_which()}"

    def _of_which(self) -> str:
        """Return in words on which benchmarks."""
        if self.quantifier == "count":
            return f" on {self.count} of {self.of} benchmarks"
        but = f" except {', '.join(self.exceptions)}" if self.exceptions else ""
        return f" on all benchmarks{but}" if self.quantifier == "all" else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """A mark such as "(Zheng et al., 2021)" or an address of a work; ``year`` is 0 where none is given."""

    __pydantic_config__ = _STRICT

    text: str
    authors: str = ""
    year: int = 0
    work: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """Under what a study would have to be run for its result to bear on a claim; None or empty is not said.

    Attributes:
        method: Balancing method, as written.
        control: The method it is compared with.
        stressor: What was done to both.
        parameters: Of the model.
        tokens: Of training.
        num_experts: Experts a layer.
        top_k: Experts a token.
        capacity_factor: Of the stressed side.
        seeds: Repetitions.
        benchmark_version: For example "sanitized".
        margin: What counts as no difference, in the endpoint's unit.
        expects: How much the method loses, next to the control.
        effect: By how much more the method loses, in the endpoint's unit; negative where it loses less.
    """

    __pydantic_config__ = _STRICT

    method: str = ""
    control: str = ""
    stressor: str = ""
    parameters: float | None = None
    tokens: float | None = None
    num_experts: int | None = None
    top_k: int | None = None
    capacity_factor: float | None = None
    seeds: int | None = None
    benchmark_version: str = ""
    margin: float | None = None
    expects: Literal["more", "less", "same"] | None = None
    effect: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimPlace:
    """Where a claim is asserted: file, the SHA-256 of its bytes, position and characters of the quoted text."""

    __pydantic_config__ = _STRICT

    document: str
    sha256: str = ""
    location: str = ""
    start: int = 0
    end: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One statement of a report.

    Attributes:
        id: Unique in its report.
        statement: As written.
        kind: Which rules apply.
        facts: What can be looked up or computed.
        citations: Marks inside the statement.
        cites: Works the claim rests on, as addresses or keys; empty means the report's whole reference list.
        conditions: For a study.
        unread: Words of the statement that were not understood: it is never wholly supported then.
        uncertain: Indices of the facts on which these words may bear: nothing is decided against the statement by them.
        context: The sentence before it in its section, and the section's heading; empty where there is none.
        scope: Words above it, of a heading, a caption or an earlier sentence, that may make other numbers of its own:
            nothing is decided against it by a table that does not have them, too.
        asserted_in: Where.
        extractor: What read the facts, with its version.
    """

    __pydantic_config__ = _STRICT

    id: str
    statement: str
    kind: Kind
    facts: tuple[Fact, ...] = ()
    citations: tuple[Citation, ...] = ()
    cites: tuple[str, ...] = ()
    conditions: Conditions = Conditions()
    unread: tuple[str, ...] = ()
    uncertain: tuple[int, ...] = ()
    context: tuple[str, ...] = ()
    scope: tuple[str, ...] = ()
    asserted_in: ClaimPlace | None = None
    extractor: str = EXTRACTOR


class RecordLines(Generic[_Record]):
    """How one kind of record is written.

    Args:
        kind: The class of the records.
        title: What a line is, for the schema.
    """

    def __init__(self, kind: type[_Record], title: str) -> None:
        self._adapter: Final[TypeAdapter[_Record]] = TypeAdapter(kind)
        self._title = title

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of a line."""
        dialect = "https://json-schema.org/draft/2020-12/schema"
        return {**self._adapter.json_schema(mode="serialization"), "$schema": dialect, "title": self._title}

    def dump(self, records: Iterable[_Record]) -> str:
        """Return the lines of a file."""
        return "".join(self._adapter.dump_json(record).decode() + "\n" for record in records)

    def record(self, record: _Record) -> dict[str, Any]:
        """Return a record as plain values."""
        values: dict[str, Any] = self._adapter.dump_python(record, mode="json")
        return values

    def read(self, line: str) -> _Record:
        """Read a line back.

        Raises:
            pydantic.ValidationError: It is no such record.
        """
        return self._adapter.validate_json(line)

    def parse(self, line: str, where: str) -> _Record:
        """Read a line that somebody else may have written.

        Raises:
            ClaimError: It is no such record; the message says where it stands and what is wrong.
        """
        try:
            return self.read(line)
        except ClaimError as error:  # a value that is no number; raised as it is, pydantic wraps only ValueError
            raise ClaimError(f"{where}: {error.message}") from error
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise ClaimError(
                f"{where}: {place or 'the line'}: {first['msg']} (got {json.dumps(first['input'], default=str)[:120]})",
                hint="`trimtab evidence schema` prints what a claim may hold",
            ) from error


_NUMBER: Final = re.compile(r"[-+\u2212]?\d+(?:,\d{3})*(?:\.\d+)?")


def number(text: str) -> str | None:
    """Return the digits of a number as written, without thousands separators; None if ``text`` is not one.

    >>> number(" 1,024 "), number("\u22120.5"), number("n/a")
    ('1024', '-0.5', None)
    """
    match = _NUMBER.fullmatch(text.strip())
    return match[0].replace(",", "").replace("\u2212", "-").removeprefix("+") if match else None


_LINES: Final = RecordLines(Claim, "A claim, one a line of claims.jsonl")
schema, dump, record, parse = _LINES.schema, _LINES.dump, _LINES.record, _LINES.parse


def load(path: Path) -> tuple[Claim, ...]:
    """Read ``claims.jsonl``.

    Raises:
        ClaimError: A line is not a claim, or two have one id; the message says which line and what is wrong.
    """
    claims: dict[str, Claim] = {}
    try:
        lines = path.read_text(encoding="utf-8").split("\n")  # U+2028 ends no line of JSON
    except (OSError, UnicodeDecodeError) as error:
        raise ClaimError(f"{path} cannot be read: {error}") from error
    for index, line in enumerate(lines, 1):
        if not line.strip():
            continue
        claim = parse(line, f"{path}, line {index}")
        if claim.id in claims:
            raise ClaimError(f"{path}, line {index}: the id {claim.id!r} is used twice")
        claims[claim.id] = claim
    return tuple(claims.values())
