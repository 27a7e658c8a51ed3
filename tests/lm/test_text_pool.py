import numpy as np
import pytest

from trimtab.lm import dense
from trimtab.lm.text_pool import PoolText, TextPool
from trimtab.settings.pools import PoolSettings

SETTINGS = PoolSettings(train_tokens=640, heldout_tokens=64, row_length=32, rows=2)
TEXTS = {"humaneval": [PoolText(unit_id="t/1", context="def f(x):\n", continuation="    return x\n")]}


@pytest.fixture(scope="module")
def pool(tiny_dense, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache")
    source = dense.load(str(tiny_dense), folder)
    return TextPool.build(folder, SETTINGS, source.tokenizer, source.identity, TEXTS, []), source, folder


def test_places_are_in_the_order_of_the_sequences(pool):
    found, source, _ = pool
    assert np.array_equal(np.concatenate([ids for group in found.sequences() for ids in group]), found.tokens)
    assert [len(group) for group in found.sequences()] == [20, 2, 1]
    (solution,) = [document for document in found.documents if document.domain == "humaneval"]
    ids = found.tokens[solution.start : solution.start + solution.length]
    assert source.tokenizer.decode(ids.tolist()) == "def f(x):\n    return x\n"
    assert solution.scored == solution.num_bytes == len("    return x\n")  # a token of this model is a byte


def test_a_batch_depends_on_seed_and_step_alone_and_each_seed_sees_all_rows_before_any_again(pool):
    found, _, _ = pool
    again = found.batch(3, 5)
    assert np.array_equal(found.batch(3, 5).tokens, again.tokens)
    rows = [int(row[0]) // 32 for step in range(1, 11) for row in found.batch(3, step).tokens]
    assert sorted(rows) == list(range(20))
    assert [int(row[0]) // 32 for row in found.batch(4, 1).tokens] != rows[:2]
    assert found.batch(3, 11).tokens.max() < 640


def test_a_second_build_reads_what_the_first_wrote_and_other_text_is_another_pool(pool):
    found, source, folder = pool
    same = TextPool.build(folder, SETTINGS, None, source.identity, TEXTS, [])
    assert np.array_equal(same.tokens, found.tokens)
    other = {"humaneval": [PoolText(unit_id="t/1", context="def f(y):\n", continuation="    return y\n")]}
    assert len(list(folder.glob("pool-*"))) == 1
    TextPool.build(folder, SETTINGS, source.tokenizer, source.identity, other, [])
    assert len(list(folder.glob("pool-*"))) == 2


def test_what_benchmarks_hold_is_not_trained_on(pool):
    _, source, folder = pool
    exclude = ["def __init__(self): pass\n"]
    cleaned = TextPool.build(folder, SETTINGS, source.tokenizer, source.identity, TEXTS, exclude)
    assert cleaned.provenance["removed"]["functions_named_as_in_a_benchmark"] > 0
    assert "def __init__(" not in source.tokenizer.decode(cleaned.tokens[: 20 * 32].tolist())
