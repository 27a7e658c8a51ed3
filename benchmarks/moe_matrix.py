"""Stress test of attaching: family x wrapping x dtype x checkpointing x accumulation x mask x experts x rule x saving.

Every combination is tried on a tiny model. Loads, biases, choices, logits at rest and the saved state are compared with
a plain model whose experts are listened to by hooks and counted by numpy (``plain_routing.py``), which uses nothing of
trimtab. An outcome is one of

* ``right``: everything agrees;
* ``refused``: trimtab raised an error of its own, which is quoted;
* ``said``: it went on and warned that it does not know something, and that figure differs;
* ``wrong``: a figure differs, which is named;
* ``broke``: something else was raised by trimtab's part;
* ``not there``: the plain model itself cannot do it (peft has nothing to adapt, no float64 kernel, ...).

A few thousand combinations, drawn at random with a fixed seed, the same number for each family::

    python benchmarks/moe_matrix.py --each 60 --out runs/matrix.jsonl

It can be stopped at any moment; the same command goes on. ``--only FAMILY`` and ``--again OUTCOME`` repeat a part.
"""

from __future__ import annotations

import argparse
import collections
import hashlib
import itertools
import json
import random
import re
import tempfile
import time
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import transformers

import plain_routing as plain
import trimtab
from trimtab.errors import BalancerWarning, TrimtabError
from trimtab.moe.attach import attach

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from torch import nn

    from trimtab.moe.gates import Gates

