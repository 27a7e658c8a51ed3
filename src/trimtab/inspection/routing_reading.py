"""Read texts with a model and say how its experts were used, layer by layer and domain by domain."""

from __future__ import annotations

import zlib
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from torch.nn import functional

from trimtab.errors import ConfigurationError, UnsupportedModelError
from trimtab.inspection import expert_condition
from trimtab.inspection.call_norms import call_norms
from trimtab.inspection.output_sample import OutputSample
from trimtab.inspection.router_ear import listening
from trimtab.inspection.router_usage import UsageCounter
from trimtab.inspection.token_records import token_writer
from trimtab.inspection.token_windows import batches, stack
from trimtab.inspection.usage_measures import FORMAT, layer_record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from trimtab.inspection.domain_texts import DomainSource
    from trimtab.inspection.inspected_model import InspectedModel
    from trimtab.inspection.router_ear import Listener
    from trimtab.inspection.token_windows import TokenWindow, WindowBatch
    from trimtab.moe.router import Router

# Gradients, masks and experts that cannot be called alone are measured on one window in so many, drawn by name, and at
# most on so many tokens of all domains: it costs reading them again.
_SAMPLED_SHARE: Final = 64
_SAMPLED_TOKENS: Final = 4096
_FEWEST_TOKENS: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingOptions:
    """How texts are read.

    Args:
        window: Most tokens of a row; None for what the model reads, at most 1,024.
        batch_tokens: Most tokens of a batch, padding included.
        max_tokens: Of each domain; None for all.
        health: Whether weights and outputs of experts are measured.
        gradients: Whether the gradient of each expert is measured, on a few hundred tokens.
        start: Median weight norm of the experts of each layer before training, by layer, where it is known.
    """

    window: int | None = None
    batch_tokens: int = 4096
    max_tokens: int | None = None
    health: bool = True
    gradients: bool = False
    start: dict[int, float] | None = None


def read_routing(
    model: InspectedModel,
    sources: Sequence[DomainSource],
    options: ReadingOptions,
    *,
    records: Path | None = None,
    report: Callable[[int], None] = lambda _tokens: None,
) -> dict[str, Any]:
    """Return what the routers did with the texts: plain values, ready for a table, JSON or a page.

    Args:
        model: The model.
        sources: The texts by domain.
        options: How they are read.
        records: Write each token's experts to this file.
        report: Told of the tokens read so far.

    Raises:
        ConfigurationError: A domain holds no text, or ``records`` has no known ending.
        UnsupportedModelError: A router sees other tokens than the model was given.
    """
    domains = [source.domain for source in sources]
    counter = UsageCounter(model.routers, len(domains))
    sample, outputs = _Sample(len(domains)), OutputSample(model.routers if options.health else ())
    read, texts = dict.fromkeys(domains, 0), dict.fromkeys(domains, 0)

    def all_windows() -> Iterator[TokenWindow]:
        for source in sources:
            yield from model.windows(source.texts(), length=options.window, max_tokens=options.max_tokens)

    with ExitStack() as held:
        listened: list[Listener] = [counter]
        writer = None if records is None else held.enter_context(token_writer(records, model.routers, all_windows()))
        listened += [] if writer is None else [writer]
        held.enter_context(torch.inference_mode())
        for listener in listened:
            held.enter_context(listening(model.routers, listener))
        held.enter_context(outputs.listening())
        for batch in batches(all_windows(), batch_tokens=options.batch_tokens, pad=model.pad):
            place_B = torch.tensor([domains.index(window.domain) for window in batch.windows])
            counter.expect(place_B.repeat_interleave(batch.ids.shape[1]), batch.valid)
            outputs.expect(batch)
            model.run(batch)
            if writer is not None:
                writer.write(batch)
            for window in batch.windows:
                sample.offer(window)
                read[window.domain] += len(window.ids)
                texts[window.domain] += window.start == 0
            report(sum(read.values()))
    empty = next((domain for domain, tokens in read.items() if not tokens), None)
    if empty is not None:
        raise ConfigurationError(f"the domain {empty!r} holds no text", hint="a file that is not empty")
    record: dict[str, Any] = {
        "format": FORMAT,
        "source": model.name,
        "kind": "model",
        "model_type": str(model.model.config.model_type),
        "domains": {name: {"texts": texts[name], "tokens": read[name]} for name in domains},
        "layers": [layer_record(usage, domains) for usage in counter.layers.values() if usage.tokens.any()],
        "without": counter.unheard,
        "notes": [],
    }
    if options.health:
        _add_health(record, model, options, outputs, [stack([window], model.pad) for window in sample.windows])
    return record


class _Sample:
    """Windows on which more is measured than loads: few, and of every domain."""

    def __init__(self, domains: int) -> None:
        self.room = _SAMPLED_TOKENS // domains
        self._drawn: dict[str, list[TokenWindow]] = {}
        self._first: dict[str, list[TokenWindow]] = {}

    def offer(self, window: TokenWindow) -> None:
        """Take a window that belongs to the sample; the first ones too, where too few do."""
        if len(window.ids) < 2:
            return  # predicts nothing
        name = f"{window.domain}/{window.name}:{window.start}"
        drawn = zlib.crc32(name.encode()) % _SAMPLED_SHARE == 0
        held = (self._drawn if drawn else self._first).setdefault(window.domain, [])
        if sum(len(other.ids) for other in held) < (self.room if drawn else _FEWEST_TOKENS):
            held.append(window)

    @property
    def windows(self) -> list[TokenWindow]:
        """The sample."""
        taken: list[TokenWindow] = []
        for domain in dict.fromkeys([*self._drawn, *self._first]):
            drawn = self._drawn.get(domain, [])
            few = sum(len(window.ids) for window in drawn) < _FEWEST_TOKENS
            taken += [*drawn, *(self._first.get(domain, []) if few else [])]
        return taken


