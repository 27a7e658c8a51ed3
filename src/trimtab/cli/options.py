"""Options that several verbs share, and the group that turns errors raised on purpose into one message."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from trimtab.errors import TrimtabError

STUDY = click.argument("study_file", metavar="STUDY", type=click.Path(path_type=Path))
OUTPUT = click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Run folder. Default: runs/NAME, from the study's name."
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")


class Group(click.Group):
    """Turns errors raised on purpose into one message and exit code 2."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - whatever the verb returns
        """Run the verb; a mistake of the user's costs one line, an interruption says how to go on."""
        try:
            return super().invoke(ctx)
        except TrimtabError as error:
            click.echo(f"error: {error}", err=True)
            ctx.exit(2)
        except KeyboardInterrupt:
            click.echo("\ninterrupted; the same command goes on from here", err=True)
            ctx.exit(130)
