"""The planner against the package's own capacity, a run from the start, and what must be so."""

import numpy as np
import pytest
import torch

from trimtab.errors import ConfigurationError
from trimtab.inspection.batch_composition import compose
from trimtab.inspection.capacity_plan import PlanOptions, plan_capacity
from trimtab.inspection.domain_texts import domain_sources
from trimtab.inspection.room_limits import POLICIES, RoomLimit, RoomTally, competition
from trimtab.inspection.shared_prefix import SharedPrefix
from trimtab.inspection.smallest_capacity import smallest
from trimtab.inspection.token_windows import stack
from trimtab.moe.attach import attach
from trimtab.settings.capacities import Capacity
from trimtab.settings.rules import NoBalancer

OPTIONS = PlanOptions(batch_tokens=256, batch_rows=6, resamples=200)


@pytest.fixture
def windows(inspected, texts):
    sources = domain_sources([], [f"code={texts / 'code.jsonl'}", f"prose={texts / 'prose.txt'}"])
    return [window for source in sources for window in inspected.windows(source.texts(), length=48)]


@pytest.mark.parametrize("policy", ["probs", "position", "batch_priority"])
@pytest.mark.parametrize("composition", ["mixed", "ordered"])
def test_prefill_is_the_capacity_of_the_package(inspected, windows, policy, composition):
    limit = RoomLimit(factor=0.7, drop_policy=policy, composition=composition)
    (row,) = plan_capacity(inspected, windows, [limit], OPTIONS)["settings"]
    gates = attach(inspected.model, balancer=NoBalancer(), capacity=Capacity(eval_factor=0.7, drop_policy=policy))
    bits = {}
    with torch.no_grad(), gates.measure() as lines:
        for places in OPTIONS.groups(windows, limit):
            batch = stack([windows[place] for place in places], 256)
            logits = inspected.model(input_ids=batch.ids, attention_mask=batch.attention_mask).logits.log_softmax(-1)
            for index, place in enumerate(places):
                window = windows[place]
                ids = torch.from_numpy(window.ids)
                scores = logits[index, : len(ids) - 1].gather(1, ids[1:, None])[:, 0]
                bits[place] = -float(scores[len(scores) - window.scored :].sum()) / np.log(2)
    gates.detach()
    dropless = plan_capacity(inspected, windows, [RoomLimit(factor=None)], OPTIONS)
    size = sum(window.num_bytes for window in windows)
    shares = [sum(w.num_bytes for w in windows if w.domain == name) for name in dropless["texts"]]
    before = np.dot(list(dropless["baseline_bits_per_byte"].values()), shares)
    assert row["rise"] == pytest.approx((sum(bits.values()) - before) / size, abs=1e-5)
    tokens = [line["tokens"] * 2 for line in lines]
    assert row["dropped"] == pytest.approx(np.dot([line["drop_rate"] for line in lines], tokens) / sum(tokens))
    assert row["drop_floor"] == pytest.approx(np.dot([line["drop_floor"] for line in lines], tokens) / sum(tokens))


def test_stepping_over_the_prefix_changes_nothing(inspected, windows, monkeypatch):
    limits = [
        RoomLimit(factor=factor, phase=phase) for factor in (0.5, 1.0) for phase in ("prefill", "batched_decoding")
    ]
    shared = plan_capacity(inspected, windows, limits, OPTIONS)
    assert shared["shared_prefix"]
    monkeypatch.setattr(SharedPrefix, "works", property(lambda _self: False))
    whole = plan_capacity(inspected, windows, limits, OPTIONS)
    assert not whole["shared_prefix"]
    for one, other in zip(shared["settings"], whole["settings"], strict=True):
        assert one["rise"] == pytest.approx(other["rise"], abs=1e-5)
        assert one["dropped"] == other["dropped"]
    assert "forward" not in inspected.model.model.layers[0].__dict__


def test_one_token_at_a_time_loses_nothing_and_no_room_nearly_everything(inspected, windows):
    limits = [RoomLimit(factor=0.1, phase=phase) for phase in ("single_decoding", "batched_decoding", "prefill")]
    single, batched, prefill = plan_capacity(inspected, windows, limits, OPTIONS)["settings"]
    assert (single["dropped"], single["rise"], single["computed"]) == (0, 0, 0)
    assert 0 < batched["dropped"] < prefill["dropped"]
    assert 0.8 < prefill["dropped"] < 1


