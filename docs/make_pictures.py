"""Draw the five pictures of docs/concepts/routing.md: `python docs/make_pictures.py` writes docs/images/routing-*.svg.

Everything shown is computed here, by the standard library alone and from one seed, so that the files are the same on
every machine: 24 tokens, four experts, two experts a token.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / "images"
TOKENS: Final = 24
EXPERTS: Final = 4
CALLED: Final = 2
MEAN: Final = TOKENS * CALLED // EXPERTS
RATE: Final = 0.02
FAVOR: Final = (0.30, 0.20, 0.0, 0.0)
CAPACITY: Final = MEAN  # a capacity factor of 1.0
MINUS: Final = "\N{MINUS SIGN}"
INK, PALE, EDGE = "#1f2a37", "#6b7280", "#cbd5e1"
COLORS: Final = ("#3b5bdb", "#0b7285", "#b45309", "#9d174d")
DROPPED: Final = "#c92a2a"

Scores = list[list[float]]


def scores(seed: int) -> Scores:
    """Return the score of each expert for each token, 0 to 1: two experts are favored."""
    draw = random.Random(seed)
    return [[0.5 * draw.random() + 0.2 + favor for favor in FAVOR] for _ in range(TOKENS)]


def chosen(row: list[float], bias: list[float]) -> list[int]:
    """Return the experts of one token: the two largest sums of score and bias."""
    order = sorted(range(EXPERTS), key=lambda expert: (-(row[expert] + bias[expert]), expert))
    return sorted(order[:CALLED])


def loads(batch: Scores, bias: list[float]) -> list[int]:
    """Return how many tokens call each expert."""
    calls = [expert for row in batch for expert in chosen(row, bias)]
    return [calls.count(expert) for expert in range(EXPERTS)]


def learned(steps: int) -> tuple[list[float], list[float]]:
    """Return the biases of ALF-LB's sign rule after some steps, and MaxVio at each step, on a new batch a step."""
    bias, violations = [0.0] * EXPERTS, []
    for step in range(steps):
        load = loads(scores(step), bias)
        violations.append(max(load) / MEAN - 1)
        bias = [value + RATE * ((count < MEAN) - (count > MEAN)) for value, count in zip(bias, load, strict=True)]
    return bias, violations


def text(x: float, y: float, words: str, *, size: int = 14, color: str = INK, anchor: str = "start") -> str:
    """Return a line of text."""
    return f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="{color}" text-anchor="{anchor}">{words}</text>'


def box(x: float, y: float, width: float, height: float, *, fill: str, edge: str = "none") -> str:
    """Return a rectangle."""
    return f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="2" fill="{fill}" stroke="{edge}"/>'


