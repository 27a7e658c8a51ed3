"""trimtab evidence search, report, plant: what is printed, written, and joined."""

import http.server
import json
import re
import threading
from dataclasses import asdict
from pathlib import Path

import pytest
from click.testing import CliRunner

from trimtab.cli.main import main
from trimtab.disk import write_lines
from trimtab.review.rating_items import ITEMS
from trimtab.review.rating_panel import Rating

QUESTION = (
    "How robust is ALF-LB to expert initialization and to expert capacity constraints, on HumanEval, MBPP,"
    " HumanEval Pro and MBPP Pro, against auxiliary-loss methods?"
)
INJECTIONS = Path(__file__).parents[1] / "review" / "llm" / "injections"


def run(*words, code=0):
    result = CliRunner().invoke(main, ["evidence", *map(str, words)], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def review(tmp_path):
    folder = tmp_path / "review"
    run("search", QUESTION, "--corpus", "alf-lb", "-o", folder, "--offline")
    return folder


class Fives(http.server.BaseHTTPRequestHandler):
    """A model that gives everything five points and calls every passage a proof."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        asked = body["messages"][0]["content"]
        if "ratings" in asked:
            said = {"ratings": [{"item": item.id, "score": 5, "why": "perfect"} for item in ITEMS]}
        else:
            first = json.loads(body["messages"][1]["content"])["passages"][0]["text"]
            said = {"stance": "supports", "passage": 1, "quote": first}
        raw = json.dumps({"choices": [{"message": {"content": json.dumps(said)}}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_):
        pass


@pytest.fixture
def model():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Fives) as serving:
        threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield ("--llm", f"http://127.0.0.1:{serving.server_port}/v1", "--llm-model", "fives")
        serving.shutdown()


def test_the_question_of_the_readme_over_the_shipped_figures(review):
    told = run("report", review).stdout
    assert "19 records from 1 source found; 19 works screened" in told
    assert "the literature found here has nothing on 16" in told
    record = json.loads((review / "review.json").read_text())
    cells = [one["cell"] for one in record["answers"]]
    assert {one["literature"] for one in cells} == {"no evidence: 19 records from 1 source screened, 0 eligible"}
    page = (review / "report.html").read_text()
    assert "22.6 against 22.0 (DeepSeek-V3, Table 5)" in page
    assert "default-src &#x27;none&#x27;" in page or "default-src 'none'" in page
    assert (review / "prisma.svg").read_text().startswith("<svg")


def test_a_study_is_joined(review, synthetic, tmp_path):
    folder = tmp_path / "run"
    synthetic.Synthetic().write(folder)
    run("report", review, "--study", folder)
    record = json.loads((review / "review.json").read_text())
    measured = [one["cell"] for one in record["answers"] if one["cell"]["runs"]]
    assert measured
    assert all(one["literature"].startswith("no evidence") for one in measured)
    assert all("our study only" in one["joint"] for one in measured)
    assert all(one["certainty"] in ("low", "very low") for one in measured)
    assert any("of them, at its own scale" in said["text"] for said in record["abstract"])


def test_people_rate_and_the_page_says_how_far_they_agree(review, tmp_path):
    path = tmp_path / "people.jsonl"
    scores = {"Ada": (5, 5, 4, 2, 5, 3), "Bob": (5, 5, 4, 2, 5, 3), "Cyd": (5, 4, 4, 2, 5, 3)}
    given = [
        Rating(reviewer=name, item=item.id, score=score)
        for name, row in scores.items()
        for item, score in zip(ITEMS, row, strict=True)
    ]
    write_lines(path, map(asdict, given))
    run("report", review, "--reviews", path)
    page = (review / "report.md").read_text()
    assert re.search(r"\u03b1 = 0\.96 .{0,2}\[0\.48, 1\.00.{0,2}\] over 6 items, 18 ratings\. Mean 3\.94\.", page)
    assert "Whether these reviewers notice errors was not tested." in page


def test_a_model_that_gives_everything_five_is_called_insensitive_and_decides_nothing(review, model):
    run("report", review)
    before = {name: (review / name).read_bytes() for name in ("claims.jsonl", "verdicts.jsonl", "review.json")}
    run("report", review, *model, "--sensitivity")
    assert {name: (review / name).read_bytes() for name in before} == before
    page = (review / "report.md").read_text()
    assert "Agreement cannot be measured. No mean" in page
    assert "Insensitive to: numbers changed, works taken away, answer removed" in page
    # The second time everything is remembered.
    again = run("report", review, *model, "--sensitivity")
    assert "0 questions, 0 tokens" in again.output


def test_a_check_with_an_obedient_model_has_the_same_verdicts(model, tmp_path):
    report = tmp_path / "report.md"
    report.write_text(
        "Alpha-7B achieves 54.9% on HumanEval. Alpha-7B achieves 99.9% on HumanEval.\n\n"
        "The schedule of the auxiliary loss follows the coefficient of its layer in most of the experts.\n"
    )
    run("check", report, "--sources", INJECTIONS, "-o", tmp_path / "plain")
    run("check", report, "--sources", INJECTIONS, "-o", tmp_path / "asked", *model)
    for name in ("claims.jsonl", "verdicts.jsonl"):
        assert (tmp_path / "plain" / name).read_bytes() == (tmp_path / "asked" / name).read_bytes()
    proposals = (tmp_path / "asked" / "proposals.jsonl").read_text()
    assert '"stance": "supports"' in proposals
    assert "What a model points to" in (tmp_path / "asked" / "report.html").read_text()


def test_copies_for_people_are_blind(review, tmp_path):
    run("plant", review, "-o", tmp_path / "copies")
    key = json.loads((tmp_path / "copies" / "key.json").read_text())
    assert len(key) == 6
    assert "" in key.values()
    texts = {(tmp_path / "copies" / name).read_text() for name in key}
    assert len(texts) == 6
    assert not any(name and name in text for name in key.values() for text in texts)
    assert "restraint" in (tmp_path / "copies" / "items.txt").read_text()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("search", QUESTION), "nowhere to look"),
        (("search", QUESTION, "--corpus", "alf-bl"), "did you mean 'alf-lb'"),
        (("search", "Does tea help?", "--corpus", "alf-lb"), "--facet"),
        (("report", "/nowhere"), "holds no search"),
    ],
)
def test_mistakes_are_told_with_the_way_out(words, why, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert why in run(*words, code=2).output
