"""Logs of inspect_ai: ``.eval``, a ZIP file whose members are packed with Zstandard, and the same as one JSON value.

Each sample has the name of its problem and an epoch; what the model wrote is the last choice's message, as text or as a
list of parts. Long texts are kept once, as attachments. A score of C or 1 is a pass. A sample that ended in an error of
the tool has no output and is left out.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from typing import TYPE_CHECKING, Any, Final

from trimtab.codeeval.formats.foreign import Content, ForeignReply, TaskNames, content_of, list_of, object_of
from trimtab.errors import BenchmarkError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

TOOL = "inspect"
_ZSTANDARD: Final = 93
_LARGEST: Final = 256 << 20  # bytes of one member
_ATTACHED: Final = re.compile(r"attachment://([0-9a-f]{32})")
_VALUES: Final = {"C": True, "I": False, "P": None, "N": None}


def recognizes(content: Content) -> bool:
    """Tell whether a file is a log of inspect_ai, packed or not."""
    if content.data[:4] == b"PK\x03\x04":
        return any(name.startswith(("samples/", "_journal/")) for name in _archive(content).namelist())
    value = content.value
    return isinstance(value, dict) and {"eval", "samples"} <= value.keys() and "version" in value


def read(content: Content, tasks: TaskNames) -> Iterator[ForeignReply]:
    """Yield the samples, an epoch each.

    Raises:
        BenchmarkError: A member is damaged, or a sample is not of this form; the message names it.
        MissingExtraError: The file is packed with Zstandard and no package for that is installed.
    """
    for place, sample in _samples(content):
        if sample.get("error") and not _choices(sample, place):
            continue
        document = [sample[field] for field in ("input", "target", "metadata") if sample.get(field)]
        task_id = tasks.of(sample.get("id"), place, document)
        choices = _choices(sample, place)
        if not choices:
            raise BenchmarkError(f"{place}: the output has no choices, so there is no reply")
        message = object_of(object_of(choices[-1], place, "the choice").get("message"), place, "the message")
        score = _score(sample)
        epoch = sample.get("epoch", 1)
        yield ForeignReply(
            task_id=task_id,
            text=_with_attachments(content_of(message.get("content"), place), sample),
            continues=False,
            place=place,
            index=epoch - 1 if isinstance(epoch, int) and epoch >= 1 else None,
            passed=None if score is None else _passed(score.get("value")),
            program=_program(score, sample),
        )


def _choices(sample: Mapping[str, Any], place: str) -> Sequence[Any]:
    output = object_of(sample.get("output") or {}, place, "the field 'output'")
    return list_of(output.get("choices") or [], place, "the field 'choices'")


def left_out(content: Content) -> int:
    """Count the samples that ended in an error of the tool, before a model answered."""
    return sum(bool(sample.get("error")) and not _choices(sample, place) for place, sample in _samples(content))


def _score(sample: Mapping[str, Any]) -> Mapping[str, Any] | None:
    scores = sample.get("scores")
    first = next(iter(scores.values()), None) if isinstance(scores, dict) else None
    return first if isinstance(first, dict) else None


def _passed(value: object) -> bool | None:
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return value == 1 if value in (0, 1) else None
    return _VALUES.get(value) if isinstance(value, str) else None


def _program(score: Mapping[str, Any] | None, sample: Mapping[str, Any]) -> str | None:
    """Return what the scorer ran: HumanEval's prompt goes before its answer, MBPP's answer stands alone."""
    answer = score.get("answer") if score is not None else None
    if not isinstance(answer, str):
        return None
    metadata = sample.get("metadata")
    prompt = metadata.get("prompt", "") if isinstance(metadata, dict) and "entry_point" in metadata else ""
    return _with_attachments(f"{prompt}{answer}", sample)


def _with_attachments(text: str, sample: Mapping[str, Any]) -> str:
    attachments = sample.get("attachments") or {}
    return _ATTACHED.sub(lambda match: str(attachments.get(match[1], match[0])), text)


def _samples(content: Content) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the place and the record of each sample."""
    if content.data[:4] != b"PK\x03\x04":
        for number, sample in enumerate(list_of(content.value.get("samples"), content.path, "the field 'samples'")):
            place = f"{content.path}, sample {number}"
            yield place, object_of(sample, place, "it")
        return
    with _archive(content) as archive:
        for info in archive.infolist():
            if info.filename.startswith("samples/") and info.filename.endswith(".json"):
                place = f"{content.path}, {info.filename}"
                try:
                    value = json.loads(_unpacked(archive, info, place))
                except ValueError as error:
                    raise BenchmarkError(f"{place} is not JSON: {error}") from error
                yield place, object_of(value, place, "it")


def _archive(content: Content) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(io.BytesIO(content.data))
    except zipfile.BadZipFile as error:
        raise BenchmarkError(f"{content.path} is a damaged ZIP file: {error}") from error


def _unpacked(archive: zipfile.ZipFile, info: zipfile.ZipInfo, place: str) -> bytes:
    """Return the bytes of a member, which Python itself cannot unpack before 3.14."""
    if info.file_size > _LARGEST:
        raise BenchmarkError(f"{place} is said to hold {info.file_size} bytes, more than {_LARGEST}")
    if info.compress_type != _ZSTANDARD:
        try:
            return archive.read(info)
        except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError) as error:
            raise BenchmarkError(f"{place} cannot be unpacked: {error}") from error
    try:
        import zstandard  # noqa: PLC0415 - of an extra
    except ImportError as error:
        raise MissingExtraError("zstandard", extra="inspect") from error
    archive.fp.seek(info.header_offset)  # type: ignore[union-attr]
    header = archive.fp.read(30)  # type: ignore[union-attr]
    name, extra = int.from_bytes(header[26:28], "little"), int.from_bytes(header[28:30], "little")
    archive.fp.seek(info.header_offset + 30 + name + extra)  # type: ignore[union-attr]
    packed = archive.fp.read(info.compress_size)  # type: ignore[union-attr]
    try:
        data: bytes = zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True).read(_LARGEST + 1)
    except zstandard.ZstdError as error:
        raise BenchmarkError(f"{place} cannot be unpacked: {error}") from error
    if len(data) != info.file_size:
        raise BenchmarkError(f"{place} unpacks to {len(data)} bytes, expected {info.file_size}")
    return data
