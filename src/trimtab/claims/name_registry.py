"""Names of models, benchmarks, metrics and methods: which spellings mean the same thing, and where a text uses them.

Decisions: two spellings are one name when their letters, digits, dots between digits and plus signs agree; everything
beyond that is said in a TOML file, ours (``names.toml``) or a user's, and never guessed. A name is found as whole words
and never inside a longer hyphenated one: "GPT-4o" is not in "GPT-4o-mini". A name with "@k" stands for every k.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from importlib import resources
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from trimtab.claims.wording import key, name_words
from trimtab.errors import ClaimError, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from trimtab.claims.vocabulary import Vocabulary

KINDS: Final = ("benchmarks", "models", "metrics", "methods", "stressors")
_AT: Final = re.compile(r"@\s?(\d{1,4})$")
_APART: Final = re.compile(r"[\s_-]")
_LONGEST: Final = 8
_FIELDS: Final = {"names", "since", "endpoints", "rules", "factor", "better"}
_MARKS: Final = re.compile(r"[*\u2020\u2021]+")
_BETTER: Final = ("higher", "lower")
# A metric whose name is a verb, too, is one only where it can be none: alone, or behind such a word and before none.
_VERB: Final = re.compile(r"drops", re.IGNORECASE)
_NOUN_BEFORE: Final = re.compile(r"(?:^|\b(?:on|in|in terms of|of|fewer|less|more|token|and|by)\s+)$", re.IGNORECASE)
_VERB_BEHIND: Final = re.compile(r"\s+(?:in|of|by|to|from|below|on|for)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """One thing and its spellings.

    Attributes:
        id: What the rules compare.
        kind: One of ``KINDS``.
        names: Spellings.
        since: First month of publication, "2021-07"; empty if not known.
        endpoints: Endpoints of a study that measure this benchmark.
        rules: Balancing rules of a study that are this method.
        factor: Factor of a study that is this stressor.
        better: "lower" where less is better, "higher" where more is; empty where it is not said.
    """

    id: str
    kind: str
    names: tuple[str, ...]
    since: str = ""
    endpoints: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    factor: str = ""
    better: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """A name in a text, at characters [start, end)."""

    id: str
    kind: str
    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Registry:
    """Every known name.

    Attributes:
        entries: kind → id → name.
    """

    entries: Mapping[str, Mapping[str, Name]]
    _keys: dict[str, dict[str, tuple[str, str]]] = field(default_factory=dict, repr=False)

    @classmethod
    def load(cls, *paths: Path) -> Registry:
        """Read the names that come with trimtab and those in ``paths``.

        Raises:
            ClaimError: A file cannot be read, has an unknown key, or uses one spelling for two things.
        """
        shipped = resources.files("trimtab.claims").joinpath("names.toml").read_text(encoding="utf-8")
        entries: dict[str, dict[str, Name]] = {kind: {} for kind in KINDS}
        for where, text in (("names.toml", shipped), *((str(path), _read(path)) for path in paths)):
            _add(entries, _parse(text, where), where)
        return cls(entries, _index(entries))

    def id_of(self, text: str, kind: str) -> str:
        """Return the id of a name of ``kind``; empty if it is not known."""
        found = self._known(text, key(text)).get(kind)
        return found[0] if found and _as_written(text, found[1]) else ""

    def find(self, text: str, kinds: Iterable[str] = KINDS, more: Vocabulary | None = None) -> list[Mention]:
        """Return the names in ``text``, the longest at each place, none overlapping.

        Args:
            text: Any text.
            kinds: Kinds to look for.
            more: Further names, the headers of the sources' tables.
        """
        wanted, extra = tuple(kinds), more or {}
        words = name_words(text)
        found: list[Mention] = []
        at = 0
        while at < len(words):
            hit, used = self._longest(text, words, at, wanted, extra)
            if hit:
                found.append(hit)
            at += used
        return found

    def endpoint(self, word: str) -> list[Mention]:
        """Return the metrics of a word of benchmark and metric and nothing else: "humaneval_nll", no arm's name."""
        spaced = word.replace("_", " ")
        # In capitals, because a column's name is in small letters whatever it is named after: "nll".
        found = self.find(spaced.upper() if spaced.isascii() else spaced, ("benchmarks", "metrics"))
        rest = spaced
        for one in reversed(found):
            rest = rest[: one.start] + rest[one.end :]
        return [] if key(rest) else [one for one in found if one.kind == "metrics"]

    def better(self, name: str, kind: str) -> str:
        """Return "lower" or "higher", whichever is better by this metric or benchmark; empty where it is not said."""
        entry = self.entries[kind].get(name)
        return entry.better if entry else ""

    def _longest(
        self, text: str, words: list[tuple[str, int, int]], at: int, kinds: tuple[str, ...], more: Vocabulary
    ) -> tuple[Mention | None, int]:
        squashed, longer = "", []
        for word, _, _ in words[at : at + _LONGEST]:
            squashed += word.casefold()
            longer.append(squashed)
        for size in range(len(longer), 0, -1):
            squashed = longer[size - 1]
            if squashed not in self._keys and squashed not in more and "@" not in text:
                continue  # nearly always, so it is asked first
            start, end = words[at][1], words[at + size - 1][2]
            known = self._known(text[start:end], squashed)
            if not known and squashed not in more:
                continue
            if not _whole(text, start, end) or not _close(text, words[at : at + size]):
                continue
            if joined(text, start, end):
                known = {kind: one for kind, one in known.items() if kind != "models"}
            elif (term := more.get(squashed)) and term.kind not in known and term.fits(text[start:end]):
                known = {**known, term.kind: (squashed, text[start:end])}
            stop = _closed(text, start, end)
            for kind in kinds:
                if kind in known and _as_written(text[start:end], known[kind][1]) and _fits(text, start, end, kind):
                    return Mention(id=known[kind][0], kind=kind, start=start, end=stop, text=text[start:stop]), size
        return None, 1

    def _known(self, text: str, squashed: str) -> Mapping[str, tuple[str, str]]:
        """Return kind → (id, the spelling) of a text; "pass@7" is a "pass@k"."""
        found = self._keys.get(squashed)
        if found is None and "@" in text and (at := _AT.search(text)):
            found = self._keys.get(key(text[: at.start(1)] + "k"))
        return found or {}


