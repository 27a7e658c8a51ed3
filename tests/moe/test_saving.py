"""What is attached survives saving and loading, or is missed loudly."""

import importlib.util
import json
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import BitsAndBytesConfig, MixtralConfig, MixtralForCausalLM

import trimtab
from trimtab.errors import ConfigurationError
from trimtab.lm import pretrained
from trimtab.moe.attach import attach
from trimtab.moe.loading import restore
from trimtab.moe.saving import CONFIG, STATE
from trimtab.settings.capacities import Capacity
from trimtab.settings.rules import LossFree, NewtonBalancing, SwitchLoss

# Needs more digits than bfloat16 has.
RULE = LossFree(bias_update_rate=1.2345e-3)
LIMITS = Capacity(factor=1.25, drop_policy="position")


def warned(family):
    """The warning that saving an added bias gives; a family with a bias of its own gives none."""
    if family == "glm4_moe":
        return nullcontext()
    return pytest.warns(UserWarning, match="2 of the routers have a selection bias that trimtab added")


@pytest.fixture
def saved(build, text, family, step, tmp_path):
    """A model of either family after three steps, saved."""
    model = build(family)
    gates = attach(model, balancer=RULE, capacity=LIMITS, accumulation=2)
    for _ in range(3):
        step(model, gates, text, accumulation=2)
    with warned(family):
        gates.save_pretrained(tmp_path)
    return model, gates


def test_torchtitan_1222_a_saved_bias_comes_back_and_goes_on_moving(saved, text, step, equal, tmp_path):
    """A bias that was zero in every checkpoint: here values and their storage are the model's, and training goes on."""
    model, gates = saved
    again, loaded = trimtab.load(tmp_path)
    assert (loaded.balancer, loaded.capacity, loaded.accumulation, loaded.steps) == (RULE, LIMITS, 2, 3)
    equal(loaded.state_dict(), gates.state_dict())
    assert all(float(bias.abs().max()) > 0 for bias in loaded.biases().values())
    for router in loaded.routers:
        held = router.module.e_score_correction_bias
        assert held.dtype == torch.float32
        assert torch.equal(held, loaded.biases()[router.layer])
    equal(step(again, loaded, text, accumulation=2)[1], step(model, gates, text, accumulation=2)[1])
    equal(loaded.state_dict(), gates.state_dict())
    assert torch.equal(loaded.routers[0].module.e_score_correction_bias, loaded.biases()[1])


def test_loading_without_trimtab_loses_an_added_bias_and_the_folder_says_so(saved, family, text, tmp_path, caplog):
    model, gates = saved
    written = json.loads((tmp_path / CONFIG).read_text())
    plain = type(model).from_pretrained(tmp_path).eval()
    again, _ = trimtab.load(tmp_path)
    with torch.no_grad():
        expected = model.eval()(input_ids=text).logits
        assert torch.equal(again.eval()(input_ids=text).logits, expected)
        same = torch.equal(plain(input_ids=text).logits, expected)
    assert same == (family == "glm4_moe")
    assert written["added_biases"] == sorted(gates.added)
    assert ("from_pretrained alone" in written["note"]) == bool(gates.added) == (not same)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_sglang_37133_biases_are_exact_in_a_model_cast_saved_and_loaded_in_half(
    *, build, text, family, dtype, step, equal, tmp_path
):
    """Stored in bfloat16, 238 values of a bias became 8, and 98 % of tokens chose other experts."""
    model = build(family)
    gates = attach(model, balancer=RULE)
    for _ in range(3):
        step(model, gates, text)
    before = gates.biases()
    assert all(not torch.equal(bias.to(dtype).float(), bias) for bias in before.values())
    if dtype is torch.bfloat16:
        model.to(torch.bfloat16)
    else:
        model.half()
    with warned(family):
        gates.save_pretrained(tmp_path)  # right after the cast, with no forward pass between
    equal(gates.biases(), before)
    again, loaded = trimtab.load(tmp_path)
    assert again.dtype == dtype
    equal(loaded.biases(), before)
    for name, tensor in again.named_buffers():
        if name.endswith("e_score_correction_bias"):
            assert tensor.dtype == torch.float32
    model.model.rotary_emb = again.model.rotary_emb  # a cast rounds its frequencies, loading computes them
    with torch.no_grad():
        assert torch.equal(again.eval()(input_ids=text).logits, model.eval()(input_ids=text).logits)


