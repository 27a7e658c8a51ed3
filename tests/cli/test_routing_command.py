"""trimtab routing on a saved checkpoint and on a file of loads: table, JSON and page."""

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess

import pytest
import torch
from click.testing import CliRunner

from trimtab.cli.main import main


@pytest.fixture(scope="module")
def folder(mixture_folder):
    (mixture_folder / "mine.py").write_text("def f(x):\n    return x + 1\n" * 20)
    (mixture_folder / "prose.txt").write_text("Nobody minds the fox. " * 20)
    return mixture_folder


def routing(*arguments):
    return CliRunner().invoke(main, ["routing", *map(str, arguments)])


def test_a_table_a_page_and_json(folder, tmp_path):
    page = tmp_path / "new" / "routing.html"
    texts = ["--text", f"code={folder / 'mine.py'}", "--text", str(folder / "prose.txt")]
    result = routing(folder, *texts, "--window", 64, "--html", page, "--json")
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    assert list(record["domains"]) == ["code", "prose"]
    content = page.read_text()
    scripts = re.findall(r"<script>(.*?)</script>", content, flags=re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = re.search(r"script-src ([^;\"]+)", content)[1]
    assert allowed.split() == [f"'sha256-{digest}'" for digest in digests]
    assert len(digests) == 3
    assert "http" not in content.replace("http-equiv", "")
    plain = routing(folder, *texts, "--window", 64, "--no-health")
    assert "MaxVio" in plain.stdout


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs a browser")
def test_the_page_draws_every_cell_and_fits_a_phone(folder, tmp_path):
    page = tmp_path / "routing.html"
    routing(folder, "--text", f"code={folder / 'mine.py'}", "--window", 64, "--html", page)
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--window-size=390,900"]
    run = subprocess.run(
        [*command, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", page.as_uri()],
        capture_output=True, text=True, timeout=100, env={**os.environ, "HOME": str(tmp_path)}, check=False,
    )  # fmt: skip
    dom = run.stdout
    assert dom.count('data-tip="layer 1, expert') == 8
    assert dom.count('data-tip="layer 2, expert') == 8


def test_loads_of_others_need_no_text_and_take_none(folder, tmp_path):
    path = tmp_path / "recorder.pt"
    torch.save({"rank": 0, "logical_count": torch.ones(1, 2, 4, dtype=torch.int32)}, path)
    result = routing(path, "--ranks", 2, "--html", tmp_path / "page.html")
    assert result.exit_code == 0, result.output
    assert "layer 1" in result.stdout
    refused = routing(path, "--text", folder / "mine.py")
    assert refused.exit_code == 2
    assert "measured already" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no text was named"),
        (["--text", "gone.py"], "there is no file or folder gone.py"),
        (["-b", "humanevil"], "humanevil"),
    ],
)
def test_requests_that_cannot_be_carried_out(folder, arguments, message):
    result = routing(folder, *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
