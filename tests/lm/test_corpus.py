import dataclasses
import itertools
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from trimtab.codeeval import micro_benchmark, problems
from trimtab.codeeval.grammar import Grammar
from trimtab.errors import BenchmarkError, ConfigurationError
from trimtab.lm import corpus as module
from trimtab.lm import python_text
from trimtab.lm.corpus import Corpus
from trimtab.lm.tokenizer import BOS, EOS, PAD
from trimtab.settings.runs import CorpusSettings

SMALL = CorpusSettings(
    vocab_size=400, row_length=128, rows=8, python_bytes=150_000, heldout_bytes=20_000, micro_samples=400
)
PLANTED = '''def a_name_that_only_a_benchmark_has(numbers):
    """Return the number of pairs whose difference in turn occurs among the numbers, each counted once."""
    found = set()
    for first in numbers:
        for second in numbers:
            if first - second in numbers and first is not second:
                found.add((first, second))
    return len(found) + 31337
'''


@pytest.fixture(scope="module")
def small_sources():
    """A few hundred real files are enough, and much quicker than the thousands installed."""
    every = [file for file in python_text.files() if file.source == "stdlib"]
    patch = pytest.MonkeyPatch()
    patch.setattr(python_text, "files", lambda: every)
    yield every
    patch.undo()


@pytest.fixture(scope="module")
def small(tmp_path_factory, small_sources):
    return Corpus.build(tmp_path_factory.mktemp("cache"), SMALL, [])


def test_a_batch_depends_on_seed_and_step_only(small):
    later, earlier = small.batch(3, 7), small.batch(3, 2)
    again = Corpus(small.folder, SMALL)
    for step, batch in ((2, earlier), (7, later)):
        assert np.array_equal(again.batch(3, step).tokens, batch.tokens)
        assert np.array_equal(again.batch(3, step).weights, batch.weights)
    assert not np.array_equal(small.batch(4, 7).tokens, later.tokens)
    assert not np.array_equal(earlier.tokens, later.tokens)


def test_a_batch_is_rows_of_both_kinds_without_padding(small):
    batch = small.batch(0, 1)
    assert batch.tokens.shape == batch.weights.shape == (8, 128)
    assert (batch.tokens.dtype, batch.weights.dtype) == (np.int64, np.float32)
    assert (batch.tokens != PAD).all()
    assert (batch.tokens[:, 0] == BOS).all()
    assert (batch.weights[batch.tokens == BOS] == 0).all()
    light = (batch.weights == np.float32(0.05)).any(axis=1)
    assert light.sum() == 4
    assert (batch.weights[~light][:, 1:] == SMALL.python_weight).all()


def test_positions_start_again_with_each_text(small):
    batch = small.batch(0, 1)
    for tokens, positions in zip(batch.tokens, batch.positions, strict=True):
        expected, at = [], 0
        for token in tokens:
            at = 0 if token == BOS else at + 1
            expected.append(at)
        assert positions.tolist() == expected


def test_each_epoch_shows_every_row_once(small):
    total = len(small._python)
    shown = [row for step in range(total) for row in small._rows("python", 5, step, 4, total)]
    for epoch in range(4):
        assert sorted(shown[epoch * total : (epoch + 1) * total]) == list(range(total))
    assert shown[:total] != shown[total : 2 * total]


def test_shares_and_weights_are_settings(small, tmp_path):
    only_micro = Corpus(small.folder, CorpusSettings(rows=4, python_share=0.0, prompt_weight=0.0, solution_weight=2.0))
    assert set(np.unique(only_micro.batch(0, 0).weights)) == {0.0, 2.0}
    only_python = Corpus(small.folder, CorpusSettings(rows=4, python_share=1.0, python_weight=0.25))
    assert set(np.unique(only_python.batch(0, 0).weights)) == {0.0, 0.25}