def test_loading_casts_weights_when_asked_and_never_biases(saved, equal, tmp_path):
    _, gates = saved
    again, loaded = trimtab.load(tmp_path, dtype=torch.bfloat16)
    assert again.dtype == torch.bfloat16
    equal(loaded.biases(), gates.biases())


def test_loading_reports_no_key_as_unexpected_and_leaves_the_class_alone(saved, tmp_path, caplog):
    model, _ = saved
    before = dict(vars(type(model)))
    trimtab.load(tmp_path)
    assert dict(vars(type(model))) == before
    assert "UNEXPECTED" not in caplog.text


def test_what_a_rule_remembers_beside_its_bias_comes_back(build, text, family, step, equal, tmp_path):
    model = build(family)
    gates = attach(model, balancer=NewtonBalancing())
    for _ in range(2):
        step(model, gates, text)
    with warned(family):
        gates.save_pretrained(tmp_path)
    again, loaded = trimtab.load(tmp_path)
    assert "layers.1.memory" in loaded.state_dict()
    equal(step(again, loaded, text)[1], step(model, gates, text)[1])
    equal(loaded.state_dict(), gates.state_dict())


def test_rule_and_capacity_can_be_replaced_at_loading(saved, tmp_path):
    _, loaded = trimtab.load(tmp_path, balancer=LossFree(bias_update_rate=0.1), capacity=Capacity())
    assert (loaded.balancer, loaded.capacity) == (LossFree(bias_update_rate=0.1), Capacity())


def test_frozen_layers_stay_frozen(build, family, tmp_path):
    gates = attach(build(family), balancer=RULE)
    gates.freeze([1])
    gates.unfreeze([2])
    with warned(family):
        gates.save_pretrained(tmp_path)
    assert trimtab.load(tmp_path)[1].frozen == {1: True, 2: False}


def test_without_a_bias_nothing_is_warned_of(build, tmp_path):
    gates = attach(build("qwen3_moe"), balancer=SwitchLoss(coef=0.1, scope="global"))
    gates.save_pretrained(tmp_path)
    assert trimtab.load(tmp_path)[1].balancer == gates.balancer
    assert json.loads((tmp_path / CONFIG).read_text())["added_biases"] == []


def test_a_state_dict_that_would_come_back_as_neither_is_refused_and_others_are_saved(saved, family, text, tmp_path):
    """What is handed over is written, unless it is rounded, or has biases beside those that gates write."""
    model, gates = saved
    new, own = tmp_path / "new", model.state_dict()
    half = {name: tensor.half() for name, tensor in own.items()}
    with pytest.raises(ConfigurationError, match=r"in torch\.float16, and the model in torch\.float32"):
        gates.save_pretrained(new, state_dict=half)
    biases = {name: tensor + 1 for name, tensor in own.items() if name.endswith("e_score_correction_bias")}
    with pytest.raises(ConfigurationError, match="another bias"):
        gates.save_pretrained(new, state_dict=own | biases)
    assert not new.exists()
    doubled = {name: tensor * 2 for name, tensor in own.items() if name == "lm_head.weight"}
    with warned(family):
        gates.save_pretrained(new, state_dict=own | doubled)
    again, _ = trimtab.load(new)
    with torch.no_grad():
        assert torch.equal(again.eval()(text).logits, 2 * model.eval()(text).logits)


