"""Every mixture-of-experts family that transformers ships: the same at rest, and steered, limited and counted right.

Each is built tiny from its configuration (docs/make_families.py, which writes the table of the docs from the same
models).
"""

import contextlib
import copy
import importlib.util
import re
import sys
from pathlib import Path

import pytest
import torch
import transformers

from trimtab.errors import UnsupportedModelError
from trimtab.moe.attach import attach
from trimtab.moe.discovery import find_routers
from trimtab.moe.gates import Gates
from trimtab.moe.routing import scores_of
from trimtab.settings.capacities import Capacity
from trimtab.settings.rules import LossFree, NoBalancer, RouterZLoss, Stack, SwitchLoss

PAGE = Path(__file__).parent.parent.parent / "docs" / "make_families.py"


def load():
    location = importlib.util.spec_from_file_location("make_families", PAGE)
    module = importlib.util.module_from_spec(location)
    sys.modules[location.name] = module  # dataclasses look their module up
    location.loader.exec_module(module)
    return module


page = load()
TEXT = torch.randint(3, 64, (2, 8), generator=torch.Generator().manual_seed(0))
REFUSED = {"doge", "jetmoe", "nllb_moe", "switch_transformers", "vitpose_backbone", "zaya"}
OWN_WEIGHTS = {"phimoe"}
SUPPORTED = [family for family in page.families() if family not in REFUSED]


@pytest.fixture(autouse=True)
def quiet():
    before = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    yield
    transformers.logging.set_verbosity(before)


def out(model):
    result = model(input_ids=TEXT, use_cache=False)
    return result.logits if "logits" in result else result.last_hidden_state


def kept_and_routed(gates):
    return [(gate.tally.kept, gate.tally.routed) for gate in gates._gates]


@pytest.mark.filterwarnings("ignore")  # of transformers, about how some of these models are written
@pytest.mark.parametrize("family", SUPPORTED)
def test_a_family_is_the_same_at_rest_then_steered_limited_and_counted(family):
    model = page.build(family)
    rule = NoBalancer() if family in OWN_WEIGHTS else LossFree(bias_update_rate=1e-3)
    with torch.no_grad():
        before = out(model)
        gates = attach(model, balancer=rule)
        assert torch.equal(out(model), before)
        for gate in gates._gates if gates.balancer.has_bias else ():
            gate.bias[-1] = 1e3
        with gates.measure() as lines:
            out(model)
        # The last expert, raised above all in every layer: everybody calls it.
        steered = [line["load"][-1] == line["tokens"] for line in lines if line["tokens"]]
        assert all(steered) if gates.balancer.has_bias else lines
        for gate in gates._gates if gates.balancer.has_bias else ():
            gate.bias[-1] = 0
        gates.detach()
        assert torch.equal(out(model), before)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    limited(model, before)


def limited(model, before):
    """Half the room: half the calls at least are dropped, and the output differs; each call is counted once."""
    gates = attach(model, balancer=SwitchLoss(coef=0.1), capacity=Capacity(factor=0.5))
    model.train()
    changed = out(model)
    changed.float().square().mean().backward()
    counted = [(kept, routed) for kept, routed in kept_and_routed(gates) if int(routed.sum())]
    assert counted  # the vision experts of a model that reads text are never called
    per_token = gates.routers[0].num_experts_per_tok
    assert all(int(routed.sum()) == TEXT.numel() * per_token for _, routed in counted)
    assert all(int(kept.sum()) <= 0.5 * int(routed.sum()) + len(kept) for kept, routed in counted)
    assert not torch.allclose(changed.detach(), before, atol=1e-6)
    router = gates.routers[-1] if len(counted) == len(gates.routers) else gates.routers[0]
    assert bool(router.module.get_parameter(router.weight_name).grad.any())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("family", sorted(REFUSED))
def test_what_is_not_supported_says_why(family):
    model = page.build(family)
    with pytest.raises(UnsupportedModelError) as caught:
        attach(model, balancer=LossFree(bias_update_rate=1e-3))
    assert len(caught.value.message) > 20


def test_weights_of_ones_own_refuse_a_bias_and_take_a_loss():
    """SparseMixer (Phi-3.5-MoE) defines weights for its own choice alone."""
    with pytest.raises(UnsupportedModelError, match="way of its own"):
        attach(page.build("phimoe"), balancer=LossFree(bias_update_rate=1e-3))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("family", SUPPORTED)
