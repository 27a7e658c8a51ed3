"""What a checkpoint's routers said is what the simulator draws from."""

import numpy as np
import pytest
import torch

from trimtab.errors import ConfigurationError
from trimtab.moe.attach import attach
from trimtab.moe.simulate import names
from trimtab.moe.simulate.dumped_logits import Dumped
from trimtab.moe.simulate.record import record
from trimtab.moe.simulate.streams import Shape
from trimtab.settings.rules import LossFree


def test_logits_of_text_are_written_a_file_a_layer_and_drawn_again(build, text, family, tmp_path):
    model = build(family).eval()
    gates = attach(model, balancer=LossFree(bias_update_rate=1e-2))
    mask = torch.ones_like(text)
    mask[:, :3] = 0
    with torch.no_grad():
        expected = model(input_ids=text).logits
    streams = record(model, [{"input_ids": text, "attention_mask": mask}] * 2, tmp_path)
    assert sorted(streams) == [router.layer for router in gates.routers]
    table = np.load(tmp_path / "layer-1.npy")
    assert table.shape == (2 * int(mask.sum()), 8)
    stream = names.stream(streams[1])
    assert stream.score_function == gates.routers[0].score_function
    drawn = stream.open(Shape(tokens=10, num_experts=8), 0)(1)
    assert all((torch.from_numpy(table) == row).all(1).any() for row in drawn)
    with torch.no_grad():
        assert torch.equal(model(input_ids=text).logits, expected)  # nothing is left behind


def test_nothing_to_write_is_said(build, tmp_path):
    with pytest.raises(ConfigurationError, match="no batch"):
        record(build("qwen3_moe"), [], tmp_path)


def test_scores_there_are_not_are_refused():
    with pytest.raises(ConfigurationError, match="'softmax'"):
        Dumped(path="x.npy", scores="softmx").open(Shape(), 0)