def test_other_processes_write_nothing_of_their_own(build, tmp_path):
    gates = attach(build("qwen3_moe"), balancer=RULE)
    gates.save_pretrained(tmp_path, is_main_process=False)
    assert not (tmp_path / CONFIG).exists()


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_save_that_fails_leaves_the_old_folder_whole_and_a_new_one_unmade(saved, tmp_path, monkeypatch, step, text):
    model, gates = saved
    before = files(tmp_path)
    step(model, gates, text, accumulation=2)
    save = model.save_pretrained

    def fail(folder, **options):
        save(folder, **options)
        raise OSError("no space left on device")

    monkeypatch.setattr(model, "save_pretrained", fail)
    for folder in (tmp_path, tmp_path / "new"):
        with pytest.raises(OSError, match="no space"):
            gates.save_pretrained(folder)
    assert files(tmp_path) == before
    assert not (tmp_path / "new").exists()


def test_a_second_save_replaces_the_first_and_leaves_other_files_alone(saved, family, text, step, equal, tmp_path):
    model, gates = saved
    (tmp_path / "tokenizer.json").write_text("{}")
    step(model, gates, text, accumulation=2)
    with warned(family):
        gates.save_pretrained(tmp_path, max_shard_size="20KB")
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 1
    assert not (tmp_path / "model.safetensors").exists()
    equal(trimtab.load(tmp_path)[1].state_dict(), gates.state_dict())
    with warned(family):
        gates.save_pretrained(tmp_path)
    assert [path.name for path in tmp_path.glob("model*")] == ["model.safetensors"]
    equal(trimtab.load(tmp_path)[0].state_dict(), model.state_dict())
    assert (tmp_path / "tokenizer.json").read_text() == "{}"


def in_two_dtypes(model):
    model.to(torch.bfloat16)
    model.model.layers[1].mlp.gate.float()


def with_another_module(model):
    model.model.layers[0].self_attn.q_proj = torch.nn.Sequential(model.model.layers[0].self_attn.q_proj)


def with_a_wider_head(model):
    model.lm_head = torch.nn.Linear(32, 70, bias=False)


def with_one_buffer_more(model):
    model.register_buffer("scale", torch.ones(3))


@pytest.mark.parametrize("change", [in_two_dtypes, with_another_module, with_a_wider_head, with_one_buffer_more])
def test_a_model_that_would_come_back_as_another_is_refused_and_nothing_is_written(saved, change, tmp_path):
    model, gates = saved
    before = files(tmp_path)
    change(model)
    with pytest.raises(ConfigurationError, match="would not come back as it is") as caught:
        gates.save_pretrained(tmp_path)
    assert {"in_two_dtypes": "float32", "with_another_module": "q_proj", "with_a_wider_head": "[70, 32]"}.get(
        change.__name__, "scale"
    ) in caught.value.message
    assert files(tmp_path) == before


def test_a_folder_that_cannot_be_read_is_refused_with_the_reason(saved, tmp_path):
    good = json.loads((tmp_path / CONFIG).read_text())
    for change, message in (
        ({"format": 99}, "format 99"),
        ({"model_class": "os"}, "'os' is no model"),
        ({"balancer": {"class": "LossFre"}}, "unknown rule 'LossFre'"),
        ({"capacity": {"factr": 1.0}}, "factr"),
    ):
        (tmp_path / CONFIG).write_text(json.dumps(good | change))
        with pytest.raises(ConfigurationError, match=message):
            trimtab.load(tmp_path)
    (tmp_path / CONFIG).write_text("{")
    with pytest.raises(ConfigurationError, match="not JSON"):
        trimtab.load(tmp_path)
    (tmp_path / CONFIG).write_text(json.dumps({"format": 1}))
    with pytest.raises(ConfigurationError, match="has no 'accumulation'"):
        trimtab.load(tmp_path)
    (tmp_path / CONFIG).write_text(json.dumps(good))
    assert set(load_file(tmp_path / STATE)) >= {"step", "layers.1.bias"}
    (tmp_path / STATE).unlink()
    with pytest.raises(ConfigurationError, match=STATE):
        trimtab.load(tmp_path)


def test_a_model_that_is_not_transformers_is_refused(tmp_path):
    gates = attach(torch.nn.Sequential(torch.nn.Linear(2, 2)), balancer=trimtab.NoBalancer())
    with pytest.raises(ConfigurationError, match="Sequential has no save_pretrained"):
        gates.save_pretrained(tmp_path)


