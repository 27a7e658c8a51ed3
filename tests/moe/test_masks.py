"""Every form of a mask says the same: which tokens are text, and where sequences begin."""

from contextlib import nullcontext

import pytest
import torch
from torch.nn.attention.flex_attention import create_block_mask
from transformers import DynamicCache, StaticCache
from transformers.masking_utils import create_causal_mask, create_masks_for_generate

from trimtab.errors import BalancerWarning
from trimtab.moe import masks
from trimtab.moe.attach import attach
from trimtab.moe.balancers import LossFree, NewtonBalancing, NoBalancer, Stack, SwitchLoss
from trimtab.moe.capacity import Capacity

ROWS, COLUMNS = 4, 16
IDS = torch.randint(3, 64, (ROWS, COLUMNS), generator=torch.Generator().manual_seed(2))


def padded(side):
    """[B, S] with 0, 3, 9 and 14 tokens of padding."""
    place = torch.arange(COLUMNS).expand(ROWS, -1)
    missing = torch.tensor([0, 3, 9, 14])[:, None]
    return (place >= missing if side == "left" else place < COLUMNS - missing).long()


def causal(mask):
    return torch.ones(COLUMNS, COLUMNS).tril().bool()[None, None] & mask.bool()[:, None, None]


def added(allowed, closed):
    return torch.zeros(allowed.shape).masked_fill(~allowed, closed)


def rows_opened(allowed):
    """As kernels want it that divide by the sum of a row: rows of nothing are rows of everything."""
    return allowed | ~allowed.any(-1, keepdim=True)


def with_itself(allowed):
    """As those do it that open the diagonal instead."""
    return allowed | (torch.eye(COLUMNS).bool() & ~allowed.any(-1, keepdim=True))


def window(mask):
    near = torch.ones(COLUMNS, COLUMNS).triu(-4).bool()
    return causal(mask) & near


FORMS = {
    "2-D int": lambda mask: mask,
    "2-D bool": lambda mask: mask.bool(),
    "2-D float": lambda mask: mask.float(),
    "4-D bool": causal,
    "4-D bool, a head each": lambda mask: causal(mask).expand(-1, 2, -1, -1),
    "4-D bool, padding of queries too": lambda mask: causal(mask) & mask.bool()[:, None, :, None],
    "4-D bool, empty rows opened": lambda mask: rows_opened(causal(mask)),
    "4-D bool, empty rows see themselves": lambda mask: with_itself(causal(mask)),
    "4-D bool, both directions": lambda mask: mask.bool()[:, None, None].expand(-1, 1, COLUMNS, -1),
    "4-D bool, a window": window,
    "4-D float, least number": lambda mask: added(causal(mask), torch.finfo(torch.float32).min),
    "4-D float, infinity": lambda mask: added(causal(mask), -torch.inf),
    "4-D float, -10000": lambda mask: added(causal(mask), -1e4),
    "4-D float, opened rows": lambda mask: added(rows_opened(causal(mask)), -torch.inf),
    "4-D half": lambda mask: added(causal(mask), torch.finfo(torch.float16).min).half(),
    "4-D int": lambda mask: causal(mask).long(),
    "3-D bool": lambda mask: causal(mask)[:, 0],
    "dict": lambda mask: {"full_attention": causal(mask), "sliding_attention": window(mask)},
    "dict of windows": lambda mask: {"sliding_attention": window(mask), "chunked_attention": window(mask)},
    "flex": lambda mask: create_block_mask(
        lambda b, _h, q, kv: (kv <= q) & mask.bool()[b, kv], ROWS, None, COLUMNS, COLUMNS, device="cpu"
    ),
}


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("form", FORMS)
def test_padding_is_found_in_every_form(form, side):
    mask = padded(side)
    text = masks.read({"input_ids": IDS, "attention_mask": FORMS[form](mask)})
    assert torch.equal(text.valid, mask.bool().flatten())
    assert not text.unread


@pytest.mark.parametrize("form", FORMS)
def test_without_padding_all_is_text(form):
    text = masks.read({"input_ids": IDS, "attention_mask": FORMS[form](torch.ones(ROWS, COLUMNS).long())})
    assert text.valid is None
    assert not text.unread
    assert torch.equal(text.sequence, torch.arange(ROWS).repeat_interleave(COLUMNS))


