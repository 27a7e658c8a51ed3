"""What the training log says of the routing: the tail, its floors, and the step of recovery."""

import json
from types import SimpleNamespace

import pytest

from trimtab.moe.routing import drop_floor, max_violation_floor
from trimtab.settings.capacities import Capacity
from trimtab.study import measured, store


def tail(tmp_path, violations, *, tokens=1000, accumulation=1):
    folder = store.CellFolder(tmp_path)
    lines = [
        {"step": step, "layers": [{"layer": 7, "max_violation": value, "drop_rate": value / 10}]}
        for step, value in enumerate(violations, start=1)
    ]
    folder.train_log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    router = SimpleNamespace(num_experts=8, num_experts_per_tok=2)
    gates = SimpleNamespace(routers=(router,), accumulation=accumulation, capacity=Capacity(factor=1.0))
    return measured.train_tail(gates, folder, tokens)


def test_the_tail_is_the_last_fifth_with_the_floors_of_its_batches(tmp_path):
    (record,) = tail(tmp_path, [9.0] * 8 + [1.0, 2.0], accumulation=2)
    assert (record["layer"], record["phase"]) == (7, "train_tail")
    assert record["max_violation"] == pytest.approx(1.5)
    assert record["drop_rate"] == pytest.approx(0.15)
    assert record["max_violation_floor"] == max_violation_floor(1000, 8, 2)
    assert record["drop_floor"] == drop_floor(500, 8, 2, 125)  # calls compete within a micro-batch


@pytest.mark.parametrize(
    ("violations", "step"),
    [
        ([3.0, 2.0, 0.1, 0.1, 0.1, 0.1, 0.1], 3),
        ([3.0, 0.1, 0.1, 0.1, 3.0, 3.0, 3.0], None),
        ([0.1] * 4, 1),
        ([0.1] * 3, None),
    ],
)
def test_recovery_is_the_first_of_four_steps_near_the_floor(tmp_path, violations, step):
    (record,) = tail(tmp_path, violations)
    assert record["recovery_step"] == step