@pytest.fixture
def from_gguf(tmp_path):
    """A Qwen3-MoE out of a GGUF file, and its gates; skips where the package for such files is missing."""
    pytest.importorskip("gguf", reason="reading GGUF files needs the package gguf, an extra of its own")
    place = Path(__file__).with_name("tiny_gguf.py")
    location = importlib.util.spec_from_file_location("tiny_gguf", place)
    writer = importlib.util.module_from_spec(location)
    location.loader.exec_module(writer)
    writer.write(tmp_path / "a.gguf", "qwen3moe")
    model = pretrained.load(str(tmp_path / "a.gguf")).model.train()
    return model, attach(model, balancer=RULE)


def test_weights_out_of_a_gguf_file_are_saved_as_the_numbers_they_are(from_gguf, text, equal, tmp_path):
    """transformers refuses to write such a model, although its weights are plain numbers by then."""
    model, gates = from_gguf
    model(input_ids=text, labels=text).loss.backward()
    gates.update()
    quantizer, settings = model.hf_quantizer, model.config.quantization_config
    with pytest.warns(UserWarning, match="2 of the routers"):
        gates.save_pretrained(tmp_path / "saved")
    again, loaded = trimtab.load(tmp_path / "saved")
    with torch.no_grad():
        assert torch.equal(again.eval()(input_ids=text).logits, model.eval()(input_ids=text).logits)
    equal(loaded.state_dict(), gates.state_dict())
    assert (model.hf_quantizer, model.config.quantization_config) == (quantizer, settings)


def test_a_model_whose_weights_stay_packed_is_refused_before_anything_is_written(from_gguf, equal, tmp_path):
    """As a GGUF model on a device with a kernel for its blocks; what is attached can be saved by itself."""
    model, gates = from_gguf
    model.lm_head.weight = torch.nn.Parameter(torch.zeros(64, 18, dtype=torch.uint8), requires_grad=False)
    with pytest.raises(
        ConfigurationError, match=r"quantized with gguf.* cannot save: lm_head\.weight is packed"
    ) as caught:
        gates.save_pretrained(tmp_path / "saved")
    assert "gates.save(folder)" in caught.value.hint
    assert not (tmp_path / "saved").exists()
    gates.unfreeze()
    gates.save(tmp_path / "apart")
    gates.freeze()
    restore(gates, tmp_path / "apart")
    assert gates.frozen == {0: False, 1: False}


@pytest.mark.filterwarnings("ignore")  # bitsandbytes compiles, and torch's compiler warns of itself
@pytest.mark.parametrize("bits", [4, 8])
def test_a_model_in_few_bits_is_balanced_and_comes_back_exactly(bits, text, equal, tmp_path):
    pytest.importorskip("bitsandbytes", reason="bitsandbytes is no dependency of trimtab, and not installed here")
    torch.manual_seed(0)
    MixtralForCausalLM(
        MixtralConfig(
            vocab_size=64, hidden_size=64, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
            num_key_value_heads=2, num_local_experts=8, initializer_range=0.2,
        )
    ).save_pretrained(tmp_path / "plain")  # fmt: skip
    few = BitsAndBytesConfig(load_in_4bit=bits == 4, load_in_8bit=bits == 8)
    model = MixtralForCausalLM.from_pretrained(
        tmp_path / "plain", quantization_config=few, dtype=torch.bfloat16
    ).train()
    gates = attach(model, balancer=RULE)
    gates.unfreeze()
    model(input_ids=text, labels=text).loss.backward()
    assert {int(load.sum()) for load in gates.loads().values()} == {2 * text.numel()}
    gates.update()
    with pytest.warns(UserWarning, match="2 of the routers"):
        gates.save_pretrained(tmp_path / "saved")
    again, loaded = trimtab.load(tmp_path / "saved")
    with torch.no_grad():
        assert torch.equal(again.eval()(input_ids=text).logits, model.eval()(input_ids=text).logits)
    equal(loaded.state_dict(), gates.state_dict())
