"""Ranking by embeddings beside words: fusion by hand, vectors kept and replayed, and the whole way."""

import json
import shutil
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from trimtab.claims.name_registry import Registry
from trimtab.cli.main import main
from trimtab.documents.work import Work
from trimtab.errors import SearchError
from trimtab.literature import facets, published_figures, record_order

QUESTION = "How robust is ALF-LB to expert capacity on HumanEval?"


def test_fusion_is_what_a_hand_computes():
    """Ranks a: 1 and 3, b: 2 and 1, c: 3 and none, d: none and 2, with the constant of the paper, 60."""
    scores = {"a": 1 / 61 + 1 / 63, "b": 1 / 62 + 1 / 61, "c": 1 / 63, "d": 1 / 62}
    assert record_order.fuse(["a", "b", "c"], ["b", "d", "a"]) == sorted(scores, key=scores.get, reverse=True)
    assert record_order.fuse(["a", "b", "c"], ["b", "d", "a"]) == ["b", "a", "d", "c"]
    assert record_order.fuse(["y", "x"], ["x", "y"]) == ["x", "y"]  # a tie goes by id
    assert record_order.fuse(["y", "x"]) == ["y", "x"]


def test_the_most_similar_comes_first_and_ties_go_by_id():
    works = [Work(id=name) for name in ("c", "b", "a")]
    assert record_order.by_meaning(works, np.array([0.1, 0.9, 0.1])) == ["b", "a", "c"]


class Counting:
    """Known vectors, and how often each was asked for."""

    def __init__(self, known):
        self.known, self.asked = known, []

    def __call__(self, text):
        self.asked.append(text)
        return np.array(self.known[text], dtype=np.float32)


def test_vectors_are_kept_rounded_and_never_mixed_between_models(tmp_path):
    path, works = tmp_path / "e.sqlite", [Work(id="a", title="A"), Work(id="b", title="B", abstract="b")]
    model = Counting({"q": [0.6, 0.8], "A": [1, 0], "B\nb": [0.6, 0.8]})
    first = record_order.similarities("q", works, "1", model, path)
    np.testing.assert_allclose(first, [0.6, 1.0], atol=1e-3)
    assert model.asked == ["q", "A", "B\nb"]
    assert np.array_equal(record_order.similarities("q", works[::-1], "1", None, path), first[::-1])
    with pytest.raises(SearchError, match="was never embedded"):
        record_order.similarities("q", works, "2", None, path)
    (tmp_path / "f.sqlite").write_text("this is no database, and long enough to be seen as none" * 20)
    with pytest.raises(SearchError, match="cannot be used for embeddings"):
        record_order.similarities("q", works, "1", model, tmp_path / "f.sqlite")


def run(*words, code=0):
    result = CliRunner().invoke(main, ["evidence", *map(str, words)])
    assert result.exit_code == code, result.output
    return result.output


def work(title):
    """A line of a local corpus."""
    return json.dumps({"kind": "work", "work": f"doi:10.1000/{title[:3]}", "title": f"ALF-LB and {title}"}) + "\n"


def test_a_search_with_a_model_is_reported_without_it(tiny_model, tmp_path):
    model, review = shutil.copytree(tiny_model, tmp_path / "tiny"), tmp_path / "review"
    corpus = tmp_path / "few.jsonl"
    corpus.write_text("".join(map(work, ["tea", "loss free balancing", "bridges", "experts", "a tight capacity"])))
    words = ("search", QUESTION, "--corpus", corpus, "--offline", "-o")
    run(*words, tmp_path / "plain")
    run(*words, review, "--embed", model)
    assert not (tmp_path / "plain" / "embeddings.sqlite").exists()
    before = (review / "screening.jsonl").read_text()
    names, plain = ([json.loads(line)["work"] for line in text.splitlines()] for text in (
        before, (tmp_path / "plain" / "screening.jsonl").read_text()
    ))  # fmt: skip
    assert sorted(names) == sorted(plain)
    assert names != plain  # the order is another, the decisions are the same
    assert sorted(before.splitlines()) == sorted((tmp_path / "plain" / "screening.jsonl").read_text().splitlines())
    assert json.loads((review / "search.json").read_text())["embed"][0] == "tiny"
    works = [one.work for one in published_figures.load(str(corpus)).records]
    _, found = facets.of_question(QUESTION, Registry.load())
    sha256 = json.loads((review / "search.json").read_text())["embed"][1]
    similar = record_order.similarities(QUESTION, works, sha256, None, review / "embeddings.sqlite")
    orders = (
        record_order.by_words(works, [term for facet in found for term in facet.terms]),
        record_order.by_meaning(works, similar),
    )
    assert names == record_order.fuse(*orders)
    assert names not in orders
    shutil.rmtree(model)
    run("report", review)
    assert (review / "screening.jsonl").read_text() == before
    assert "fused by reciprocal rank" in (review / "report.md").read_text()
    assert "holds another search" in run(*words, review, code=2)


def test_without_torch_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "trimtab.lm.embedding", None)
    told = run("search", QUESTION, "--corpus", "alf-lb", "-o", tmp_path / "r", "--embed", tmp_path, code=2)
    assert "trimtab[embed]" in told
