"""Routes of vLLM, SGLang and verl: read as they are meant, refused by name where they do not fit."""

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from trimtab.errors import ConfigurationError
from trimtab.moe.route_forms import RouteReader, sequences_of
from trimtab.moe.route_writing import to_sglang
from trimtab.moe.routes import RoutedSequence, Routes, RouteShape

ORACLES = Path(__file__).parents[3] / "shared" / "design" / "rules-oracles.json"
SHAPE = RouteShape(layers=(1, 2, 4), num_layers=5, num_experts=(8, 8, 8), num_experts_per_tok=2)
READER = RouteReader(shape=SHAPE)
TOKENS = np.arange(10, 17)  # seven, of which the last never ran


def experts(rows=6, layers=3, seed=0):
    generator = np.random.default_rng(seed)
    return np.argsort(generator.random((rows, layers, 8)), axis=2)[..., :2]


def with_dense(table, fill=0):
    whole = np.full((len(table), 5, 2), fill, np.int32)
    whole[:, [1, 2, 4]] = table
    return whole


ROUTES = Routes(shape=SHAPE, sequences=[RoutedSequence(experts=experts().astype(np.int16), tokens=TOKENS, prompt=4)])


@pytest.mark.skipif(not ORACLES.is_file(), reason="the design pages are not beside this clone")
def test_the_oracle_of_alignment():
    oracle = json.loads(ORACLES.read_text())["replay_alignment"]
    given, expected = oracle["inputs"], oracle["expected"]
    layers = tuple(layer for layer in range(given["num_layers"]) if layer not in given["dense_layers"])
    shape = RouteShape(layers=layers, num_layers=5, num_experts=(8,) * len(layers), num_experts_per_tok=given["topk"])
    tokens = list(range(given["prompt_len"] + given["gen_len"]))
    sequence = RouteReader(shape=shape).sequence(given["routed"], tokens)
    assert len(sequence) == expected["rows"]
    assert list(sequence.experts.shape) == expected["moe_view_shape"]
    assert sequence.experts[0, 0].tolist() == expected["row_for_token0_layer1"]
    assert len(sequence.tokens) - 1 == expected["missing_position"]


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return base64.b64encode(buffer.getvalue()).decode()


@pytest.mark.parametrize(
    "table",
    [
        with_dense(experts()),
        with_dense(experts(), fill=-1),
        with_dense(experts()).tolist(),
        experts().astype(np.int16),
        torch.from_numpy(experts()),
        base64.b64encode(with_dense(experts()).astype("<i4").tobytes()).decode(),
        npy(experts().astype(np.int16)),
        (experts()[:4].astype(np.int16), experts()[4:].astype(np.int16)),
        np.concatenate([with_dense(experts()), np.zeros((1, 5, 2), np.int32)]),
    ],
    ids=["all layers", "all layers, -1", "lists", "MoE layers", "tensor", "SGLang", "npy", "split", "a row of zeros"],
)
def test_every_form_says_the_same(table):
    (sequence,) = sequences_of(READER, [table], [TOKENS], None)
    assert np.array_equal(sequence.experts, experts())
    assert sequence.experts.dtype == np.int16
    assert sequence.prompt == (4 if isinstance(table, tuple) else None)


def test_a_prefix_out_of_a_cache_is_open():
    prompt = experts()[:4].astype(np.int16)
    prompt[:3] = -1
    sequence = READER.sequence(experts()[4:], TOKENS, prompt=prompt)
    assert (sequence.experts[:3] == -1).all()
    assert np.array_equal(sequence.experts[3:], experts()[3:])


