"""A synthetic study with known effects: does each word come as often as theory says?

Usage: python benchmarks/study_verdicts.py [STATE.jsonl or -] [DRAWS]; 1,000 draws an effect if nothing is said. With a
state file every hundred draws are a line, and a second run goes on where the first was stopped. Each draw is a study's
table of twenty cells whose losses scatter, asked through the same function as a claim of a report; beside each rate
stands its exact value (``tests/study_draws.py``).
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections import Counter
from pathlib import Path

from scipy.stats import binomtest

from trimtab.claims import report_claims, study_evidence
from trimtab.claims.name_registry import Registry

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
draws_of = importlib.import_module("study_draws")

EFFECTS = (0.0, 0.005, 0.01, 0.02, 0.03, 0.05, -0.03)
SPREADS = (0.01, 0.004)
BATCH = 100
WORDS = ("supports", "refutes", "equivalent", "inconclusive")
CLAIMS = (draws_of.STATEMENT, f"At 16B parameters {draws_of.STATEMENT}")
REGISTRY = Registry.load()


def batch(studies: draws_of.Studies, effect: float, spread: float, first: int) -> Counter[str]:
    """Count what :data:`BATCH` studies say of the claim, and of the same claim about a large model."""
    claim, large = (report_claims.claim(text, REGISTRY) for text in CLAIMS)
    found: Counter[str] = Counter()
    for number in range(first, first + BATCH):
        table = studies.draw(effect, spread, number)
        (here,), (elsewhere,) = (study_evidence.look_up(one, [table], REGISTRY) for one in (claim, large))
        found[here.stance.value] += 1
        found[f"16B {elsewhere.stance.value}"] += 1
        interval = table.answers[0].difference.interval
        found["t more"] += interval.low > 0
        found["t less"] += interval.high < 0
    return found


def main() -> None:
    """Draw what the state file lacks, then print every rate beside its exact value."""
    state = Path(sys.argv[1]) if sys.argv[1:] and sys.argv[1] != "-" else None
    draws = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    done = {}
    if state and state.exists():
        for line in state.read_text().splitlines():
            *key, found = json.loads(line)
            done[tuple(key)] = Counter(found)
    studies, start = draws_of.Studies(), time.process_time()
    for spread in SPREADS:
        for effect in EFFECTS:
            for first in range(0, draws, BATCH):
                if (spread, effect, first) in done:
                    continue
                done[spread, effect, first] = found = batch(studies, effect, spread, first)
                if state:
                    with state.open("a") as file:
                        file.write(json.dumps([spread, effect, first, found]) + "\n")
    print(f"{time.process_time() - start:.1f} CPU s for what was not there yet")
    print(f"{draws_of.SEEDS} seeds, margin {draws_of.MARGIN}; in parentheses the exact probability")
    head = "".join(f"{word:>22}" for word in WORDS)
    print(f"{'spread':>6} {'effect':>7} {'n':>5}  {head}  16B not comparable")
    for spread in SPREADS:
        for effect in EFFECTS:
            show(spread, effect, sum((done[spread, effect, f] for f in range(0, draws, BATCH)), Counter()))


def show(spread: float, effect: float, found: Counter[str]) -> None:
    """Print one line, with a star where a rate differs from its exact value at 0.1 %."""
    total = sum(found[word] for word in WORDS)
    told = []
    for word, chance in draws_of.exact(effect, spread).items():
        apart = binomtest(found[word], total, min(1.0, max(0.0, chance))).pvalue < 0.001
        told.append(f"{found[word] / total:10.3f} ({chance:7.4f}){'*' if apart else ' '}")
    more, less = draws_of.t_power(effect, spread)
    alone = f"t alone {found['t more'] / total:.3f} ({more:.4f}), {found['t less'] / total:.3f} ({less:.4f})"
    print(
        f"{spread:6} {effect:+7.3f} {total:5}  "
        + " ".join(told)
        + f"{found['16B not comparable'] / total:15.3f}   {alone}"
    )


if __name__ == "__main__":
    main()
