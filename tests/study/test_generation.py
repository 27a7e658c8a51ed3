"""Programs written by a pretrained model with experts: what it writes is what the whole model would, and is run."""

import dataclasses
import json

import pytest
import torch

from trimtab import disk
from trimtab.codeeval import problems
from trimtab.codeeval.completion import Completion, Sampling
from trimtab.lm import dense, place_score
from trimtab.settings.pools import PlaceEvaluation
from trimtab.study import generation, pretrained_cells, requirements, spec, store
from trimtab.study.measured import CellMeasurements
from trimtab.study.run import as_record, run_cell
from trimtab.study.table import StudyTable

TEXT = """
name = "writes"
[factors]
model = ["dense"]
balancer = ["loss_free", "aux"]
expert_init = ["copies"]
capacity = ["dropless"]
seed = [0]
[reference]
expert_init = "copies"
capacity = "dropless"
[contrast]
treatment = "loss_free"
control = "aux"
[endpoints]
primary = "humaneval_pass1"
[margins]
humaneval_pass1 = 0.05
[balancers.loss_free]
rule = "loss_free"
bias_update_rate = 0.1
[balancers.aux]
rule = "switch"
coef = 0.01
[expert_inits.copies]
[capacities.dropless]
[models.dense]
preset = "upcycled"
source = "@SOURCE@"
num_experts = 4
layers = [-2, -1]
precision = "float32"
[data]
train_tokens = 64
heldout_tokens = 64
row_length = 32
rows = 2
[training]
steps = 3
learning_rate = 1e-3
[evaluation]
benchmarks = []
capacities = [0.5]
generated = ["HumanEval/0", "HumanEval/53"]
max_new_tokens = 6
"""


@pytest.fixture
def study(tiny_dense, tmp_path, monkeypatch):
    monkeypatch.setenv("TRIMTAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TRIMTAB_DATA", "")
    return spec.parse(TEXT.replace("@SOURCE@", str(tiny_dense)))


def prepared(study, tmp_path):
    cell = next(study.cells())
    folder = store.RunFolder(tmp_path / "run").cell(cell.id)
    folder.prepare(cell.id, as_record(study, cell))
    return pretrained_cells.prepare(json.loads(folder.cell.read_text()), tmp_path / "cache"), folder


def whole(bench):
    completer = dense.load(bench.source, bench.cache).completer
    bench.model.put_into(completer.model)
    return completer, generation.move_gates(bench.gates, completer.model)


def test_untrained_copies_write_what_the_dense_model_writes(study, tmp_path, tiny_dense):
    bench, _ = prepared(study, tmp_path)
    prompts, sampling = ["def f(x):\n", "import os\n\n"], Sampling(max_new_tokens=24)
    expected = [each.text for each in dense.load(str(tiny_dense), tmp_path).completer.complete(prompts, sampling)]
    completer, gates = whole(bench)
    assert [router.layer for router in gates.routers] == [1, 2]
    assert [each.text for each in completer.complete(prompts, sampling)] == expected
    assert any(expected)


def test_the_whole_model_scores_as_the_trained_part_does(study, tmp_path):
    bench, folder = prepared(study, tmp_path)
    pretrained_cells.train(bench, folder, lambda *_: None)
    document = bench.pool.documents[0]
    expected = place_score.place_nats(bench.model, bench.vocabulary, [[document]])[document.domain, document.unit_id]
    biases = bench.gates.biases()
    assert any(float(bias.abs().max()) > 0 for bias in biases.values())
    completer, gates = whole(bench)
    for layer, bias in gates.biases().items():
        assert torch.equal(bias, biases[layer])
    ids = torch.from_numpy(bench.pool.tokens[document.start : document.start + document.length]).long()[None]
    completer.model.eval()
    with torch.inference_mode():
        scores = completer.model(input_ids=ids).logits[0].double().log_softmax(-1)
    nats = -scores[:-1].gather(1, ids[0, 1:, None])[-document.scored :].sum()
    assert float(nats) == pytest.approx(expected[0], rel=1e-4)


def test_a_cell_writes_and_runs_programs_dropless_and_under_capacity(study, tmp_path):
    requirements.require(study, tmp_path)
    _, folder = prepared(study, tmp_path)
    run_cell(folder.path)
    result = store.CellResult.read(folder.result)
    tasks = {"HumanEval/0", "HumanEval/53"}
    assert {label: set(units) for label, units in result.passes["humaneval"].items()} == {
        "dropless": tasks,
        "0.5": tasks,
    }
    assert len(disk.read_lines(folder.samples)) == len(disk.read_lines(folder.verdicts)) == 4
    decoded = [line for line in result.routing if line["phase"] == "eval:writing humaneval"]
    assert {line["layer"] for line in decoded} == {1, 2}
    assert all(line["drop_rate"] > 0 for line in decoded if line["eval_capacity"] == "0.5")
    table = StudyTable.load(tmp_path / "run", study)
    rows = [row for row in table.rows if row.endpoint == "humaneval_pass1"]
    assert {(row.eval_capacity, row.units) for row in rows} == {("dropless", 2), ("0.5", 2)}


def test_right_and_wrong_programs_are_counted(study, tmp_path):
    bench, folder = prepared(study, tmp_path)
    benchmark = problems.load("humaneval")
    right = next(each for each in benchmark.problems if each.task_id == "HumanEval/53").canonical_solution

    @dataclasses.dataclass(frozen=True)
    class Writer:
        render = None
        batch_size: int = 1

        def complete(self, prompts, _sampling):
            for number in reversed(range(len(prompts))):
                text = right if "def add" in prompts[number] else "    return None\n"
                yield Completion(
                    prompt_index=number, sample_index=0, text=text, finished="stop", prompt_tokens=1, new_tokens=1
                )

    found, evaluation = CellMeasurements(), PlaceEvaluation(generated=("HumanEval/53", "HumanEval/0"))
    folder.path.mkdir(parents=True, exist_ok=True)
    generation.measure(
        Writer(), bench.gates, evaluation, {"humaneval": benchmark}, found, folder, allow_unsandboxed=True
    )
    assert found.passes == {"humaneval": {"dropless": {"HumanEval/0": [1, 0], "HumanEval/53": [1, 1]}}}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('generated = ["HumanEval/0", "HumanEval/53"]', "", "generated names no problem to write one for"),
        ('"HumanEval/53"', '"HumanEval/0"', "names one twice"),
        ('"HumanEval/53"', '"HumanEval/1000"', "there is no problem 'HumanEval/1000' in humaneval"),
    ],
)
def test_what_cannot_be_written_is_named_before_anything_is(study, tmp_path, old, new, message):
    with pytest.raises(spec.StudyError, match=message):
        requirements.require(spec.parse(study.text.replace(old, new)), tmp_path)
