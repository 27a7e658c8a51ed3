"""Records of several databases → works: merged where an identifier or title, year and author say so, else only listed.

1. An identifier in common (DOI, arXiv id without version, Semantic Scholar, OpenAlex, PubMed), or one database's word
   that two DOIs are versions of one work: the same.
2. Title equal (NFKC, case folded, no punctuation, at least three words), first author's family equal, years no further
   than one apart: the same; unless that would join two different published DOIs.
3. Titles nearly equal with an author in common, or rule 2 with two published DOIs: *possible*, listed and never merged.

A merge keeps every version apart: a claim cites the version it was read in.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from dataclasses import dataclass, fields, replace
from difflib import SequenceMatcher
from itertools import chain, combinations
from typing import TYPE_CHECKING, Final

from trimtab.documents.work import Identifiers, Retraction, Version, Work
from trimtab.literature import metadata

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from trimtab.literature.database import Found, FullText

_ALIKE: Final = 0.95
_WORDS: Final = re.compile(r"\w+")
_IDENTIFIERS: Final = tuple(field.name for field in fields(Identifiers))
_LEAST_WORDS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class SamePair:
    """Two records that are one work, or two works that may be one, and why."""

    one: str
    other: str
    why: str

    @classmethod
    def of(cls, first: Found, second: Found, why: str) -> SamePair:
        """Return two records by their names."""
        names = [f"{record.work.id} ({record.database})" for record in (first, second)]
        return cls(one=names[0], other=names[1], why=why)


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """One work with the records it was made of."""

    work: Work
    records: tuple[Found, ...]

    @property
    def texts(self) -> tuple[FullText, ...]:
        """Every place of a full text, once."""
        return tuple(dict.fromkeys(text for record in self.records for text in record.texts))

    @property
    def notice(self) -> bool:
        """Whether it is only a notice that another work is withdrawn."""
        return all(record.notices for record in self.records)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deduplicated:
    """Works in the order their first record was found, why records were merged, and what a person has to decide."""

    works: tuple[Merged, ...]
    merges: tuple[SamePair, ...]
    possible: tuple[SamePair, ...]


def deduplicate(records: Sequence[Found]) -> Deduplicated:
    """Return the works behind some records."""
    groups = _Groups(records)
    merges = [*groups.join_by_identifier()]
    by_title, unsure = groups.join_by_title()
    works = _with_notices([_merge(group) for group in groups.records()])
    return Deduplicated(works=works, merges=(*merges, *by_title), possible=(*unsure, *_alike(works, unsure)))


class _Groups:
    """Disjoint sets of records: each record has the list of its set, which begins with the first found."""

    def __init__(self, records: Sequence[Found]) -> None:
        self._records = records
        self._of = [[at] for at in range(len(records))]

    def records(self) -> list[list[Found]]:
        firsts = [group for at, group in enumerate(self._of) if group[0] == at]
        return [[self._records[at] for at in group] for group in firsts]

    def _join(self, record: int, other: int) -> bool:
        first, second = sorted((self._of[record], self._of[other]))
        if first is second:
            return False
        first[:] = sorted(first + second)
        for at in second:
            self._of[at] = first
        return True

    def join_by_identifier(self) -> Iterator[SamePair]:
        holders: dict[tuple[str, str], int] = {}
        for at, record in enumerate(self._records):
            for kind, name in _names(record):
                first = holders.setdefault((kind, name), at)
                if self._join(first, at):
                    yield SamePair.of(self._records[first], record, f"the same {kind}: {name}")

    def join_by_title(self) -> tuple[list[SamePair], list[SamePair]]:
        """Return what was joined, and what was not because the published DOIs differ."""
        buckets: dict[tuple[str, str], list[int]] = defaultdict(list)
        for at, record in enumerate(self._records):
            title, people = plain_title(record.work.title), record.work.authors
            if len(title.split()) >= _LEAST_WORDS and people:
                buckets[title, _family(people[0].family)].append(at)
        merges: list[SamePair] = []
        unsure: list[SamePair] = []
        for cluster in chain.from_iterable(map(self._by_year, buckets.values())):
            firsts = sorted({self._of[at][0] for at in cluster})
            first, *others = (self._records[at] for at in firsts)
            # A preprint server's DOI is no published one.
            together = (self._records[at].work for first in firsts for at in self._of[first])
            versions = (version for work in together for version in work.versions if version.name == "published")
            if len({version.doi for version in versions if version.doi}) > 1:
                why = "title, year and first author are equal, but their published DOIs differ"
                unsure += [SamePair.of(*pair, why) for pair in combinations((first, *others), 2)]
                continue
            why = "title, first author and year (\u00b11) are equal"
            merges += [SamePair.of(first, other, why) for other in others]
            for at in firsts[1:]:
                self._join(firsts[0], at)
        return merges, unsure

    def _by_year(self, bucket: Sequence[int]) -> list[list[int]]:
        """Part records where more than a year lies between; one without a year joins only where there is no choice."""
        years = {at: self._records[at].work.year or 0 for at in bucket}
        undated, clusters = [at for at in bucket if not years[at]], list[list[int]]()
        for at in sorted(filter(years.get, bucket), key=lambda at: (years[at], at)):
            if clusters and years[at] - years[clusters[-1][0]] <= 1:
                clusters[-1].append(at)
            else:
                clusters.append([at])
        return clusters if len(clusters) > 1 else [[*chain(*clusters), *undated]]


def _names(record: Found) -> Iterator[tuple[str, str]]:
    """Yield the identifiers of a record with their kinds."""
    for kind in _IDENTIFIERS:
        if value := getattr(record.work.ids, kind):
            yield kind, value
    for doi in (*(version.doi for version in record.work.versions if version.doi), *record.related):
        yield "doi", doi


def plain_title(title: str) -> str:
    """Return the words of a title in one form."""
    return " ".join(_WORDS.findall(unicodedata.normalize("NFKC", title).casefold()))


def _family(name: str) -> str:
    """Return the letters of a family name without accents and case."""
    return "".join(filter(str.isalpha, metadata.unaccented(name)))


def _alike(works: Sequence[Merged], unsure: Iterable[SamePair]) -> Iterator[SamePair]:
    """Yield pairs of works with nearly the same title and an author in common, years no further than one apart."""
    known = {frozenset((pair.one, pair.other)) for pair in unsure}
    sharing: dict[str, list[int]] = defaultdict(list)
    for at, merged in enumerate(works):
        for family in {_family(person.family) for person in merged.work.authors}:
            sharing[family].append(at)
    for a, b in sorted({pair for group in sharing.values() for pair in combinations(group, 2)}):
        work, other = works[a].work, works[b].work
        if work.year and other.year and abs(work.year - other.year) > 1:
            continue
        ratio = _ratio(plain_title(work.title), plain_title(other.title))
        why = f"titles alike ({ratio:.2f}), an author in common"
        pair = SamePair.of(works[a].records[0], works[b].records[0], why)
        if ratio >= _ALIKE and frozenset((pair.one, pair.other)) not in known:
            yield pair


def _ratio(title: str, other: str) -> float:
    """Return how alike two titles are; cheap bounds first, since nearly all pairs are not."""
    matcher = SequenceMatcher(None, title, other, autojunk=False)
    if matcher.real_quick_ratio() < _ALIKE or matcher.quick_ratio() < _ALIKE:
        return 0.0
    return matcher.ratio()


def _merge(records: Sequence[Found]) -> Merged:
    """Return the one work that some records are of."""
    works = [record.work for record in records]
    fullest = max(works, key=lambda work: (len(work.authors), sum(bool(person.given) for person in work.authors)))
    ids = Identifiers(**{kind: _first(getattr(work.ids, kind) for work in works) for kind in _IDENTIFIERS})
    by_number = (work.id for work in works if ids.arxiv and work.id == f"arxiv:{ids.arxiv}")
    merged = Work(
        id=_first((*by_number, *(work.id for work in works if work.id.startswith("doi:")), works[0].id)),
        title=_first(work.title for work in works),
        authors=fullest.authors,
        year=min((work.year for work in works if work.year), default=None),
        ids=ids,
        versions=_versions(version for work in works for version in work.versions),
        abstract=max((work.abstract for work in works), key=len),
        retraction=next((work.retraction for work in works if work.retraction), None),
        found_by=tuple(dict.fromkeys(place for work in works for place in work.found_by)),
    )
    return Merged(work=merged, records=tuple(records))


def _first(values: Iterable[str]) -> str:
    return next(filter(None, values), "")


def _versions(versions: Iterable[Version]) -> tuple[Version, ...]:
    """Return each version once, oldest first; what is only called a preprint is a numbered one's shadow."""
    distinct: dict[tuple[str, str], Version] = {}
    for version in versions:
        name = (version.name, version.doi)
        distinct.setdefault(name if any(name) else ("", version.url), version)
    numbered = any(re.fullmatch(r"v\d+", version.name) for version in distinct.values())
    shadows = {
        version
        for version in distinct.values()
        if numbered and version.name in ("preprint", "") and (not version.doi or "arxiv" in version.doi)
    }
    apart = (version for version in distinct.values() if version not in shadows)
    return tuple(sorted(apart, key=lambda version: (version.year or 9999, version.name, version.doi)))


def _with_notices(works: Sequence[Merged]) -> tuple[Merged, ...]:
    """Mark works that a notice among the records withdraws."""
    notices = {doi: merged.work.ids.doi for merged in works for record in merged.records for doi in record.notices}
    marked = []
    for merged in works:
        dois = sorted({merged.work.ids.doi, *(version.doi for version in merged.work.versions)} & notices.keys())
        if dois and merged.work.retraction is None:
            retraction = Retraction(kind="retraction", notice=notices[dois[0]])
            marked.append(replace(merged, work=replace(merged.work, retraction=retraction)))
        else:
            marked.append(merged)
    return tuple(marked)
