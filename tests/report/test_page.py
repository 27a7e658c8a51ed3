"""The report as a whole: what it says of known effects, that it fetches nothing, and that it trusts no file."""

import io
import json
import re
import xml.etree.ElementTree as ET  # our own output, from a test
from html.parser import HTMLParser

import pytest
from rich.console import Console

from trimtab.report import page, terminal
from trimtab.study.table import StudyTable

HOSTILE = "<script>alert('owned')</script>"


class Reader(HTMLParser):
    """Collect tags with their attributes, and text; complain of tags left open."""

    VOID = frozenset({"meta", "link", "br", "img", "input", "hr"})

    def __init__(self):
        super().__init__()
        self.tags, self.text, self.open = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def read(path):
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    assert reader.open == []
    return reader


@pytest.fixture(scope="module")
def written(synthetic, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    source = synthetic.Synthetic(
        balancers=("loss_free", "aux_global", "none"),
        extra={"python_loss": {"loss_free": (0.05, 0.0)}},
        unwritten=(("none", "skewed", "tight", 1),),
        diverged=(("none", "skewed", "dropless", 2),),
    )
    table = StudyTable.load(folder, source.write(folder))
    return folder, table, page.write(table, folder)


def test_the_path_is_the_run_folders_report(written):
    folder, _, path = written
    assert path == folder / "report" / "report.html"
    assert (folder / "table.csv").exists()
    assert path.with_suffix(".md").exists()


def test_the_page_is_well_formed_and_the_answer_comes_first(written):
    reader = read(written[2])
    text = " ".join(" ".join(reader.text).split())
    order = ["2 worse, 1 equivalent", "What each stress costs", "Balance", "Dropped calls", "Training loss", "Method"]
    places = [text.index(words) for words in order]
    assert places == sorted(places)


def test_the_page_fetches_nothing(written):
    html = written[2].read_text(encoding="utf-8")
    assert not re.search(r"https?://|//[a-z]+\.[a-z]", html)
    for tag, attributes in read(written[2]).tags:
        assert tag not in {"img", "iframe", "link", "object", "embed"}
        assert "src" not in attributes
        assert attributes.get("href", "../").startswith("../")


def test_only_our_script_may_run(written):
    policy = next(found["content"] for tag, found in read(written[2]).tags if "http-equiv" in found)
    assert policy.startswith("default-src 'none'")
    assert "script-src 'sha256-" in policy
    assert "unsafe-inline" not in policy.split("script-src")[1]
    scripts = [found for tag, found in read(written[2]).tags if tag == "script"]
    running = [found for found in scripts if found.get("type") != "application/json"]
    assert policy.count("'sha256-") == len(running) == 2


def test_every_link_leads_to_a_file_that_exists(written):
    _, table, path = written
    links = {found["href"] for tag, found in read(path).tags if tag == "a"}
    for link in links:
        target = (path.parent / link).resolve()
        assert target.exists(), link
    assert {f"../cells/{name}/result.json" for name in table.results} <= links


def test_every_number_of_the_answer_is_beside_its_cells(written):
    """Each row of the details table links to exactly the cells that the row was computed from."""
    _, table, path = written
    html = path.read_text(encoding="utf-8")
    details = html[html.index("Every number of the answer") :]
    rows = re.findall(r"<tr>(.*?)</tr>", details[: details.index("</details>")], flags=re.DOTALL)[1:]
    assert len(rows) == len(table.answers)
    for row, answer in zip(rows, table.answers, strict=True):
        assert set(re.findall(r"cells/([^/]+)/result\.json", row)) == set(answer.cells) & set(table.results)
        assert f'<span class="l0">{answer.words}</span>' in row


def test_drawings_are_files_of_their_own_beside_the_markdown(written):
    path = written[2]
    text = path.with_suffix(".md").read_text(encoding="utf-8")
    names = re.findall(r"!\[[^\]]*\]\(([\w-]+\.svg)\)", text)
    assert set(names) == {
        "degradation.svg", "max-violation.svg", "drop-rate.svg", "training-loss.svg", "evaluation-capacity.svg",
    }  # fmt: skip
    for name in names:
        root = ET.fromstring((path.parent / name).read_text(encoding="utf-8"))  # noqa: S314 - our own output
        assert root.tag == "{http://www.w3.org/2000/svg}svg"


def test_markdown_tables_are_rectangular(written):
    text = written[2].with_suffix(".md").read_text(encoding="utf-8")
    block = []
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            block.append(len(re.findall(r"(?<!\\)\|", line)))
        elif block:
            assert len(set(block)) == 1
            block = []


def test_floors_are_drawn_and_named(written):
    html = written[2].read_text(encoding="utf-8")
    assert "sampling floor 0.08" in html
    assert html.count('class="floor"') > 8


def test_the_same_folder_gives_the_same_report(written):
    folder, table, path = written
    before = path.read_bytes()
    assert page.write(StudyTable.load(folder, table.study), folder).read_bytes() == before


def test_limits_name_seeds_sandbox_and_what_was_absent(synthetic, tmp_path):
    study = synthetic.Synthetic(seeds=2).write(tmp_path)
    synthetic.rewrite(tmp_path / "environment.json", lambda record: record["sandbox"].update({"enforced": False}))
    text = " ".join(read(page.write(StudyTable.load(tmp_path, study), tmp_path)).text)
    assert "2 seeds: the spread over seeds cannot be known from so few" in text
    assert "WITHOUT a sandbox" in text
    assert "mbpp-sanitized was not measured: no file under TRIMTAB_DATA" in text


def test_cells_that_had_different_benchmarks_are_named_as_mixed(synthetic, tmp_path):
    source = synthetic.Synthetic(seeds=2)
    study = source.write(tmp_path)
    whole = tmp_path / "cells" / source.cell_id("loss_free", "random", "dropless", 0) / "result.json"
    synthetic.rewrite(whole, lambda record: record.update({"absent": {}}))
    table = StudyTable.load(tmp_path, study)
    text = " ".join(read(page.write(table, tmp_path)).text)
    assert "The cells are MIXED: 1 cell had mbpp-sanitized and 15 cells did not." in text
    assert "mbpp-sanitized was not measured in these: no file under TRIMTAB_DATA." in text
    shown = io.StringIO()
    terminal.show(table, Console(file=shown, width=400))
    assert "MIXED: 1 cell had mbpp-sanitized and 15 did not" in shown.getvalue()
    assert "not measured in 15 of the cells: mbpp-sanitized" in shown.getvalue()


def test_hostile_strings_are_shown_and_not_run(synthetic, tmp_path):
    source = synthetic.Synthetic(seeds=3, unit_name="{}" + HOSTILE, absent={"mbpp-sanitized": HOSTILE})
    study = source.write(tmp_path)
    corrupt = tmp_path / "cells" / source.cell_id("loss_free", "random", "dropless", 0) / "result.json"
    synthetic.rewrite(corrupt, lambda record: record["passes"]["micro"]["dropless"].update({f"0{HOSTILE}": [1, 2]}))
    synthetic.rewrite(tmp_path / "environment.json", lambda record: record["machine"].update({HOSTILE: f'"{HOSTILE}'}))
    synthetic.rewrite(tmp_path / "controls.json", lambda record: record["controls"][1].update({"name": HOSTILE}))
    path = page.write(StudyTable.load(tmp_path, study), tmp_path)
    reader = read(path)
    scripts = [found for tag, found in reader.tags if tag == "script"]
    assert len([found for found in scripts if found.get("type") != "application/json"]) == 2
    assert sum(HOSTILE in text for text in reader.text) >= 4
    assert "<script" not in re.sub(r"(?s)```.*?```", "", path.with_suffix(".md").read_text(encoding="utf-8")).replace(
        r"\<script", ""
    )


def test_an_unfinished_study_still_has_a_report(synthetic, tmp_path):
    study = synthetic.Synthetic(seeds=1).study()
    text = " ".join(read(page.write(StudyTable.load(tmp_path, study), tmp_path)).text)
    assert "Not known yet" in text
    assert text.count("not finished") >= 8


def test_a_torn_training_log_loses_its_curve_only(synthetic, tmp_path):
    source = synthetic.Synthetic(seeds=3)
    study = source.write(tmp_path)
    name = source.cell_id("loss_free", "random", "dropless", 0)
    log = tmp_path / "cells" / name / "train.jsonl"
    lines = log.read_text(encoding="utf-8").splitlines()
    log.write_text("\n".join([lines[0], "{torn", *lines[1:]]) + "\n", encoding="utf-8")
    text = " ".join(read(page.write(StudyTable.load(tmp_path, study), tmp_path)).text)
    assert "train.jsonl, line 2 is not JSON" in text
    assert "Training loss" in text


def test_the_page_is_small_and_written_in_a_moment(written):
    size = written[2].stat().st_size
    assert size < 1_500_000


def test_the_environment_and_the_study_file_are_in_it(written):
    text = " ".join(read(written[2]).text)
    assert "2.13.0+cpu" in text
    assert "bias_update_rate = 0.01" in text
    assert json.loads(json.dumps(written[1].record()))["cells"]["finished"] == len(written[1].results)
