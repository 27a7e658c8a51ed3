"""The texts of a study on a pretrained model as one pool of tokens: rows to train on, and documents to score.

Training rows and held-out windows are real Python (:mod:`trimtab.lm.python_text`), drawn by the hash of their name so
that any beginning is a mixture of files. A benchmark document is a prompt, not scored, and its reference solution. A
token's *place* is its number in the pool; its state in front of the experts is looked up there. Batch *i* is a function
of the seed and *i*; the pool lies in a cache folder, named by the hash of all that it depends on.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from trimtab.errors import ConfigurationError
from trimtab.lm import decontaminate, python_text
from trimtab.lm.dense import lock

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from trimtab.lm.pretrained import HubTokenizer
    from trimtab.settings.pools import PoolSettings

PYTHON: Final = "python"
_MAKERS: Final = (__file__, decontaminate.__file__, python_text.__file__)
_BYTES_PER_TOKEN: Final = 24  # files are read for eight times the text that is taken, so that it comes from many


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolText:
    """What is to be scored: a context, its continuation, and how it is called."""

    unit_id: str
    context: str
    continuation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolDocument:
    """A text of the pool: its places are ``start`` … ``start + length − 1``, the last ``scored`` of them count."""

    unit_id: str
    domain: str
    start: int
    length: int
    scored: int
    num_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceBatch:
    """Places [B, S], the weight of having predicted each [B, S], and positions [B, S] within each text."""

    tokens: NDArray[np.int64]
    weights: NDArray[np.float32]
    positions: NDArray[np.int64]


class TextPool:
    """The pool; made by :meth:`build`.

    Attributes:
        settings: How it was cut.
        tokens: [N] token ids of all texts, training rows first.
        documents: What is scored, domain by domain.
        provenance: Files, hashes, licenses and what was removed, as plain values.
    """

    def __init__(self, folder: Path, settings: PoolSettings) -> None:
        self.settings = settings
        self.tokens: NDArray[np.int32] = np.load(folder / "tokens.npy")
        record = json.loads((folder / "pool.json").read_text(encoding="utf-8"))
        self.rows: int = record["rows"]
        self.documents = tuple(PoolDocument(**entry) for entry in record["documents"])
        self.provenance: dict[str, Any] = record["provenance"]

    @classmethod
    def build(
        cls,
        cache: Path,
        settings: PoolSettings,
        tokenizer: HubTokenizer,
        identity: str,
        texts: Mapping[str, Sequence[PoolText]],
        exclude: Sequence[str],
    ) -> TextPool:
        """Return the pool, from ``cache`` if it is there; safe when several processes ask at once.

        Args:
            cache: A folder; made if missing.
            settings: How much text, and how it is cut.
            tokenizer: Of the dense model.
            identity: Of the dense model.
            texts: Domain → documents to score beside held-out Python.
            exclude: Programs of the benchmarks, which training must not show.

        Raises:
            ConfigurationError: Not enough text is installed here.
        """
        wanted = _BYTES_PER_TOKEN * settings.train_tokens, _BYTES_PER_TOKEN * settings.heldout_tokens
        train, held = python_text.take(python_text.files(), train_bytes=wanted[0], heldout_bytes=wanted[1])
        raw = {file.unit_id: file.path.read_bytes() for file in held + train}
        folder = cache / f"pool-{_key(settings, identity, raw, texts, exclude)}"
        if not (folder / "pool.json").exists():
            with lock(cache / "pool.lock"):
                if not (folder / "pool.json").exists():
                    _make(folder, settings, tokenizer, (train, held, raw), texts, exclude)
        return cls(folder, settings)

    def sequences(self) -> list[list[NDArray[np.int32]]]:
        """Return the token ids of the training rows, then of each domain's documents, in the order of their places.

        They are apart so that the states of one text do not depend on how much there is of another.
        """
        length = self.settings.row_length
        groups = [[self.tokens[row * length : (row + 1) * length] for row in range(self.rows)]]
        for _, documents in itertools.groupby(self.documents, key=lambda document: document.domain):
            groups.append([self.tokens[each.start : each.start + each.length] for each in documents])
        return groups

    def batch(self, seed: int, step: int) -> PlaceBatch:
        """Return the batch of a step, from 1: the same for the same seed and step; each seed has its own order."""
        count, length = self.settings.rows, self.settings.row_length
        epoch, place = np.divmod(np.arange((step - 1) * count, step * count), self.rows)
        orders = {number: np.random.default_rng([seed, int(number)]).permutation(self.rows) for number in set(epoch)}
        chosen = np.array([orders[e][p] for e, p in zip(epoch, place, strict=True)], dtype=np.int64)
        positions = np.broadcast_to(np.arange(length), (count, length))
        return PlaceBatch(
            tokens=chosen[:, None] * length + positions,
            weights=np.ones((count, length), dtype=np.float32),
            positions=positions.copy(),
        )

    def unigram_nats(self, document: PoolDocument, vocab_size: int) -> float:
        """Return the negative log-likelihood of what is scored under the training rows' smoothed token counts."""
        counts = np.bincount(self.tokens[: self.rows * self.settings.row_length], minlength=vocab_size) + 1.0
        end = document.start + document.length
        return float(-np.log(counts[self.tokens[end - document.scored : end]] / counts.sum()).sum())


