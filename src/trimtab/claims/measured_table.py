"""One table: where its systems are, which columns say how its rows were measured, and what a sentence leaves open."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

from trimtab.claims import setting_columns, settings, vocabulary
from trimtab.claims.header_reader import AXES, SIZE
from trimtab.claims.setting_columns import TableLines
from trimtab.claims.vocabulary import SHAPED
from trimtab.claims.wording import key, stems

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from trimtab.claims.claim_model import MeasurementSetting
    from trimtab.claims.header_reader import HeaderReader, Measurement
    from trimtab.claims.setting_columns import SettingColumn
    from trimtab.claims.vocabulary import Axis

_VALUE_HEADS: Final = frozenset({"value", "score", "result"})
_SHOWN: Final = 4
"""Values of a column that a reason lists."""


class MeasuredTable:
    """A table with its numbers.

    Args:
        headers: What reads its headers.

    Attributes:
        readings: Its numbers, by row and column.
        lines: All that stands in it, the labels of its rows included.
    """

    def __init__(self, headers: HeaderReader) -> None:
        self.headers = headers
        self.readings: list[Measurement] = []
        self.lines = TableLines()

    @cached_property
    def axis(self) -> Axis:
        """On which axis its systems are: not that of known benchmarks and metrics, else that of names of models."""
        if self._long:
            return "row"
        named: dict[Axis, float] = {}
        looks: dict[Axis, float] = {}
        for axis in AXES:
            heads = [" ".join(path) for path in {reading.path(axis) for reading in self.readings} if path]
            named[axis] = sum(self.headers.read(text).named for text in heads) / max(1, len(heads))
            looks[axis] = sum(bool(SHAPED.search(text)) for text in heads) / max(1, len(heads))
        if self.measured and looks["column"] and not named["column"]:
            return "column"
        known, shaped = (share["column"] - share["row"] for share in (named, looks))
        return "column" if known < 0 or (known == 0 and shaped > 0.5) else "row"

    @property
    def _long(self) -> bool:
        """Whether it has a measure a row: labels say what was measured, and one column has the value."""
        return len(self.lines.labels) > 1 and any(key(head) in _VALUE_HEADS for head in self.lines.heads.values())

    @cached_property
    def settings(self) -> tuple[SettingColumn, ...]:
        """The columns that say how its rows were measured."""
        measures = {result.cell.column for result in self.readings}

        def known(text: str) -> bool:
            """Whether a text names a known benchmark, metric or model."""
            head = self.headers.read(text)
            return bool(head.benchmark or head.metric or self.headers.registry.id_of(text, "models"))

        return setting_columns.find(self.lines, measures, known, by_row=self.axis == "row")

    @cached_property
    def measured(self) -> frozenset[str]:
        """The labels of its rows that say what was measured, under a head such as "Task"."""
        return frozenset(
            text
            for column in self.lines.labels
            if setting_columns.MEASURED.intersection(setting_columns.words(self.lines.heads[column]))
            for text in self.lines.texts(column).values()
        )

    def is_setting(self, reading: Measurement) -> bool:
        """Whether a number says how its row was measured, and is no result."""
        head = " ".join(reading.cell.column_path)
        return any(column.head == head for column in self.settings)

    def under(self, reading: Measurement, head: str) -> str | None:
        """Return what a row has in the column that a sentence calls so; None where there is not just one."""
        columns = setting_columns.called(self.settings, head)
        return columns[0].texts.get(reading.cell.row) if len(columns) == 1 else None

    def setting_of(self, reading: Measurement, claimed: MeasurementSetting) -> MeasurementSetting:
        """Return how a number was measured, with what its row has in the columns that a sentence names."""
        texts = [(column, self.under(reading, column.head)) for column in claimed.columns]
        columns = tuple(
            column if setting_columns.same_value(column.value, text) else replace(column, value=text)
            for column, text in texts
            if text is not None
        )
        shots, k = (self.under(reading, head) or "" for head in ("shots", "k"))
        return replace(
            reading.setting,
            columns=columns,
            shots=int(shots) if shots.isdigit() else reading.setting.shots,
            k=int(k) if k.isdigit() and claimed.k else reading.setting.k,
        )

    def alike(self, result: Measurement, other: Measurement) -> bool:
        """Whether two rows have the same in every column that says how they were measured."""
        return all(column.texts.get(result.cell.row) == column.texts.get(other.cell.row) for column in self.settings)

    def several_settings(self, reading: Measurement) -> bool:
        """Whether other rows of a number's name were measured otherwise: its headers alone do not say which it is."""
        return bool(self.settings) and any(
            other.cell.column == reading.cell.column
            and other.subjects & reading.subjects
            and not self.alike(reading, other)
            for other in self.readings
        )

    def row(self, reading: Measurement) -> tuple[tuple[str, str], ...]:
        """Return the numeric cells beside a number, as (column, text), itself among them."""
        rows = {result.cell.column: result.cell for result in self.readings if result.cell.row == reading.cell.row}
        return tuple((" ".join(cell.column_path), cell.text) for _, cell in sorted(rows.items()))

    def apart(self, readings: Sequence[Measurement]) -> str:
        """Return in words what parts rows of one name: labels and settings, else what stands before their values."""
        own, known = {result.cell.column for result in readings}, {column.head for column in self.settings}
        telling: list[str] = []
        before: list[str] = []
        for column, head in sorted(self.lines.heads.items()):
            texts = list(dict.fromkeys(self.lines.rows[result.cell.row].get(column, "") for result in readings))
            if head and len(texts) > 1 and column not in own:
                more = ["\u2026"] if len(texts) > _SHOWN else []
                words = f"{head} ({', '.join([*texts[:_SHOWN], *more])})"
                telling += [words] if column in self.lines.labels or head in known else []
                before += [words] if column < min(own) else []
        paths = [result.cell.row_path for result in readings]
        common = set(paths[0]).intersection(*paths) if paths else set()
        rest = dict.fromkeys(" ".join(part for part in path if part not in common) for path in paths)
        return " and ".join(telling or before) or f"row ({', '.join(rest)})" * (len(rest) > 1)

    def open_parts(self, reading: Measurement, stated: Iterable[str]) -> tuple[str, ...]:
        """Return the parts of a cell's headers of which a sentence names nothing."""
        words = {word for text in stated for word in stems(text.replace("_", " "))}
        names = {key(text) for text in stated}
        return tuple(
            part
            for path in map(reading.path, AXES)
            for part in path
            if len(path) > 1
            and not self.headers.read(part).words & words
            and not set(map(key, vocabulary.spellings(part))) & names
            and not any(key(part) in name for name in names)
        )

    def behind(self, reading: Measurement, subject: str, stated: Collection[str] = ()) -> int:
        """Return how many header parts stand behind a subject's name: variants that the name does not say.

        Args:
            reading: The cell.
            subject: The name's key.
            stated: What a sentence says of the row's columns besides.
        """
        counts = []
        for path in map(reading.path, AXES):
            run = vocabulary.names(path).get(subject)
            if run is not None:
                settled = {*stated, *(self._settled({path[0], *stated}) if path[0] == run.text else ())}
                rest = path[len(path) - run.behind :] if run.behind else ()
                # A size beside a name is a part of it already: "12B" of "Plover-12B".
                sizes = (part for part in rest if SIZE.fullmatch(part.strip()))
                settled |= {part for part in sizes if re.search(rf"(?<![\d.]){re.escape(key(part))}", subject)}
                unsaid = [part for part in rest if part not in settled]
                counts.append(run.cut + sum(not self.headers.read(part).named for part in unsaid))
        return min(counts, default=0)

    def _settled(self, stated: Collection[str]) -> set[str]:
        """Return the labels that all rows with some texts share, in a table with a measure a row: they follow."""
        rows = [row for row in map(set, map(dict.values, self.lines.rows.values())) if set(stated) <= row]
        return set.intersection(*rows) if rows and self._long else set()

    def unsaid(
        self, reading: Measurement, subject: str, benchmark: str, stated: Collection[str] = ()
    ) -> tuple[str, ...]:  # fmt: skip
        """Return the parts of the other axis' header that a fact about ``subject`` on ``benchmark`` does not say."""
        axis: Axis = "column" if subject in vocabulary.names(reading.cell.row_path) else "row"
        path = reading.path(axis)
        known = self.headers.registry.id_of(benchmark, "benchmarks")
        name, words = key(benchmark), frozenset(stems(benchmark)) | vocabulary.GENERIC
        left = []
        for at, part in enumerate(path):
            head = self.headers.read(part)
            inside = any(name in vocabulary.names(path[start : at + 1]) for start in range(at + 1))
            explains = head.metric or head.setting != settings.NOTHING or (known and head.benchmark == known)
            if not (part in stated or explains or inside or head.words <= words):
                left.append(part)
        return tuple(left)