def test_a_layer_is_recorded_and_counted_once_under_checkpointing(family):
    """transformers records logits, and a gate counts, once a layer, though checkpointing calls its router twice."""
    model = page.build(family).train()
    gates = attach(model, balancer=NoBalancer())
    with contextlib.suppress(ValueError):  # DiffusionGemma says that it can, and cannot
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    try:
        out = model(input_ids=TEXT, use_cache=False, output_router_logits=True)
    except TypeError:  # it returns none
        out = model(input_ids=TEXT, use_cache=False)
    (out.logits if "logits" in out else out.last_hidden_state).float().square().mean().backward()
    per_token = gates.routers[0].num_experts_per_tok
    called = {layer for layer, load in gates.loads().items() if load.any()}
    assert called
    assert all(int(gates.loads()[layer].sum()) == per_token * TEXT.numel() for layer in called)
    recorded = getattr(out, "router_logits", None)
    assert recorded is None or len(recorded) == len(called)


@pytest.mark.filterwarnings("ignore")
def test_the_tables_of_the_docs_are_current():
    """All of the first table; of the others, which train and save each family, a row of each kind."""
    text = page.TARGET.read_text()
    trials, parities = rows_of(text, "## What was tried"), rows_of(text, "## Parity")
    assert sorted(trials) == sorted(parities) == SUPPORTED
    for family in ("mixtral", "phimoe"):
        trials[family] = page.tried(family)
    parities["llama4"] = page.parity("llama4")
    assert text == page.render(trials, parities), "run `make docs`"


def rows_of(text, heading):
    rows = text.partition(heading)[2].partition("\n## ")[0].splitlines()
    return {row.split(" ")[1]: row for row in rows if row.startswith("| ") and not row.startswith("| family")}


def test_a_difference_in_parity_is_in_capitals():
    measures = page._parity().MEASURES
    row = page.parity_row("x", {"eager": dict.fromkeys(measures, 0.0), "grouped_mm": dict.fromkeys(measures, 1e-6)})
    assert row.count("eager, GROUPED_MM DIFFERS BY 1e-06") == len(measures)
    assert page.parity_row("x", {"eager": dict.fromkeys(measures)}).count("none") == len(measures)


def test_nothing_that_was_tried_went_wrong():
    """A cell in capitals is a fault of ours."""
    rows = page.TARGET.read_text().partition("## What was tried")[2].splitlines()
    cells = [row for row in rows if row.startswith("| ")]
    assert len(cells) > len(SUPPORTED)
    assert not [row for row in cells if re.search(r"[A-Z]{4}", re.sub(r"`.*?`|LoRA|[A-Z][a-z]+[A-Z]\w+", "", row))]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("family", ["gpt_oss", "gemma4", "jamba", "llama4", "mistral4", "deepseek_v2", "dbrx"])
def test_an_added_bias_weighs_as_the_router_would_have_weighed_that_choice(family):
    """Moved logits are the oracle: a router whose own logits make the same choice has the same weights, as formula."""
    model = page.build(family)
    router = find_routers(model)[-1]
    heard = []
    handle = router.port.listen(router.module, lambda l, w, e: heard.append((l, w, e)) or (w, e))
    with torch.no_grad():
        out(model)
    handle()
    logits, weights, experts = heard[-1]
    scores = scores_of(logits, router.score_function)
    assert torch.equal(router.choose(scores).sort(1).values, experts.sort(1).values)
    assert torch.allclose(router.weights_of(scores, experts), weights.float(), atol=1e-5)


def losses_of(model, gates, steps=2):
    """Counts of a few steps, and the output after them."""
    model.train()
    for _ in range(steps):
        out(model).double().square().mean().backward()
        model.zero_grad()
        gates.update()
    model.eval()
    with torch.no_grad():
        return [line["max_violation"] for line in gates.metrics()], out(model)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("family", ["deepseek_v2", "gpt_oss", "jamba", "gemma4", "minimax_m2"])
def test_a_model_in_double_precision_counts_and_learns_as_in_single(family):
    found = []
    for wide in (False, True):
        model = page.build(family)
        model.set_experts_implementation("eager")  # grouped_mm refuses float64, on its own and in its own words
        if wide:
            model.double()
        gates = attach(model, balancer=LossFree(bias_update_rate=1e-2))
        found.append((*losses_of(model, gates), gates.biases()))
        assert all(bias.dtype == torch.float32 for bias in gates.biases().values())
    assert found[0][0] == found[1][0]
    assert torch.allclose(found[0][1], found[1][1].float(), atol=1e-3)
    for layer, bias in found[0][2].items():
        assert torch.equal(bias, found[1][2][layer])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("family", ["gemma4", "diffusion_gemma"])