def _whole(text: str, start: int, end: int) -> bool:
    """Whether [start, end) is not a part of a longer hyphenated name or of an e-mail address ("pass@163.com")."""
    before, after = text[max(0, start - 2) : start], text[end : end + 2]
    mark = "[-@/.]" if "@" in text[start:end] else "[-@/]"
    return not (re.fullmatch(r"[A-Za-z0-9][-@./]", before) or re.match(f"{mark}[A-Za-z0-9]", after))


def _closed(text: str, start: int, end: int) -> int:
    """Return the end of a name with the bracket that closes inside it and the marks behind it: "Foo (Int8)", "Foo*"."""
    if text.count("(", start, end) > text.count(")", start, end) and text[end : end + 1] == ")":
        end += 1
    marks = _MARKS.match(text, end)
    return marks.end() if marks else end


def joined(text: str, start: int, end: int) -> bool:
    """Whether [start, end) is one side of a sum: "A" in "A + B" is not the system that was measured."""
    return bool(re.search(r"[\w)]\s?\+\s?$", text[:start]) or re.match(r"\s?\+\s?[A-Za-z]", text[end:]))


def _fits(text: str, start: int, end: int, kind: str) -> bool:
    """Whether a metric stands by itself: "loss" is none in "loss_free-skewed", nor "drops" in "it drops by 5"."""
    if kind != "metrics":
        return True
    if _VERB.fullmatch(text[start:end]) and (
        not _NOUN_BEFORE.search(text[:start]) or _VERB_BEHIND.match(text[end:])
    ):  # fmt: skip
        return False
    return not (text[max(0, start - 1) : start] == "_" or text[end : end + 1] == "_")


