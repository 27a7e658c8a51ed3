"""The pages as a reader's browser shows them: Debian's chromium, driven by Playwright, without a network."""

import functools
import http.server
import shutil
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def chromium():
    """A running chromium; the tests are skipped where there is none.

    It ends with each file: Playwright's event loop runs as long, and other tests of this process want their own.
    """
    binary = shutil.which("chromium")
    if binary is None:
        pytest.skip("no chromium here: `apt-get install chromium`, as .ci/run does where it may")
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - only with a browser

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=binary, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Seen:
    """What a page asked for and said while it was open."""

    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


@pytest.fixture
def open_page(chromium):
    """Open an address at a size; give the page and what it asked for and said."""
    opened = []

    def open_at(address, viewport=DESK, **settings):
        page = chromium.new_page(viewport=viewport, **settings)
        opened.append(page)
        seen = Seen()
        page.on("request", lambda request: seen.requests.append(request.url))
        page.on("console", lambda message: seen.complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: seen.complaints.append(str(error)))
        page.goto(address)
        return page, seen

    yield open_at
    for page in opened:
        page.close()


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The address of the site, built here and served on this machine."""
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-P", "-m", "mkdocs", "build", "-q", "--site-dir", str(folder)]
    subprocess.run(build, cwd=ROOT, capture_output=True, check=True)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *words):
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="session")
def reports(tmp_path_factory, mixture_folder):
    """The address of each kind of report, written by the commands that users type."""
    from click.testing import CliRunner  # noqa: PLC0415 - only with a browser

    from trimtab.cli.main import main  # noqa: PLC0415

    folder = tmp_path_factory.mktemp("reports")
    (folder / "papers").mkdir()
    rows = "| Kestrel-8B | 71.3 | 64.0 |\n| Merlin-13B | 62.2 | 69.5 |\n"
    (folder / "papers" / "results.md").write_text(
        f"# Results\n\nTable 1: pass@1 in percent.\n\n| System | HumanEval | MBPP |\n|---|---|---|\n{rows}"
    )
    claims = "Kestrel-8B scored 71.3 on HumanEval. Kestrel-8B reaches 70.0 on MBPP. Osprey-2B has 50.1 on HumanEval."
    (folder / "report.md").write_text(f"# A report\n\n{claims}\n")
    shutil.copytree(ROOT / "docs" / "results" / "quick", folder / "quick", ignore=shutil.ignore_patterns("report"))
    question = (
        "How robust is ALF-LB to expert initialization and capacity, on HumanEval, against auxiliary-loss methods?"
    )
    texts = ["--text", f"mine={ROOT / 'CONTRIBUTING.md'}", "--text", f"other={ROOT / 'Makefile'}"]
    for arguments in (
        ["report", str(folder / "quick")],
        [
            "evidence",
            "check",
            str(folder / "report.md"),
            "--sources",
            str(folder / "papers"),
            "-o",
            str(folder / "checked"),
        ],
        ["evidence", "search", question, "--corpus", "alf-lb", "-o", str(folder / "review"), "--offline"],
        ["evidence", "report", str(folder / "review")],
        ["routing", str(mixture_folder), *texts, "--batch-tokens", "512", "--html", str(folder / "routing.html")],
    ):
        done = CliRunner().invoke(main, arguments)
        assert done.exit_code in {0, 1}, (arguments, done.output, done.exception)
    places = {
        "study": folder / "quick" / "report" / "report.html",
        "checked": folder / "checked" / "report.html",
        "review": folder / "review" / "report.html",
        "routing": folder / "routing.html",
    }
    return {name: path.as_uri() for name, path in places.items()}