def test_micro_rows_are_whole_samples_and_one_beginning(small):
    """Against the texts themselves: each piece between <bos> is a sample, and the last of a row at least begins one."""
    samples = {a + b for a, b in micro_benchmark.training_samples(count=SMALL.micro_samples, seed=0)}
    solutions = {b for _, b in micro_benchmark.training_samples(count=SMALL.micro_samples, seed=0)}
    whole = cut = 0
    for row, flags in zip(small._micro, small._solution, strict=True):
        starts = [*np.flatnonzero(row == BOS), len(row)]
        for start, end in itertools.pairwise(starts):
            ids, inside = row[start + 1 : end], flags[start + 1 : end]
            text = small.tokenizer.decode([int(number) for number in ids])
            if ids.size and ids[-1] == EOS:
                whole += 1
                assert text in samples
                assert small.tokenizer.decode([int(number) for number in ids[inside]]) in solutions
            else:
                cut += 1
                assert end == len(row)
                assert any(sample.startswith(text.rstrip("\N{REPLACEMENT CHARACTER}")) for sample in samples)
    assert whole > SMALL.micro_samples * 0.5
    assert cut < len(small._micro)


def test_held_out_windows_are_pieces_of_held_out_files(small, small_sources):
    windows = small.heldout()
    held = {file.unit_id: file for file in small_sources if file.unit_id in small.provenance["heldout_files"]}
    assert len({window.unit_id for window in windows}) == len(windows) > 20
    assert held
    trained = set(small.provenance["files"]) - set(held)
    for window in windows:
        unit, number = window.unit_id.rsplit(":", 1)
        assert unit in held
        assert unit not in trained
        assert number.isdecimal()
        assert len(window.tokens) == SMALL.row_length - 1
        assert {PAD, BOS, EOS}.isdisjoint(window.tokens)
        text = small.tokenizer.decode(window.tokens)
        if "\N{REPLACEMENT CHARACTER}" not in text:
            assert len(text.encode()) == window.num_bytes


def test_unigram_is_a_distribution_over_the_python_trained_on(small):
    assert np.exp(small.unigram).sum() == pytest.approx(1)
    counts = np.bincount(small._python[:, 1:].ravel(), minlength=400)
    assert np.argmax(small.unigram) == np.argmax(counts)
    assert small.unigram_nats([5, 7, 7]) == pytest.approx(-(small.unigram[5] + 2 * small.unigram[7]))
    window = small.heldout()[0]
    assert 2 < small.unigram_nats(window.tokens) / len(window.tokens) < np.log(400)


def planted_files(folder):
    """Real files, one with a planted copy of a benchmark's solution, one with a function of its name."""
    rng = np.random.default_rng(0)
    for number in range(60):
        lines = [f"value_{number}_{line} = {rng.integers(10**6)}\n\n" for line in range(40)]
        text = "".join(lines)
        if number == 3:
            text += PLANTED.replace("a_name_that_only_a_benchmark_has", "copied") + "\nafter = 1\n"
        if number == 4:
            text += "def a_name_that_only_a_benchmark_has(x):\n    return 'quite_other'\n\nafter = 2\n"
        (folder / f"module_{number}.py").write_text(text)
    return [
        python_text.File(unit_id=f"stdlib/{path.name}", source="stdlib", path=path, size=path.stat().st_size)
        for path in sorted(folder.glob("*.py"))
    ]


def test_planted_copies_of_a_benchmark_are_removed(tmp_path, monkeypatch):
    sources = tmp_path / "src"
    sources.mkdir()
    found = planted_files(sources)
    monkeypatch.setattr(python_text, "files", lambda: found)
    settings = CorpusSettings(
        vocab_size=400, row_length=16, rows=8, micro_samples=50, python_bytes=10**6, heldout_bytes=10**6
    )
    texts = {}
    for name, exclude in (("with", []), ("without", [PLANTED])):
        built = Corpus.build(tmp_path / "cache", settings, exclude)
        everything = [*built._python.ravel(), *built._held.ravel()]
        texts[name] = built.tokenizer.decode([int(number) for number in everything])
    for sign in ("31337", "quite_other", "a_name_that_only_a_benchmark_has"):
        assert sign in texts["with"]
        assert sign not in texts["without"]
    assert built.provenance["removed"]["functions_named_as_in_a_benchmark"] == 1
    assert built.provenance["removed"]["paragraphs_shared_with_a_benchmark"] == 1
    assert built.provenance["deduplicated_against"]["texts"] == 1


def test_the_cache_is_used_and_named_by_all_that_matters(small, monkeypatch):
    folder = small.folder
    monkeypatch.setattr(module, "_make", lambda *_: pytest.fail("made again"))
    assert Corpus.build(folder.parent, SMALL, []).folder == folder
    with pytest.raises(pytest.fail.Exception, match="made again"):
        Corpus.build(folder.parent, SMALL, ["def other():\n    pass\n"])
    with pytest.raises(pytest.fail.Exception, match="made again"):
        Corpus.build(folder.parent, SMALL, [], Grammar(pro_share=0.1))
    assert Corpus.build(folder.parent, dataclasses.replace(SMALL, rows=4, python_weight=0.1), []).folder == folder


