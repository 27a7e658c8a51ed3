"""Cells in other frameworks' words: read back, each value is the cell's, and what has no word is refused by name."""

import ast
from pathlib import Path

import pytest
from click.testing import CliRunner

from trimtab.cli.sharing import export_cells
from trimtab.errors import ConfigurationError
from trimtab.study import export, spec

TINY = Path(__file__).parents[2] / "studies" / "tiny.toml"
MEGATRON = "megatron.core.transformer.transformer_config:TransformerConfig"


def cells(framework, text=None):
    study = spec.load(TINY) if text is None else spec.parse(text)
    texts, refused = export.export(study, framework)
    assert texts.keys() | refused.keys() == {cell.id for cell in study.cells()}
    return texts, refused


def one(texts, start):
    return next(text for name, text in texts.items() if name.startswith(start))


def test_a_biased_cell_under_a_capacity_in_megatrons_words():
    texts, refused = cells("megatron")
    assert not refused
    text = one(texts, "tiny-loss_free-skewed-tight")
    assert ast.literal_eval(text) == {
        MEGATRON: {
            "num_layers": 2, "hidden_size": 128, "num_attention_heads": 1, "ffn_hidden_size": 64,
            "moe_ffn_hidden_size": 64, "num_moe_experts": 8, "moe_router_topk": 2, "init_method_std": 0.06,
            "moe_router_score_function": "sigmoid", "moe_router_enable_expert_bias": True,
            "moe_router_bias_update_rate": 0.03, "moe_router_load_balancing_type": "none", "moe_aux_loss_coeff": 0.0,
            "moe_expert_capacity_factor": 1.0, "moe_token_drop_policy": "probs",
        }
    }  # fmt: skip
    assert "# differs: the load that moves the bias is counted after calls were dropped" in text
    assert "expert_init 'skewed' is a change of fresh weights that no flag makes" in text


def test_a_loss_in_megatrons_words_leaves_the_bias_off():
    told = ast.literal_eval(one(cells("megatron")[0], "tiny-aux_global-random-dropless"))[MEGATRON]
    assert told["moe_router_load_balancing_type"] == "global_aux_loss"
    assert told["moe_aux_loss_coeff"] == 0.01
    assert told["moe_router_enable_expert_bias"] is False
    assert "moe_expert_capacity_factor" not in told


@pytest.mark.parametrize(("framework", "written"), [("torchtitan", 2), ("olmo-core", 4), ("nemo-automodel", 2)])
def test_what_a_framework_has_no_word_for_is_refused_and_not_written_otherwise(framework, written):
    texts, refused = cells(framework)
    assert len(texts) == written
    assert all("has no name there" in reason for reason in refused.values())
    assert all("aux_global" in name or "tight" in name for name in refused)
    values = [value for text in texts.values() for table in ast.literal_eval(text).values() for value in table.values()]
    assert 0.03 in values  # the bias update rate


def test_what_is_on_by_default_there_is_put_off_for_a_cell_without_a_balancer():
    text = TINY.read_text().replace('rule = "loss_free"\nbias_update_rate = 0.03', 'rule = "none"')
    for framework, off in (("torchtitan", "'load_balance_coeff': None"), ("olmo-core", "'lb_loss_weight': None")):
        assert off in one(cells(framework, text)[0], "tiny-loss_free-random-dropless")


def test_a_bias_on_softmax_scores_is_refused_where_it_is_an_error():
    text = TINY.read_text().replace('preset = "sigmoid"', 'preset = "softmax"')
    texts, refused = cells("megatron", text)
    assert set(refused.values()) == {"a selection bias needs sigmoid scores there"}
    assert len(texts) == len(refused) == 4


def test_another_framework_is_refused_with_the_nearest():
    with pytest.raises(ConfigurationError, match="did you mean 'megatron'"):
        export.export(spec.load(TINY), "megatrn")


def test_the_verb_writes_a_file_a_cell_and_says_what_it_left_out(tmp_path):
    ran = CliRunner().invoke(export_cells, [str(TINY), "--to", "olmo-core", "-o", str(tmp_path)])
    assert ran.exit_code == 1
    assert len(list(tmp_path.glob("*.py"))) == 4
    assert ran.stderr.count("not written: tiny-aux_global") == 4
    assert "4 of 8 cells in" in ran.stderr
