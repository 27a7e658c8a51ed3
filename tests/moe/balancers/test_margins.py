"""Bins are where arithmetic on the numbers themselves puts them, and ranks are found in them."""

import math

import torch

from trimtab.moe.balancers import margins

SIDE = 240  # 30 octaves of eight bins


def bin_of(margin):
    """By logarithm: eighths of an octave from 2^-24 to 2^6, on either side of a middle bin of less than that."""
    size = abs(margin)
    if size < 2.0**-24:
        return SIDE
    octave = min(math.floor(math.log2(size)), 5)
    eighth = min(math.floor((size / 2.0**octave - 1) * 8), 7)
    index = (octave + 24) * 8 + eighth + 1
    return SIDE + (index if margin > 0 else -index)


def test_every_margin_is_counted_in_its_bin():
    drawn = torch.randn(300, 4, generator=torch.Generator().manual_seed(0)) * torch.logspace(-7, 2, 300)[:, None]
    edges = torch.tensor(
        [0.0, -0.0, 2.0**-24, -(2.0**-24), 2.0**-25, 1.0, -1.0, 64.0, -1e9, float("inf"), -float("inf")]
    )
    drawn[: len(edges), 0] = edges
    counts = margins.histogram(drawn)
    wanted = torch.zeros(4, margins.BINS, dtype=torch.int64)
    for expert in range(4):
        for margin in drawn[:, expert].tolist():
            wanted[expert, bin_of(max(-1e30, min(1e30, margin)))] += 1
    assert torch.equal(counts, wanted)


def test_what_is_no_number_counts_as_the_largest():
    counts = margins.histogram(torch.tensor([[float("nan")], [-float("nan")]]))
    assert counts.argmax() == 2 * SIDE
    assert counts.sum() == 2


def test_leading_axes_are_counted_apart_in_any_memory_order():
    drawn = torch.randn(3, 2, 50, 5, generator=torch.Generator().manual_seed(1))
    whole = margins.histogram(drawn.transpose(0, 1))
    for i in range(2):
        for j in range(3):
            assert torch.equal(whole[i, j], margins.histogram(drawn[j, i]))


def test_several_ranks_at_once_are_each_alone():
    counts = margins.histogram(torch.randn(2, 400, 3, generator=torch.Generator().manual_seed(2)))
    ranks = torch.tensor([1.0, 37.5, 399.0, 1e6]).expand(2, 3, 4)
    together = margins.all_from_top(counts, ranks)
    for index in range(4):
        assert torch.equal(together[..., index], margins.from_top(counts, ranks[..., index]))