BUILD_ELSEWHERE = """
import sys
from pathlib import Path
from trimtab.lm import python_text
from trimtab.lm.corpus import Corpus
from trimtab.settings.runs import CorpusSettings
every = [file for file in python_text.files() if file.source == "stdlib"]
python_text.files = lambda: every
sizes = {"python_bytes": 90_000, "heldout_bytes": 9_000, "micro_samples": 90}
settings = CorpusSettings(vocab_size=400, row_length=64, rows=8, **sizes)
built = Corpus.build(Path(sys.argv[1]), settings, [])
print(built.folder.name, built.batch(1, 1).tokens.sum())
"""


def test_two_processes_may_build_at_once(tmp_path):
    command = [sys.executable, "-c", BUILD_ELSEWHERE, str(tmp_path)]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
    answers = {worker.communicate(timeout=120)[0] for worker in workers}
    assert [worker.returncode for worker in workers] == [0, 0]
    assert len(answers) == 1
    assert sorted(path.suffix for path in tmp_path.iterdir()) == ["", ".lock"]


@pytest.mark.parametrize("name", ["python.npy", "tokenizer.json", "provenance.json"])
def test_a_torn_cache_is_made_again(small, tmp_path, small_sources, name):
    cache = tmp_path / "cache"
    shutil.copytree(small.folder, cache / small.folder.name)
    (cache / "corpus-killed.tmp").mkdir()
    torn = cache / small.folder.name / name
    torn.write_bytes(torn.read_bytes()[:1000])
    again = Corpus.build(cache, SMALL, [])
    assert np.array_equal(again.batch(0, 1).tokens, small.batch(0, 1).tokens)
    assert torn.read_bytes() == (small.folder / name).read_bytes()
    assert not (cache / "corpus-killed.tmp").exists()


def test_a_build_that_fails_leaves_nothing(tmp_path, small_sources, monkeypatch):
    monkeypatch.setattr(module.np, "save", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        Corpus.build(tmp_path, SMALL, [])
    assert [path.name for path in tmp_path.iterdir()] == ["corpus.lock"]


def test_provenance_says_which_text_it_was(small):
    record = json.loads(json.dumps(small.provenance))
    assert record["sources"][0]["license"] == "PSF-2.0"
    assert len(record["content_sha256"]) == 64
    assert record["micro"]["samples"] == 400
    assert record["train_bytes"] > 100_000
    assert all(len(digest) == 64 and size > 0 for size, digest in record["files"].values())


def test_building_twice_gives_the_same_bytes(small, tmp_path, small_sources):
    other = Corpus.build(tmp_path, SMALL, [])
    for path in sorted(small.folder.iterdir()):
        assert (other.folder / path.name).read_bytes() == path.read_bytes(), path.name


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"python_share": 1.5}, r"python_share=...\): must be in \[0, 1\], got 1.5"),
        ({"rows": 0}, r"rows=...\): must be at least 2, got 0"),
        ({"vocab_size": 70000}, "got 70000"),
    ],
)
def test_impossible_settings_are_refused(settings, said):
    with pytest.raises(ConfigurationError, match=said):
        CorpusSettings(**settings)


def test_no_text_left_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(python_text, "files", list)
    with pytest.raises(ConfigurationError, match="corpus: no"):
        Corpus.build(tmp_path, SMALL, [])


@pytest.mark.filterwarnings("ignore:invalid escape sequence:DeprecationWarning")  # in the text of MBPP
@pytest.mark.filterwarnings("ignore:invalid escape sequence:SyntaxWarning")
@pytest.mark.parametrize("name", ["humaneval", "mbpp-sanitized"])
def test_micro_names_are_no_task_names(name):
    """Function names of the training text that we write are not those of the benchmarks."""
    try:
        tasks = problems.load(name).problems
    except BenchmarkError as error:
        pytest.skip(error.message)
    ours = {*Grammar().functions, *Grammar().base_functions, *micro_benchmark.SECOND_FUNCTIONS}
    assert ours.isdisjoint(task.entry_point for task in tasks)
