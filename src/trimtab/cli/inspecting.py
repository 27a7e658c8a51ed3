"""Options of the verbs that look into a mixture of experts with texts."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from trimtab.inspection.domain_texts import DomainSource


def texts(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that name texts and how they are read."""
    for option in (
        click.option("--dtype", default="float32", show_default=True, help="Of the model's weights."),
        click.option("--device", default="cpu", show_default=True, help="Where the model runs."),
        click.option("--max-tokens", type=click.IntRange(min=2), help="Read at most so many tokens of each domain."),
        click.option(
            "--batch-tokens", type=click.IntRange(min=2), default=4096, show_default=True, help="Tokens read at once."
        ),
        click.option(
            "--window", type=click.IntRange(min=2), help="Cut texts to so many tokens. Default: 1024 or less."
        ),
        click.option("--data", type=click.Path(path_type=Path), help="Folder of benchmark files."),
        click.option(
            "--text",
            "named",
            multiple=True,
            metavar="NAME=PATH",
            help="A file, folder or JSON Lines, as a domain of its own; repeatable.",
        ),
        click.option(
            "-b", "--benchmarks", default="", help="Benchmarks by name, separated by commas; each is a domain."
        ),
    ):
        command = option(command)
    return command


def sources(options: dict[str, Any]) -> tuple[DomainSource, ...]:
    """Return the texts that the options name."""
    from trimtab.inspection.domain_texts import domain_sources  # noqa: PLC0415

    names = [name.strip() for name in options["benchmarks"].split(",") if name.strip()]
    return domain_sources(names, options["named"], options["data"])


def progress(what: str) -> Callable[[int], None]:
    """Return what prints progress to standard error, on a terminal and now and then."""
    last = [0]

    def report(done: int) -> None:
        if sys.stderr.isatty() or done >= last[0] + 20_000:
            last[0] = done
            click.echo(f"{what}: {done:,} tokens", err=True)

    return report
