"""Take the README's picture: the first screen of the quick study's report, as Debian's chromium shows it.

`python docs/make_screenshot.py` writes docs/images/report.png. It needs chromium and a minute, so it is no part of
`make docs`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from playwright.sync_api import sync_playwright

DOCS: Final = Path(__file__).parent


def main() -> None:
    """Write the report of the published quick study and photograph it."""
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as driver:
        folder = Path(scratch) / "quick"
        shutil.copytree(DOCS / "results" / "quick", folder)
        subprocess.run([sys.executable, "-P", "-m", "trimtab", "report", str(folder)], check=True)  # noqa: S603 - our own
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1100, "height": 980}, color_scheme="light")
        page.goto((folder / "report" / "report.html").as_uri())
        page.screenshot(path=DOCS / "images" / "report.png")
        browser.close()


if __name__ == "__main__":
    main()