def start_norms(before: InspectedModel, now: InspectedModel) -> dict[int, float]:
    """Return the median weight norm of the experts of each layer of a model before training.

    Raises:
        ConfigurationError: It is another model: its routers are in other layers, or have other experts.
    """
    shapes = [[(each.layer, each.num_experts) for each in model.routers] for model in (before, now)]
    if shapes[0] != shapes[1]:
        differing = next(
            pair for pair in zip([*shapes[0], None], [*shapes[1], None], strict=False) if pair[0] != pair[1]
        )
        raise ConfigurationError(
            f"{before.name} is no earlier state of {now.name}: (layer, experts) {differing[0]} there and"
            f" {differing[1]} here"
        )
    return {router.layer: float(np.nanmedian(expert_condition.weight_norms(router))) for router in before.routers}


def _squares_by_block(
    routers: Sequence[Router], model: InspectedModel, sample: Sequence[WindowBatch]
) -> dict[int, NDArray[np.float64]]:
    """Return by layer the summed squared norms [E] of what each expert adds to the tokens of ``sample``, read again."""
    squares = {router.layer: np.zeros(router.num_experts) for router in routers}

    def add(router: Router, experts_TK: Tensor, norms_TK: Tensor) -> None:
        values, called = norms_TK.double().square().flatten().cpu(), experts_TK.long().flatten().cpu()
        squares[router.layer] += torch.bincount(called, weights=values, minlength=router.num_experts).numpy()

    with torch.inference_mode(), call_norms(routers, add):
        for batch in sample:
            model.run(batch)
    return squares


def _add_health(
    record: dict[str, Any],
    model: InspectedModel,
    options: ReadingOptions,
    outputs: OutputSample,
    sample: Sequence[WindowBatch],
) -> None:
    """Put norms, shares and flags beside the loads of each layer."""
    health: dict[int, dict[str, Any]] = {router.layer: {} for router in model.routers}
    try:
        norms = {router.layer: expert_condition.weight_norms(router) for router in model.routers}
        for layer, values in expert_condition.norm_record(norms).items():
            health[layer] |= values
    except ConfigurationError as error:
        record["notes"].append(f"weight norms were not measured: {error.message}")
    with torch.inference_mode():
        squares = outputs.squares()
    again = [router for router in model.routers if router.layer in outputs.unmeasured]
    if again:
        squares |= _squares_by_block(again, model, sample)
    for layer, summed in squares.items():
        health[layer]["output_share"] = expert_condition.shares(summed)
    record["health_sample_tokens"] = outputs.tokens
    if options.gradients:
        record["gradient_sample_tokens"] = sum(batch.ids.numel() for batch in sample)
        try:
            with expert_condition.expert_gradients(model.routers) as gradients, torch.enable_grad():
                for batch in sample:
                    loss(model, batch).backward()
            for layer, summed in gradients.items():
                health[layer]["gradient_share"] = expert_condition.shares(summed)
        except ConfigurationError as error:
            record["notes"].append(f"gradient shares were not measured: {error.message}")
        finally:
            model.model.zero_grad(set_to_none=True)
    _flag(record, health, model, options.start, sample)
    for layer in record["layers"]:
        layer["health"] = health[layer["layer"]]


def _flag(
    record: dict[str, Any],
    health: dict[int, dict[str, Any]],
    model: InspectedModel,
    start: dict[int, float] | None,
    sample: Sequence[WindowBatch],
) -> None:
    """Flag layers that died silently, and say what masking them does to the loss of the sample."""
    with_norms = [layer for layer, values in health.items() if "median_norm" in values]
    if len(with_norms) < 2:
        return
    before = None if start is None else [start[layer] for layer in with_norms]
    flags = expert_condition.silent_death([health[layer]["median_norm"] for layer in with_norms], before)
    for layer, flag in zip(with_norms, flags, strict=True):
        health[layer]["silent_death"] = flag
        if flag is False or not sample:
            continue
        try:
            masked = [router for router in model.routers if router.layer == layer]
            with torch.inference_mode():
                whole = sum(float(loss(model, batch)) for batch in sample)
                with listening(masked, lambda decision: torch.zeros_like(decision.weights)):
                    without = sum(float(loss(model, batch)) for batch in sample)
            health[layer]["masking_costs"] = (without - whole) / len(sample)
        except UnsupportedModelError as error:
            record["notes"].append(f"masking was not tried: {error.message}")


def loss(model: InspectedModel, batch: WindowBatch) -> Tensor:
    """Return the mean negative log-likelihood of a batch's tokens, in nats.

    Raises:
        UnsupportedModelError: The model has no language-model head.
    """
    rows = torch.nonzero((batch.mask[:, 1:]).flatten())[:, 0]
    width = batch.ids.shape[1]
    before = rows // (width - 1) * width + rows % (width - 1)
    with model.selected_logits(before) if len(rows) else nullcontext():
        logits = model.run(batch, logits=True).logits
    targets = batch.ids.flatten()[before + 1].to(logits.device)
    return functional.cross_entropy(logits[0].float(), targets)