def test_responses_of_vllm_and_sglang():
    ids = {"prompt_token_ids": TOKENS[:4].tolist()}
    choice = {"token_ids": TOKENS[4:].tolist(), "routed_experts": experts()[4:].tolist()}
    vllm = {**ids, "prompt_routed_experts": experts()[:4].tolist(), "choices": [choice, choice]}
    sglang = {**ids, "output_ids": TOKENS[4:].tolist(), "meta_info": {"routed_experts": to_sglang(ROUTES)[0]}}
    found = sequences_of(READER, [vllm, sglang], None, None)
    assert len(found) == 3
    for sequence in found:
        assert np.array_equal(sequence.experts, experts())
        assert np.array_equal(sequence.tokens, TOKENS)
    choice["routed_experts"] = None  # after a preemption
    with pytest.raises(ConfigurationError, match="choice 0 has no routed_experts"):
        sequences_of(READER, [vllm], None, None)


@pytest.mark.parametrize(("dtype", "numbers"), [("uint8", "u1"), ("uint16", "<u2"), ("int32", "<i4"), (None, "<i4")])
def test_numbers_of_other_widths_and_a_later_start_of_sglang(dtype, numbers):
    raw = base64.b64encode(with_dense(experts())[2:].astype(numbers).tobytes()).decode()
    said = {"routed_experts": raw, "routed_experts_start_len": 2}
    said |= {} if dtype is None else {"routed_experts_dtype": dtype}
    ids = {"prompt_token_ids": TOKENS[:4].tolist()}
    answers = [
        {**ids, "output_ids": TOKENS[4:].tolist(), "meta_info": said},
        {**ids, "choices": [{"token_ids": TOKENS[4:].tolist()}], "sglext": said},  # chat and text completions
    ]
    for sequence in sequences_of(READER, answers, None, None):
        assert (sequence.experts[:2] == -1).all()
        assert np.array_equal(sequence.experts[2:], experts()[2:])
    answers[1]["choices"] *= 2
    with pytest.raises(ConfigurationError, match="one table of routes for 2 choices"):
        sequences_of(READER, answers[1:], None, None)


def test_narrow_numbers_that_are_not_said_to_be_are_refused_not_misread():
    for rows in (5, 4):  # 50 bytes are no rows of int32; 40 bytes would be one
        raw = base64.b64encode(with_dense(experts())[:rows].astype("u1").tobytes()).decode()
        with pytest.raises(ConfigurationError, match=r"no whole number of rows|layer 0 has experts"):
            READER.sequence(raw, TOKENS[: rows + 1])
    with pytest.raises(ConfigurationError, match="numbers of type 'float16'"):
        READER.sequence(raw, TOKENS[:5], dtype="float16")


@pytest.mark.parametrize("numbers", ["u1", "<u2", "<i2", "<i4"])
def test_bytes_beside_their_shape(numbers):
    table = with_dense(experts())[1:]
    held = {"data": base64.b64encode(table.astype(numbers).tobytes()).decode(), "shape": list(table.shape), "start": 1}
    sequence = READER.sequence(held, TOKENS)
    assert (sequence.experts[0] == -1).all()
    assert np.array_equal(sequence.experts[1:], experts()[1:])
    with pytest.raises(ConfigurationError, match="bytes are no numbers of shape"):
        READER.sequence({**held, "shape": [5, 5, 3]}, TOKENS)
    with pytest.raises(ConfigurationError, match="an object of data; expected data and shape"):
        READER.sequence({"data": held["data"]}, TOKENS)


@pytest.mark.parametrize("dense", [True, False])
def test_verls_padded_table(dense):
    mask = np.zeros((2, 12), int)
    mask[0, 3:10] = mask[1, :5] = 1
    tokens = np.zeros((2, 12), int)
    tokens[0, 3:10], tokens[1, :5] = TOKENS, TOKENS[:5]
    table = np.zeros((2, 12, 5, 2), np.int64)
    table[0, 3:9], table[1, :4] = with_dense(experts()), with_dense(experts())[:4]
    if not dense:
        table = table[:, :, [1, 2, 4]]
    found = sequences_of(READER, torch.from_numpy(table), torch.from_numpy(tokens), torch.from_numpy(mask))
    assert np.array_equal(found[0].experts, experts())
    assert np.array_equal(found[1].experts, experts()[:4])
    assert np.array_equal(found[0].tokens, TOKENS)
    with pytest.raises(ConfigurationError, match="padded, and zeros are experts too"):
        sequences_of(READER, table, None, None)
    with pytest.raises(ConfigurationError, match="a mask of"):
        sequences_of(READER, table, None, mask[:, 1:])