RATE = 1 / 64  # a binary fraction: a step is exact in float32
RULES = {
    "loss-free": lambda: trimtab.LossFree(bias_update_rate=RATE),
    "none": trimtab.NoBalancer,
    "switch": lambda: trimtab.SwitchLoss(coef=1e-2),
}
AXES: dict[str, tuple[Any, ...]] = {
    "wrapping": plain.WRAPPINGS,
    "dtype": tuple(plain.DTYPES),
    "checkpointing": ("none", "reentrant", "not reentrant"),
    "accumulation": (1, 2, 3),
    "form": plain.FORMS,
    "experts": ("default", "eager", "grouped_mm", "batched_mm"),
    "rule": ("loss-free", "loss-free", "none", "switch"),
    "save": (False, True),
}
REFUSED = {"doge", "jetmoe", "nllb_moe", "switch_transformers", "vitpose_backbone", "zaya"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Combination:
    """A cell of the matrix."""

    family: str
    wrapping: str
    dtype: str
    checkpointing: str
    accumulation: int
    form: str
    experts: str
    rule: str
    save: bool

    @property
    def key(self) -> str:
        """Its name in the file of outcomes."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]


class Differs(Exception):  # noqa: N818 - an outcome
    """A figure is not what it has to be."""


class NotThere(Exception):  # noqa: N818 - an outcome
    """The plain model itself cannot do it."""


def draw(families: list[str], each: int, seed: int) -> Iterator[Combination]:
    """Yield the same combinations for the same seed, every family in turn; more of them begin with the same ones."""
    chances = {family: random.Random(f"{seed} {family}") for family in families}
    for _, (family, chance) in itertools.product(range(each), chances.items()):
        drawn = {name: chance.choice(values) for name, values in AXES.items()}
        if drawn["dtype"] == "float64":  # grouped_mm, which is the default too, has none
            drawn["experts"] = chance.choice(("eager", "batched_mm"))
        if family in {"aria", "dbrx", "llama4"}:  # their experts have one implementation
            drawn["experts"] = "default"
        if drawn["wrapping"] == "compile" and chance.random() < 0.8:  # takes as long as twenty others
            drawn["wrapping"] = "none"
        yield Combination(family=family, **drawn)


def run(combination: Combination) -> dict[str, Any]:
    """Return the outcome of one combination."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    started = time.process_time()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        outcome, why = _outcome(combination)
    own = [str(each.message) for each in caught if issubclass(each.category, BalancerWarning)]
    unknown = [text for text in own if "step of" not in text and "mean softmax score" not in text]
    if outcome == "wrong" and unknown:
        outcome, why = "said", f"{why}; warned: {unknown[0]}"
    spent = round(time.process_time() - started, 3)
    return {"key": combination.key, "outcome": outcome, "why": why[:600], **asdict(combination), "cpu_s": spent}


def _outcome(combination: Combination) -> tuple[str, str]:
    try:
        Trial(combination).check()
    except Differs as error:
        return "wrong", str(error)
    except NotThere as error:
        return "not there", f"{error}: {error.__cause__!r}"
    except TrimtabError as error:
        return "refused", f"{type(error).__name__}: {error.message}"
    except Exception as error:  # noqa: BLE001 - the outcome of a combination
        return "broke", f"{type(error).__name__}: {error}"
    finally:
        if combination.wrapping == "compile":
            torch._dynamo.reset()  # noqa: SLF001
    return "right", ""


class Trial:
    """One combination, carried out on a plain model and on one that is attached to."""

    def __init__(self, combination: Combination) -> None:
        self.asked = combination
        self.dtype = plain.DTYPES[combination.dtype]
        self.text = plain.text_of(combination.form)
        self.with_bias = combination.rule == "loss-free"

    def check(self) -> None:
        """Carry it out.

        Raises:
            Differs, NotThere: As their names say.
            TrimtabError: It was refused.
        """
        reference, at_rest, loads = self._plain()
        model, gates, bare = self._attached()
        copied = plain.unpolluted(model) if self.asked.wrapping == "deepcopy" else None
        self._same(at_rest, self._logits(model), "logits at rest")
        self._checkpointing(model)
        self._train(model, gates, loads, "loads")
        before = {self._block(gates, layer): bias.numpy().copy() for layer, bias in gates.biases().items()}
        gates.update()
        biases = self._biases(bare, gates, before, loads)
        if self.with_bias:
            self._second_step(model, gates, reference, biases)
        else:
            self._same(at_rest, self._logits(model), "logits after a step")
        if copied is not None:
            self._same(at_rest, self._logits(copied), "logits of a copy after the original moved")
        if self.asked.save:
            self._save(model, gates, biases)
        gates.detach()
        if not (self.with_bias and plain.natives(bare)):
            self._same(at_rest, self._logits(model), "logits after detach()")

    def _plain(self) -> tuple[nn.Module, NDArray[Any], dict[str, NDArray[np.int64]]]:
        """Return a plain model, its logits and its loads over a step; what it cannot do is not there."""
        try:
            reference = self._wrapped(self._new(), "before")
            reference = self._wrapped(reference, "after")
            at_rest = self._logits(reference)
            if "4-D" in self.asked.form:
                self._understands(reference)
            if self.asked.save and self.asked.wrapping in {"none", "deepcopy", "compile"}:
                self._comes_back(reference, at_rest)
            self._checkpointing(reference)
            loads = self._listen(reference)
        except Exception as error:
            raise NotThere(type(error).__name__) from error
        if not np.isfinite(self._of_text(at_rest)).all():
            raise NotThere("its logits are not finite")
        return reference, at_rest, loads

    def _of_text(self, logits: NDArray[Any]) -> NDArray[Any]:
        return logits.reshape(len(self.text), -1)[self.text]

    def _understands(self, model: nn.Module) -> None:
        """A model that reads a 4-D mask computes for text what it computes under the 2-D one."""
        usual = {"right": "right 2-D", "left ": "left 2-D"}[self.asked.form[:5]]
        left, right = self._logits(model), self._logits(model, usual)
        left, right = self._of_text(left), self._of_text(right)
        if not np.allclose(left, right, atol=0.05 if self.asked.dtype == "bfloat16" else 1e-4):
            raise LookupError("its logits differ under the 2-D mask")

    def _comes_back(self, model: nn.Module, at_rest: NDArray[Any]) -> None:
        """A plain model computes the same when it was saved and loaded."""
        with tempfile.TemporaryDirectory() as folder:
            model.save_pretrained(folder)
            loaded = self._set_experts(type(model).from_pretrained(folder, dtype=self.dtype))
        if not np.array_equal(
            *(each.reshape(len(self.text), -1)[self.text] for each in (at_rest, self._logits(loaded)))
        ):
            raise LookupError("the plain model computes something else when it was saved and loaded")

    def _new(self) -> nn.Module:
        return self._set_experts(plain.build(self.asked.family, self.asked.dtype))

    def _set_experts(self, model: nn.Module) -> nn.Module:
        if self.asked.experts != "default":
            model.set_experts_implementation(self.asked.experts)
        return model

    def _wrapped(self, model: nn.Module, when: str) -> nn.Module:
        kind, _, moment = self.asked.wrapping.partition(", ")
        return plain.adapted(model, kind) if moment == when else model

    def _attached(self) -> tuple[nn.Module, Gates, nn.Module]:
        bare = self._wrapped(self._new(), "before")
        gates = attach(bare, balancer=RULES[self.asked.rule](), accumulation=self.asked.accumulation)
        model = self._wrapped(bare, "after")
        if self.asked.wrapping == "compile":
            model = torch.compile(model, backend="eager")
        return model, gates, bare

    def _ids(self, batch: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(100 + batch)
        return torch.randint(3, 64, (plain.ROWS, plain.COLUMNS), generator=generator)

    def _out(self, model: nn.Module, batch: int, form: str | None = None) -> torch.Tensor:
        given = plain.inputs(form or self.asked.form, self._ids(batch), model, self.dtype)
        torch.manual_seed(batch)
        out = model(**given, use_cache=False)
        return out.logits if "logits" in out else out.last_hidden_state

    def _logits(self, model: nn.Module, form: str | None = None) -> NDArray[Any]:
        model.eval()
        with torch.no_grad():
            return self._out(model, 0, form).double().numpy()

    def _listen(self, model: nn.Module) -> dict[str, NDArray[np.int64]]:
        """Return the loads [E] of a step of training, by hand."""
        with plain.listening(model) as heard:
            self._backward(model)
        return heard.loads(self.text, self._experts(model))

    @staticmethod
    def _experts(model: nn.Module) -> int:
        rows = [value.shape for name, value in model.named_parameters() if ".experts." in name and value.ndim == 3]
        return int(rows[0][0]) if rows else 8

    def _checkpointing(self, model: nn.Module) -> None:
        kind = self.asked.checkpointing
        bare = model.get_base_model() if hasattr(model, "get_base_model") else model
        if kind != "none":
            bare.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": kind == "reentrant"})
            if kind == "reentrant":
                bare.enable_input_require_grads()

    def _backward(self, model: nn.Module) -> None:
        model.train()
        for batch in range(self.asked.accumulation):
            self._out(model, batch).float().square().mean().backward()
        model.zero_grad()

    def _train(
        self, model: nn.Module, gates: Gates, loads: dict[str, NDArray[np.int64]], what: str
    ) -> None:  # fmt: skip
        self._backward(model)
        counted = {self._block(gates, layer): load.numpy() for layer, load in gates.loads().items()}
        self._agree(counted, loads, what)

    @staticmethod
    def _block(gates: Gates, layer: int) -> str:
        return plain.block_of(next(router.name for router in gates.routers if router.layer == layer))

    def _agree(self, got: dict[str, Any], wanted: dict[str, Any], what: str) -> None:
        for block, value in got.items():
            by_hand = wanted.get(block, np.zeros_like(value))
            if len(value) != len(by_hand):
                by_hand = by_hand[: len(value)]  # experts of LongCat-Flash that do nothing come last
            if not np.array_equal(value, by_hand):
                raise Differs(f"{what} of {block}: {value.tolist()}, by hand {by_hand.tolist()}")
        for block in wanted.keys() - got.keys() if self.asked.family != "deepseek_v4" else ():  # it has hash layers
            raise Differs(f"{what}: {block} has experts and no gate")

    def _same(self, wanted: NDArray[Any], got: NDArray[Any], what: str) -> None:
        """Compare the logits of text; what padding computes is nobody's business, and a gate gives it no expert."""
        wanted, got = self._of_text(wanted), self._of_text(got)
        # Padding goes to other experts, so theirs are products of other shapes, which round otherwise.
        rooms = {"float32": 2e-4, "float64": 1e-10, "bfloat16": 0.25}
        # OpenAI's privacy filter computes its experts and its attention in float32 whatever its dtype is.
        inside = "float32" if self.asked.family == "openai_privacy_filter" else self.asked.dtype
        room = 0.0 if self.text.all() else max(rooms[self.asked.dtype], rooms[inside])
        if not (np.array_equal(wanted, got) or np.allclose(wanted, got, rtol=0, atol=room)):
            raise Differs(f"{what} differ by {np.max(np.abs(wanted - got)):.3g}")

    def _biases(
        self,
        bare: nn.Module,
        gates: Gates,
        before: dict[str, NDArray[np.float32]],
        loads: dict[str, NDArray[np.int64]],
    ) -> dict[str, NDArray[np.float32]]:  # fmt: skip
        """Compare the biases after a step with the rule by hand; return them."""
        after = {self._block(gates, layer): bias.numpy() for layer, bias in gates.biases().items()}
        learns = self._learning(bare)
        for block, bias in before.items():
            load = loads.get(block, np.zeros(len(bias), np.int64))[: len(bias)]
            rests = not self.with_bias or block not in learns or not load.any()
            wanted = bias if rests else plain.moved(bias, load, RATE)
            self._agree({block: after[block]}, {block: wanted}, "bias")
        return after

    @staticmethod
    def _learning(model: nn.Module) -> set[str]:
        """Return the blocks whose router learns, itself or through an adapter."""
        names = (name for name, value in model.named_parameters() if value.requires_grad)
        return {plain.block_of(name) for name in names if re.search(r"\.(gate|router)\.", plain.canonical(name))}

    def _second_step(
        self, model: nn.Module, gates: Gates, reference: nn.Module, biases: dict[str, NDArray[np.float32]]
    ) -> None:  # fmt: skip
        """With biases at work: natively, a plain model that holds them is the oracle; else numpy's choice by scores."""
        own = plain.natives(reference)
        if own:
            own_blocks = {plain.block_of(name): tensor for name, tensor in own.items()}
            for block, bias in biases.items():
                held = own_blocks[block]
                held.data = torch.from_numpy(bias.copy()).view(held.shape)
            self._restore_float(reference, biases)
            self._same(self._logits(reference), self._logits(model), "logits with biases")
            self._train(model, gates, self._listen(reference), "loads with biases")
            return
        # A graph that was compiled without our ears has none; Aria's experts are given logits and choose by themselves.
        if self.asked.wrapping == "compile" or self.asked.family == "aria":
            return
        model.train()
        with plain.listening(model) as heard:
            self._backward(model)
        counted = {self._block(gates, layer): load.numpy() for layer, load in gates.loads().items()}
        self._agree(counted, heard.loads(self.text, self._experts(model)), "loads with biases")
        self._chosen(model, gates, biases)

    @staticmethod
    def _restore_float(reference: nn.Module, biases: dict[str, NDArray[np.float32]]) -> None:
        """Give the plain model its biases in float32, whatever its dtype."""
        for name, module in reference.named_modules():
            for key in [*module._buffers, *module._parameters]:  # noqa: SLF001
                full = plain.canonical(f"{name}.{key}")
                held = getattr(module, key)
                if plain.NATIVE.search(full) and held is not None and plain.block_of(full) in biases:
                    value = torch.from_numpy(biases[plain.block_of(full)].copy()).view(held.shape)
                    if isinstance(held, torch.nn.Parameter):
                        held.data = value
                    else:
                        setattr(module, key, value)

    def _chosen(self, model: nn.Module, gates: Gates, biases: dict[str, NDArray[np.float32]]) -> None:
        """Where softmax of input times weight explains a choice at rest, it must explain it with the bias added."""
        margin = {"float32": 1e-5, "float64": 1e-6, "bfloat16": 2e-2}[self.asked.dtype]
        model.eval()
        with plain.listening(model) as heard, torch.no_grad():
            self._out(model, 0)
        for router in gates.routers:
            block = plain.block_of(router.name)
            if block not in heard.inputs or block not in heard.chosen or router.groups is not None:
                continue
            weight = plain.adapted_rows(router.outer, router.module.get_parameter(router.weight_name))
            rows, chosen = heard.inputs[block][-1], np.sort(heard.chosen[block][-1], axis=1)
            if rows.shape[-1] != weight.shape[-1] or type(router.module).__name__ in OTHER_LOGITS:
                continue
            logits = rows @ weight.T
            scores = 1 / (1 + np.exp(-logits)) if router.score_function == "sigmoid" else plain.softmax(logits)
            wanted, gap = plain.top_k(scores + biases[block], chosen.shape[1])
            sure = self.text & (gap > margin)
            if not np.array_equal(wanted[sure], chosen[sure]):
                wrong = int((wanted[sure] != chosen[sure]).any(1).sum())
                raise Differs(f"{block}: {wrong} of {int(sure.sum())} tokens go elsewhere than scores plus bias say")

    def _save(self, model: nn.Module, gates: Gates, biases: dict[str, NDArray[np.float32]]) -> None:
        wanted = self._logits(model)
        with tempfile.TemporaryDirectory() as folder:
            gates.save_pretrained(folder)
            loaded, again = trimtab.load(folder, dtype=self.dtype)
        self._set_experts(loaded)
        held = {self._block(again, layer): bias.numpy() for layer, bias in again.biases().items()}
        self._agree(held, biases, "bias after loading")
        self._same(wanted, self._logits(loaded), "logits after loading")


# Routers that scale, normalize or rotate what they are given before their weight sees it.
OTHER_LOGITS = {"Gemma4TextRouter", "DiffusionGemmaTextRouter", "GptOssTopKRouter", "OpenAIPrivacyFilterTopKRouter"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--each", type=int, default=60, help="combinations of each family")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", action="append", help="a family; repeatable")
    parser.add_argument("--again", action="append", default=[], help="an outcome that is tried again; repeatable")
    parser.add_argument("--out", type=Path, default=Path("runs/matrix.jsonl"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    families = options.only or [each for each in plain.pages().families() if each not in REFUSED]
    options.out.parent.mkdir(parents=True, exist_ok=True)
    done = {}
    if options.out.exists():
        records = (json.loads(line) for line in options.out.read_text().splitlines() if line.endswith("}"))
        done = {record["key"]: record for record in records}
    started, wanted = time.process_time(), list(draw(families, options.each, options.seed))
    with options.out.open("a", encoding="utf-8") as file:
        for combination in wanted:
            if combination.key in done and done[combination.key]["outcome"] not in options.again:
                continue
            done[combination.key] = run(combination)
            file.write(json.dumps(done[combination.key]) + "\n")
            file.flush()
    table([done[each.key] for each in dict.fromkeys(wanted)], time.process_time() - started)


def table(records: list[dict[str, Any]], seconds: float) -> None:
    """Print outcomes by each axis, and what was wrong."""
    outcomes = ("right", "refused", "said", "wrong", "broke", "not there")
    print(f"{len(records)} combinations, {seconds:.0f} CPU seconds in this call")
    for name in ("all", *AXES):
        counts = collections.Counter((r.get(name, ""), r["outcome"]) for r in records)
        for value in dict.fromkeys(r.get(name, "") for r in records):
            words = "  ".join(f"{outcome} {counts[value, outcome]}" for outcome in outcomes)
            print(f"{name:14} {value!s:24} {words}")
    for record in records:
        if record["outcome"] in {"wrong", "broke"}:
            print(json.dumps(record))


if __name__ == "__main__":
    main()
