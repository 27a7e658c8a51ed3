"""Logits from files are drawn or shown in their order; files that do not fit are refused."""

import numpy as np
import pytest

from trimtab.errors import ConfigurationError
from trimtab.moe.simulate.dumped_logits import Dumped
from trimtab.moe.simulate.streams import Shape

SHAPE = Shape(tokens=200, num_experts=8, num_experts_per_tok=2)


def test_logits_of_a_checkpoint_are_drawn_from_its_file(tmp_path):
    path = tmp_path / "logits.npy"
    table = np.random.default_rng(0).normal(size=(30, 8))
    np.save(path, table)
    batch = Dumped(path=str(path)).open(SHAPE, 0)(1)
    assert {tuple(row) for row in batch.tolist()} <= {tuple(row) for row in table.astype("float32").tolist()}
    np.save(path, table[:, :5])
    with pytest.raises(ConfigurationError, match=r"logits \[N, 8\]"):
        Dumped(path=str(path)).open(SHAPE, 0)
    with pytest.raises(ConfigurationError, match="no NumPy file"):
        Dumped(path=str(tmp_path / "missing.npy")).open(SHAPE, 0)


def test_logits_of_a_training_are_shown_in_their_order(tmp_path):
    path, small = tmp_path / "steps.npy", Shape(tokens=5, num_experts=8)
    steps = np.random.default_rng(0).normal(size=(3, 5, 8)).astype("float32")
    np.save(path, steps)
    draw = Dumped(path=str(path)).open(small, 7)
    assert [draw(number).tolist() for number in (1, 2, 3, 4)] == [steps[index].tolist() for index in (0, 1, 2, 0)]
    with pytest.raises(ConfigurationError, match=r"\[steps, 200, 8\].*\n?.*--experts 8 --tokens 5"):
        Dumped(path=str(path)).open(SHAPE, 0)
    np.save(path, steps[:0])
    with pytest.raises(ConfigurationError, match="holds"):
        Dumped(path=str(path)).open(small, 0)
