"""Reading one bibliography file: which format it is, by its suffix, and the reader for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from trimtab.documents import reader
from trimtab.documents.formats.limits import DocumentLimits
from trimtab.errors import DocumentError

if TYPE_CHECKING:
    from trimtab.documents.work import Work

SUFFIXES: Final = {".bib": "bibtex", ".bibtex": "bibtex", ".ris": "ris", ".json": "csl", ".csljson": "csl"}


def read(path: Path | str, *, limits: DocumentLimits | None = None) -> tuple[Work, ...]:
    """Read a BibTeX (``.bib``), RIS (``.ris``) or CSL-JSON (``.json``, ``.csljson``) file.

    Returns:
        One work an entry, in the file's order; two entries of one work stay two, since what is the same is for
        de-duplication to say.

    Raises:
        DocumentError: The file cannot be opened, is of another kind, too large or malformed; the message names file,
            line and key.
        MissingExtraError: bibtexparser or pylatexenc is not installed (BibTeX).
    """
    limits, path = limits or DocumentLimits(), Path(path)
    format_ = SUFFIXES.get(path.suffix.lower())
    if format_ is None:
        raise DocumentError(f"{path} is no bibliography", hint=f"readable: {', '.join(SUFFIXES)}")
    try:
        text = reader.contents(path, limits).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DocumentError(f"{path} is not UTF-8: byte {error.start}", hint="export it again as UTF-8") from error
    module = reader.parser_module(f"bibliography.{format_}_reader")
    try:
        works: tuple[Work, ...] = module.read(text, str(path))
    except RecursionError as error:
        raise DocumentError(f"{path} is nested too deeply to be read") from error
    return works
