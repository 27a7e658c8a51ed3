"""Over every family: a stress does by function what it says, says what it changed, and never changes nothing."""

import copy
import importlib.util
import re
import sys
import warnings
from pathlib import Path

import pytest
import torch

from trimtab.errors import BalancerWarning, ConfigurationError, UnsupportedModelError
from trimtab.moe.attach import attach
from trimtab.moe.discovery import find_routers
from trimtab.moe.expert_layout import expert_layout
from trimtab.moe.stresses import initialize
from trimtab.moe.upcycled_init import matrices_by_column
from trimtab.settings.initializations import (
    CollapsedInputs,
    DeadExpert,
    DepthScaled,
    DropUpcycled,
    IdenticalExperts,
    Random,
    ScaledRouter,
    SkewedRouter,
    TwinRows,
    VirtualGroups,
)
from trimtab.settings.rules import LossFree, NoBalancer, SimBal

PAGE = Path(__file__).parents[2] / "docs" / "make_families.py"
specification = importlib.util.spec_from_file_location("make_families_for_stresses", PAGE)
page = importlib.util.module_from_spec(specification)
sys.modules[specification.name] = page
specification.loader.exec_module(page)

TABLE = page.TARGET.read_text().split("## Not supported")[0]
SUPPORTED = [line.split("|")[1].strip() for line in TABLE.splitlines() if re.match(r"\| (?!family)", line)]
TEXT = torch.randint(3, 60, (2, 12), generator=torch.Generator().manual_seed(1))
ZERO_ROUTERS = {"afmoe", "ernie4_5_moe"}
SILENT = [ScaledRouter(factor=10.0), TwinRows(groups=2), IdenticalExperts(), DropUpcycled(), VirtualGroups()]

pytestmark = pytest.mark.filterwarnings("ignore")  # of transformers, about how some of these models are written


def apply(init, model, seed=0):
    return initialize(model, init, TEXT, torch.Generator().manual_seed(seed))


def loud(family):
    """A model of the family in which nothing is zero: biases speak, as in any trained model."""
    model = page.build(family)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for router in find_routers(model):
            for parameter in [*router.experts.parameters(), router.weight]:
                parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return model


@torch.no_grad()
def forced(model, experts, weights):
    """Output of the model, and the router, when the first router called sends every token to ``experts`` [K]."""
    called, undo = [], []
    for router in find_routers(model):

        def decide(_logits, weights_TK, experts_TK, router=router):
            called.append(router)
            if called[0] is not router:
                return weights_TK, experts_TK
            asked = weights_TK.new_tensor(weights), experts_TK.new_tensor(experts)
            return asked[0].repeat(len(weights_TK), 1), asked[1].repeat(len(experts_TK), 1)

        undo.append(router.port.listen(router.module, decide))
    output = model.eval()(input_ids=TEXT, use_cache=False)
    for stop in undo:
        stop()
    return (output.logits if hasattr(output, "logits") else output[0]).float(), called[0].name


def attempt(init, model):
    """The reason why not, or the record."""
    try:
        return "", apply(init, model)
    except ConfigurationError as error:
        return error.message, None


def changed(model, before):
    return {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}


@pytest.mark.parametrize("family", SUPPORTED)
def test_identical_experts_do_the_same_whatever_the_routing(family):
    model = loud(family)
    router = find_routers(model)[0]
    top_k, count = router.num_experts_per_tok, expert_layout(router).count
    choices = [list(range(top_k)), list(range(count - top_k, count))]
    weights = [1 / top_k] * top_k
    plain = [forced(model, choice, weights)[0] for choice in choices]
    assert not torch.allclose(*plain, atol=1e-4)
    if count < router.num_experts:
        with pytest.raises(ConfigurationError, match="have no weights"):
            apply(IdenticalExperts(), model)
        return
    apply(IdenticalExperts(), model)
    assert torch.allclose(*(forced(model, choice, weights)[0] for choice in choices), atol=1e-5)
    # Copies of an expert, not of one of its rows: each matrix has the rank it had.
    for parts in expert_layout(router).pieces.values():
        assert parts[0].ndim == 1 or int(torch.linalg.matrix_rank(parts[0])) == min(parts[0].shape)
    with pytest.raises(ConfigurationError, match=r"would change nothing at .*: it is so already"):
        apply(IdenticalExperts(), model)


