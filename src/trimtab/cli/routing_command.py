"""How experts are used: routing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trimtab import disk
from trimtab.cli import inspecting
from trimtab.cli.options import JSON
from trimtab.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping


@click.command()
@click.argument("model")
@inspecting.texts
@click.option("--html", "page", type=click.Path(path_type=Path), help="Write a page with heat maps here.")
@click.option("--records", type=click.Path(path_type=Path), help="Write each token's experts: .jsonl or .safetensors.")
@click.option(
    "--health/--no-health", default=True, help="Weight norms and output shares of experts.  [default: health]"
)
@click.option("--gradients", is_flag=True, help="Gradient shares too, from the likelihood of a few texts.")
@click.option("--start", help="The same model before training, for the flag of silent death.")
@click.option("--top-k", type=click.IntRange(min=1), help="Experts a token, for a file of loads that does not say.")
@click.option("--experts", type=click.IntRange(min=1), help="Experts a layer, for a file that shows those called.")
@click.option("--ranks", type=click.IntRange(min=1), help="Balance over so many devices, of a file of loads.")
@JSON
def routing(model: str, *, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """Show how the experts of MODEL are used on texts, layer by layer: loads, choices, health.

    MODEL is a folder, .gguf file or hub name. It may also be loads that others measured, recognized by content: a .pt
    file of SGLang's expert distribution recorder, an imatrix of llama.cpp, a routing trace of Megatron.
    """
    from trimtab.inspection import foreign_loads  # noqa: PLC0415
    from trimtab.report import routing_page  # noqa: PLC0415

    measured = foreign_loads.recognize(Path(model)) is not None
    record = _loads(model, options) if measured else _read(model, options)
    if options["page"] is not None:
        options["page"].parent.mkdir(parents=True, exist_ok=True)
        disk.write_atomic(options["page"], routing_page.write_page(record))
        click.echo(f"the page is {options['page']}", err=True)
    if as_json:
        click.echo(json.dumps(record))
    else:
        routing_page.show_routing(record)


def _loads(path: str, options: Mapping[str, Any]) -> dict[str, Any]:
    from trimtab.inspection import foreign_loads, usage_measures  # noqa: PLC0415

    if options["benchmarks"] or options["named"] or options["records"] is not None:
        raise ConfigurationError(
            f"{path} holds loads that were measured already: no text can be read with it",
            hint="leave -b, --text and --records out, or name a model",
        )
    found = foreign_loads.read_loads(Path(path), num_experts=options["experts"], top_k=options["top_k"])
    return usage_measures.loads_record(path, found, options["ranks"])


def _read(model: str, options: Mapping[str, Any]) -> dict[str, Any]:
    from trimtab.inspection import inspected_model  # noqa: PLC0415
    from trimtab.inspection.routing_reading import ReadingOptions, read_routing, start_norms  # noqa: PLC0415

    sources = inspecting.sources(dict(options))
    loaded = inspected_model.load(model, device=options["device"], dtype=options["dtype"])
    start = None
    if options["start"] is not None:
        before = inspected_model.load(options["start"], device=options["device"], dtype=options["dtype"])
        start = start_norms(before, loaded)
    reading = ReadingOptions(
        window=options["window"],
        batch_tokens=options["batch_tokens"],
        max_tokens=options["max_tokens"],
        health=options["health"],
        gradients=options["gradients"],
        start=start,
    )
    report = inspecting.progress("read")
    return read_routing(loaded, sources, reading, records=options["records"], report=report)
