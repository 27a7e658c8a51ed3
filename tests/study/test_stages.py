"""An arm of a study has the balancer it names and no other."""

import pytest
from transformers import Qwen3MoeConfig, Qwen3MoeForCausalLM

from trimtab.errors import ConfigurationError
from trimtab.settings.capacities import Capacity
from trimtab.settings.rules import LossFree, NoBalancer
from trimtab.study import stages


@pytest.mark.parametrize("rule", [LossFree(bias_update_rate=0.01), NoBalancer()])
def test_a_model_with_a_loss_of_its_own_is_refused(rule):
    sizes = {"vocab_size": 64, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "head_dim": 8}
    config = Qwen3MoeConfig(
        **sizes, num_key_value_heads=2, moe_intermediate_size=8, num_experts=4, num_experts_per_tok=2
    )
    config.output_router_logits = True
    with pytest.raises(ConfigurationError, match="adds its own auxiliary loss"):
        stages._attach(Qwen3MoeForCausalLM(config), rule, Capacity(), 1)
    config.output_router_logits = False
    assert stages._attach(Qwen3MoeForCausalLM(config), rule, Capacity(), 1).routers
