"""The page and the table of how experts are used: heat maps of layers and experts that can be filtered."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, Any, Final

from rich import box
from rich.console import Console
from rich.markup import escape as escape_markup
from rich.table import Table as Grid

from trimtab.report import html
from trimtab.report.document import Bullets, ReportCell, ReportDocument, ReportTable, Section, cell

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MEASURES: Final = {
    "load": "calls",
    "weight": "weight given to calls",
    "norm_to_layer": "weight norm, beside its layer",
    "norm_to_layers": "weight norm, beside all layers",
    "output": "share of the layer's output",
    "gradient": "share of the layer's gradient",
}
_HEAD: Final = (
    "layer", "experts", "MaxVio", "its floor", "entropy", "dead", "rare", "MaxVio of weight", "confidence", "margin",
    "saturated", "experts in effect", "silent death",
)  # fmt: skip
_SHOWN: Final = (0, 1, 2, 3, 4, 5, 6, 9, 10, 12)
_KEYS: Final = "Layers and experts. Arrow keys go from expert to expert, Enter goes to the numbers of the layer."
_READ: Final = """\
MaxVio: largest load over the mean, minus 1; its floor is what a uniform router shows in as many tokens.
Entropy: of the load, over its maximum. Dead: below a tenth of the mean load; rare: below a quarter.
Confidence: mean probability of the likeliest expert. Margin: probability of the last expert chosen minus that of the \
best one left out; negative where a bias or groups decide.
Saturated: share of tokens whose last expert gets less than 1 % of their weight. Experts in effect: the exponential of \
the entropy of a token's weights. A router whose last choices get no weight can look balanced by calls alone: compare \
both MaxVios.
Silent death: median weight norm below a tenth of its start and of the median layer (Jin et al. 2026; the threshold is \
ours); suspected where the start is not known. Nats: what masking the layer's experts costs.
"""


def write_page(record: Mapping[str, Any]) -> str:
    """Return the self-contained page of a routing record."""
    chips = [("source", str(record["source"])), ("layers with a router", str(len(record["layers"])))]
    chips += [("model", str(record["model_type"]))] if record["model_type"] else []
    chips += [(name, _amount(read)) for name, read in record["domains"].items()]
    document = ReportDocument(
        title="How the experts are used",
        subtitle="Every value is beside what chance alone would show. Choose a domain, a measure and layers.",
        chips=tuple(chips),
        sections=(),
        brand="trimtab routing",
    )
    sections = [_map_section(record), html.section_markup(_reading(record))]
    if similarity := _similarity(record):
        sections.insert(1, html.section_markup(similarity))
    script = html.asset("routing.js")
    return html.page(document, [*sections, _data(record)], scripts=(script,), style=html.asset("routing.css"))


def _map_section(record: Mapping[str, Any]) -> str:
    rows = "\n".join(
        f"<tr>{''.join(f'<td>{escape(word)}</td>' for word in _row(layer, 'all'))}</tr>" for layer in record["layers"]
    )
    head = "".join(f"<th>{escape(name)}</th>" for name in _HEAD)
    ratios = ((0.125, "1/8"), (0.5, "1/2"), (1.0, "even"), (2.0, "2"), (8.0, "8 times"))
    scale = "".join(f'<span><i style="background:{_color(ratio)}"></i> {label}</span>' for ratio, label in ratios)
    return f"""<section>
