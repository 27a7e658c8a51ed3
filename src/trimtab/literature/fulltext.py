"""Full texts: of local records at once; of others only where a licence is stated and the host is one that was allowed.

arXiv's e-prints may be read by whoever asks for them and not be passed on; they stay in the folder of the search.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from trimtab.documents import reader
from trimtab.errors import DocumentError, MissingExtraError, SearchError
from trimtab.literature.arxiv import EXPORT_HOST
from trimtab.literature.request import Request
from trimtab.literature.screening import ScreeningDecision
from trimtab.literature.transport import Unreadable

if TYPE_CHECKING:
    from trimtab.documents.parts import Document
    from trimtab.literature.database import FullText
    from trimtab.literature.dedup import Merged
    from trimtab.literature.request import ServerAnswer
    from trimtab.literature.transport import Transport

_ARXIV: Final = ("arxiv.org", "www.arxiv.org")
_OPEN: Final = ("cc", "public-domain", "publicdomain", "arxiv", "http://creativecommons", "https://creativecommons")


def seek(merged: Merged, transport: Transport, hosts: tuple[str, ...]) -> Document | ScreeningDecision:
    """Return a full text of a work, or the decision that there is none, with what each place said.

    Args:
        merged: The work with the places its records name.
        transport: Asks.
        hosts: Hosts a full text may come from.
    """
    reasons = []
    for text in merged.texts:
        try:
            document = _read(text, transport, hosts)
            return replace(document, work=merged.work.id, version=text.version)
        except (SearchError, DocumentError, MissingExtraError) as error:
            reasons.append(error.message)
    category = "not open to us" if reasons else "no full text known"
    reason = "; ".join(dict.fromkeys(reasons)) or "no database names a place of its full text"
    return ScreeningDecision(work=merged.work.id, stage="retrieval", category=category, reason=reason)


def _read(text: FullText, transport: Transport, hosts: tuple[str, ...]) -> Document:
    """Return a full text, if it may be fetched from there.

    Raises:
        SearchError: Its host or its licence forbids it, or it cannot be had.
        DocumentError: It cannot be read.
        MissingExtraError: A package for its format is missing.
    """
    address, host = text.url, urlsplit(text.url).netloc.lower()
    if host in _ARXIV and EXPORT_HOST in hosts:
        address, host = urlsplit(text.url)._replace(scheme="https", netloc=EXPORT_HOST).geturl(), EXPORT_HOST
    if host not in hosts:
        raise SearchError(f"{host or text.url} is no host full texts may be fetched from")
    if not text.licence.casefold().startswith(_OPEN):
        raise SearchError(f"{host} states no open licence ({text.licence or 'none'})")
    answer, body = transport.fetch(Request(url=address), _whole)
    # The format is told by the name.
    named = urlsplit(address).path.endswith(tuple(reader.SUFFIXES))
    return reader.read_bytes(body, address if named else f"{address}{'.html' if 'html' in answer.kind else '.pdf'}")


def _whole(answer: ServerAnswer) -> bytes:
    if not answer.body:
        raise Unreadable("an empty full text")
    return answer.body
