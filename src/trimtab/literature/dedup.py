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
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from itertools import combinations
from typing import TYPE_CHECKING, Final

from trimtab.documents.work import Identifiers, Retraction, Version, Work

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from trimtab.literature.database import Found, FullText

_ALIKE: Final = 0.95
_WORDS: Final = re.compile(r"\w+")
_FIELDS: Final = ("doi", "arxiv", "s2", "openalex", "pubmed")
_LEAST_WORDS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class SamePair:
    """Two records that are one work, or two works that may be one, and why."""

    one: str
    other: str
    why: str


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
    merges = [*_by_identifier(records, groups)]
    joined, unsure = _by_title(records, groups)
    merges += joined
    works = tuple(_merge([records[at] for at in members]) for members in groups.members())
    works = _with_notices(works)
    return Deduplicated(works=works, merges=tuple(merges), possible=(*unsure, *_alike(works, unsure)))


class _Groups:
    """Disjoint sets of records; the root of a set is its first record."""

    def __init__(self, records: Sequence[Found]) -> None:
        self._parent = list(range(len(records)))

    def root(self, at: int) -> int:
        while self._parent[at] != at:
            self._parent[at] = self._parent[self._parent[at]]
            at = self._parent[at]
        return at

    def join(self, one: int, other: int) -> bool:
        first, second = sorted((self.root(one), self.root(other)))
        self._parent[second] = first
        return first != second

    def members(self) -> list[list[int]]:
        found: dict[int, list[int]] = defaultdict(list)
        for at in range(len(self._parent)):
            found[self.root(at)].append(at)
        return list(found.values())


def _names(record: Found) -> Iterator[tuple[str, str]]:
    for field in _FIELDS:
        if value := getattr(record.work.ids, field):
            yield field, value
    for version in record.work.versions:
        if version.doi:
            yield "doi", version.doi
    for related in record.related:
        yield "doi", related


def _by_identifier(records: Sequence[Found], groups: _Groups) -> Iterator[SamePair]:
    holders: dict[tuple[str, str], int] = {}
    for at, record in enumerate(records):
        for name in _names(record):
            first = holders.setdefault(name, at)
            if groups.join(first, at):
                yield SamePair(one=label(records[first]), other=label(record), why=f"the same {name[0]}: {name[1]}")


def plain_title(title: str) -> str:
    """Return the words of a title in one form."""
    return " ".join(_WORDS.findall(unicodedata.normalize("NFKC", title).casefold()))


def _family(name: str) -> str:
    """Return a family name without accents and case."""
    apart = unicodedata.normalize("NFKD", name)
    return "".join(letter for letter in apart if letter.isalpha()).casefold()


def _by_title(records: Sequence[Found], groups: _Groups) -> tuple[list[SamePair], list[SamePair]]:
    buckets: dict[tuple[str, str], list[int]] = defaultdict(list)
    for at, record in enumerate(records):
        title, people = plain_title(record.work.title), record.work.authors
        if len(title.split()) >= _LEAST_WORDS and people:
            buckets[title, _family(people[0].family)].append(at)
    merges: list[SamePair] = []
    unsure: list[SamePair] = []
    for bucket in buckets.values():
        for cluster in _years(records, bucket):
            roots = sorted({groups.root(at) for at in cluster})
            if len(roots) < 2:
                continue
            if len(_published(records, groups, roots)) > 1:
                why = "title, year and first author are equal, but their published DOIs differ"
                pairs = combinations(roots, 2)
                unsure += [SamePair(one=label(records[a]), other=label(records[b]), why=why) for a, b in pairs]
                continue
            for at in roots[1:]:
                groups.join(roots[0], at)
                why = "title, first author and year (\u00b11) are equal"
                merges.append(SamePair(one=label(records[roots[0]]), other=label(records[at]), why=why))
    return merges, unsure


def _years(records: Sequence[Found], bucket: Sequence[int]) -> list[list[int]]:
    """Part records where more than a year lies between; one without a year joins only where there is no choice."""
    dated = sorted((at for at in bucket if records[at].work.year), key=lambda at: (records[at].work.year or 0, at))
    clusters: list[list[int]] = []
    for at in dated:
        year, start = records[at].work.year or 0, records[clusters[-1][0]].work.year or 0 if clusters else 0
        if clusters and year - start <= 1:
            clusters[-1].append(at)
        else:
            clusters.append([at])
    undated = [at for at in bucket if not records[at].work.year]
    if len(clusters) <= 1:
        return [[*(clusters[0] if clusters else []), *undated]]
    return clusters


