"""The verbs about routes: which experts an engine gave every token."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trimtab.cli.options import JSON, Group

if TYPE_CHECKING:
    from trimtab.moe.routes import Routes


@click.group("routes", cls=Group)
def routes() -> None:
    """Work with routes: which experts a model or a serving engine gave every token."""


@routes.command("compare")
@click.argument("first", metavar="A", type=click.Path(path_type=Path))
@click.argument("second", metavar="B", type=click.Path(path_type=Path))
@click.option(
    "--model", metavar="MODEL", help="Folder or hub name of the model: files of vLLM, SGLang and verl are read for it."
)
@JSON
def compare(first: Path, second: Path, model: str | None, *, as_json: bool) -> None:
    """Tell where two records, A and B, route the same tokens differently: by layer, token and expert.

    A record is a file that Routes.save wrote; with --model also a .jsonl of responses of vLLM or SGLang, or tensors of
    verl (.safetensors, .npz, .pt). Records of other tokens are refused.
    """
    from trimtab.moe import flips  # noqa: PLC0415
    from trimtab.moe.routes import Routes  # noqa: PLC0415

    records = [Routes.load(first), Routes.load(second)] if model is None else _read_for(model, first, second)
    report = flips.compare(*records)
    if as_json:
        click.echo(json.dumps({"first": str(first), "second": str(second), **report.to_record()}, indent=1))
        return
    for line in report.lines():
        click.echo(line)


def _read_for(model: str, *paths: Path) -> list[Routes]:
    from trimtab.moe import route_files  # noqa: PLC0415
    from trimtab.moe.route_forms import RouteReader  # noqa: PLC0415
    from trimtab.moe.skeleton import route_shape_of  # noqa: PLC0415

    reader = RouteReader(shape=route_shape_of(model))
    return [route_files.read(path, reader) for path in paths]