def _key(
    settings: PoolSettings,
    identity: str,
    raw: Mapping[str, bytes],
    texts: Mapping[str, Sequence[PoolText]],
    exclude: Sequence[str],
) -> str:
    fields = {name: value for name, value in asdict(settings).items() if name != "rows"}
    digest = hashlib.sha256(json.dumps([fields, identity], sort_keys=True).encode())
    for maker in _MAKERS:
        digest.update(hashlib.sha256(Path(str(maker)).read_bytes()).digest())
    for name, content in raw.items():
        digest.update(name.encode() + hashlib.sha256(content).digest())
    scored = {domain: [asdict(text) for text in group] for domain, group in texts.items()}
    digest.update(json.dumps([scored, list(exclude)], sort_keys=True).encode())
    return digest.hexdigest()[:16]


def _make(
    folder: Path,
    settings: PoolSettings,
    tokenizer: HubTokenizer,
    taken: tuple[list[python_text.File], list[python_text.File], Mapping[str, bytes]],
    texts: Mapping[str, Sequence[PoolText]],
    exclude: Sequence[str],
) -> None:
    """Write a pool beside ``folder`` and give it its name when it is complete; the lock is held."""
    for left in [folder, *folder.parent.glob("pool-*.tmp")]:  # torn, or by a process that was killed
        shutil.rmtree(left, ignore_errors=True)
    temporary = Path(tempfile.mkdtemp(prefix="pool-", suffix=".tmp", dir=folder.parent))
    try:
        _write(temporary, settings, tokenizer, taken, texts, exclude)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write(
    folder: Path,
    settings: PoolSettings,
    tokenizer: HubTokenizer,
    taken: tuple[list[python_text.File], list[python_text.File], Mapping[str, bytes]],
    texts: Mapping[str, Sequence[PoolText]],
    exclude: Sequence[str],
) -> None:
    train, held, raw = taken
    cleaner, repetitions = decontaminate.Decontaminator(exclude), python_text.Repetitions()
    # Held-out files first: what they share with training files is then dropped from training.
    clean = {unit_id: repetitions.drop(cleaner.clean(python_text.clean(content))) for unit_id, content in raw.items()}
    rows = _windows(tokenizer, clean, train, settings.row_length)[: settings.train_tokens // settings.row_length]
    windows = _windows(tokenizer, clean, held, settings.row_length)[: settings.heldout_tokens // settings.row_length]
    if len(rows) < settings.rows or not windows:
        raise ConfigurationError(f"{len(rows)} training rows and {len(windows)} held-out rows are too few")
    parts = [ids for _, ids in rows]
    documents, start = list[PoolDocument](), len(rows) * settings.row_length
    for unit_id, ids in windows:
        size = len(tokenizer.decode(ids[1:]).encode())
        documents.append(_document(PYTHON, unit_id, start, (len(ids), len(ids) - 1, size)))
        parts.append(ids)
        start += len(ids)
    for domain, group in texts.items():
        for text in group:
            context, continuation = tokenizer.encode(text.context), tokenizer.encode(text.continuation)
            sizes = len(context) + len(continuation), len(continuation), len(text.continuation.encode())
            documents.append(_document(domain, text.unit_id, start, sizes))
            parts.append([*context, *continuation])
            start += len(parts[-1])
    np.save(folder / "tokens.npy", np.array([number for ids in parts for number in ids], dtype=np.int32))
    provenance = _provenance([name for name, _ in rows], raw, clean, (cleaner, repetitions), exclude)
    record = {"rows": len(rows), "documents": [asdict(entry) for entry in documents], "provenance": provenance}
    (folder / "pool.json").write_text(json.dumps(record), encoding="utf-8")


def _document(domain: str, unit_id: str, start: int, sizes: tuple[int, int, int]) -> PoolDocument:
    length, scored, num_bytes = sizes
    return PoolDocument(unit_id=unit_id, domain=domain, start=start, length=length, scored=scored, num_bytes=num_bytes)


def _windows(
    tokenizer: HubTokenizer, clean: Mapping[str, str], files: Sequence[python_text.File], length: int
) -> list[tuple[str, list[int]]]:
    """Cut files into named rows of ``length`` tokens, in the order of the hash of their names."""
    windows: list[tuple[str, list[int]]] = []
    for file in files:
        ids = tokenizer.encode(clean[file.unit_id])
        windows += [(f"{file.unit_id}:{n}", ids[n * length : (n + 1) * length]) for n in range(len(ids) // length)]
    return sorted(windows, key=lambda row: hashlib.sha256(row[0].encode()).digest())


def _provenance(
    rows: Sequence[str],
    raw: Mapping[str, bytes],
    clean: Mapping[str, str],
    filters: tuple[decontaminate.Decontaminator, python_text.Repetitions],
    exclude: Sequence[str],
) -> dict[str, Any]:
    used = sorted({name.rpartition(":")[0] for name in rows})
    cleaner, repetitions = filters
    return {
        "content_sha256": hashlib.sha256("\0".join(clean.values()).encode()).hexdigest(),
        "sources": [asdict(source) for source in python_text.sources()],
        "files": {name: [len(raw[name]), hashlib.sha256(raw[name]).hexdigest()] for name in used},
        "train_bytes": sum(len(clean[name].encode()) for name in used),
        "removed": {
            "functions_named_as_in_a_benchmark": cleaner.functions,
            "paragraphs_shared_with_a_benchmark": cleaner.paragraphs,
            "paragraphs_repeated": repetitions.dropped,
        },
        "deduplicated_against": {"texts": len(exclude), "ngram": decontaminate.N},
    }
