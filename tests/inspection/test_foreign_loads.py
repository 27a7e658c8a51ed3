"""Files of SGLang, llama.cpp and Megatron, written here as those programs write them."""

import json

import numpy as np
import pytest
import torch
from gguf import GGUFWriter

from trimtab.errors import ConfigurationError
from trimtab.inspection.foreign_loads import rank_balance, read_loads, recognize
from trimtab.inspection.usage_measures import loads_record


def imatrix(path, counts, tokens):
    writer = GGUFWriter(path, arch="")
    writer.add_type("imatrix")
    for name, values in {"blk.0.attn_q.weight": [tokens], "blk.3.ffn_down_exps.weight": counts}.items():
        writer.add_tensor(f"{name}.in_sum2", np.ones((len(values), 4), dtype=np.float32))
        writer.add_tensor(f"{name}.counts", np.array(values, dtype=np.float32)[:, None])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_an_imatrix_has_loads_tokens_and_choices(tmp_path):
    path = imatrix(tmp_path / "any-name", [512, 300, 100, 112], 512)
    assert recognize(path) == "imatrix"
    (layer,) = loads_record("x", read_loads(path), None)["layers"]
    held = layer["domains"]["measured"]
    assert (layer["layer"], layer["num_experts_per_tok"], held["tokens"]) == (3, 2, 512)
    assert (np.array(held["load"]) / 1024).tolist() == [0.5, 0.29296875, 0.09765625, 0.109375]
    assert held["max_violation"] == 1.0
    assert 0 < held["max_violation_floor"] < 0.2
    with pytest.raises(ConfigurationError, match="measured with 2 experts a token, and 4 were given"):
        read_loads(path, top_k=4)


def test_counts_of_sglang_leave_dense_layers_out(tmp_path):
    count = torch.zeros(2, 3, 4, dtype=torch.int32)
    count[:, 1] = torch.tensor([5, 3, 0, 0])
    count[:, 2] = 2
    path = tmp_path / "recorder.pt"
    torch.save({"rank": 0, "logical_count": count, "average_utilization_rate_over_window": None}, path)
    found = read_loads(path)
    record = loads_record("x", found, 2)
    assert record["without"] == ["layer 0"]
    assert [layer["domains"]["measured"]["max_violation"] for layer in record["layers"]] == [1.5, 0.0]
    assert record["layers"][0]["domains"]["measured"]["dead"] == [2, 3]
    assert "max_violation_floor" not in record["layers"][0]["domains"]["measured"]
    # The measures of both programs on [10, 6, 0, 0] and [4, 4, 4, 4].
    assert record["ranks"]["sglang_balancedness"] == pytest.approx(0.7500001562, abs=1e-6)
    assert record["ranks"]["vllm_balancedness"] == pytest.approx(2 / 3)
    with_k = loads_record("x", read_loads(path, top_k=2), None)["layers"][0]["domains"]["measured"]
    assert (with_k["tokens"], with_k["max_violation_floor"] > 0) == (8, True)


def test_an_imatrix_without_calls_of_experts_is_named(tmp_path):
    name = b"blk.3.ffn_down_exps.weight"
    entry = (
        np.int32(len(name)).tobytes() + name + np.array([5, 8], np.int32).tobytes() + np.ones(8, np.float32).tobytes()
    )
    old = tmp_path / "imatrix.dat"
    old.write_bytes(np.int32(258).tobytes() + entry)
    assert recognize(old) == "imatrix"
    with pytest.raises(ConfigurationError, match=r"imatrix in the old form \(\.dat\)") as caught:
        read_loads(old)
    assert "--output-format gguf" in caught.value.hint
    with pytest.raises(ConfigurationError, match=r"one count for all experts of blk\.3"):
        read_loads(imatrix(tmp_path / "converted.gguf", [512], 512))
    alike = read_loads(imatrix(tmp_path / "begun.gguf", [512] * 4, 512))
    assert any("begun from an old .dat file" in note for note in alike.notes)


def test_devices_of_unequal_length_are_refused():
    balance = rank_balance(np.array([[10, 6, 0, 0], [4, 4, 4, 4]]), 2)
    assert balance["rank_loads"] == [[16, 0], [8, 8]]
    assert balance["vllm_balancedness"] == pytest.approx(16 / 24)
    with pytest.raises(ConfigurationError, match="4 experts cannot be cut into 3 equal runs"):
        rank_balance(np.ones((1, 4)), 3)


