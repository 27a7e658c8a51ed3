"""The report of flips, against loops over tokens."""

import json

import numpy as np
import pytest

from trimtab.errors import ConfigurationError
from trimtab.moe.flips import compare
from trimtab.moe.routes import RoutedSequence, Routes, RouteShape

SHAPE = RouteShape(layers=(1, 3), num_layers=4, num_experts=(8, 8), num_experts_per_tok=3)


def routes(seed, lengths=(9, 6), share=1.0):
    """Random routes; with ``share``, only so many tokens differ from those of seed 0."""
    found = []
    for number, length in enumerate(lengths):
        first, own = (np.random.default_rng([use, number]) for use in (0, seed))
        base = np.argsort(first.random((length, 2, 8)), axis=2)[..., :3]
        other = np.argsort(own.random((length, 2, 8)), axis=2)[..., :3]
        changed = own.random((length, 2, 1)) < share
        tokens = np.arange(length) + 100 * number
        found.append(RoutedSequence(experts=np.where(changed, other, base).astype(np.int16), tokens=tokens))
    return Routes(shape=SHAPE, sequences=found)


def test_counts_are_those_of_a_loop():
    one, two = routes(0), routes(1, share=0.4)
    two.sequences[1].experts[2, 1] = -1
    report = compare(one, two)
    flipped, calls, tokens, anywhere = [0, 0], [0, 0], [0, 0], 0
    left = [np.zeros(8, int), np.zeros(8, int)]
    for a, b in zip(one.sequences, two.sequences, strict=True):
        for token in range(len(a)):
            any_layer = False
            for layer in range(2):
                x, y = set(a.experts[token, layer].tolist()), set(b.experts[token, layer].tolist())
                if -1 in y:
                    continue
                tokens[layer] += 1
                flipped[layer] += x != y
                calls[layer] += len(x - y)
                any_layer |= x != y
                for expert in x - y:
                    left[layer][expert] += 1
            anywhere += any_layer
    assert [line.tokens for line in report.layers] == tokens == [15, 14]
    assert [line.flipped for line in report.layers] == flipped
    assert [line.calls for line in report.layers] == calls
    for line, counted in zip(report.layers, left, strict=True):
        assert [line.left.get(expert, 0) for expert in range(8)] == counted.tolist()
        assert sum(line.joined.values()) == line.calls
    assert report.flipped == anywhere
    assert report.unknown == 1
    assert report.rate == pytest.approx(sum(flipped) / sum(tokens))
    assert json.loads(json.dumps(report.to_record()))["layers"][0]["flipped"] == flipped[0]


def test_the_first_divergence_of_each_sequence():
    one, two = routes(0), routes(0)
    two.sequences[1].experts[4, 1] = two.sequences[1].experts[4, 1][::-1]  # the order does not matter
    spare = min(set(range(8)) - set(one.sequences[1].experts[3, 1].tolist()))
    two.sequences[1].experts[3, 1, 0] = spare
    report = compare(one, two)
    (first,) = report.divergences
    assert (first.sequence, first.token, first.layer) == (1, 3, 3)
    assert report.flipped == report.layers[1].calls == 1
    assert report.layers[1].joined == {spare: 1}
    assert "sequence 1 first at token 3, layer 3" in report.lines()[-1]


def test_equal_records_have_no_flips():
    report = compare(routes(0), routes(0))
    assert report.rate == 0
    assert not report.divergences
    assert compare(Routes(shape=SHAPE), Routes(shape=SHAPE)).rate == 0


def test_a_record_without_the_last_token_is_compared_without_it():
    report = compare(routes(0), routes(0, lengths=(8, 6)))
    assert report.tokens == 14


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (Routes(shape=SHAPE.of_layers([1])), "layers 1, 3 of 4, and of .* layers 1 of 4"),
        (routes(0, lengths=(9,)), "routes of 2 sequences, and of 1"),
        (routes(0, lengths=(9, 3)), "sequence 1: routes of 6 tokens, and of 3"),
    ],
)
def test_other_records_are_refused(other, message):
    with pytest.raises(ConfigurationError, match=message):
        compare(routes(0), other)


def test_other_tokens_are_refused():
    other = routes(0)
    other.sequences[0].tokens[5] = 7
    with pytest.raises(ConfigurationError, match="sequence 0: token 5 is 5 in one record and 7 in the other"):
        compare(routes(0), other)
