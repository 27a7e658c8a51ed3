"""No file of the working folder or of an input's folder is run, whatever it is named like."""

import importlib.util
import io
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest
from reportlab.pdfgen import canvas
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from trimtab import isolation
from trimtab.documents.reader import read_bytes
from trimtab.errors import EvidenceError

PROGRAM = str(Path(sys.executable).with_name("trimtab"))
CLAIM = "GPT-4o achieves 90.2% on HumanEval.\n"


@pytest.fixture(scope="module")
def decoys():
    location = importlib.util.spec_from_file_location("decoys", Path(__file__).with_name("decoys.py"))
    module = importlib.util.module_from_spec(location)
    location.loader.exec_module(module)
    return module


@pytest.fixture
def inputs(decoys, tmp_path):
    """A folder with report, sources and model, decoys beside each, and the folder of their markers."""
    here = tmp_path / "here"
    for folder in (here, here / "sources", here / "model"):
        decoys.plant(folder, tmp_path / "markers")
    (here / "report.md").write_text(CLAIM)
    (here / "sources" / "paper.pdf").write_bytes(pdf())
    save_model(here / "model")
    return here, tmp_path / "markers"


def pdf():
    out = io.BytesIO()
    page = canvas.Canvas(out, invariant=True)
    page.drawString(72, 700, CLAIM)
    page.save()
    return out.getvalue()


def save_model(folder):
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    inner.train_from_iterator([], trainers.BpeTrainer(special_tokens=["<e>"], initial_alphabet=alphabet))
    PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<e>").save_pretrained(folder)  # noqa: S106
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    LlamaForCausalLM(LlamaConfig(vocab_size=300, max_position_embeddings=4096, **sizes)).save_pretrained(folder)


def environment(**more):
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1", **more}


def call(folder, *arguments, **more):
    """Run a command in a folder; return the finished process."""
    return subprocess.run(
        [*map(str, arguments)], cwd=folder, capture_output=True, text=True, check=False, env=environment(**more)
    )


def test_a_decoy_is_run_by_a_python_that_is_not_isolated(inputs, decoys):
    here, markers = inputs
    call(here, sys.executable, "-c", "import json")
    assert decoys.run_by(markers) == ["json"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("evidence", "check", "report.md", "--sources", "sources", "-o", "out"),
        ("evidence", "check", "sources/paper.pdf", "--sources", "sources"),
        ("doctor",),
        (
            "simulate",
            "-s",
            "skewed",
            "--shape",
            "64",
            "8",
            "2",
            "--steps",
            "8",
            "-r",
            "LossFree(bias_update_rate=0.01)",
        ),
        ("selfinvoke", "micro", "-m", "template", "-o", "out", "--limit", "1"),
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_a_verb_runs_no_decoy(inputs, decoys, arguments):
    here, markers = inputs
    done = call(here, PROGRAM, *arguments)
    assert done.returncode == 0, done.stderr
    assert decoys.run_by(markers) == []


def test_eval_and_judge_run_no_decoy(inputs, decoys):
    here, markers = inputs
    done = call(here, PROGRAM, "eval", "model", "-b", "humaneval", "-o", "out", "--max-new-tokens", "1")
    assert done.returncode == 0, done.stderr
    lines = (here / "out" / "samples.jsonl").read_text().splitlines(keepends=True)
    (here / "samples.jsonl").write_text(lines[0])
    done = call(here, PROGRAM, "judge", "samples.jsonl", "-b", "humaneval")
    assert done.returncode == 0, done.stderr
    assert decoys.run_by(markers) == []


@pytest.mark.parametrize("module", ["trimtab", "trimtab.cli"])
def test_run_as_a_module_no_decoy_is_run_after_our_first_line(inputs, decoys, module):
    """What Python itself looks up in the working folder before it, ``python -P -m`` alone keeps out."""
    here, markers = inputs
    before = call("/", sys.executable, "-I", "-c", "import runpy, sys; print(*sys.modules)").stdout.split()
    for name in {"trimtab", *before} & set(decoys.NAMES):
        (here / f"{name}.py").unlink()
    assert len(list(here.glob("*.py"))) > 30
    done = call(here, sys.executable, "-m", module, "evidence", "check", "report.md", "--sources", "sources")
    assert done.returncode == 0, done.stderr
    assert decoys.run_by(markers) == []


def test_run_as_a_module_with_a_safe_path_no_decoy_is_run(inputs, decoys):
    here, markers = inputs
    done = call(here, sys.executable, "-P", "-m", "trimtab", "evidence", "check", "report.md", "--sources", "sources")
    assert done.returncode == 0, done.stderr
    assert decoys.run_by(markers) == []


def test_a_program_that_imports_trimtab_keeps_its_path(tmp_path):
    (tmp_path / "mine.py").write_text("")
    (tmp_path / "program.py").write_text("import trimtab, mine\n")
    assert call(tmp_path, sys.executable, "program.py").returncode == 0
    assert call(tmp_path, sys.executable, "-m", "program").returncode == 0


@pytest.fixture
def careless(inputs, monkeypatch):
    """This process in a folder of decoys that is on the path in every way there is."""
    here, markers = inputs
    monkeypatch.chdir(here)
    monkeypatch.setenv("PYTHONPATH", f":{here}:.")
    monkeypatch.setattr(sys, "path", ["", str(here), ".", *sys.path])
    return markers


def test_a_child_ignores_empty_entries_of_pythonpath(careless, decoys):
    command = isolation.command("trimtab.documents.formats.pdf_pages")
    question = b"1 60 %d %d\n" % (3 << 30, len(pdf()))
    done = subprocess.run(command, input=question + pdf(), capture_output=True, check=True)
    assert b"GPT-4o" in done.stdout
    assert decoys.run_by(careless) == []


def test_a_spawned_process_searches_nothing_here(careless, decoys):
    before = list(sys.path), dict(os.environ)
    process = multiprocessing.get_context("spawn").Process(target=os.getpid)
    with isolation.Spawning():
        process.start()
    process.join()
    assert process.exitcode == 0
    assert decoys.run_by(careless) == []
    assert before == (sys.path, dict(os.environ))


def test_a_folder_that_is_gone_is_no_obstacle(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert "" not in isolation.search_path()


@pytest.mark.parametrize("code", ["raise SystemExit(3)", "print('all is well')", "pass"])
def test_a_reader_that_fails_is_no_unread_file(monkeypatch, code):
    monkeypatch.setattr(isolation, "command", lambda *_: [sys.executable, "-I", "-c", code])
    with pytest.raises(EvidenceError, match=r"the reader of PDF files failed on paper\.pdf") as raised:
        read_bytes(pdf(), "paper.pdf")
    assert type(raised.value) is EvidenceError