@pytest.mark.parametrize("policy", POLICIES)
def test_more_room_than_calls_is_dropless_to_the_last_bit(inspected, windows, policy):
    (row,) = plan_capacity(inspected, windows, [RoomLimit(factor=4.0, drop_policy=policy)], OPTIONS)["settings"]
    assert (row["rise"], row["dropped"], row["computed"]) == (0, 0, 0)
    assert row["busiest"] > 1


def test_duplicates_take_from_the_busiest(inspected, windows):
    limits = [RoomLimit(factor=None, duplicates=count) for count in (0, 2)]
    plain, doubled = plan_capacity(inspected, windows, limits, OPTIONS)["settings"]
    assert doubled["busiest"] < plain["busiest"]
    assert doubled["rise"] == 0
    with pytest.raises(ConfigurationError, match="9 experts cannot be duplicated in a layer of 8"):
        plan_capacity(inspected, windows, [RoomLimit(factor=1.0, duplicates=9)], OPTIONS)


def test_who_competes_in_each_phase(windows):
    pair = [next(window for window in windows if window.domain == "code")] * 2
    length, scored = len(pair[0].ids), pair[0].scored
    width = length + 3
    prefill, batched, single = (
        competition(pair, width, phase).reshape(2, width)
        for phase in ("prefill", "batched_decoding", "single_decoding")
    )
    assert prefill[0].tolist() == [0] * length + [-1] * 3
    # Of a continuation the last token is never read.
    expected = [-1] * (length - scored) + list(range(scored - 1)) + [-1] * 4
    assert batched.tolist() == [expected, expected]
    assert sorted(single[single >= 0].tolist()) == list(range(2 * (scored - 1)))


def test_drops_and_time_of_known_loads():
    """Loads [10, 6, 0, 0] of 8 tokens that call 2 of 4 experts: C = 1, 1.15, 1.25, 2 give 4, 5, 5, 8 slots."""
    for factor, slots, dropped in [(1.0, 4, 0.5), (1.15, 5, 0.375), (1.25, 5, 0.375), (2.0, 8, 0.125)]:
        limit, tally = RoomLimit(factor=factor), RoomTally()
        assert limit.slots(8, 4, 2) == slots
        load = np.array([[10, 6, 0, 0]])
        tally.add(load, np.minimum(load, slots), limit, np.ones(4, dtype=np.int64), 2)
        assert 1 - tally.kept / tally.calls == dropped
        assert tally.busiest / tally.even == slots / 4


def test_compositions_hold_every_text_once_and_what_they_say(windows):
    domains = [window.domain for window in windows]
    share = domains.count("prose") / len(domains)
    for name in ("one_domain", "mixed", "shuffled", "ordered"):
        groups = compose(windows, name, batch_rows=8)
        assert sorted(place for group in groups for place in group) == list(range(len(windows)))
        inside = [{domains[place] for place in group} for group in groups]
        if name == "one_domain":
            assert all(len(each) == 1 for each in inside)
        if name == "ordered":
            assert [place for group in groups for place in group] == list(range(len(windows)))
        if name == "mixed":
            for group in groups[:-1]:
                assert abs(sum(domains[place] == "prose" for place in group) - share * len(group)) <= 1


def test_the_smallest_capacity_holds_from_there_on():
    def row(factor, rise, *draws):
        kind = {"phase": "prefill", "composition": "mixed", "drop_policy": "probs", "duplicates": 0}
        return {**kind, "factor": factor, "rise": rise, "draws": np.array(draws)}

    rows = [row(None, 0, 0, 0), row(1.0, 0.01, 0.01, 0.09), row(1.5, 0.05, 0.05, 0.01), row(2.0, 0.01, 0.01, 0.01)]
    (found,) = smallest(rows, 0.02)
    assert (found["factor"], found["interval"]) == (2.0, [1.5, 2.0])
    (none,) = smallest([row(1.0, 0.5, 0.5, 0.5)], 0.02)
    assert (none["factor"], none["interval"]) == (None, [None, None])


def test_texts_that_are_too_few_and_impossible_factors_are_named(inspected, windows):
    with pytest.raises(ConfigurationError, match=r"tokens, fewer than one batch of 100000"):
        plan_capacity(inspected, windows, [RoomLimit(factor=1.0)], PlanOptions(batch_tokens=100_000))
    with pytest.raises(ConfigurationError, match="fewer than the 500 that are decoded together"):
        plan_capacity(
            inspected, windows, [RoomLimit(factor=1.0, phase="batched_decoding")], PlanOptions(batch_rows=500)
        )
    for factor in (0, -1.0, float("nan")):
        with pytest.raises(ConfigurationError, match="capacity"):
            RoomLimit(factor=factor)