def _published(records: Sequence[Found], groups: _Groups, roots: Iterable[int]) -> set[str]:
    """Return the published DOIs of some groups; a preprint server's is none."""
    wanted = set(roots)
    return {
        version.doi
        for at, record in enumerate(records)
        if groups.root(at) in wanted
        for version in record.work.versions
        if version.doi and version.name == "published"
    }


def _alike(works: Sequence[Merged], unsure: Iterable[SamePair]) -> Iterator[SamePair]:
    """Yield pairs of works with nearly the same title and an author in common, years no further than one apart."""
    reported_pairs = {frozenset((pair.one, pair.other)) for pair in unsure}
    sharing: dict[str, list[int]] = defaultdict(list)
    for at, merged in enumerate(works):
        for family in {_family(person.family) for person in merged.work.authors}:
            sharing[family].append(at)
    pairs = {pair for group in sharing.values() for pair in combinations(group, 2)}
    for a, b in sorted(pairs):
        one, other = works[a], works[b]
        names = frozenset((label(one.records[0]), label(other.records[0])))
        if names in reported_pairs or not _near(one.work.year, other.work.year):
            continue
        ratio = _ratio(plain_title(one.work.title), plain_title(other.work.title))
        if ratio >= _ALIKE:
            why = f"titles alike ({ratio:.2f}), an author in common"
            yield SamePair(one=label(one.records[0]), other=label(other.records[0]), why=why)


def _near(one: int | None, other: int | None) -> bool:
    return one is None or other is None or abs(one - other) <= 1


def _ratio(one: str, other: str) -> float:
    """Return how alike two titles are; cheap bounds first, since nearly all pairs are not."""
    matcher = SequenceMatcher(None, one, other, autojunk=False)
    if matcher.real_quick_ratio() < _ALIKE or matcher.quick_ratio() < _ALIKE:
        return 0.0
    return matcher.ratio()


def label(record: Found) -> str:
    """Return how a record is named in a list of merges."""
    return f"{record.work.id} ({record.database})"


def _merge(records: Sequence[Found]) -> Merged:
    works = [record.work for record in records]
    fullest = max(works, key=lambda work: (len(work.authors), sum(bool(one.given) for one in work.authors)))
    ids = Identifiers(**{field: _first(getattr(work.ids, field) for work in works) for field in _FIELDS})
    named = next((work.id for work in works if ids.arxiv and work.id == f"arxiv:{ids.arxiv}"), "")
    merged = Work(
        id=named or next((work.id for work in works if work.id.startswith("doi:")), works[0].id),
        title=_first(work.title for work in works),
        authors=fullest.authors,
        year=min((work.year for work in works if work.year), default=None),
        ids=ids,
        versions=_versions(version for work in works for version in work.versions),
        abstract=max((work.abstract for work in works), key=len),
        retraction=next((work.retraction for work in works if work.retraction), None),
        found_by=tuple(dict.fromkeys(one for work in works for one in work.found_by)),
    )
    return Merged(work=merged, records=tuple(records))


def _first(values: Iterable[str]) -> str:
    return next((value for value in values if value), "")


def _versions(versions: Iterable[Version]) -> tuple[Version, ...]:
    """Return each version once, in order of appearance; what is only called a preprint is a numbered one's shadow."""
    kept: dict[tuple[str, str], Version] = {}
    for version in versions:
        name = (version.name, version.doi)
        kept.setdefault(name if any(name) else ("", version.url), version)
    numbered = any(re.fullmatch(r"v\d+", version.name) for version in kept.values())
    found = [
        version
        for version in kept.values()
        if not (numbered and version.name in ("preprint", "") and (not version.doi or "arxiv" in version.doi))
    ]
    return tuple(sorted(found, key=lambda version: (version.year or 9999, version.name, version.doi)))


def _with_notices(works: tuple[Merged, ...]) -> tuple[Merged, ...]:
    """Mark works that a notice among the records withdraws."""
    withdrawn = {doi: merged.work for merged in works for record in merged.records for doi in record.notices}
    found = []
    for merged in works:
        dois = {merged.work.ids.doi, *(version.doi for version in merged.work.versions)} - {""}
        notice = next((withdrawn[doi] for doi in sorted(dois) if doi in withdrawn), None)
        if notice is not None and merged.work.retraction is None:
            retraction = Retraction(kind="retraction", notice=notice.ids.doi)
            merged = replace(merged, work=replace(merged.work, retraction=retraction))  # noqa: PLW2901 - the same work, marked
        found.append(merged)
    return tuple(found)