<h2>Layers and experts</h2>
<div class="controls">
<label>domain<select id="domain"></select></label><label>measure<select id="measure"></select></label>
<label>from layer<input id="from" type="number" min="0"></label>
<label>to layer<input id="to" type="number" min="0"></label>
<label class="check"><input id="sort" type="checkbox">largest first</label>
</div>
<div class="scale">{scale} <span>framed: dead by calls</span></div>
<div class="heat" id="map" tabindex="0" role="application" aria-label="{_KEYS}">
<noscript>The heat maps need the page's script; the table does not.</noscript></div>
<p class="note">A row is a layer, a cell an expert; the color is the ratio to an even share.</p>
<div class="scroll" tabindex="0"><table class="numbers"><thead><tr>{head}</tr></thead>
<tbody id="layer-rows">{rows}</tbody></table></div>
</section>"""


def _color(ratio: float) -> str:
    """Return the color of a ratio, as the script computes it."""
    size = min(1.0, abs(math.log2(ratio)) / 3)
    return f"rgb({'214 105 15' if ratio >= 1 else '33 102 172'} / {0.06 + 0.9 * size:.3f})"


def _data(record: Mapping[str, Any]) -> str:
    """Return the numbers as a block that is no script; ``<`` is escaped, so that no name ends it."""
    names = ["all", *record["domains"]] if len(record["domains"]) > 1 else list(record["domains"])
    layers, present = [], set[str]()
    for layer in record["layers"]:
        health, count = layer.get("health") or {}, layer["num_experts"]
        beside = {
            "norm_to_layer": health.get("norm_to_layer"),
            "norm_to_layers": health.get("norm_to_layers"),
            "output": _ratios(health.get("output_share"), count),
            "gradient": _ratios(health.get("gradient_share"), count),
        }
        shown_values = {name: _short(values) for name, values in beside.items() if values is not None}
        present |= shown_values.keys()
        domains = {}
        for name in names:
            held = layer["domains"][name]
            total = sum(held["load"])
            loads = {"load": _short([value * count / total if total else 0.0 for value in held["load"]])}
            if "weight_share" in held:
                loads["weight"] = _short(_ratios(held["weight_share"], count) or [])
            present |= loads.keys()
            domains[name] = loads
        layers.append(
            {
                "layer": layer["layer"],
                "label": str(layer["layer"]) if record["kind"] == "model" else layer["name"],
                "experts": count,
                "domains": domains,
                "health": shown_values,
                "silent": health.get("silent_death") is not False and "silent_death" in health,
                "rows": {name: _row(layer, name) for name in names},
            }
        )
    measures = {name: label for name, label in _MEASURES.items() if name in present}
    data = {"domains": dict.fromkeys(names), "measures": measures, "layers": layers}
    return f'<script type="application/json" id="routing-data">{html.json_block(data)}</script>'


def _ratios(shares: Sequence[float | None] | None, count: int) -> list[float | None] | None:
    return None if shares is None else [None if share is None else share * count for share in shares]


def _short(values: Sequence[float | None]) -> list[float | None]:
    return [None if value is None else float(f"{value:.3g}") for value in values]


def _row(layer: Mapping[str, Any], domain: str) -> list[str]:
    """Return what stands beside a layer, in the order of the head."""
    held, health = layer["domains"][domain], layer.get("health") or {}
    words = [layer["name"] if not held.get("confidence") else str(layer["layer"])]
    words.append(f"{layer['num_experts_per_tok'] or '?'} of {layer['num_experts']}")
    words += [_number(held.get(key)) for key in ("max_violation", "max_violation_floor", "entropy")]
    chance = held.get("dead_by_chance")
    beside = f" (chance {chance:.2g})" if chance and chance >= 0.01 else ""
    words += [f"{len(held['dead'])}{beside}", str(len(held["rare"]))]
    words += [_number(held.get(key)) for key in ("weight_max_violation", "confidence", "margin")]
    saturation = held.get("saturation")
    words += ["\u2013" if saturation is None else f"{saturation:.1%}", _number(held.get("experts_in_effect"))]
    words.append(_silent(health))
    return words


def _silent(health: Mapping[str, Any]) -> str:
    if "silent_death" not in health:
        return "\u2013"
    if health["silent_death"] is False:
        return "no"
    word = "yes" if health["silent_death"] else "suspected"
    cost = health.get("masking_costs")
    return word if cost is None else f"{word}, {cost:+.3g} nats"


def _number(value: float | None) -> str:
    return "\u2013" if value is None else f"{value:.3f}".replace("-", "\u2212")


def _amount(read: Mapping[str, Any]) -> str:
    texts = "" if read["texts"] is None else f"{read['texts']:,} texts, "
    return f"{texts}{read['tokens']:,} tokens" if read["tokens"] else "tokens not known"


def _similarity(record: Mapping[str, Any]) -> Section | None:
    """Return how alike the domains are, over layers."""
    pairs: dict[tuple[str, str], list[tuple[float, float, int]]] = {}
    for layer in record["layers"]:
        for pair in layer["similarity"]:
            key = (pair["domains"][0], pair["domains"][1])
            pairs.setdefault(key, []).append((pair["overlap"], pair["by_chance"], layer["layer"]))
    if not pairs:
        return None
    rows = []
    for (first, second), found in pairs.items():
        low = min(found)
        mean = [sum(values) / len(found) for values in zip(*found, strict=True)]
        lowest = f"{low[0]:.3f} in layer {low[2]}"
        rows.append((cell(f"{first}, {second}"), cell(f"{mean[0]:.3f}"), cell(f"{mean[1]:.3f}"), cell(lowest)))
    caption = (
        "Overlap of two loads: the share of calls that both send to the same experts. By chance: of two samples of one"
        " domain with independent tokens; tokens of a text are not, so real samples of one domain overlap less."
    )
    head = ("domains", "overlap, mean of layers", "by chance", "lowest")
    return Section(title="How alike domains are", blocks=(ReportTable(head=head, rows=tuple(rows), caption=caption),))


def _reading(record: Mapping[str, Any]) -> Section:
    blocks: list[Bullets | ReportTable] = [Bullets(tuple((line,) for line in _READ.splitlines()), kind="note")]
    if "ranks" in record:
        ranks = record["ranks"]
        rows: list[tuple[ReportCell, ...]] = [
            (cell("SGLang's balancedness"), cell(f"{ranks['sglang_balancedness']:.3f}")),
            (cell("vLLM's balancedness"), cell(f"{ranks['vllm_balancedness']:.3f}")),
        ]
        blocks.append(ReportTable(head=(f"{ranks['ranks']} devices", "value"), rows=tuple(rows)))
    if record["without"]:
        blocks.append(Bullets(((f"No call was counted in {', '.join(record['without'])}.",),)))
    if record["notes"]:
        blocks.append(Bullets(tuple((note,) for note in record["notes"])))
    return Section(title="How to read this", blocks=tuple(blocks))


def show_routing(record: Mapping[str, Any], console: Console | None = None) -> None:
    """Print a routing record to ``console``, standard output by default."""
    console = console or Console()
    amounts = "; ".join(f"{name}: {_amount(read)}" for name, read in record["domains"].items())
    console.print(f"\n[bold]{escape_markup(str(record['source']))}[/] {escape_markup(amounts)}", highlight=False)
    names = ["all", *record["domains"]] if len(record["domains"]) > 1 else list(record["domains"])
    for name in names:
        grid = Grid(title=escape_markup(name), title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for place in _SHOWN:
            grid.add_column(_HEAD[place], justify="left" if place == 0 else "right")
        for layer in record["layers"]:
            words = _row(layer, name)
            grid.add_row(*(escape_markup(words[place]) for place in _SHOWN))
        console.print(grid)
    for line in (*record["notes"], *(f"no call in {name}" for name in record["without"])):
        console.print(f"[yellow]{escape_markup(line)}[/]", highlight=False)
