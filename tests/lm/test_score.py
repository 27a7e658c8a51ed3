"""Likelihoods against one unbatched forward pass per document."""

import pytest
import torch

from trimtab.lm import models, score
from trimtab.settings.fresh_models import FreshModel

SIZE = FreshModel(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, num_experts=4,
                        moe_intermediate_size=16, intermediate_size=32, max_position_embeddings=24)  # fmt: skip


@pytest.fixture(scope="module")
def model():
    built = models.build(SIZE, seed=0, vocab_size=50)
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.mul_(4)  # away from uniform, so that a shifted index would show
    return built.eval()


def document(context, continuation, seed):
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(3, 50, (context + continuation,), generator=generator).tolist()
    return score.ScoredDocument(context=tuple(ids[:context]), continuation=tuple(ids[context:]))


@torch.inference_mode()
def alone(model, doc):
    ids = torch.tensor([[*doc.context, *doc.continuation]])
    log_probabilities = torch.log_softmax(model(input_ids=ids).logits[0], -1)
    return -sum(float(log_probabilities[i - 1, ids[0, i]]) for i in range(len(doc.context), ids.shape[1]))


@pytest.mark.parametrize("batch_tokens", [1, 40, 10_000])
def test_batching_and_padding_change_nothing(model, batch_tokens):
    documents = [document(1 + seed % 5, seed % 9, seed) for seed in range(23)]
    scored = score.nats(model, documents, batch_tokens=batch_tokens)
    for (nats, tokens), doc in zip(scored, documents, strict=True):
        assert tokens == len(doc.continuation)
        assert nats == pytest.approx(alone(model, doc), rel=1e-4, abs=1e-5)


def test_a_long_context_is_cut_on_its_left(model):
    long = document(60, 4, 1)
    cut = score.ScoredDocument(context=long.context[-20:], continuation=long.continuation)
    assert score.nats(model, [long]) == score.nats(model, [cut])


def test_a_continuation_that_does_not_fit_loses_its_end_and_says_so(model):
    ((_, tokens),) = score.nats(model, [document(3, 40, 1)])
    assert tokens == 23


def test_the_training_mode_is_put_back(model):
    model.train()
    score.nats(model, [document(2, 2, 0)])
    assert model.training
    model.eval()
