"""Names of models, benchmarks, metrics and methods: which spellings mean the same thing, and where a text uses them.

Decisions: two spellings are one name when their letters, digits, dots between digits and plus signs agree; everything
beyond that is said in a TOML file, ours (``names.toml``) or a user's, and never guessed. A name is found as whole words
and never inside a longer hyphenated one: "GPT-4o" is not in "GPT-4o-mini". A name with "@k" stands for every k. A
model's name may also be a header of the sources' tables, or be known by its shape: a word with a digit, a hyphen before
a digit or a capital inside.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from importlib import resources
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from pydantic import ConfigDict, TypeAdapter, ValidationError

from trimtab.claims.text_range import TextRange
from trimtab.claims.vocabulary import NO_HEADERS
from trimtab.claims.wording import PlacedWord, any_case, key, keys_from, name_words, word_set
from trimtab.errors import ClaimError, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from trimtab.claims.vocabulary import HeaderVocabulary


KINDS: Final = ("benchmarks", "models", "metrics", "methods", "stressors")
_AT: Final = re.compile(r"@\s?(\d{1,4})$")
_APART: Final = re.compile(r"[\s_-]")
_MARKS: Final = re.compile(r"[*\u2020\u2021]+")
# A metric whose name is a verb, too, is one only where it can be none: alone, or behind such a word and before none.
_VERB: Final = any_case(r"drops")
_NOUN_BEFORE: Final = any_case(r"(?:^|\b(?:on|in|in terms of|of|fewer|less|more|token|and|by)\s+)$")
_VERB_BEHIND: Final = any_case(r"\s+(?:in|of|by|to|from|below|on|for)\b")
_SHAPED: Final = re.compile(r"(?<![\w@/.-])[A-Za-z][\w.+]*(?:-[\w.+]*\w)*(?<![.+])|(?<![\w@/.-])[A-Za-z][\w.+]*\w")
_NOT_NAMES: Final = word_set("""
moe moes relu gelu github openai deepmind pytorch arxiv huggingface transformers python3 cpu gpu gpus llm llms sota
pass1 pass5 pass10 pass100 top1 top2 topk figure1 appendix latex json
""")
_CHIP: Final = re.compile(r"(?:NVIDIA-?)?(?:[ABHLPTV]\d{2,3}[A-Z]?|RTX-?\d+\w*|TPUv?\d\w*|MI\d{3}X?)(?:s|-\w+)*")


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

    __pydantic_config__ = ConfigDict(extra="forbid")

    id: str
    kind: str
    names: tuple[str, ...]
    since: str = ""
    endpoints: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    factor: str = ""
    better: Literal["", "higher", "lower"] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention(TextRange):
    """A name in a text: what it names, and how it is written there."""

    id: str
    kind: str
    text: str


class _Spelling(NamedTuple):
    """One spelling of the thing with an id."""

    id: str
    text: str


_NAME: Final = TypeAdapter(Name)
_FIELDS: Final = {field.name for field in fields(Name)} - {"id", "kind"}


@dataclass(frozen=True)
class Registry:
    """Every known name.

    Attributes:
        entries: kind → id → name.
    """

    entries: Mapping[str, Mapping[str, Name]]
    _keys: dict[str, dict[str, _Spelling]] = field(default_factory=dict, repr=False)

    @classmethod
    def load(cls, *paths: Path) -> Registry:
        """Read the names that come with trimtab and those in ``paths``.

        Raises:
            ClaimError: A file cannot be read, has an unknown key, or uses one spelling for two things.
        """
        shipped = resources.files("trimtab.claims").joinpath("names.toml").read_text(encoding="utf-8")
        entries: dict[str, dict[str, Name]] = {kind: {} for kind in KINDS}
        texts = {"names.toml": shipped}
        for path in paths:
            try:
                texts[str(path)] = path.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise ClaimError(f"the names in {path} cannot be read: {error}") from error
        for where, text in texts.items():
            _add(entries, _parse(text, where), where)
        index: dict[str, dict[str, _Spelling]] = {}
        for kind, name in ((kind, name) for kind, group in entries.items() for name in group.values()):
            for text in name.names:
                index.setdefault(key(text), {}).setdefault(kind, _Spelling(name.id, text))
        return cls(entries, index)

    def id_of(self, text: str, kind: str) -> str:
        """Return the id of a name of ``kind``; empty if it is not known."""
        known = self._known(text, key(text)).get(kind)
        return known.id if known and _as_written(text, known.text) else ""

    def find(self, text: str, kinds: Iterable[str] = KINDS, more: HeaderVocabulary = NO_HEADERS) -> list[Mention]:
        """Return the names in ``text``, the longest at each place, none overlapping.

        Args:
            text: Any text.
            kinds: Kinds to look for.
            more: Further names, the headers of the sources' tables.
        """
        wanted, words = tuple(kinds), name_words(text)
        mentions: list[Mention] = []
        end = 0
        for first, word in enumerate(words):
            if word.start < end:
                continue
            keys = keys_from(words, first)
            for size in range(len(keys), 0, -1):
                squashed = keys[size - 1]
                if squashed not in self._keys and squashed not in more and "@" not in text:
                    continue  # nearly always, so it is asked first
                mention = self._named(text, words[first : first + size], squashed, wanted, more)
                if mention:
                    mentions.append(mention)
                    end = max(mention.end, words[first + size - 1].end)
                    break
        return mentions

    def mentions(self, text: str, vocabulary: HeaderVocabulary = NO_HEADERS) -> list[Mention]:
        """Return the names in ``text`` in order: registered ones, known models, then what has the shape of one."""
        known = self.find(text, more=vocabulary)
        shaped = [
            Mention(match.start(), match.end(), id=key(match[0]), kind="models", text=match[0])
            for match in _SHAPED.finditer(text)
            if not any(TextRange.of(match).overlaps(mention) for mention in known)
            and looks_like_a_model(match[0])
            and not _joined(text, *match.span())
        ]
        return sorted((*known, *shaped), key=lambda mention: mention.start)

    def endpoint(self, word: str) -> list[Mention]:
        """Return the metrics of a word of benchmark and metric and nothing else: "humaneval_nll", no arm's name."""
        spaced = word.replace("_", " ")
        # In capitals, because a column's name is in small letters whatever it is named after: "nll".
        mentions = self.find(spaced.upper() if spaced.isascii() else spaced, ("benchmarks", "metrics"))
        rest = spaced
        for mention in reversed(mentions):
            rest = rest[: mention.start] + rest[mention.end :]
        return [] if key(rest) else [mention for mention in mentions if mention.kind == "metrics"]

    def better(self, name: str, kind: str) -> str:
        """Return "lower" or "higher", whichever is better by this metric or benchmark; empty where it is not said."""
        return self.entries[kind][name].better if name in self.entries[kind] else ""

    def _named(
        self, text: str, words: Sequence[PlacedWord], squashed: str, kinds: Iterable[str], more: HeaderVocabulary
    ) -> Mention | None:
        """Return the name that some words of a text are, if they are one of the wanted kinds."""
        start, end = words[0].start, words[-1].end
        written, known = text[start:end], self._known(text[start:end], squashed)
        term = more.get(squashed)
        printed = term.printed(text, start) if term else None
        if printed and _whole(text, printed.start, printed.end):
            start, end = printed.start, max(end, printed.end)
        elif not (known or term) or not _whole(text, start, end) or not _close(text, words):
            return None
        if _joined(text, start, end):
            known = {kind: spelling for kind, spelling in known.items() if kind != "models"}
        elif term and term.kind not in known and term.fits(text, start, end):
            known = {**known, term.kind: _Spelling(squashed, written)}
        stop = _closed(text, start, end)
        for kind in kinds:
            if kind in known and _as_written(written, known[kind].text) and _fits(text, start, end, kind):
                return Mention(start, stop, id=known[kind].id, kind=kind, text=text[start:stop])
        return None

    def _known(self, text: str, squashed: str) -> Mapping[str, _Spelling]:
        """Return kind → spelling of a text; "pass@7" is a "pass@k"."""
        known = self._keys.get(squashed)
        if known is None and "@" in text and (at := _AT.search(text)):
            known = self._keys.get(key(text[: at.start(1)] + "k"))
        return known or {}


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