def test_probabilities_in_place_of_logits_refuse_a_loss_about_their_size(family):
    """Their logarithms are the logits up to a number a token, which softmax, and so every other rule, does not see."""
    model = page.build(family)
    with pytest.raises(UnsupportedModelError, match="probabilities in place of logits"):
        attach(model, balancer=RouterZLoss(coef=0.1))
    with pytest.raises(UnsupportedModelError, match="probabilities in place of logits"):
        attach(model, balancer=Stack(LossFree(bias_update_rate=1e-2), RouterZLoss(coef=0.1)))
    gates = attach(model, balancer=SwitchLoss(coef=0.1))
    losses_of(model, gates)
    assert float(gates.penalty()) > 0


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("noise", [0.0, 0.01, 100.0])
def test_sparse_mixer_is_counted_by_what_it_drew(noise):
    """PhiMoE draws its experts in training, above a threshold of its own: no top-k of logits would count them."""
    model = page.build("phimoe")
    gates = attach(model, balancer=SwitchLoss(coef=0.1))
    drawn = {}
    for router in gates.routers:
        router.module.router_jitter_noise = noise
        router.module.register_forward_hook(
            lambda _module, _args, output, layer=router.layer: drawn.update({layer: output[2]})
        )
    model.train()
    out(model).square().mean().backward()
    for layer, calls in gates.loads().items():
        assert torch.equal(calls, torch.bincount(drawn[layer].flatten(), minlength=8))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "family", ["mixtral", "gpt_oss", "jamba", "ernie4_5_moe", "ernie4_5_vl_moe", "diffusion_gemma"]
)
def test_what_a_model_records_of_its_routers_is_the_same_attached(family):
    """One table a router that was called, of logits or of probabilities, as the family has it: trimtab changes none."""
    model = page.build(family).eval()
    with torch.no_grad():
        before = model(input_ids=TEXT, use_cache=False, output_router_logits=True).router_logits
        gates = attach(model, balancer=LossFree(bias_update_rate=1e-2))
        for gate in gates._gates:
            gate.bias.copy_(torch.linspace(-0.5, 0.5, len(gate.bias)))
        after = model(input_ids=TEXT, use_cache=False, output_router_logits=True).router_logits
    assert len(before) == len(after)
    assert torch.equal(before[0], after[0])  # later ones see what other experts made
    assert all(left.shape == right.shape for left, right in zip(before, after, strict=True))


SAMPLE = ["dbrx", "deepseek_v2", "ernie4_5_moe", "gpt_oss", "inkling", "jamba", "lfm2_moe", "llama4", "longcat_flash"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("family", SAMPLE)
def test_a_copy_of_any_family_stands_by_itself(family):
    model = page.build(family)
    gates = attach(model, balancer=LossFree(bias_update_rate=0.05))
    losses_of(model, gates, steps=1)
    other = copy.deepcopy(model)
    with torch.no_grad():
        before = out(model)
        assert torch.equal(out(other), before)
    losses_of(model, gates)
    with torch.no_grad():
        assert torch.equal(out(other), before)
    losses_of(other, Gates.of(other))
    Gates.of(other).assert_active()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("family", ["afmoe", "ernie4_5_moe"])
def test_a_bias_that_is_a_parameter_can_be_lent_for_a_call(family):
    model = page.build(family)
    gates = attach(model, balancer=LossFree(bias_update_rate=0.05))
    losses_of(model, gates, steps=1)
    before = gates.biases()
    lent = {name: 2 * tensor.detach() for name, tensor in model.named_parameters()}
    with torch.no_grad():
        found = torch.func.functional_call(model.eval(), lent, (), {"input_ids": TEXT, "use_cache": False}).logits
    for layer, bias in gates.biases().items():
        assert torch.equal(bias, before[layer])
    gates.detach()
    with torch.no_grad():
        expected = torch.func.functional_call(model, lent, (), {"input_ids": TEXT, "use_cache": False}).logits
    assert torch.equal(found, expected)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("family", ["deepseek_v2", "gpt_oss", "jamba", "ernie4_5_moe", "qwen3_next"])
def test_forms_of_a_mask_agree_in_other_families(family):
    mask = torch.ones(2, 8, dtype=torch.long)
    mask[0, :3] = 0
    causal = torch.ones(8, 8).tril().bool()[None, None] & mask.bool()[:, None, None]
    added = torch.zeros(causal.shape).masked_fill(~causal, torch.finfo(torch.float32).min)
    forms = [mask] if family == "qwen3_next" else [mask, causal, added]  # its linear layers read columns alone
    for form in forms:
        model = page.build(family).train()
        gates = attach(model, balancer=LossFree(bias_update_rate=1e-2))
        model(input_ids=TEXT, attention_mask=form, use_cache=False)
        calls = gates.routers[0].num_experts_per_tok * 13
        assert all(int(load.sum()) == calls for load in gates.loads().values())
