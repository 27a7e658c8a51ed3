"""Options that several verbs share, and the group that turns errors raised on purpose into one message."""

from __future__ import annotations

import errno
import importlib.metadata
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trimtab.errors import MissingExtraError, TrimtabError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PATH = click.Path(path_type=Path)
WHOLE_PATH = click.Path(path_type=Path, resolve_path=True)
STUDY = click.argument("study_file", metavar="STUDY", type=click.Path(path_type=Path))
OUTPUT = click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Run folder; plan, run, status, table and report take a URL too. Default: runs/NAME, from the study's name.",
)
RAY = click.option(
    "--ray", "ray_address", metavar="ADDRESS", help="Run on a Ray cluster: HOST:PORT of its head, auto, or local."
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")


# What a disk refuses, and places that are something else; other errors of the system are faults of ours, and keep their
# traceback.
_PLACES = {errno.EEXIST: "a file is there", errno.ENOTDIR: "a file is above it", errno.EISDIR: "a folder is there"}
_DISK = frozenset({errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, *_PLACES})


class Group(click.Group):
    """Turns errors raised on purpose into one message and exit code 2; lists its verbs in the order they were added.

    ``sections`` are heads over the names of verbs; verbs without a head stand last.
    """

    def __init__(self, *args: Any, sections: Mapping[str, Sequence[str]] | None = None, **settings: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **settings)
        self.sections = dict(sections or {})

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's own signature
        """Return the names of the verbs, section by section."""
        named = [name for names in self.sections.values() for name in names]
        return [*named, *(name for name in self.commands if name not in named)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what each verb does in a whole sentence: one that is cut off tells a newcomer nothing."""
        named = {name for names in self.sections.values() for name in names}
        rest = [name for name in self.list_commands(ctx) if name not in named]
        for head, names in (*self.sections.items(), ("Commands", rest)):
            rows = [(name, self.commands[name].get_short_help_str(limit=1000)) for name in names]
            if rows:
                with formatter.section(head):
                    formatter.write_dl(rows)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - whatever the verb returns
        """Run the verb; a mistake of the user's costs one line, an interruption says how to go on."""
        try:
            return super().invoke(ctx)
        except TrimtabError as error:
            click.echo(f"error: {error}", err=True)
            ctx.exit(2)
        except ModuleNotFoundError as error:
            extra = extra_with(error.name or "")
            if extra is None:
                raise
            click.echo(f"error: {MissingExtraError(str(error.name), extra=extra)}", err=True)
            ctx.exit(2)
        except OSError as error:
            if error.errno not in _DISK:
                raise
            what = "read or written" if error.errno in (errno.EACCES, errno.EPERM) else "written"
            why = _PLACES.get(error.errno or 0, error.strerror)
            click.echo(f"error: {error.filename or 'a file'} cannot be {what}: {why}", err=True)
            click.echo("  hint: make room or name another place; the same command goes on from here", err=True)
            ctx.exit(2)
        except KeyboardInterrupt:
            click.echo("\ninterrupted; the same command goes on from here", err=True)
            ctx.exit(130)


def extra_with(module: str) -> str | None:
    """Return an extra of trimtab that brings a module, as its own metadata say; None for no such extra."""
    name = module.lower().replace("_", "-").partition(".")[0]
    extras = []
    for requirement in importlib.metadata.requires("trimtab") or ():
        package = re.match(r"[\w.-]+", requirement)
        extra = re.search(r"extra == ['\"](\w+)['\"]", requirement)
        if package and extra and package[0].lower() == name:
            extras.append(extra[1])
    # Of several, the one that most commands need.
    return next((extra for extra in ("hf", *extras) if extra in extras and extra != "dev"), None)
