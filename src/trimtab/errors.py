"""Every error trimtab raises on purpose.

::

    TrimtabError
    ├── StudyError            a study file: unknown key, wrong type, impossible combination
    ├── RunFolderError        a run folder: changed study, corrupt or torn file, foreign result
    ├── ClusterError          a cluster that cannot be reached, or a node of it that cannot run what is asked
    ├── ConfigurationError    an impossible balancer, capacity or initialization
    │   ├── SettingError            one setting that cannot be what it was given
    │   ├── UnsupportedModelError   a model whose routers cannot be reached, and why
    │   └── InactiveBalancerError   a balancer that was seen to have no proper effect
    ├── BenchmarkError        benchmark data that is missing, altered or malformed
    ├── SandboxError          the sandbox itself failed; never the program inside it
    │   └── SandboxUnavailable      no tier of isolation holds on this machine
    ├── EvidenceError         a corpus, claim file or source that cannot be used
    │   ├── DocumentError           one document: malformed, hostile or over a limit
    │   ├── ClaimError              a claim, a registry of names or a calibration set that cannot be read
    │   ├── SearchError             a database that refuses, an address not allowed, an answer that cannot be read
    │   └── ModelError              a language model that gives no usable answer
    ├── HttpError             a server that cannot be reached, refuses, or answers what cannot be read
    └── MissingExtraError     an optional dependency is not installed (also an ImportError)

    BalancerWarning           (a UserWarning) a balancer that has no effect, or too much

A message names the value, the place and what was expected. ``hint`` holds the way out, so that the command line can
print it on a line of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class TrimtabError(Exception):
    """Base of all errors raised on purpose.

    Args:
        message: What is wrong: the value, the place, what was expected.
        hint: The way out, or None when the message already says it.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\n  hint: {self.hint}"


class StudyError(TrimtabError):
    """A study file that cannot be run: unknown key, wrong type, impossible combination."""


class RunFolderError(TrimtabError):
    """A run folder that does not match its study, or a file in it that cannot be read."""


class ClusterError(TrimtabError):
    """A cluster that cannot be reached, or a node of it that cannot run what is asked."""


class ConfigurationError(TrimtabError, ValueError):
    """A balancer, capacity or initialization that cannot work as asked."""


class SettingError(ConfigurationError):
    """A setting that cannot be what it was given.

    Args:
        kind: The class of the setting.
        field: The field and, of a field that holds several, which of them; empty for the whole.
        sentence: What is wrong, the value in it.
        hint: The way out.
    """

    def __init__(self, kind: str, field: str, sentence: str, *, hint: str | None = None) -> None:
        super().__init__(f"{kind}({field}=...): {sentence}" if field else f"{kind}: {sentence}", hint=hint)
        self.kind = kind
        self.field = field
        self.sentence = sentence

    def at(self, where: str) -> str:
        """Return the message as of a file, whose place is ``where``."""
        return f"{where}.{self.field}: {self.sentence}" if self.field else f"{where}: {self.sentence}"


class UnsupportedModelError(ConfigurationError):
    """A model whose routers cannot be reached, with the reason."""


class InactiveBalancerError(ConfigurationError):
    """A balancer whose last step shows that it has no proper effect, and why."""


class BenchmarkError(TrimtabError):
    """Benchmark data that is missing, altered or malformed."""


class SandboxError(TrimtabError):
    """The sandbox itself failed; a failing program inside it is a verdict, not an error."""


class SandboxUnavailable(SandboxError):  # noqa: N818 - the state of a machine, named as the design names it
    """No tier of isolation holds on this machine."""


class EvidenceError(TrimtabError):
    """A corpus, claim file or source that cannot be used."""


class DocumentError(EvidenceError):
    """A document that cannot be read: malformed, hostile, or over a stated limit."""


class ClaimError(EvidenceError):
    """A claim, a registry of names or a calibration set that cannot be read."""


class SearchError(EvidenceError):
    """A database that refuses or cannot be reached, an address that is not allowed, an answer that cannot be read.

    Args:
        message: What is wrong.
        hint: The way out.
        status: Of HTTP, where a server refused for good; 0 otherwise.
    """

    def __init__(self, message: str, *, hint: str | None = None, status: int = 0) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class ModelError(EvidenceError):
    """A language model that gives no usable answer within its budget."""


class HttpError(TrimtabError):
    """A server that cannot be reached, refuses, or answers what cannot be read.

    Args:
        message: What it did, as a predicate: whoever asked says which server.
        status: Of a refusal for good; 0 otherwise.
    """

    def __init__(self, message: str, *, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class MissingExtraError(TrimtabError, ImportError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, *, extra: str) -> None:
        super().__init__(
            f"this needs the package {package!r}, which is not installed", hint=f"pip install 'trimtab[{extra}]'"
        )


class BalancerWarning(UserWarning):
    """A balancer that has no effect, or more than it should; training goes on."""


def counted(number: int, name: str) -> str:
    """Return a number with its name, for messages and sentences.

    >>> counted(1, "record"), counted(2, "record")
    ('1 record', '2 records')
    """
    return f"{number} {name}{'s' * (number != 1)}"


def nearest(name: str, valid: Iterable[str]) -> str:
    """Describe the valid names, the nearest one first, for the end of an error message.

    >>> nearest("los_free", ["loss_free", "switch"])
    "did you mean 'loss_free'? (valid: 'loss_free', 'switch')"
    """
    import difflib  # noqa: PLC0415 - nothing that goes well needs it

    names = sorted(valid)
    listing = f"(valid: {', '.join(map(repr, names))})"
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {close[0]!r}? {listing}" if close else listing