def test_slots_of_redundant_experts_are_mapped_back():
    slots = np.array([*range(8), 5, 2])  # ten slots: experts 5 and 2 twice
    physical = experts()
    physical = np.where(physical == 5, 8, physical)
    with pytest.raises(ConfigurationError, match=r"experts \[.*8.*\] in layer .*, which has 8"):
        READER.sequence(physical, TOKENS)
    for table in (slots, np.stack([slots] * 3), np.stack([slots] * 5)):
        reader = RouteReader(shape=SHAPE, physical_to_logical=table)
        assert np.array_equal(reader.sequence(physical, TOKENS).experts, experts())
    with pytest.raises(ConfigurationError, match="physical_to_logical has 8"):
        RouteReader(shape=SHAPE, physical_to_logical=np.arange(8)).sequence(physical, TOKENS)
    with pytest.raises(ConfigurationError, match=r"expected \[slots\] or \[3 layers, slots\]"):
        RouteReader(shape=SHAPE, physical_to_logical=np.zeros((2, 8), int)).sequence(physical, TOKENS)


def test_layers_of_multi_token_prediction_are_left_out_when_asked():
    more = np.concatenate([with_dense(experts()), experts(layers=1, seed=1)], axis=1)
    with pytest.raises(ConfigurationError, match="6 layers, and the model has 5, 3 of them") as caught:
        READER.sequence(more, TOKENS)
    assert "extra_layers=" in caught.value.hint
    assert np.array_equal(RouteReader(shape=SHAPE, extra_layers=1).sequence(more, TOKENS).experts, experts())
    code = base64.b64encode(more.astype("<i4").tobytes()).decode()
    assert np.array_equal(RouteReader(shape=SHAPE, extra_layers=1).sequence(code, TOKENS).experts, experts())


def filled(row, layer, value):
    table = experts()
    table[row, layer] = value
    return table


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (experts()[:, :2], "2 layers, and the model has 5, 3 of them with a router"),
        (np.concatenate([experts(), experts()], 2)[..., :3], "3 experts a token, and the model has 2"),
        (experts(rows=5), "5 rows for 7 tokens; expected 6"),
        (experts(rows=9), "9 rows for 7 tokens"),
        (with_dense(experts(), fill=3), "layer 0 has experts, and has no router in this model"),
        (filled(2, 1, [0, 0]), r"token 2 has experts \[0, 0\] in layer 2, which are not different ones"),
        (filled(3, 0, [9, 1]), r"token 3 has experts \[9, 1\] in layer 1, which has 8"),
        (filled(3, 0, [-1, 1]), r"token 3 has experts \[-1, 1\]"),
        (filled(3, 0, [-2, 1]), r"token 3 has experts \[-2, 1\]"),
        (experts().astype(float), "float64 of shape"),
        (experts()[0], r"of shape \[3, 2\]; expected integers"),
        ([[1], [2, 3]], "routes are no table"),
        ("not base64!", "no base64 of an array"),
        (base64.b64encode(b"123456").decode(), "6 bytes are no whole number of rows of 40 bytes"),
    ],
)
def test_what_does_not_fit_is_named(table, message):
    with pytest.raises(ConfigurationError, match=message):
        READER.sequence(table, TOKENS)


def test_lists_of_other_lengths_are_named():
    with pytest.raises(ConfigurationError, match="routes of 1 sequences, and tokens of 2"):
        sequences_of(READER, [experts()], [TOKENS, TOKENS], None)
    with pytest.raises(ConfigurationError, match="routes of one sequence"):
        sequences_of(READER, experts(), None, None)
