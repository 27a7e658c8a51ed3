"""The filter by verdict, its buttons pressed in a real browser under the page's own policy, and under node."""

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from trimtab.report import checked_report
from trimtab.review import report_check

CLICKS = (Path(__file__).parent / "filter_clicks.js").read_text()
PAPER = "Table 1: pass@1 (%)\n\n| Model | HumanEval | MBPP |\n|---|---|---|\n| GPT-4o | 90.2 | 86.8 |\n"
REPORT = (
    "# A report\n\nGPT-4o achieves 90.2% on HumanEval. GPT-4o achieves 86.8% on MBPP. GPT-4o achieves 55.5% on MBPP.\n"
)
EXPECTED = [
    ["all (3)", ["supported", "supported", "contradicted"], True],
    ["supported (2)", ["supported", "supported"], True],
    ["contradicted (1)", ["contradicted"], True],
]


@pytest.fixture
def page(tmp_path):
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "paper.md").write_text(PAPER)
    (tmp_path / "report.md").write_text(REPORT)
    return checked_report.write(report_check.check(tmp_path / "report.md", tmp_path / "papers"), tmp_path / "out")


def browser():
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    return next(filter(None, map(shutil.which, names)), None)


def jsdom():
    """Return the folder that holds jsdom, or None."""
    folders = [
        *os.environ.get("NODE_PATH", "").split(os.pathsep),
        "/usr/lib/node_modules",
        "/usr/local/lib/node_modules",
    ]
    return next((folder for folder in folders if folder and (Path(folder) / "jsdom").is_dir()), None)


@pytest.mark.skipif(browser() is None, reason="no Chromium or Chrome on the PATH to press the buttons in")
def test_buttons_show_their_rows_in_a_browser(page, tmp_path):
    script = f"{CLICKS}document.body.dataset.found = JSON.stringify(clicks(document));"
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    # One more script is allowed by its hash; all else of the policy stays, so the page's own script runs under it.
    text = page.read_text().replace("script-src 'sha256-", f"script-src 'sha256-{digest}' 'sha256-", 1)
    pressed = tmp_path / "pressed.html"
    pressed.write_text(text.replace("</body>", f"<script>{script}</script></body>"))
    made = subprocess.run(
        [
            browser(),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={tmp_path / 'profile'}",
            "--dump-dom",
            pressed.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    found = re.search(r'data-found="([^"]*)"', made.stdout)
    assert found, made.stderr[-2000:]
    assert json.loads(found[1].replace("&quot;", '"')) == EXPECTED


@pytest.mark.skipif(
    not (shutil.which("node") and jsdom()),
    reason="no node with jsdom (npm install jsdom, and NODE_PATH set to its folder)",
)
def test_buttons_show_their_rows_under_node(page):
    script = (
        f"{CLICKS}const {{ JSDOM }} = require('jsdom');"
        "const text = require('fs').readFileSync(process.argv[1], 'utf8');"
        "const made = new JSDOM(text, { runScripts: 'dangerously' });"
        "console.log(JSON.stringify(clicks(made.window.document)));"
    )
    made = subprocess.run(
        ["node", "-e", script, str(page)],
        env={**os.environ, "NODE_PATH": jsdom()},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert json.loads(made.stdout) == EXPECTED
