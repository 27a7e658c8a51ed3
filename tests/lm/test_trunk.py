import multiprocessing
import time

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from trimtab.errors import ConfigurationError
from trimtab.lm import dense, trunk
from trimtab.lm.trunk import TrunkCache


@pytest.fixture
def documents(monkeypatch):
    monkeypatch.setattr(trunk, "SHARD_TOKENS", 32)
    return [np.arange(1, 1 + length, dtype=np.int32) for length in (20, 9, 30, 12)]


def cache(model, folder, **changed):
    return TrunkCache(**{"identity": model.identity, "layer": 1, "precision": "float32", "folder": folder, **changed})


def test_the_states_are_the_model_s_own_residual_stream_behind_attention(tiny_dense, tmp_path, documents):
    model = dense.load(str(tiny_dense), tmp_path)
    seen = []
    norm = model.model.model.layers[1].post_attention_layernorm
    handle = norm.register_forward_pre_hook(lambda _module, args: seen.append(args[0][0]))
    for document in documents:
        model.model(input_ids=torch.tensor(document[None].astype(np.int64)))
    handle.remove()
    before = model.model(input_ids=torch.arange(1, 9)[None]).logits
    found = cache(model, tmp_path).collect([documents], lambda: model.model)
    torch.testing.assert_close(found, torch.cat(seen), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(model.model(input_ids=torch.arange(1, 9)[None]).logits, before, rtol=0, atol=0)
    alone = trunk.compute(model.model, 1, documents[2:3])
    assert torch.equal(alone, seen[2])  # the same batch: to the last bit


def test_a_second_run_computes_nothing_and_a_torn_or_foreign_shard_is_done_again(tiny_dense, tmp_path, documents):
    model = dense.load(str(tiny_dense), tmp_path)
    kept = cache(model, tmp_path)
    first = kept.collect([documents], lambda: model.model)
    assert torch.equal(kept.collect([documents], pytest.fail), first)
    paths = [kept.path(part) for part in trunk.shards(documents)]
    paths[0].write_bytes(paths[0].read_bytes()[:200])
    save_file(load_file(paths[1]), paths[1], metadata={"name": "trunk-of-another"})
    assert torch.equal(kept.collect([documents], lambda: model.model), first)


def test_another_model_text_layer_or_precision_is_another_shard(tiny_dense, tmp_path, documents):
    model = dense.load(str(tiny_dense), tmp_path)
    other = [documents[0] + 1, *documents[1:]]
    joined = [np.concatenate(documents[:2])]
    paths = {cache(model, tmp_path).path(documents[:2]), cache(model, tmp_path).path(other[:2])}
    paths |= {cache(model, tmp_path).path(joined)}
    paths |= {cache(model, tmp_path, **{key: value}).path(documents[:2]) for key, value in
              {"identity": "other", "layer": 2, "precision": "float16"}.items()}  # fmt: skip
    assert len(paths) == 6


def _work(source, folder, documents, calls):
    torch.set_num_threads(1)
    trunk.SHARD_TOKENS = 32
    model = dense.load(source, folder)

    def asked():
        calls.append(time.monotonic())
        return model.model

    cache(model, folder).collect([documents], asked)


@pytest.mark.slow
def test_two_workers_that_want_the_same_text_share_the_work(tiny_dense, tmp_path, documents):
    with multiprocessing.get_context("spawn").Manager() as manager:
        calls = manager.list()
        processes = [
            multiprocessing.get_context("spawn").Process(
                target=_work, args=(str(tiny_dense), tmp_path, documents, calls)
            )
            for _ in range(2)
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        assert [process.exitcode for process in processes] == [0, 0]
        assert len(calls) == len(trunk.shards(documents)) == 3


def test_states_that_do_not_fit_are_refused(tiny_dense, tmp_path, documents):
    model = dense.load(str(tiny_dense), tmp_path)
    model.model.model.embed_tokens.weight.mul_(1e6)
    with pytest.raises(ConfigurationError, match="do not fit into float16"):
        cache(model, tmp_path, precision="float16").collect([documents], lambda: model.model)


def test_a_layer_the_model_does_not_have_is_named(tiny_dense, tmp_path, documents):
    model = dense.load(str(tiny_dense), tmp_path)
    with pytest.raises(ConfigurationError, match="no layer 3"):
        cache(model, tmp_path, layer=3).collect([documents], lambda: model.model)