@pytest.mark.parametrize("family", SUPPORTED)
def test_a_dead_expert_says_nothing_biases_included(family):
    model = loud(family)
    before = copy.deepcopy(model.state_dict())
    if family == "ernie4_5_vl_moe":
        with pytest.raises(ConfigurationError, match=r"vision_moe.gate was not called on the sample"):
            apply(DeadExpert(), model)
        assert not changed(model, before)
        return
    record = apply(DeadExpert(), model)
    router = find_routers(model)[0]
    (dead,) = record.experts[router.name]
    top_k = router.num_experts_per_tok
    others = [expert for expert in range(expert_layout(router).count) if expert != dead][:top_k]
    alone, nobody = [1.0] + [0.0] * (top_k - 1), [0.0] * top_k
    silent, name = forced(model, [dead, *others[: top_k - 1]], alone)
    assert name == router.name
    assert torch.allclose(silent, forced(model, [dead, *others[: top_k - 1]], nobody)[0], atol=1e-6)
    assert not torch.allclose(silent, forced(model, others, alone)[0], atol=1e-4)


@pytest.mark.parametrize("family", SUPPORTED)
def test_a_record_names_what_changed_and_nothing_else_did(family):
    for init in SILENT:
        model = loud(family)
        before = copy.deepcopy(model.state_dict())
        refusal, record = attempt(init, model)
        if refusal:
            assert type(init).__name__ in refusal
            assert not changed(model, before), "refused, and yet written"
            continue
        names = changed(model, before)
        told = {entry.tensor.split("[")[0].split(":")[0] for entry in record.written if entry.changed}
        assert {name for name in names if "e_score" not in name and "expert_bias" not in name} == told
        layers = {entry.part for entry in record.written if entry.changed}
        assert layers == {router.name for router in find_routers(model)}
        assert record.changed == sum(int((model.state_dict()[n] != before[n]).sum()) for n in names)
        if isinstance(init, VirtualGroups):
            top_k = find_routers(model)[0].num_experts_per_tok
            choices = [list(range(top_k)), list(range(8 - top_k, 8))]
            pairs = [forced(model, choice, [1 / top_k] * top_k)[0] for choice in choices]
            assert torch.allclose(*pairs, atol=1e-4)
        if isinstance(init, TwinRows):
            for router in find_routers(model):
                assert len(router.weight.unique(dim=0)) == 2
        if isinstance(init, DropUpcycled):
            layout = expert_layout(find_routers(model)[0])
            matrices = list(matrices_by_column(layout, init).values())
            for expert in range(1, layout.count):
                # What an expert and the first one share are the columns that neither drew, the same in all matrices.
                drawn = [(views[expert] != views[0]).any(1) for views in matrices]
                assert all(torch.equal(drawn[0], each) for each in drawn)
                assert 0 < int(drawn[0].sum()) <= len(drawn[0])


NOT_SCALED_BY_DEPTH = {
    **dict.fromkeys(("afmoe", "diffusion_gemma", "flex_olmo", "gemma4", "minimax"), "a norm behind its projections"),
    **dict.fromkeys(
        ("deepseek_v4", "glm5_next", "hy_v4", "inkling", "qwen4_exp"), "no output projection of a known name"
    ),
    "longcat_flash": "no list of 6 layers",
}