def _joined(text: str, start: int, end: int) -> bool:
    """Whether [start, end) is one side of a sum: "A" in "A + B" is not the system that was measured."""
    return bool(re.search(r"[\w)]\s?\+\s?$", text[:start]) or re.match(r"\s?\+\s?[A-Za-z]", text[end:]))


@lru_cache(maxsize=65536)
def looks_like_a_model(word: str) -> bool:
    """Whether a word has the shape of a model's name.

    >>> [word for word in ("DeepseekCoder-33B-instruct", "o1-mini", "instruction-tuned") if looks_like_a_model(word)]
    ['DeepseekCoder-33B-instruct', 'o1-mini']
    """
    if (
        key(word) in _NOT_NAMES
        or _CHIP.fullmatch(word)
        or len(word) < 3
        or re.fullmatch(r"\w+-(?:shot|of-\w+)|[Tt]op-\d+", word)
    ):
        return False
    if re.search(r"-(?:based|style|like|free|level|trained|tuned|aware|hours?|only|shot|pro)$", word):
        return bool(re.search(r"\d", word))
    hyphened = "-" in word and re.search(r"[a-z][A-Z]|[A-Z]{2}[\w.+]*-|-[A-Z0-9]", word)
    return bool(re.search(r"\d", word) or hyphened)