def drawing(title: str, parts: list[str], width: int = 640, height: int = 300) -> str:
    """Return a whole picture on a white card, which is readable on a dark page too."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'font-family="system-ui, sans-serif"><title>{title}</title>'
    )
    card = f'<rect width="{width}" height="{height}" rx="8" fill="#ffffff" stroke="{EDGE}"/>'
    return "\n".join([head, card, *parts, "</svg>", ""])


def grid(batch: Scores, bias: list[float], top: float) -> list[str]:
    """Draw a column a token and a row an expert; what is called is filled."""
    parts = []
    for expert in range(EXPERTS):
        parts.append(text(20, top + 22 + 34 * expert, f"expert {expert + 1}"))
        for token, row in enumerate(batch):
            called = expert in chosen(row, bias)
            fill = COLORS[expert] if called else "#f1f5f9"
            parts.append(box(90 + 22 * token, top + 4 + 34 * expert, 19, 26, fill=fill))
    return parts


def choice() -> str:
    """Picture 1: every token calls the two experts of largest score."""
    parts = [text(20, 34, "Each column is a token. It calls the two experts with the largest scores.", size=16)]
    parts += grid(scores(0), [0.0] * EXPERTS, 60)
    parts.append(text(90, 230, f"{TOKENS} tokens, so {TOKENS * CALLED} calls, {MEAN} an expert on average", color=PALE))
    return drawing("Tokens and the experts they call", parts, height=256)


def uneven() -> str:
    """Picture 2: the load of each expert, the mean, and MaxVio."""
    load = loads(scores(0), [0.0] * EXPERTS)
    parts = [text(20, 34, "Load: how many calls each expert gets. Left alone, it is uneven.", size=16)]
    for expert, count in enumerate(load):
        y = 60 + 40 * expert
        parts += [
            text(20, y + 20, f"expert {expert + 1}"),
            box(90, y, 20 * count, 28, fill=COLORS[expert]),
            text(98 + 20 * count, y + 20, str(count)),
        ]
    at = 90 + 20 * MEAN
    parts.append(f'<line x1="{at}" y1="52" x2="{at}" y2="222" stroke="{INK}" stroke-dasharray="4 4"/>')
    parts.append(text(at + 6, 222, f"mean {MEAN}", color=PALE))
    violation = max(load) / MEAN - 1
    parts.append(
        text(
            20,
            252,
            f"MaxVio = {max(load)} / {MEAN} {MINUS} 1 = {violation:.2f}: the busiest expert over the mean, minus 1",
        )
    )
    return drawing("The load of four experts", parts, height=272)


def biased() -> str:
    """Picture 3: one token, its scores, and what a bias changes."""
    bias, _ = learned(40)
    row = next(row for row in scores(0) if chosen(row, [0.0] * EXPERTS) != chosen(row, bias))
    parts = [text(20, 34, "A bias is added before the choice. The scores themselves stay.", size=16)]
    for expert, (score, added) in enumerate(zip(row, bias, strict=True)):
        y = 62 + 42 * expert
        before, after = expert in chosen(row, [0.0] * EXPERTS), expert in chosen(row, bias)
        parts += [
            text(20, y + 19, f"expert {expert + 1}"),
            box(90, y, 300 * score, 26, fill=COLORS[expert]),
            box(90 + 300 * min(score, score + added), y + 8, 300 * abs(added), 10, fill="#94a3b8", edge=INK),
            text(420, y + 19, f"{score:.2f} {'+' if added >= 0 else MINUS} {abs(added):.2f} = {score + added:.2f}"),
            text(
                560,
                y + 19,
                {(True, True): "called", (True, False): "no more", (False, True): "now", (False, False): "—"}[
                    before, after
                ],
            ),
        ]
    parts.append(
        text(
            20, 252, "Filled: score. Grey: the bias that training learned. Right: their sum, which decides.", color=PALE
        )
    )
    return drawing("A bias changes which experts one token calls", parts, height=272)


def full() -> str:
    """Picture 4: a capacity; calls beyond it are dropped."""
    load = loads(scores(0), [0.0] * EXPERTS)
    parts = [text(20, 34, f"Capacity 1.0: each expert has {CAPACITY} slots. What finds none is dropped.", size=16)]
    for expert, count in enumerate(load):
        y = 60 + 40 * expert
        parts.append(text(20, y + 20, f"expert {expert + 1}"))
        for slot in range(max(count, CAPACITY)):
            taken, inside = slot < count, slot < CAPACITY
            fill = (COLORS[expert] if inside else DROPPED) if taken else "#ffffff"
            parts.append(box(90 + 22 * slot, y, 18, 28, fill=fill, edge=EDGE))
    dropped = sum(max(0, count - CAPACITY) for count in load)
    calls = TOKENS * CALLED
    parts.append(
        text(
            20,
            246,
            f"Red: {dropped} of {calls} calls dropped ({100 * dropped / calls:.0f} %). White: slots that stay empty.",
        )
    )
    return drawing("Slots of four experts under a capacity", parts, height=268)


def recovery() -> str:
    """Picture 5: MaxVio over steps under ALF-LB, and what chance alone leaves."""
    steps = 40
    _, violations = learned(steps)
    chance = random.Random(1)
    even = [[[chance.random() for _ in range(EXPERTS)] for _ in range(TOKENS)] for _ in range(200)]
    floor = sum(max(loads(batch, [0.0] * EXPERTS)) / MEAN - 1 for batch in even) / len(even)
    left, bottom, high = 70, 230, 170

    def place(step: float, violation: float) -> tuple[float, float]:
        return left + step * 540 / (steps - 1), bottom - violation * high

    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(step, value) for step, value in enumerate(violations)))
    parts = [text(20, 34, f"ALF-LB moves each bias by {RATE} a step, and the load evens out.", size=16)]
    for value in (0.0, 0.5, 1.0):
        y = place(0, value)[1]
        parts += [
            f'<line x1="{left}" y1="{y:g}" x2="610" y2="{y:g}" stroke="{EDGE}"/>',
            text(60, y + 5, f"{value:g}", anchor="end"),
        ]
    y = place(0, floor)[1]
    parts += [
        f'<line x1="{left}" y1="{y:.1f}" x2="610" y2="{y:.1f}" stroke="{DROPPED}" stroke-dasharray="5 4"/>',
        text(
            610, 80, f"dashes: floor {floor:.2f}, a router without any preference", color=DROPPED, anchor="end", size=13
        ),
        f'<polyline points="{points}" fill="none" stroke="{COLORS[0]}" stroke-width="2.5"/>',
        text(left, 54, "MaxVio", color=PALE, size=13),
        text(610, 254, f"step {steps}", color=PALE, anchor="end", size=13),
        text(left, 254, "step 1", color=PALE, size=13),
    ]
    return drawing("MaxVio over forty steps of ALF-LB", parts, height=268)


PICTURES: Final = {
    "routing-1-choice": choice,
    "routing-2-load": uneven,
    "routing-3-bias": biased,
    "routing-4-capacity": full,
    "routing-5-recovery": recovery,
}


def main() -> None:
    """Write the five files."""
    for name, draw in PICTURES.items():
        (FOLDER / f"{name}.svg").write_text(draw(), encoding="utf-8")


if __name__ == "__main__":
    main()