@pytest.mark.parametrize("family", SUPPORTED)
def test_depth_scales_what_the_first_layer_adds_or_is_refused(family):
    model = page.build(family)
    before = copy.deepcopy(model.state_dict())
    refusal, record = attempt(DepthScaled(), model)
    if family in NOT_SCALED_BY_DEPTH:
        assert NOT_SCALED_BY_DEPTH[family] in refusal
        assert not changed(model, before)
        return
    assert not refusal
    name = record.written[0].part
    scaled = added(model, name)
    model.load_state_dict(before)
    depth = len({entry.part for entry in record.written})
    assert scaled / added(model, name) == pytest.approx(depth**-0.5, rel=0.15)


@torch.no_grad()
def added(model, name):
    """The norm of what a layer adds to its input."""
    found = []

    def note(_module, args, kwargs, output):
        before = args[0] if args else kwargs["hidden_states"]
        found.append(float(((output[0] if isinstance(output, tuple) else output) - before).norm()))

    handle = model.get_submodule(name).register_forward_hook(note, with_kwargs=True)
    model.eval()(input_ids=TEXT, use_cache=False)
    handle.remove()
    return found[0]


@pytest.mark.parametrize("family", sorted(ZERO_ROUTERS))
def test_a_fresh_router_of_zeros_is_said_and_not_scaled(family):
    model = page.build(family)
    assert not any(router.weight.any() for router in find_routers(model))
    with pytest.warns(BalancerWarning, match="are all zero"):
        record = apply(Random(), model)
    assert record.zero_routers == tuple(router.name for router in find_routers(model))
    assert not record.written
    for init in (ScaledRouter(factor=100.0), TwinRows(groups=2), TwinRows(groups=2, noise=0.1)):
        with pytest.raises(ConfigurationError, match="its rows are all zero") as caught:
            apply(init, model)
        assert "SkewedRouter" in caught.value.hint
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not apply(SkewedRouter(), model).zero_routers


def test_families_with_fresh_routers_of_zeros_are_these():
    found = {f for f in SUPPORTED if any(not router.weight.any() for router in find_routers(page.build(f)))}
    assert found == ZERO_ROUTERS


@pytest.mark.parametrize(
    ("init", "reason"),
    [
        (ScaledRouter(factor=1.0), "leaves the rows of"),
        (SkewedRouter(shift=0.0), "favors no expert of"),
        (SkewedRouter(shift=1e-30), "is so already"),
        (SkewedRouter(shift=1e300), "not finite in torch.float32"),
        (ScaledRouter(factor=1e300), "not finite in torch.float32"),
        (TwinRows(groups=8), "nobody a twin"),
    ],
    ids=repr,
)
def test_a_stress_that_would_do_nothing_or_damage_is_refused_before_anything_is_written(init, reason):
    model = page.build("glm4_moe")
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ConfigurationError, match=reason):
        apply(init, model)
    assert not changed(model, before)


def test_a_refusal_leaves_the_generator_of_draws_free_and_a_stress_draws_once():
    generator, other = torch.Generator().manual_seed(3), torch.Generator().manual_seed(3)
    record = initialize(page.build("glm4_moe"), SkewedRouter(), TEXT, generator)
    routers = find_routers(page.build("glm4_moe"))
    assert record.experts == {router.name: (int(torch.randperm(8, generator=other)[0]),) for router in routers}
    assert torch.equal(generator.get_state(), other.get_state())


def test_a_model_without_routers_or_with_gates_is_refused():
    dense = torch.nn.Linear(2, 2)
    with pytest.raises(ConfigurationError, match="has no router"):
        apply(SkewedRouter(), dense)
    assert not apply(Random(), dense).written
    model = page.build("qwen3_moe")
    gates = attach(model, balancer=NoBalancer())
    for init in (ScaledRouter(factor=2.0), TwinRows(groups=2), IdenticalExperts(), SkewedRouter(), DeadExpert()):
        with pytest.raises(ConfigurationError, match="is attached already"):
            apply(init, model)
    gates.detach()
    assert apply(ScaledRouter(factor=2.0), model).changed


