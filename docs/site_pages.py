"""Hooks of the site: the pages at the top of the repository join it, and links to files outside it become plain names.

MkDocs reads one folder. README, LOG and the like stay where people look for them in a repository, so they are handed
to it under names of their own here, and links between them and the pages of ``docs`` are rewritten. A link to source
code has nowhere to lead in a site that may be built anywhere, so its text is shown as code.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT: Final = Path(__file__).parent.parent
# A dialog needs a name, and a wide table must be scrolled by keyboard too.
MENDED: Final = {
    'data-md-component="search" role="dialog"': 'data-md-component="search" role="dialog" aria-label="Search"',
    "<table>": '<table tabindex="0">',
}
TOP_PAGES: Final = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "LOG.md": "log.md",
    "CONTRIBUTING.md": "contributing.md",
}
LINK: Final = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)#\s]+)(#[^)\s]*)?\)")
IMAGE: Final = re.compile(r"(!\[[^\]]*\]\()docs/")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages at the top of the repository."""
    for source, name in TOP_PAGES.items():
        files.append(File.generated(config, name, content=(ROOT / source).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Rewrite links so that each leads to a page of the site, or is no link."""
    name_in_site = page.file.src_uri
    source_of = {name: source for source, name in TOP_PAGES.items()}
    source = source_of.get(name_in_site, f"docs/{name_in_site}")
    folder = posixpath.dirname(source)

    def rewritten(match: re.Match[str]) -> str:
        text, target, anchor = match[1], match[2], match[3] or ""
        if "://" in target or target.startswith("mailto:"):
            return match[0]
        path = posixpath.normpath(posixpath.join(folder, target))
        if (ROOT / path / "README.md").is_file():
            path = f"{path}/README.md"
        name = TOP_PAGES.get(path) or path.removeprefix("docs/")
        in_site = path in TOP_PAGES or (path.startswith("docs/") and files.get_file_from_path(name) is not None)
        if not in_site:
            return text if "`" in text else f"`{text}`"
        return f"[{text}]({posixpath.relpath(name, posixpath.dirname(name_in_site) or '.')}{anchor})"

    parts = re.split(r"(^```.*?^```)", markdown, flags=re.DOTALL | re.MULTILINE)
    parts[::2] = [LINK.sub(rewritten, part) for part in parts[::2]]
    return IMAGE.sub(r"\1", "".join(parts)) if name_in_site in source_of else "".join(parts)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:  # noqa: ARG001
    """Mend what the theme leaves out for people who use a keyboard or a screen reader."""
    for written, mended in MENDED.items():
        output = output.replace(written, mended)
    return output
