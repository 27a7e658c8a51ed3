"""Routes in memory and in a file of our own."""

import numpy as np
import pytest

from trimtab.errors import ConfigurationError
from trimtab.moe.routes import RoutedSequence, Routes, RouteShape

SHAPE = RouteShape(layers=(1, 3), num_layers=4, num_experts=(8, 8), num_experts_per_tok=2)


def routes(*lengths, tokens=True):
    generator = np.random.default_rng(0)
    sequences = []
    for number, length in enumerate(lengths):
        experts = np.argsort(generator.random((length, 2, 8)), axis=2)[..., :2].astype(np.int16)
        ids = generator.integers(3, 60, length + 1) if tokens and number != 1 else None
        sequences.append(RoutedSequence(experts=experts, tokens=ids, prompt=2 if number else None))
    return Routes(shape=SHAPE, sequences=sequences)


def test_what_is_saved_comes_back(tmp_path):
    written = routes(5, 4, 0, 7)
    written.sequences[0].experts[2] = -1
    written.save(tmp_path / "a.safetensors")
    read = Routes.load(tmp_path / "a.safetensors")
    assert read.shape == SHAPE
    assert len(read) == 4
    assert read.unknown == written.unknown == 1
    for left, right in zip(written.sequences, read.sequences, strict=True):
        assert np.array_equal(left.experts, right.experts)
        assert left.experts.dtype == right.experts.dtype
        assert left.prompt == right.prompt
        assert (left.tokens is None) == (right.tokens is None)
        assert left.tokens is None or np.array_equal(left.tokens, right.tokens)


def test_no_sequences_come_back_as_none(tmp_path):
    Routes(shape=SHAPE).save(tmp_path / "a.safetensors")
    assert len(Routes.load(tmp_path / "a.safetensors")) == 0


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"\x08\x00\x00\x00\x00\x00\x00\x00{}      "], ids=["empty", "json", "other"]
)
def test_a_file_of_something_else_is_named(tmp_path, content):
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"a\.safetensors is no file of routes"):
        Routes.load(path)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        Routes.load(tmp_path / "b.safetensors")


def test_a_torn_file_is_named(tmp_path):
    path = tmp_path / "a.safetensors"
    routes(5).save(path)
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(ConfigurationError, match="no file of routes"):
        Routes.load(path)


def test_sequences_are_selected_in_any_order():
    some = routes(5, 4, 6)
    assert [len(sequence) for sequence in some.select([2, 0, 2]).sequences] == [6, 5, 6]
    with pytest.raises(ConfigurationError, match="no sequence 3"):
        some.select([3])


def test_the_shape_in_words():
    assert SHAPE.words == "2 of 8 experts in layers 1, 3 of 4"
    assert SHAPE.of_layers([3]).layers == (3,)
