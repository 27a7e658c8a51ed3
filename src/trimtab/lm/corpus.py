"""The training text of a study as token ids, and any batch of it directly.

Half a batch is real Python (:mod:`trimtab.lm.python_text`), half training samples of
:mod:`trimtab.codeeval.micro_benchmark`. Decisions: (1) batch *i* is a function of the seed and *i*, so that resuming
needs no state; each seed goes through all rows in its own order before it repeats any. (2) Micro samples are packed
whole, the rest of a row filled with the beginning of one more: no padding. Positions start again with each sample,
which keeps packed samples from seeing each other. (3) Rows of both kinds are mixed within a batch, because capacity
with drops by position would otherwise fall on one kind. (4) The tokenized text lies in a cache folder, named by the
hash of all that it depends on, and appears there whole or not at all.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import json
import shutil
import tempfile
from collections import deque
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from trimtab.codeeval import discriminating_inputs, grammar, micro_benchmark, micro_pro_callers
from trimtab.codeeval.grammar import Grammar
from trimtab.errors import ConfigurationError
from trimtab.lm import decontaminate, python_text, tokenizer
from trimtab.lm.tokenizer import BOS, EOS, PAD, Tokenizer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from trimtab.settings.runs import CorpusSettings

# Changes in any of these change the text, so they are part of the name under which it is cached.
_MAKERS: Final = (
    __file__,
    *(m.__file__ for m in (discriminating_inputs, decontaminate, grammar, micro_benchmark, micro_pro_callers)),
    *(m.__file__ for m in (python_text, tokenizer)),
)
_TOKENIZER_TEXTS: Final = 300  # files, of about 12 kB; more do not change a thousand merges
_ONLY_IN_BATCHES: Final = frozenset({"rows", "python_share", "python_weight", "prompt_weight", "solution_weight"})
_STREAMS: Final = {"python": 0, "micro": 1, "order": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Token ids [B, S] (int64) and, for each, the weight of having predicted it [B, S] (float32)."""

    tokens: NDArray[np.int64]
    weights: NDArray[np.float32]

    @property
    def positions(self) -> NDArray[np.int64]:
        """Positions [B, S] that start again at 0 with each ``<bos>``: the texts of a row do not see each other."""
        columns = np.broadcast_to(np.arange(self.tokens.shape[1]), self.tokens.shape)
        return columns - np.maximum.accumulate(np.where(self.tokens == BOS, columns, 0), axis=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A piece of held-out real Python, to be predicted after ``<bos>``; ``unit_id`` is ``source/path:number``."""

    unit_id: str
    tokens: tuple[int, ...]
    num_bytes: int


class Corpus:
    """Tokenized training text; made by :meth:`build`.

    Attributes:
        tokenizer: The tokenizer trained on this text.
        settings: What it was built from.
        folder: Where it lies.
        provenance: Files, bytes, licenses, hashes and what was removed, as plain values.
        pad, bos, eos: Token ids.
    """

    pad, bos, eos = PAD, BOS, EOS

    def __init__(self, folder: Path, settings: CorpusSettings) -> None:
        self.settings = settings
        self.folder = folder
        self.tokenizer = Tokenizer.load(folder / "tokenizer.json")
        self.provenance: dict[str, Any] = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
        self._python = np.load(folder / "python.npy", mmap_mode="r")
        self._micro = np.load(folder / "micro.npy", mmap_mode="r")
        self._solution = np.load(folder / "solution.npy", mmap_mode="r")
        self._held = np.load(folder / "heldout.npy")

    @classmethod
    def build(
        cls, cache: Path, settings: CorpusSettings, exclude: Sequence[str], grammar: Grammar | None = None
    ) -> Corpus:
        """Return the corpus, from ``cache`` if it is there; safe when several processes ask at once.

        Args:
            cache: A folder; made if missing.
            settings: What text, and how it is cut.
            exclude: Programs of the benchmarks, which training must not show.
            grammar: The language of the micro-benchmark, if not its own.

        Raises:
            ConfigurationError: The settings make no batch, or no text is left.
        """
        taken = _take(settings, grammar or Grammar())
        folder = cache / f"corpus-{_key(settings, taken, exclude)}"
        if not _is_whole(folder):
            cache.mkdir(parents=True, exist_ok=True)
            with _lock(cache / "corpus.lock"):
                if not _is_whole(folder):
                    _make(folder, settings, taken, exclude)
        return cls(folder, settings)

    def batch(self, seed: int, step: int) -> Batch:
        """Return the batch of a step: the same for the same seed and step, whatever came before."""
        wanted = self.settings.python_rows
        python = self._python[self._rows("python", seed, step, wanted, len(self._python))]
        chosen = self._rows("micro", seed, step, self.settings.rows - wanted, len(self._micro))
        weights = np.where(self._solution[chosen], self.settings.solution_weight, self.settings.prompt_weight)
        tokens = np.concatenate([python, self._micro[chosen]]).astype(np.int64)
        weights = np.concatenate([np.full(python.shape, self.settings.python_weight), weights]).astype(np.float32)
        weights[tokens == BOS] = 0  # where a text begins is not to be learned
        order = _dice(seed, "order", step).permutation(len(tokens))
        return Batch(tokens=tokens[order], weights=weights[order])

    def _rows(self, stream: str, seed: int, step: int, count: int, total: int) -> NDArray[np.int64]:
        """Return rows ``step * count ...`` of an endless sequence of permutations of all rows."""
        epoch, place = np.divmod(np.arange(step * count, (step + 1) * count), total)
        orders = {number: _dice(seed, stream, int(number)).permutation(total) for number in np.unique(epoch)}
        return np.array([orders[e][p] for e, p in zip(epoch, place, strict=True)], dtype=np.int64)

    def heldout(self) -> list[Window]:
        """Return the held-out windows, in an order in which any beginning is a mixture of files."""
        lengths = self.tokenizer.byte_lengths()
        return [
            Window(unit_id=unit_id, tokens=tuple(map(int, row)), num_bytes=int(lengths[row].sum()))
            for unit_id, row in zip(self.provenance["heldout_units"], self._held, strict=True)
        ]

    @cached_property
    def unigram(self) -> NDArray[np.float64]:
        """Log-probability of each token id among the tokens of the real Python trained on, add-one smoothed."""
        counts = np.bincount(self._python[:, 1:].ravel(), minlength=self.tokenizer.vocab_size) + 1.0
        shares: NDArray[np.float64] = counts / counts.sum()
        return np.log(shares)

    def unigram_nats(self, tokens: Sequence[int]) -> float:
        """Return the negative log-likelihood of ``tokens`` under :attr:`unigram`: what knowing no order achieves."""
        return float(-self.unigram[np.asarray(tokens, dtype=np.int64)].sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Taken:
    """The chosen files and what they hold, and the grammar of the samples."""

    train: list[python_text.File]
    heldout: list[python_text.File]
    raw: dict[str, bytes]
    grammar: Grammar


def _take(settings: CorpusSettings, grammar: Grammar) -> _Taken:
    train, heldout = python_text.take(
        python_text.files(), train_bytes=settings.python_bytes, heldout_bytes=settings.heldout_bytes
    )
    raw = {file.unit_id: file.path.read_bytes() for file in heldout + train}
    return _Taken(train=train, heldout=heldout, raw=raw, grammar=grammar)


def _key(settings: CorpusSettings, taken: _Taken, exclude: Sequence[str]) -> str:
    """Name the text by all that it depends on, and by nothing else, so that weights can be tried without rebuilding."""
    fields = {name: value for name, value in asdict(settings).items() if name not in _ONLY_IN_BATCHES}
    fields["grammar"] = asdict(taken.grammar)
    parts = [json.dumps(fields, sort_keys=True).encode(), importlib.metadata.version("tokenizers").encode()]
    parts += [Path(str(maker)).read_bytes() for maker in _MAKERS]
    parts += [part for unit_id, raw in taken.raw.items() for part in (unit_id.encode(), raw)]
    parts += [text.encode() for text in exclude]
    return _hash(parts)[:16]


def _hash(parts: Sequence[bytes]) -> str:
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


def _dice(seed: int, stream: str, number: int) -> np.random.Generator:
    return np.random.default_rng([seed, _STREAMS[stream], number])


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold a lock that ends with the process, however it ends."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _is_whole(folder: Path) -> bool:
    """Tell whether a corpus lies there with every file as long as it was written."""
    try:
        written = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))["written"]
        return all((folder / name).stat().st_size == size for name, size in written.items())
    except (OSError, ValueError, KeyError):
        return False


def _make(folder: Path, settings: CorpusSettings, taken: _Taken, exclude: Sequence[str]) -> None:
    """Write a corpus beside ``folder`` and give it its name when it is complete; the lock is held."""
    for left in [folder, *folder.parent.glob("corpus-*.tmp")]:  # torn, or by a process that was killed
        shutil.rmtree(left, ignore_errors=True)
    temporary = Path(tempfile.mkdtemp(prefix="corpus-", suffix=".tmp", dir=folder.parent))
    try:
        provenance = _write(temporary, settings, taken, exclude)
        provenance["written"] = {path.name: path.stat().st_size for path in sorted(temporary.iterdir())}
        (temporary / "provenance.json").write_text(json.dumps(provenance, indent=1), encoding="utf-8")
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write(folder: Path, settings: CorpusSettings, taken: _Taken, exclude: Sequence[str]) -> dict[str, Any]:
    cleaner, repetitions = decontaminate.Decontaminator(exclude), python_text.Repetitions()
    # Held-out files first: what they share with training files is then dropped from training.
    texts = {unit_id: repetitions.drop(cleaner.clean(python_text.clean(raw))) for unit_id, raw in taken.raw.items()}
    train = [texts[file.unit_id] for file in taken.train]
    samples = list(
        micro_benchmark.training_samples(count=settings.micro_samples, seed=settings.micro_seed, grammar=taken.grammar)
    )
    learned = Tokenizer.train([*train[:_TOKENIZER_TEXTS], *(a + b for a, b in samples[:8000])], settings.vocab_size)
    learned.save(folder / "tokenizer.json")
    python = _windows(learned.encode_all(train), settings.row_length)
    tokens, solution = _pack(_encode_pairs(learned, samples), settings.row_length)
    units, held = _held_windows(learned, [(file.unit_id, texts[file.unit_id]) for file in taken.heldout], settings)
    arrays = {"python": python, "micro": tokens, "solution": solution, "heldout": held}
    for name, array in arrays.items():
        if not array.size:
            raise ConfigurationError(f"corpus: no rows of {name}", hint="raise python_bytes, heldout_bytes or samples")
        np.save(folder / f"{name}.npy", array)
    return {
        "content_sha256": _hash([text.encode() for text in texts.values()]),
        "sources": [asdict(source) for source in python_text.sources()],
        "absent": sorted({*python_text.PACKAGES} - {source.name for source in python_text.sources()}),
        "files": {unit_id: [len(raw), hashlib.sha256(raw).hexdigest()] for unit_id, raw in taken.raw.items()},
        "heldout_files": [file.unit_id for file in taken.heldout],
        "heldout_units": units,
        "train_bytes": sum(len(text.encode()) for text in train),
        "removed": {
            "functions_named_as_in_a_benchmark": cleaner.functions,
            "paragraphs_shared_with_a_benchmark": cleaner.paragraphs,
            "paragraphs_repeated": repetitions.dropped,
        },
        "deduplicated_against": {
            "texts": len(exclude),
            "ngram": decontaminate.N,
            "sha256": _hash([t.encode() for t in exclude]),
        },
        "rows": {name: len(array) for name, array in arrays.items() if name != "solution"},
        "micro": {
            "samples": len(samples),
            "seed": settings.micro_seed,
            "sha256": _hash([(a + b).encode() for a, b in samples]),
        },
    }


def _windows(documents: Sequence[list[int]], length: int) -> NDArray[np.uint16]:
    """Cut the documents, joined by ``<eos>``, into rows that each begin with ``<bos>``."""
    stream = np.array([number for ids in documents for number in (*ids, EOS)], dtype=np.uint16)
    count = len(stream) // (length - 1)
    rows = stream[: count * (length - 1)].reshape(count, length - 1)
    return np.concatenate([np.full((count, 1), BOS, dtype=np.uint16), rows], axis=1)


def _held_windows(
    learned: Tokenizer, documents: Sequence[tuple[str, str]], settings: CorpusSettings
) -> tuple[list[str], NDArray[np.uint16]]:
    """Cut held-out files into named windows of a row without its ``<bos>``; incomplete ones are left out."""
    length, windows = settings.row_length - 1, list[tuple[str, list[int]]]()
    for (unit_id, _), ids in zip(documents, learned.encode_all([text for _, text in documents]), strict=True):
        windows += [(f"{unit_id}:{n}", ids[n * length : (n + 1) * length]) for n in range(len(ids) // length)]
    windows.sort(key=lambda unit: hashlib.sha256(unit[0].encode()).digest())
    return [unit_id for unit_id, _ in windows], np.array([ids for _, ids in windows], dtype=np.uint16)


def _encode_pairs(learned: Tokenizer, samples: Sequence[tuple[str, str]]) -> Iterator[tuple[list[int], list[bool]]]:
    """Yield the ids of each ``<bos> prompt solution <eos>`` and which of them belong to the solution."""
    # Apart, because a model is asked to continue a prompt that was encoded alone.
    prompts = learned.encode_all([prompt for prompt, _ in samples])
    solutions = learned.encode_all([solution for _, solution in samples])
    for prompt, solution in zip(prompts, solutions, strict=True):
        ids = [BOS, *prompt, *solution, EOS]
        yield ids, [False] * (len(prompt) + 1) + [True] * (len(solution) + 1)


def _pack(
    samples: Iterator[tuple[list[int], list[bool]]], length: int, *, look_ahead: int = 32
) -> tuple[NDArray[np.uint16], NDArray[np.bool_]]:
    """Fill rows with whole samples, choosing the longest that fits among the next few; fill up with a beginning."""
    waiting: deque[tuple[list[int], list[bool]]] = deque()
    rows, flags = list[list[int]](), list[list[bool]]()
    row, flag = list[int](), list[bool]()
    while True:
        waiting.extend(sample for _, sample in zip(range(look_ahead - len(waiting)), samples, strict=False))
        if not waiting:
            break
        fitting = [index for index, (ids, _) in enumerate(waiting) if len(ids) <= length - len(row)]
        # With nothing that fits, the oldest is cut: a beginning is still right text to learn from.
        chosen = max(fitting, key=lambda index: (len(waiting[index][0]), -index)) if fitting else 0
        ids, solution = waiting[chosen]
        del waiting[chosen]
        row, flag = row + ids, flag + solution
        if len(row) >= length:
            rows.append(row[:length])
            flags.append(flag[:length])
            row, flag = [], []
    return np.array(rows, dtype=np.uint16).reshape(-1, length), np.array(flags, dtype=np.bool_).reshape(-1, length)
