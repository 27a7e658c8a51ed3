import io

import pytest
from rich.console import Console

from trimtab.report import terminal
from trimtab.study.table import StudyTable


def printed(table, width=80):
    stream = io.StringIO()
    terminal.show(table, Console(file=stream, width=width, color_system=None))
    return stream.getvalue()


def test_the_answer_fits_eighty_columns(synthetic, tmp_path):
    source = synthetic.Synthetic(extra={"python_loss": {"loss_free": (0.05, 0.0)}})
    text = printed(StudyTable.load(tmp_path, source.write(tmp_path)))
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "…" not in text
    assert "2 worse, 1 equivalent" in text.replace("\n", " ")
    assert "not measured: mbpp-sanitized: no file under TRIMTAB_DATA" in text


@pytest.mark.parametrize("seeds", [1, 2])
def test_few_seeds_are_said_in_every_tested_row(synthetic, tmp_path, seeds):
    text = printed(StudyTable.load(tmp_path, synthetic.Synthetic(seeds=seeds).write(tmp_path)), width=120)
    assert text.count(f"undecided ({seeds} seed{'s' * (seeds > 1)})") >= 10


def test_what_is_missing_or_unsandboxed_is_said(synthetic, tmp_path):
    source = synthetic.Synthetic(seeds=3, unwritten=(("loss_free", "skewed", "tight", 1),))
    study = source.write(tmp_path)
    synthetic.rewrite(tmp_path / "environment.json", lambda record: record["sandbox"].update({"enforced": False}))
    text = printed(StudyTable.load(tmp_path, study), width=160)
    assert "not yet run: 1 of 24 cells" in text
    assert "not yet run (2 of 3 seeds)" in text
    assert "NO SANDBOX" in text


def test_an_empty_folder_prints_a_table_of_what_is_not_measured(synthetic, tmp_path):
    text = printed(StudyTable.load(tmp_path, synthetic.Synthetic(seeds=1).study()), width=120)
    assert "Not known yet" in text
    assert text.count("not yet run (0 of 1 seeds)") >= 12


def test_a_study_without_controls_says_what_its_words_may_mean(synthetic, tmp_path):
    study = synthetic.Synthetic(seeds=3).write(tmp_path)
    warned = "nothing shows that the endpoints could have felt these stresses"
    assert warned not in printed(StudyTable.load(tmp_path, study), width=300)
    (tmp_path / "controls.json").unlink()
    assert warned in printed(StudyTable.load(tmp_path, study), width=300)
