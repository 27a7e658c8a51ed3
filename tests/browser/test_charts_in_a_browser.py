"""Charts in a real browser: a point says what it is, leads to its cells, and its numbers are those of the table."""

import csv
import io
import re
from collections import defaultdict
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest

PHONE = {"width": 390, "height": 844}
SIDEWAYS = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


def downloaded(page, tools):
    with page.expect_download() as waiting:
        tools.get_by_role("button", name="numbers as CSV").click()
    text = Path(waiting.value.path()).read_text(encoding="utf-8")
    return waiting.value.suggested_filename, list(csv.DictReader(io.StringIO(text)))


def folder_of(address):
    return Path(unquote(urlparse(address).path)).parents[1]


def losses(folder, endpoint):
    """What each cell measured dropless, from the run's table: cell id to value, and its factors."""
    with (folder / "table.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["endpoint"] == endpoint]
    return {row["cell_id"]: row for row in rows if row["eval_capacity"] == "dropless"}


def test_the_downloaded_numbers_are_differences_of_the_runs_own_table(reports, open_page):
    page, seen = open_page(reports["study"])
    name, rows = downloaded(page, page.locator("figure").first)
    assert name == "degradation.csv"
    measured = losses(folder_of(reports["study"]), "prequential_loss")
    single = [row for row in rows if row["endpoint"] == "Python loss before learning" and row["over"] != "mean"]
    assert len(single) == 2 * 3 * 4  # methods, stresses, seeds
    by_row = defaultdict(list)
    for row in single:
        stress, reference = (measured[cell] for cell in row["cells"].split())
        assert {stress["balancer"], reference["balancer"]} == {row["method"]}
        assert f"seed {stress['seed']}" == f"seed {reference['seed']}" == row["over"]
        assert float(row["degradation"]) == pytest.approx(
            float(stress["value"]) - float(reference["value"]), rel=1e-4, abs=1e-6
        )
        by_row[row["stress"], row["method"]].append(float(row["degradation"]))
    for row in rows:
        if row["endpoint"] == "Python loss before learning" and row["over"] == "mean":
            found = by_row[row["stress"], row["method"]]
            assert float(row["degradation"]) == pytest.approx(sum(found) / 4, rel=1e-4)
    assert [address for address in seen.requests if not address.startswith("blob:")] == [reports["study"]]


def test_arrow_keys_name_points_and_enter_leads_to_the_cells_folder(reports, open_page):
    page, seen = open_page(reports["study"])
    chart = page.locator("figure svg").first
    chart.focus()
    page.keyboard.press("ArrowRight")
    words = page.locator("#tip").inner_text()
    assert words.startswith("Python loss before learning; nats/token; skewed; loss_free\nover: mean")
    page.keyboard.press("ArrowRight")
    words = page.locator("#tip").inner_text()
    cell = re.search(r"cells/(\S+)", words)[1]
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.textContent") == cell
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/cells/{cell}/")
    assert (folder_of(reports["study"]) / "cells" / cell / "result.json").exists()
    assert [line for line in seen.complaints if "crbug" not in line] == []


def test_escape_closes_the_list_of_cells_and_gives_the_chart_back(reports, open_page):
    page, _ = open_page(reports["study"])
    page.locator("figure svg").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert page.locator(".picked").first.is_visible()
    page.keyboard.press("Escape")
    assert not page.locator(".picked").first.is_visible()
    assert page.evaluate("document.activeElement.tagName") == "svg"


def test_a_point_under_the_pointer_names_its_step_and_a_click_lists_its_cells(reports, open_page):
    page, _ = open_page(reports["study"])
    chart = page.locator("figure").nth(1).locator("svg")
    chart.hover(position={"x": 150, "y": 80})
    assert re.search(r"MaxVio, layer \d+; .*\nstep: \d+\nmean: [\d.]+", page.locator("#tip").inner_text())
    chart.click(position={"x": 150, "y": 80})
    assert page.locator("figure").nth(1).locator(".picked a").count() == 4


@pytest.mark.parametrize("name", ["study", "review"])
@pytest.mark.parametrize("viewport", [PHONE, {"width": 1280, "height": 900}])
def test_a_drawing_grows_by_keyboard_inside_the_page(name, viewport, reports, open_page):
    page, _ = open_page(reports[name], viewport=viewport)
    drawing, tools = page.locator("figure svg").first, page.locator("figure .tools").first
    before = drawing.bounding_box()["width"]
    tools.get_by_role("button", name="larger").focus()
    page.keyboard.press("Enter")
    assert drawing.bounding_box()["width"] > before
    assert page.evaluate(SIDEWAYS) <= 0
    for _ in range(3):
        tools.get_by_role("button", name="smaller").click()
    assert drawing.bounding_box()["width"] < 390
    assert tools.get_by_role("button", name="smaller").is_disabled()


def test_a_box_of_the_flow_has_its_counts_and_leads_to_the_log(reports, open_page):
    page, _ = open_page(reports["review"])
    figure = page.locator("figure").first
    _, rows = downloaded(page, figure)
    counts = {(row["box"], row["of it"]): int(row["count"]) for row in rows}
    screened = counts["Works screened by title and abstract", "Works screened by title and abstract"]
    excluded = next(count for (box, of_it), count in counts.items() if box == of_it == "Works excluded")
    assert screened >= excluded > 0
    drawn = " ".join(figure.locator("svg text").all_text_contents())
    assert f"Works screened by title and abstract (n = {screened})" in drawn
    figure.locator("svg").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#tip").inner_text().splitlines()[0] == "Records identified"
    page.keyboard.press("Enter")
    assert page.url.endswith("#log")
    assert page.locator("#log details").first.get_attribute("open") is not None


def test_the_heat_map_is_walked_by_keys_downloaded_and_leads_to_its_layer(reports, open_page):
    page, seen = open_page(reports["routing"], viewport=PHONE)
    page.locator("#map").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    words = page.locator("#tip").inner_text()
    layer, expert, ratio = re.match(r"layer (\d+), expert (\d+)\n([\d.]+) ", words).groups()
    _, rows = downloaded(page, page.locator(".tools"))
    (own,) = [row for row in rows if (row["layer"], row["expert"]) == (layer, expert)]
    assert float(own["over an even share"]) == pytest.approx(float(ratio), rel=0.01)
    for name in {row["layer"] for row in rows}:
        shares = [float(row["over an even share"]) for row in rows if row["layer"] == name]
        assert sum(shares) / len(shares) == pytest.approx(1, abs=0.01)
    page.locator("#map").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.cells[0].textContent") == "1"
    width = page.locator("#map td").first.bounding_box()["width"]
    page.get_by_role("button", name="larger").click()
    assert page.locator("#map td").first.bounding_box()["width"] > width
    assert page.evaluate(SIDEWAYS) <= 0
    assert seen.complaints == []


def test_buttons_and_lists_of_charts_are_not_printed(reports, open_page):
    page, _ = open_page(reports["study"])
    page.locator("figure .tools button").nth(1).click()
    page.emulate_media(media="print")
    assert not page.locator(".tools").first.is_visible()
    drawing = page.locator("figure svg").first.bounding_box()["width"]
    assert drawing <= page.evaluate("document.querySelector('main').clientWidth")
