import pytest
import torch
from torch import nn
from torch.nn import functional

from trimtab.errors import ConfigurationError
from trimtab.lm.mixture import Mixture
from trimtab.settings.upcycled_models import UpcycledSettings


class Dense(nn.Module):
    def __init__(self, hidden=8, inner=12):
        super().__init__()
        self.gate_proj, self.up_proj = nn.Linear(hidden, inner, bias=False), nn.Linear(hidden, inner, bias=False)
        self.down_proj = nn.Linear(inner, hidden, bias=False)

    def forward(self, x):
        return self.down_proj(functional.silu(self.gate_proj(x)) * self.up_proj(x))


def mixture(dense, **shape):
    return Mixture(dense, UpcycledSettings(num_experts=4, **shape), torch.Generator().manual_seed(0))


@pytest.mark.parametrize("score_function", ["sigmoid", "softmax"])
def test_it_is_the_sum_of_the_chosen_experts_by_their_scores(score_function):
    torch.manual_seed(0)
    block, hidden = mixture(Dense(), score_function=score_function), torch.randn(5, 8)
    with torch.no_grad():
        block.experts.down_proj += torch.randn_like(block.experts.down_proj)  # so that experts differ
        block.gate.weight.normal_()
        logits = hidden @ block.gate.weight.t()
        scores = logits.sigmoid() if score_function == "sigmoid" else logits.softmax(-1)
        expected = torch.zeros(5, 8)
        for token, row in enumerate(scores):
            chosen = row.topk(2).indices
            for expert in chosen:
                gate, up = (block.experts.gate_up_proj[expert] @ hidden[token]).chunk(2)
                said = block.experts.down_proj[expert] @ (functional.silu(gate) * up)
                expected[token] += row[expert] / row[chosen].sum() * said
        torch.testing.assert_close(block(hidden), expected, rtol=1e-4, atol=1e-5)
        needed = torch.tensor([3, 1])
        torch.testing.assert_close(block(hidden, needed), expected[needed], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [{}, {"granularity": 2}, {"shared_expert": True}], ids=str)
def test_it_begins_as_the_dense_block(shape):
    torch.manual_seed(1)
    dense, hidden = Dense(), torch.randn(2, 6, 8)
    torch.testing.assert_close(mixture(dense, **shape)(hidden), dense(hidden), rtol=1e-4, atol=1e-5)


def test_a_block_that_cannot_be_cut_is_refused():
    with pytest.raises(ConfigurationError, match="granularity 2 does not divide intermediate_size = 13"):
        mixture(Dense(inner=13), granularity=2)
