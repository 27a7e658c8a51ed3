"""Every kind of page in a real browser: no error, no request; on a phone, by keyboard, in the dark, on paper."""

import pytest

REPORTS = ["study", "checked", "review", "routing"]
SITE_PAGES = [
    "index.html",
    "guides/selfinvoke.html",
    "concepts/routing.html",
    "results/robustness/index.html",
    "reference/families.html",
]
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}
SIDEWAYS = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
# The light that a color gives, 0 to 1, of the text and of what is behind it.
BRIGHTNESS = """selector => {
  const light = color => color.match(/[\\d.]+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0) / 765;
  const style = getComputedStyle(document.querySelector(selector));
  return [light(style.color), light(style.backgroundColor)];
}"""


def serious(page):
    """The rules of accessibility that a page breaks seriously or critically."""
    from axe_playwright_python.sync_playwright import Axe  # noqa: PLC0415 - only with a browser

    broken = Axe().run(page).response["violations"]
    return [(rule["id"], rule["nodes"][0]["html"]) for rule in broken if rule["impact"] in {"serious", "critical"}]


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_renders_without_a_request_and_fits_a_phone(name, reports, open_page):
    page, seen = open_page(reports[name], viewport=PHONE)
    assert page.locator("h1").inner_text()
    assert (seen.requests, seen.complaints) == ([reports[name]], [])
    assert page.evaluate(SIDEWAYS) <= 0
    assert serious(page) == []


@pytest.mark.parametrize("name", SITE_PAGES)
def test_a_page_of_the_site_asks_only_its_own_server_and_fits_a_phone(name, site, open_page):
    page, seen = open_page(f"{site}/{name}", viewport=PHONE)
    page.wait_for_load_state("networkidle")
    assert [address for address in seen.requests if not address.startswith((site, "data:"))] == []
    assert seen.complaints == []
    assert page.evaluate(SIDEWAYS) <= 0
    assert page.evaluate("[...document.images].filter(image => !image.naturalWidth).map(image => image.src)") == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("name", SITE_PAGES)
def test_no_page_of_the_site_breaks_a_serious_rule_of_accessibility(name, viewport, scheme, site, open_page):
    page, seen = open_page(f"{site}/{name}", viewport=viewport, color_scheme=scheme)
    page.wait_for_load_state("networkidle")
    assert page.evaluate("document.body.dataset.mdColorScheme") == {"light": "default", "dark": "slate"}[scheme]
    assert serious(page) == []
    assert [address for address in seen.requests if not address.startswith((site, "data:"))] == []


@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_report_breaks_a_serious_rule_of_accessibility(name, scheme, reports, open_page):
    page, _ = open_page(reports[name], color_scheme=scheme)
    assert serious(page) == []


@pytest.mark.parametrize("name", ["study", "checked", "routing"])
def test_a_report_is_dark_where_the_reader_wants_it_dark(name, reports, open_page):
    page, _ = open_page(reports[name], color_scheme="dark")
    text, behind = page.evaluate(BRIGHTNESS, "body")
    assert (text > 0.7, behind < 0.2) == (True, True)


def test_a_report_is_printed_black_on_white_also_in_the_dark(reports, open_page):
    page, _ = open_page(reports["study"], color_scheme="dark")
    page.emulate_media(media="print")
    text, behind = page.evaluate(BRIGHTNESS, "body")
    assert (text < 0.3, behind > 0.95) == (True, True)
    assert page.pdf().startswith(b"%PDF")


def test_the_filter_of_claims_works_by_keyboard_alone(reports, open_page):
    page, _ = open_page(reports["checked"])
    rows = page.locator("table.filtered tbody tr")
    assert rows.filter(visible=True).count() == 3
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent").startswith("contradicted"):
            break
    page.keyboard.press("Enter")
    assert rows.filter(visible=True).count() == 1
    assert rows.filter(visible=True).locator(".l0").first.inner_text() == "contradicted"


def test_a_table_of_numbers_is_sorted_by_a_click_on_its_head(reports, open_page):
    page, _ = open_page(reports["study"])
    table = page.locator("table.numbers").filter(visible=True).first
    head = table.locator("th button").nth(2)
    column = table.locator("tbody tr td:nth-child(3)")

    def values():
        return [float(text.splitlines()[0].replace("\N{MINUS SIGN}", "-")) for text in column.all_inner_texts()]

    before = values()
    head.click()
    assert values() == sorted(before) != before
    head.press("Enter")
    assert values() == sorted(before, reverse=True)


def test_the_heat_map_sorts_its_cells_and_keeps_them(reports, open_page):
    page, seen = open_page(reports["routing"])
    cells = page.locator("#map td")
    before = cells.evaluate_all("cells => cells.map(cell => cell.style.background)")
    page.get_by_label("largest first").check()
    after = cells.evaluate_all("cells => cells.map(cell => cell.style.background)")
    assert after != before
    assert sorted(after) == sorted(before)
    assert seen.complaints == []


def test_a_place_that_scrolls_is_reached_by_keyboard(reports, open_page):
    page, _ = open_page(reports["study"], viewport=PHONE)
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("String(document.activeElement.className)"))
    assert "scroll" in reached


def test_a_verdict_stands_within_a_phone(reports, open_page):
    page, _ = open_page(reports["study"], viewport=PHONE)
    boxes = [cell.bounding_box() for cell in page.locator("td.verdict").all()]
    assert len(boxes) == 9
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= 390 for box in boxes)