@pytest.mark.parametrize(
    "mask",
    [
        torch.ones(ROWS, 5),
        torch.ones(3, COLUMNS),
        torch.ones(ROWS, 1, COLUMNS, 7),
        torch.ones(ROWS, 1, 7, COLUMNS),
        torch.ones(ROWS, 1, COLUMNS, COLUMNS),
        torch.ones(ROWS, 1, 1, COLUMNS, COLUMNS),
        torch.eye(COLUMNS).bool().expand(ROWS, 1, -1, -1),
        [[1] * COLUMNS] * ROWS,
        {"full_attention": "everything"},
    ],
    ids=["short", "rows", "keys", "queries", "floats above 0", "5-D", "diagonal", "list", "dict of words"],
)
def test_what_cannot_be_read_is_said_to_be_unread(mask):
    text = masks.read({"input_ids": IDS, "attention_mask": mask})
    assert text.valid is None
    assert text.unread


def test_padding_behind_a_text_that_was_opened_as_a_whole_is_said_to_be_unread():
    """So look the tokens of an image at the end, which attend to one another; in front of a text it is padding."""
    opened = {side: causal(padded(side)) | ~padded(side).bool()[:, None, :, None] for side in ("left", "right")}
    left = masks.read({"input_ids": IDS, "attention_mask": opened["left"]})
    assert torch.equal(left.valid, padded("left").bool().flatten())
    right = masks.read({"input_ids": IDS, "attention_mask": opened["right"]})
    assert right.valid is None
    assert "padding or an image" in right.unread
    everything = torch.ones(ROWS, 1, COLUMNS, COLUMNS, dtype=torch.bool)
    assert not masks.read({"input_ids": IDS, "attention_mask": everything}).unread


def opened_to_themselves(mask):
    """A causal 4-D mask in which padding attends to itself, so that no row of it is empty."""
    return causal(mask) | torch.eye(COLUMNS, dtype=torch.bool)


def test_padding_behind_a_text_that_attends_to_itself_is_said_to_be_unread():
    """It looks like the branches of a tree of drafts, all of which are text; in front of a text it stands alone."""
    left = masks.read({"input_ids": IDS, "attention_mask": opened_to_themselves(padded("left"))})
    assert torch.equal(left.valid, padded("left").bool().flatten())
    right = masks.read({"input_ids": IDS, "attention_mask": opened_to_themselves(padded("right"))})
    assert right.valid is None
    assert "later ones do not see" in right.unread
    tree = torch.ones(COLUMNS, COLUMNS).tril().bool()
    tree[9:, 8] = False
    assert masks.read({"input_ids": IDS, "attention_mask": tree.expand(ROWS, 1, -1, -1)}).unread


@pytest.mark.parametrize("mask", [None, {}, {"full_attention": None, "sliding_attention": causal(padded("left"))}])
def test_no_mask_is_no_padding(mask):
    text = masks.read({"input_ids": IDS, "attention_mask": mask})
    assert (text.valid, text.unread) == (None, "")


PACKED = torch.tensor([0] * 5 + [1] * 6 + [2] * 5)
PACKINGS = {
    "positions": {"position_ids": torch.cat([torch.arange(n) for n in (5, 6, 5)])[None]},
    "positions of four kinds": {"position_ids": torch.cat([torch.arange(n) for n in (5, 6, 5)]).expand(4, 1, -1)},
    "lengths": {"cu_seq_lens_q": torch.tensor([0, 5, 11, 16], dtype=torch.int32)},
    "numbers": {"seq_idx": PACKED[None].int()},
    "numbers in the mask": {"attention_mask": PACKED[None] + 1},
    "blocks": {"attention_mask": (PACKED[:, None] == PACKED)[None, None] & torch.ones(16, 16).tril().bool()},
}


@pytest.mark.parametrize("form", PACKINGS)
def test_packed_sequences_are_told_apart_in_every_form(form):
    text = masks.read({"input_ids": IDS[:1], **PACKINGS[form]})
    assert torch.equal(text.sequence, PACKED)
    assert (text.valid, text.unread) == (None, "")


def test_what_lies_behind_the_last_sequence_is_padding():
    text = masks.read({"input_ids": IDS[:1], "cu_seq_lens_q": torch.tensor([0, 5, 11])})
    assert torch.equal(text.valid, torch.arange(16) < 11)
    assert torch.equal(text.sequence, PACKED)


@pytest.mark.parametrize("cache", [None, "static"])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_generation_after_left_padding_counts_what_hand_counting_counts(*, build, family, cache, attention):
    model = build(family).eval()
    model.set_attn_implementation(attention)
    gates = attach(model, balancer=NoBalancer())
    mask = padded("left")
    with torch.no_grad(), gates.measure() as lines:
        model.generate(
            input_ids=IDS,
            attention_mask=mask,
            max_new_tokens=4,
            min_new_tokens=4,
            do_sample=False,
            cache_implementation=cache,
            disable_compile=True,
        )
    expected = int(mask.sum()) + 3 * ROWS
    assert [line["tokens"] for line in lines] == [expected, expected]
    assert all(line["unread_masks"] == 0 for line in lines)