def test_twins_are_twins_in_everything_that_treats_experts_apart():
    for family, vector in (
        ("gpt_oss", "bias"),
        ("gemma4", "per_expert_scale"),
        ("glm4_moe", "e_score_correction_bias"),
    ):
        model = page.build(family)
        with torch.no_grad():
            for router in find_routers(model):
                getattr(router.module, vector).copy_(torch.randn(8, generator=torch.Generator().manual_seed(1)))
        apply(TwinRows(groups=3), model)
        for router in find_routers(model):
            joined = torch.cat([router.weight, getattr(router.module, vector)[:, None]], 1)
            assert len(joined.unique(dim=0)) == 3, family


def test_logits_are_scaled_whole():
    model, fresh = page.build("gpt_oss"), page.build("gpt_oss")
    apply(ScaledRouter(factor=10.0), model)
    for ours, theirs in zip(find_routers(model), find_routers(fresh), strict=True):
        assert torch.allclose(ours.module.bias, 10 * theirs.module.bias)


def test_packed_numbers_are_refused_by_name():
    model = page.build("qwen3_moe")
    router = find_routers(model)[0]
    router.experts.down_proj = torch.nn.Parameter(router.experts.down_proj.data.to(torch.uint8), requires_grad=False)
    with pytest.raises(ConfigurationError, match=r"experts.down_proj\[\d\] is stored as torch.uint8") as caught:
        apply(DeadExpert(), model)
    assert "quantized" in caught.value.hint


class Packed(torch.Tensor):
    """Numbers that say they are floats and are stored otherwise, as those of torchao and quanto."""


def test_routers_whose_numbers_are_of_a_class_of_their_own_are_refused_as_quantized():
    model = page.build("jamba")
    router = find_routers(model)[0]
    router.module.weight = torch.nn.Parameter(router.weight.detach().clone().as_subclass(Packed))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for init in (ScaledRouter(factor=10.0), DeadExpert(), SkewedRouter()):
        with pytest.raises(ConfigurationError, match=r"router is quantized \(Packed\)"):
            apply(init, model)
    assert not changed(model, before)
    with pytest.raises(UnsupportedModelError, match=r"quantized \(Packed\): SimBal"):
        attach(model, balancer=SimBal(coef=0.1))
    attach(model, balancer=LossFree(bias_update_rate=0.01))


def test_adapters_in_front_of_what_would_be_written_are_refused_and_others_are_not():
    peft = pytest.importorskip("peft")
    attention = peft.get_peft_model(page.build("qwen3_moe"), peft.LoraConfig(target_modules=["q_proj", "v_proj"]))
    for init in (ScaledRouter(factor=2.0), SkewedRouter(), DeadExpert(), IdenticalExperts(), CollapsedInputs()):
        before = copy.deepcopy(attention.state_dict())
        record = apply(init, attention)
        assert all(name in attention.state_dict() for name in changed(attention, before))
        assert record.changed == sum(int((attention.state_dict()[n] != before[n]).sum()) for n in before)
        assert not any("lora" in name for name in changed(attention, before))
    output = peft.get_peft_model(page.build("qwen3_moe"), peft.LoraConfig(target_modules=["o_proj"]))
    before = copy.deepcopy(output.state_dict())
    with pytest.raises(ConfigurationError, match="is wrapped by Linear") as caught:
        apply(DepthScaled(), output)
    assert "first" in caught.value.hint
    experts = peft.get_peft_model(
        page.build("qwen3_moe"), peft.LoraConfig(target_modules=[], target_parameters=["experts.down_proj"])
    )
    for model, init in ((output, DepthScaled()), (experts, IdenticalExperts()), (experts, DeadExpert())):
        before = copy.deepcopy(model.state_dict())
        refusal, _ = attempt(init, model)
        # The tensors under the adapters are found, or nothing is written.
        names = changed(model, before)
        assert bool(names) != bool(refusal)
        assert not any("lora" in name for name in names)
