"""The page of ``trimtab demo`` from hand-made steps: no training here."""

import re

from trimtab.report import demonstration_page, html
from trimtab.study.demonstration_steps import Demonstration, Moment


def _shown() -> Demonstration:
    moments = [
        Moment(rule=rule, step=step, loss=4.0 - step / 10, max_violation=vio, calls=calls)
        for rule, vio, calls in (("none", 1.0, (8, 4, 0, 4)), ("a <rule>", 0.0, (4, 4, 4, 4)))
        for step in range(1, 13)
    ]
    return Demonstration(steps=12, seed=0, floor=0.25, moments=tuple(moments))


def test_the_table_has_the_means_of_the_last_steps_and_the_experts_without_calls():
    page = html.render(demonstration_page.document(_shown(), ("none", "a <rule>")))
    cells = [re.sub("<[^>]+>", "", text) for text in re.findall(r"<td[^>]*>(.*?)</td>", page)]
    # Steps 3 to 12: losses 3.7 down to 2.8.
    assert cells[:5] == ["none", "1.00", "1.00", "1", "3.25"]
    assert cells[5:10] == ["a &lt;rule&gt;", "0.00", "0.00", "0", "3.25"]
    assert "0.25" in page


def test_full_color_is_three_times_the_mean_and_the_numbers_are_in_the_tooltip():
    page = html.render(demonstration_page.document(_shown(), ("none", "a <rule>")))
    assert "none, step 1: 8, 4, 0, 4 calls" in page
    shades = re.findall(r'fill-opacity="([\d.]+)"', page)
    assert shades[:4] == ["0.68", "0.36", "0.04", "0.36"]
    assert len(shades) == 2 * 12 * 4
    assert not re.findall(r"(?:src|href)=|url\(", page)