def _close(text: str, words: list[tuple[str, int, int]]) -> bool:
    """Whether the words of one name have only spaces, hyphens, underscores, brackets and plus signs between them.

    Before a k also "@", before the year of a cited system ("Andor et al. (2016)") also a point or a comma.
    """
    return all(
        re.fullmatch(r"[\s\-_/(]{0,2}|\s[-+]\s", gap)
        or (re.fullmatch(r"\s?@\s?", gap) and re.fullmatch(r"\d+|[kK]", other[0]))
        or (re.fullmatch(r"[\s.,(]{1,4}", gap) and re.fullmatch(r"(?:19|20)\d\d[a-z]?", other[0]))
        for one, other in pairwise(words)
        for gap in (text[one[2] : other[1]],)
    )


def _as_written(found: str, spelled: str) -> bool:
    """Whether a short name in capitals is written in capitals: "HE" is a benchmark, "he" a word."""
    if not (len(spelled) <= 3 and spelled.isupper()):
        return True
    # "F 1" is F1, but RL is not R-L.
    return _APART.sub("", found) == _APART.sub("", spelled) and bool(_APART.search(spelled)) <= bool(
        _APART.search(found)
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ClaimError(f"the names in {path} cannot be read: {error}") from error


def _parse(text: str, where: str) -> Iterator[Name]:
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ClaimError(f"{where} is not TOML: {error}") from error
    for kind, group in tables.items():
        if kind not in KINDS or not isinstance(group, dict):
            raise ClaimError(f"{where}: unknown table [{kind}]", hint=nearest(kind, KINDS))
        for name, table in group.items():
            yield _name(kind, name, table, where)


def _name(kind: str, name: str, table: Any, where: str) -> Name:  # noqa: ANN401 - a TOML value
    place = f"{where}: [{kind}.{name}]"
    if not isinstance(table, dict) or not table.get("names"):
        raise ClaimError(f"{place} has no names", hint='write names = ["one spelling", "another"]')
    for unknown in table.keys() - _FIELDS:
        raise ClaimError(f"{place}: unknown key {unknown!r}", hint=nearest(unknown, _FIELDS))
    lists = {one: table.get(one, []) for one in ("names", "endpoints", "rules")}
    for one, values in lists.items():
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise ClaimError(f"{place}: {one} is {values!r}, expected a list of texts")
    better = str(table.get("better", ""))
    if better and better not in _BETTER:
        raise ClaimError(f"{place}: better is {better!r}, expected one of {', '.join(_BETTER)}")
    return Name(
        id=name,
        kind=kind,
        since=str(table.get("since", "")),
        factor=str(table.get("factor", "")),
        better=better,
        names=tuple(lists["names"]),
        endpoints=tuple(lists["endpoints"]),
        rules=tuple(lists["rules"]),
    )


def _add(entries: dict[str, dict[str, Name]], names: Iterable[Name], where: str) -> None:
    """Add names; one that is there already gains the new spellings."""
    for name in names:
        group = entries[name.kind]
        old = group.get(name.id)
        if old:
            joined = tuple(dict.fromkeys((*old.names, *name.names)))
            name = Name(  # noqa: PLW2901 - the same thing, with more spellings
                id=name.id,
                kind=name.kind,
                names=joined,
                since=name.since or old.since,
                endpoints=name.endpoints or old.endpoints,
                rules=name.rules or old.rules,
                factor=name.factor or old.factor,
                better=name.better or old.better,
            )
        taken = {key(text): other.id for other in group.values() if other.id != name.id for text in other.names}
        for text in name.names:
            if taken.get(key(text), name.id) != name.id:
                raise ClaimError(f"{where}: {text!r} is already a name of {taken[key(text)]!r}, so not of {name.id!r}")
        group[name.id] = name


def _index(entries: Mapping[str, Mapping[str, Name]]) -> dict[str, dict[str, tuple[str, str]]]:
    """Return key → kind → (id, the spelling)."""
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for kind, group in entries.items():
        for name in group.values():
            for text in name.names:
                found.setdefault(key(text), {}).setdefault(kind, (name.id, text))
    return found
