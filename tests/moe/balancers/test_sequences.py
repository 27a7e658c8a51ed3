"""Tokens by sequence, moving thresholds and causal pressure, against loops over tokens and worked examples."""

import dataclasses

import numpy as np
import pytest
import torch

from trimtab.moe.balancers.sequences import Sequences, causal_pressure, moving_thresholds

SCORES = torch.tensor(
    [
        [0.91, 0.33, 0.52, 0.14],
        [0.83, 0.41, 0.47, 0.22],
        [0.88, 0.27, 0.61, 0.36],
        [0.79, 0.55, 0.44, 0.18],
        [0.93, 0.38, 0.57, 0.29],
        [0.85, 0.46, 0.35, 0.24],
    ]
)
FIRST = [
    [0.95, 0.35, 0.55, 0.15],
    [0.95, 0.45, 0.55, 0.25],
    [0.95, 0.35, 0.65, 0.35],
    [0.85, 0.55, 0.55, 0.25],
    [0.95, 0.45, 0.55, 0.25],
    [0.95, 0.45, 0.55, 0.25],
]
DEBIAS = [*FIRST[:2], [0.85, 0.45, 0.65, 0.35], [0.85, 0.55, 0.65, 0.35], [0.95, 0.55, 0.55, 0.25], FIRST[5]]


@pytest.mark.parametrize(("start", "expected"), [("first", FIRST), ("debias", DEBIAS)])
def test_the_worked_example_of_moving_thresholds(start, expected):
    """Six tokens, one of four experts, ten bins, memory 0.6."""
    found = moving_thresholds(SCORES[None], 0.75, memory=0.6, bins=10, start=start)[0]
    assert np.allclose(found.numpy(), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("strength", "start", "expected"),
    [
        (0.0, "first", [0] * 6),
        (0.3, "first", [0] * 6),
        (1.0, "first", [3, 3, 3, 1, 3, 1]),
        (1.0, "debias", [3, 3, 0, 1, 3, 1]),
    ],
)
def test_what_the_worked_example_selects(strength, start, expected):
    found = moving_thresholds(SCORES[None], 0.75, memory=0.6, bins=10, start=start)[0]
    assert (SCORES - strength * found).argmax(1).tolist() == expected


def in_a_loop(scores, target, memory, bins, start):
    """One token after the other, in float64."""
    bin_of = np.minimum((scores * bins).astype(int), bins - 1)
    average, found = np.zeros((scores.shape[1], bins)), np.zeros(scores.shape)
    if start == "first":
        average[np.arange(scores.shape[1]), bin_of[0]] = 1
    for place, token in enumerate(bin_of):
        average *= memory
        average[np.arange(scores.shape[1]), token] += 1 - memory
        weight = 1 - memory ** (place + 1) if start == "debias" else 1
        found[place] = (np.argmax(average.cumsum(1) / weight >= target - 1e-9, 1) + 0.5) / bins
    return found


@pytest.mark.parametrize("start", ["first", "debias"])
def test_long_sequences_in_pieces_are_a_loop_over_tokens(start):
    scores = torch.rand(2, 300, 6, generator=torch.Generator().manual_seed(0))
    scores[0, 7, 2] = 1.0  # the last bin holds its upper edge
    found = moving_thresholds(scores, 1 - 2 / 6, memory=0.97, bins=50, start=start)
    for sequence, own in zip(scores.double().numpy(), found.numpy(), strict=True):
        assert np.mean(np.abs(in_a_loop(sequence, 1 - 2 / 6, 0.97, 50, start) - own) > 1e-6) < 1e-3


def test_the_worked_example_of_causal_pressure():
    """One of four experts, a step of 0.3."""
    found = causal_pressure(SCORES[None], 1, 0.3)[0]
    expected = [
        [0, 0, 0, 0],
        [0.225, -0.075, -0.075, -0.075],
        [0.45, -0.15, -0.15, -0.15],
        [0.375, -0.225, 0.075, -0.225],
        [0.3, 0.0, 0.0, -0.3],
        [0.525, -0.075, -0.075, -0.375],
    ]
    assert np.allclose(found.numpy(), expected, atol=1e-6)
    assert (SCORES - found).argmax(1).tolist() == [0, 0, 2, 1, 0, 3]


def test_a_grid_gives_back_what_it_took_without_padding(route, context_of, draw):
    logits = draw(12)
    valid = torch.tensor([True] * 5 + [False] * 2 + [True] * 4 + [False])
    sequence = torch.tensor([0] * 4 + [1] * 4 + [3] * 4)
    context = dataclasses.replace(context_of(route(logits)), valid=valid, sequence=sequence)
    by = Sequences.of(context, 12, logits.device)
    assert (by.count, by.longest) == (3, 4)
    grid = by.spread(logits)
    assert torch.equal(grid[0], logits[:4])
    assert torch.equal(grid[1, :2], logits[[4, 7]])
    assert torch.equal(grid[2, :3], logits[8:11])
    back = by.gather(grid, logits)
    assert torch.equal(back[valid], logits[valid])
    assert not back[~valid].any()