def _fits(text: str, start: int, end: int, kind: str) -> bool:
    """Whether a metric stands by itself: "loss" is none in "loss_free-skewed", nor "drops" in "it drops by 5"."""
    if kind != "metrics":
        return True
    if _VERB.fullmatch(text[start:end]) and (
        not _NOUN_BEFORE.search(text[:start]) or _VERB_BEHIND.match(text[end:])
    ):  # fmt: skip
        return False
    return not (text[max(0, start - 1) : start] == "_" or text[end : end + 1] == "_")


def _close(text: str, words: Sequence[PlacedWord]) -> bool:
    """Whether the words of one name have only spaces, hyphens, underscores, brackets and plus signs between them.

    Before a k also "@", before the year of a cited system ("Andor et al. (2016)") also a point or a comma.
    """
    return all(
        re.fullmatch(r"[\s\-_/(]{0,2}|\s[-+]\s", gap)
        or (re.fullmatch(r"\s?@\s?", gap) and re.fullmatch(r"\d+|k", other.word))
        or (re.fullmatch(r"[\s.,(]{1,4}", gap) and re.fullmatch(r"(?:19|20)\d\d[a-z]?", other.word))
        for word, other in pairwise(words)
        for gap in (text[word.end : other.start],)
    )


def _as_written(text: str, spelling: str) -> bool:
    """Whether a short name in capitals is written in capitals: "HE" is a benchmark, "he" a word."""
    if not (len(spelling) <= 3 and spelling.isupper()):
        return True
    # "F 1" is F1, but RL is not R-L.
    apart = bool(_APART.search(spelling)) <= bool(_APART.search(text))
    return apart and _APART.sub("", text) == _APART.sub("", spelling)


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
    try:
        return _NAME.validate_python({**table, "id": name, "kind": kind})
    except ValidationError as error:
        wrong = str(error.errors(include_url=False)[0]["loc"][0])
        expected = {"better": "one of higher, lower", "since": "a text", "factor": "a text"}.get(
            wrong, "a list of texts"
        )
        raise ClaimError(f"{place}: {wrong} is {table[wrong]!r}, expected {expected}") from error


def _add(entries: dict[str, dict[str, Name]], names: Iterable[Name], where: str) -> None:
    """Add names; one that is there already gains the new spellings, and what the new one says of it."""
    for name in names:
        group = entries[name.kind]
        taken = {key(text): other.id for other in group.values() if other.id != name.id for text in other.names}
        for text in name.names:
            if key(text) in taken:
                raise ClaimError(f"{where}: {text!r} is already a name of {taken[key(text)]!r}, so not of {name.id!r}")
        old = group.get(name.id, name)
        new = {field: value for field in _FIELDS if (value := getattr(name, field))}
        group[name.id] = replace(old, **new | {"names": tuple(dict.fromkeys((*old.names, *name.names)))})