@pytest.mark.parametrize("kind", [DynamicCache, StaticCache])
def test_a_mask_as_long_as_the_cache_is_read_where_the_queries_are(build, kind):
    config = build("qwen3_moe").config
    cache = DynamicCache() if kind is DynamicCache else StaticCache(config=config, max_cache_len=24)
    keys = torch.zeros(ROWS, 2, COLUMNS, 16)
    for layer in range(3):
        cache.update(keys, keys, layer)
    mask = torch.cat([padded("left"), torch.tensor([[1, 1], [1, 0], [1, 1], [1, 1]])], 1)
    given = {"input_ids": IDS[:, :2], "past_key_values": cache}
    wide = torch.cat([mask, torch.zeros(ROWS, 6).long()], 1) if kind is StaticCache else mask
    square = create_masks_for_generate(
        config, inputs_embeds=torch.zeros(ROWS, 2, 32), attention_mask=mask, past_key_values=cache
    )
    for form in (wide, square):
        text = masks.read({**given, "attention_mask": form})
        assert text.valid.tolist() == [True] * 3 + [False] + [True] * 4


RULES = [
    LossFree(bias_update_rate=0.01),
    NewtonBalancing(),
    Stack(LossFree(bias_update_rate=0.01), SwitchLoss(coef=0.1, scope="sequence")),
    SwitchLoss(coef=0.1, scope="global"),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
def test_loads_capacities_penalties_and_biases_agree_over_forms(build, family, rule, equal):
    """Of a training step; the oracle is the 2-D mask, which other tests hold against batches without padding."""
    mask, found = padded("right"), []
    labels = IDS.masked_fill(mask == 0, -100)
    for form in ("2-D int", "4-D bool", "4-D float, least number"):
        model = build(family).train()
        gates = attach(model, balancer=rule, capacity=Capacity(factor=1.0, scope="sequence", drop_policy="position"))
        model(input_ids=IDS, attention_mask=FORMS[form](mask), labels=labels).loss.backward()
        loads = gates.loads()
        gates.update()
        gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
        found.append((loads, gates.biases(), float(gates.penalty()), gates.metrics(), gradients))
    assert int(found[0][0][1].sum()) == 2 * int(mask.sum())
    for loads, biases, penalty, metrics, gradients in found[1:]:
        equal(loads, found[0][0])
        equal(biases, found[0][1])
        assert penalty == pytest.approx(found[0][2])
        assert metrics == found[0][3]
        for name, gradient in gradients.items():
            assert torch.allclose(gradient, found[0][4][name], atol=1e-5), name


def test_an_unread_mask_is_warned_of_once_and_counted(build):
    model = build("qwen3_moe").train()
    gates = attach(model, balancer=LossFree(bias_update_rate=0.01))
    mask = torch.zeros(ROWS, 1, COLUMNS, COLUMNS).masked_fill(torch.ones(COLUMNS, COLUMNS).triu(1).bool(), -1e4)
    mask[:, :, 0] = 0.5
    with pytest.warns(BalancerWarning, match="does not say which tokens are padding"):
        model(input_ids=IDS, attention_mask=mask, labels=IDS).loss.backward()
    gates.update()
    assert [line["unread_masks"] for line in gates.metrics()] == [1, 1]
    model(input_ids=IDS, attention_mask=mask, labels=IDS).loss.backward()
    model(input_ids=IDS, labels=IDS).loss.backward()
    gates.update()
    assert [line["unread_masks"] for line in gates.metrics()] == [1, 1]


def test_masks_that_transformers_makes_are_read(build):
    model = build("qwen3_moe")
    for attention in ("eager", "sdpa"):
        model.set_attn_implementation(attention)
        for side in ("left", "right"):
            made = create_causal_mask(model.config, torch.zeros(ROWS, COLUMNS, 32), padded(side), None)
            text = masks.read({"input_ids": IDS, "attention_mask": made})
            assert torch.equal(text.valid, padded(side).bool().flatten())


def test_of_a_layer_attached_to_by_itself_padding_is_known_by_its_mask_or_said_to_be_unknown(build, family):
    mask = padded("left")
    for layer, expected, unread in ((lambda m: m.model.layers[1], 2 * int(mask.sum()), 0), (
        lambda m: m.model.layers[1].mlp, 2 * mask.numel(), 1,
    )):  # fmt: skip
        model = build(family).train()
        gates = attach(layer(model), balancer=LossFree(bias_update_rate=0.01))
        with pytest.warns(BalancerWarning, match="without a mask") if unread else nullcontext():
            model(input_ids=IDS, attention_mask=mask, use_cache=False).logits.sum().backward()
        assert [int(calls.sum()) for calls in gates.loads().values()] == [expected]
        gates.update()
        assert [line["unread_masks"] for line in gates.metrics()] == [unread]
