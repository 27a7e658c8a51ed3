import numpy as np
import pytest
import torch

from trimtab.errors import ConfigurationError
from trimtab.lm import dense, place_score
from trimtab.lm.pool import PoolDocument
from trimtab.lm.trunk import TrunkCache
from trimtab.lm.upcycled import UpcycledModel, Vocabulary
from trimtab.moe.attach import attach
from trimtab.settings.capacities import Capacity
from trimtab.settings.rules import LossFree, NoBalancer
from trimtab.settings.upcycled_models import UpcycledSettings

LENGTHS = (40, 17, 40, 29)


def read(source, cache, *, layers=(-1,), precision="float32", absent=False, **shape):
    """A model over four random documents, its vocabulary, and the dense model's own loss of each document."""
    model = dense.load(str(source), cache)
    rng = np.random.default_rng(1)
    texts = [rng.integers(1, 257, size=length).astype(np.int32) for length in LENGTHS]
    documents, start = [], 0
    for number, text in enumerate(texts):
        documents.append(
            PoolDocument(
                unit_id=str(number),
                domain="ab"[number % 2],
                start=start,
                length=len(text),
                scored=len(text) - 5,
                num_bytes=len(text) - 5,
            )
        )
        start += len(text)
    expected = {}
    with torch.inference_mode():
        for document, text in zip(documents, texts, strict=True):
            ids = torch.tensor(text[None].astype(np.int64))
            scores = model.model(input_ids=ids).logits[0].double().log_softmax(-1)
            nats = -scores[:-1].gather(1, ids[0, 1:, None])[:, 0]
            expected[document.domain, document.unit_id] = float(nats[-document.scored :].sum())
    settings = UpcycledSettings(preset="upcycled", layers=layers, num_experts=4, **shape)
    first = min(layer % 3 for layer in layers)
    trunk = TrunkCache(identity=model.identity, layer=first, precision=precision, folder=cache)
    states = trunk.collect([texts], lambda: model.model)
    tokens = torch.from_numpy(np.concatenate(texts)).long()
    upcycled = UpcycledModel(model.model, settings, torch.Generator().manual_seed(0))
    upcycled.read(states, tokens)
    present = tokens if absent else torch.arange(257)
    return upcycled, Vocabulary(upcycled.head, tokens[:40], present), documents, expected


@pytest.mark.parametrize(
    "shape",
    [
        {},
        {"score_function": "softmax"},
        {"shared_expert": True},
        {"granularity": 2},
        {"layers": (0, 2)},
        {"layers": (-2, -1), "granularity": 2, "shared_expert": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("order", ["shuffled", "by_domain"])
def test_copies_from_cached_states_are_the_dense_model(tiny_dense, tmp_path, shape, order):
    model, vocabulary, documents, expected = read(tiny_dense, tmp_path, **shape)
    found = place_score.place_nats(model, vocabulary, place_score.batches(documents, order=order, batch_tokens=64))
    assert {key: tokens for key, (_, tokens) in found.items()} == {
        (document.domain, document.unit_id): document.scored for document in documents
    }
    assert [found[key][0] for key in expected] == pytest.approx(list(expected.values()), rel=2e-5)


def test_tokens_that_occur_nowhere_have_their_mass(tiny_dense, tmp_path):
    model, vocabulary, documents, expected = read(tiny_dense, tmp_path, absent=True)
    assert len(vocabulary.present) < 150  # of 257: far more mass than in any real text
    found = place_score.place_nats(model, vocabulary, [documents])
    assert [found[key][0] for key in expected] == pytest.approx(list(expected.values()), rel=2e-4)


def test_states_in_half_precision_move_bits_a_byte_by_less_than_a_ten_thousandth(tiny_dense, tmp_path):
    model, vocabulary, documents, expected = read(tiny_dense, tmp_path, precision="float16")
    found = place_score.place_nats(model, vocabulary, [documents])
    size = sum(document.num_bytes for document in documents)
    assert model.states.dtype == torch.float16
    assert abs(sum(nats for nats, _ in found.values()) - sum(expected.values())) / size / np.log(2) < 1e-4


def test_a_block_that_is_left_out_is_missed(tiny_dense, tmp_path):
    model, vocabulary, documents, expected = read(tiny_dense, tmp_path, feed_forward="none")
    found = place_score.place_nats(model, vocabulary, [documents])
    assert any(abs(found[key][0] - nats) > 1e-2 for key, nats in expected.items())


def test_the_loss_and_its_gradient_are_those_of_cross_entropy_over_the_trained_tokens(tiny_dense, tmp_path):
    model, vocabulary, _, _ = read(tiny_dense, tmp_path)
    hidden = torch.randn(6, 32, requires_grad=True)
    targets, weights = model.tokens[:6], torch.tensor([1.0, 0, 2, 1, 1, 1])
    logits = hidden @ model.head[vocabulary.trained].t()
    places = torch.searchsorted(vocabulary.trained, targets)
    expected = (torch.nn.functional.cross_entropy(logits, places, reduction="none") * weights).sum()
    (gradient,) = torch.autograd.grad(expected, hidden)
    found = vocabulary.loss(hidden, targets, weights)
    assert float(found.detach()) == pytest.approx(float(expected.detach()), rel=1e-6)
    torch.testing.assert_close(torch.autograd.grad(found, hidden)[0], gradient)


def test_capacity_and_balancers_are_the_package_s_own(tiny_dense, tmp_path):
    model, vocabulary, documents, _ = read(tiny_dense, tmp_path)
    gates = attach(model, balancer=LossFree(bias_update_rate=0.1), capacity=Capacity(factor=0.5))
    assert [router.layer for router in gates.routers] == [2]
    places = torch.arange(40)[None]
    vocabulary.place_loss(model, places, places, torch.ones(1, 40)).backward()
    gates.update()
    assert gates.metrics()[0]["drop_rate"] == pytest.approx(0.5, abs=0.05)
    assert gates.biases()[2].abs().max() == pytest.approx(0.1)
    with gates.eval_capacity(0.5), gates.measure() as routing:
        tight = place_score.place_nats(model, vocabulary, [documents])
    assert routing[0]["tokens"] == sum(LENGTHS)  # unscored tokens compete too
    assert routing[0]["drop_rate"] > 0.4
    assert tight != place_score.place_nats(model, vocabulary, [documents])


def test_all_but_experts_and_routers_rests(tiny_dense, tmp_path):
    model, _, _, _ = read(tiny_dense, tmp_path, layers=(1, 2))
    attach(model, balancer=NoBalancer())
    learning = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert learning == {
        f"mixtures.{layer}.{name}"
        for layer in (1, 2)
        for name in ("gate.weight", "experts.gate_up_proj", "experts.down_proj")
    }


@pytest.mark.parametrize("layers", [(3,), (-4,), (2, -1)])
def test_a_layer_that_does_not_exist_or_twice_is_named(tiny_dense, tmp_path, layers):
    model = dense.load(str(tiny_dense), tmp_path)
    settings = UpcycledSettings(preset="upcycled", layers=layers)
    with pytest.raises(ConfigurationError, match=r"layers \["):
        UpcycledModel(model.model, settings, torch.Generator())
