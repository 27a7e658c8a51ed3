"""Every mixture-of-experts family that transformers ships: the same at rest, and steered, limited and counted right.

Each is built tiny from its configuration (docs/make_families.py, which writes the table of the docs from the same
models).
"""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch
import transformers

from trimtab.errors import UnsupportedModelError
from trimtab.moe.attach import attach
from trimtab.moe.discovery import find_routers
from trimtab.moe.routing import scores_of
from trimtab.settings.capacities import Capacity
from trimtab.settings.rules import LossFree, NoBalancer, SwitchLoss

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


def test_the_table_of_the_docs_is_current():
    assert page.TARGET.read_text() == page.render(), "run `make docs`"


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
