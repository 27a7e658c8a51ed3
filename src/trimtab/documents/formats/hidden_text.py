"""Which elements of a page a reader cannot see: by attributes, inline styles and the page's simple style rules."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from trimtab.documents.formats.limits import TINY_PT

if TYPE_CHECKING:
    from lxml.etree import _Element as Element

RULE = re.compile(r"([^{}]{1,400})\{([^{}]{0,4000})\}")
DECLARATION = re.compile(r"([\w-]+)\s*:\s*([^;]+)")
SIMPLE = re.compile(r"([a-zA-Z][\w-]*)?([.#][\w-]+)?")
WHITE = re.compile(r"^(?:white|#fff|#ffffff|rgba?\(\s*25[0-5]\s*,\s*25[0-5]\s*,\s*25[0-5]\s*(?:,\s*[\d.]+\s*)?\))$")
LENGTH = re.compile(r"^(-?\d*\.?\d+)(px|pt|em|rem|%)?$")
POINTS = {"px": 0.75, "pt": 1.0, "em": 10.0, "rem": 12.0, "%": 0.1, None: 0.75}

Style = dict[str, str]


class Styles:
    """The rules of a page that hide something.

    Only selectors of one tag, class or id are understood; a rule with any other selector is passed over, since calling
    visible text hidden would lose it.

    Args:
        sheet: The text of all ``<style>`` elements.
    """

    def __init__(self, sheet: str) -> None:
        self._rules: dict[str, Style] = {}
        for selectors, body in RULE.findall(re.sub(r"/\*.*?\*/", "", sheet, flags=re.DOTALL)[:200_000]):
            declared = _declarations(body)
            if _reason(declared, on_color=False):
                for match in map(SIMPLE.fullmatch, map(str.strip, selectors.split(","))):
                    if match:
                        selector = (match[1] or "").lower() + (match[2] or "")
                        self._rules[selector] = self._rules.get(selector, {}) | declared

    def reason(self, element: Element) -> str | None:
        """Return why a reader does not see an element, or None."""
        name = str(element.tag).lower()
        if element.get("hidden") is not None and name != "math":
            return "hidden attribute"
        style: Style = {}
        if self._rules:
            classes = (element.get("class") or "").split()
            for mark in ("", *(f".{each}" for each in classes), f"#{element.get('id')}"):
                style |= self._rules.get(f"{name}{mark}", {}) | (self._rules.get(mark, {}) if mark else {})
        if inline := element.get("style"):
            style |= _declarations(inline)
        if not style:
            return None
        above = element.iterancestors()  # white can be read on a background that one of them gives
        on_color = any(_colored(_declarations(each.get("style") or "")) or each.get("bgcolor") for each in above)
        return _reason(style, on_color=on_color)


def _declarations(text: str) -> Style:
    return {
        name.lower(): value.strip().lower().replace("!important", "").strip()
        for name, value in DECLARATION.findall(text)
    }


def _reason(style: Style, *, on_color: bool) -> str | None:
    if style.get("display") == "none":
        return "display:none"
    if style.get("visibility") in {"hidden", "collapse"}:
        return "visibility:hidden"
    if (size := _points(style.get("font-size"))) is not None and size < TINY_PT:
        return "tiny"
    if style.get("opacity", "").strip("0.") == "" and "opacity" in style:
        return "transparent"
    if style.get("color") == "transparent" or (
        WHITE.match(style.get("color", "")) and not (on_color or _colored(style))
    ):
        return "white"
    moved = (_points(style.get(side)) for side in ("left", "top", "right", "text-indent", "margin-left"))
    return "off-page" if any(length is not None and length < -500 for length in moved) else None


def _points(text: str | None) -> float | None:
    match = LENGTH.match(text or "")
    return float(match[1]) * POINTS[match[2]] if match else None


def _colored(style: Style) -> bool:
    background = style.get("background-color") or style.get("background") or ""
    return background not in {"", "none", "transparent"} and not WHITE.match(background)