@pytest.mark.parametrize("form", ["tokens", "counts"])
def test_records_of_sglang_name_physical_experts_and_are_padded(tmp_path, form):
    # Physical experts 0 and 4 both hold logical expert 0.
    mapping = torch.tensor([[0, 1, 2, 3, 0]] * 2)
    chosen = torch.full((2, 3, 8), -1, dtype=torch.int32)
    chosen[1, :2, :2] = torch.tensor([[0, 1], [4, 3]])
    record = {"forward_pass_id": 7, "rank": 0, "gatherer_key": "primary"}
    if form == "tokens":
        record["topk_ids_of_layer"] = chosen
    counts = torch.zeros(2, 5, dtype=torch.int32)
    counts[1] = torch.tensor([1, 1, 0, 1, 1])
    record["global_physical_count"] = counts
    path = tmp_path / "recorder.pt"
    torch.save({"records": [record], "last_physical_to_logical_map": mapping}, path)
    found = read_loads(path)
    (layer,) = found.layers
    assert (layer.layer, layer.load.tolist(), found.without) == (1, [[2, 1, 0, 1]], ("layer 0",))
    assert (layer.num_experts_per_tok, int(layer.tokens[0])) == ((2, 2) if form == "tokens" else (0, 0))


def trace(path, *records, tail=""):
    path.write_text("".join(json.dumps(record) + "\n" for record in records) + tail)
    return path


def test_a_trace_of_megatron_over_ranks_with_padding_and_a_torn_end(tmp_path):
    record = {"step": 0, "stage": "pre_dispatch", "block": "decoder", "layer": 2, "rank": 0, "topk": 2}
    trace(
        tmp_path / "router_trace_rank0.jsonl",
        {**record, "num_tokens": 2, "top_indices": [[0, 1], [0, 3], [2, 2]]},
        {**record, "num_tokens": 1, "top_indices": [[1, 2]], "mtp_idx": 0},
        tail='{"step": 1, "layer": 2, "top_ind',
    )
    trace(
        tmp_path / "router_trace_rank1.jsonl",
        {**record, "rank": 1, "num_tokens": 2, "top_indices": [[0, -1], [-1, -1]]},
    )
    assert recognize(tmp_path) == "megatron"
    found = read_loads(tmp_path, num_experts=6)
    assert [(layer.name, layer.load[0].tolist(), int(layer.tokens[0])) for layer in found.layers] == [
        ("layer 2", [3, 1, 0, 1, 0, 0], 3),
        ("layer 2, MTP 0", [0, 1, 1, 0, 0, 0], 1),
    ]
    assert any("not written to their end" in note for note in found.notes)
    assert any("2 ranks are summed" in note and "different layers, as stages do" in note for note in found.notes)
    with pytest.raises(ConfigurationError, match="calls of expert 3, beyond the 2 experts given"):
        read_loads(tmp_path, num_experts=2)


def test_what_is_no_file_of_loads_is_named(tmp_path):
    path = tmp_path / "weights.pt"
    torch.save({"weight": torch.zeros(2)}, path)
    with pytest.raises(ConfigurationError, match=r"holds weight: a recorder's file has logical_count"):
        read_loads(path)
    torch.save({"logical_count": torch.zeros(2, 3)}, path)
    with pytest.raises(ConfigurationError, match=r"shape \(2, 3\), expected \[steps, layers, E\]"):
        read_loads(path)
    torch.save({"logical_count": torch.zeros(2, 3, 4)}, path)
    with pytest.raises(ConfigurationError, match="counts no call in any of 3 layers"):
        read_loads(path)
    fewer = {
        "records": [{"global_physical_count": torch.ones(1, 4)}],
        "last_physical_to_logical_map": torch.zeros(2, 4),
    }
    torch.save(fewer, path)
    with pytest.raises(ConfigurationError, match=r"record 0 counts \(1, 4\).*its map is \(2, 4\)"):
        read_loads(path)
    short = trace(tmp_path / "t.jsonl", {"layer": 1, "num_tokens": 3, "top_indices": [[0, 1]]})
    with pytest.raises(ConfigurationError, match="line 1: 1 tokens of 3"):
        read_loads(short)
    (tmp_path / "text.txt").write_text("hello")
    assert recognize(tmp_path / "text.txt") is None
    assert recognize(tmp_path) is None
