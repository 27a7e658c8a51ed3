"""Routes written as vLLM, SGLang and verl write them are read back; what a form has no sign for is refused."""

import numpy as np
import pytest

from trimtab.errors import ConfigurationError
from trimtab.moe.route_forms import RouteReader, sequences_of
from trimtab.moe.route_writing import to_sglang, to_verl, to_vllm, to_vllm_split
from trimtab.moe.routes import RoutedSequence, Routes, RouteShape

SHAPE = RouteShape(layers=(1, 2, 4), num_layers=5, num_experts=(8, 8, 8), num_experts_per_tok=2)
READER = RouteReader(shape=SHAPE)
TOKENS = np.arange(10, 17)  # seven, of which the last never ran


def experts():
    return np.argsort(np.random.default_rng(0).random((6, 3, 8)), axis=2)[..., :2]


ROUTES = Routes(shape=SHAPE, sequences=[RoutedSequence(experts=experts().astype(np.int16), tokens=TOKENS, prompt=4)])


def test_what_is_written_is_read_back():
    mask = np.zeros((1, 9), int)
    mask[0, 2:] = 1
    forms = [to_vllm(ROUTES), to_sglang(ROUTES), to_vllm_split(ROUTES)]
    found = [sequences_of(READER, form, [TOKENS], None)[0] for form in forms]
    found.append(sequences_of(READER, to_verl(ROUTES, mask), None, mask)[0])
    assert to_vllm(ROUTES)[0].shape == (6, 5, 2)
    assert not to_vllm(ROUTES)[0][:, [0, 3]].any()
    assert [part.shape for part in to_vllm_split(ROUTES)[0]] == [(4, 3, 2), (2, 3, 2)]
    for sequence in found:
        assert np.array_equal(sequence.experts, experts())


def test_forms_without_a_sign_for_gaps_refuse_them():
    table = experts().astype(np.int16)
    table[2] = -1
    holed = Routes(shape=SHAPE, sequences=[RoutedSequence(experts=table)])
    for write in (to_vllm, to_sglang, lambda routes: to_verl(routes, np.ones((1, 6)))):
        with pytest.raises(ConfigurationError, match="tokens without routes"):
            write(holed)
    with pytest.raises(ConfigurationError, match="how many tokens of sequence 0 are its prompt"):
        to_vllm_split(holed)
    with pytest.raises(ConfigurationError, match="row 0 has 4 tokens, and its routes are of 6"):
        to_verl(ROUTES, np.ones((1, 4)))
    with pytest.raises(ConfigurationError, match="a mask of 2 rows"):
        to_verl(ROUTES, np.ones((2, 6)))
