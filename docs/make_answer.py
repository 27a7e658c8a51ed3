"""Join everything that is known on the README's question on one page: `make answer`, about half a minute.

Published figures (the corpus `alf-lb` that comes with trimtab), the committed cells of the robustness study and of the
same judged on four benchmarks, and a small grid of the simulator go in. docs/results/answer/README.md and the review
behind it come out. No number stands here.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from trimtab.claims.certainty import EXPLAINED
from trimtab.report import numbers
from trimtab.study import spec
from trimtab.study.endpoints import ENDPOINTS
from trimtab.study.table import StudyTable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

DOCS: Final = Path(__file__).parent
FOLDER: Final = DOCS / "results" / "answer"
STUDY: Final = DOCS / "results" / "robustness"
STUDIES: Final = (STUDY, DOCS / "results" / "robustness-benchmarks")
QUESTION: Final = (
    "How robust is ALF-LB to expert initialization and to expert capacity constraints, on HumanEval, MBPP,"
    " HumanEval Pro and MBPP Pro, against auxiliary-loss methods?"
)
REVIEW_FILES: Final = ("report.html", "report.md", "prisma.svg", "review.json", "claims.jsonl", "verdicts.jsonl")
RULES: Final = ("LossFree(bias_update_rate=1e-2)", "QuantileBalancing()", "NewtonBalancing()", "NoBalancer()")
STREAMS: Final = ("iid", "skewed")
MEANING: Final = (
    "Nothing is averaged. *Literature* is what published works measured under the stress. *Our studies* are measured on"
    " a small model and say nothing about large ones. Positive: ALF-LB loses more. *Together*: studies are not pooled."
    " Of one stress they say together what all that compared it say, else undecided. Certainty: the lowest of any."
)
GRID: Final = (
    "Streams of router scores: 1,024 tokens a batch, 16 experts, two a token, 200 batches, one seed. In *skewed* some"
    " experts are favored. In brackets: what chance alone leaves. It tests the rule as a controller, not training."
)
MORE: Final = (
    "Endpoints, controls, power and threats: [results](../robustness/README.md),",
    "[on four benchmarks](../robustness-benchmarks/README.md), [on other axes](../robustness-axes/README.md).",
)
NAMES: Final = {
    "humaneval": "HumanEval", "mbpp": "MBPP", "humaneval_pro": "HumanEval Pro", "mbpp_pro": "MBPP Pro",
}  # fmt: skip


def trimtab(*arguments: str) -> str:
    """Run one command of trimtab and return what it printed."""
    command = [sys.executable, "-P", "-m", "trimtab", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603 - our own


def write_review() -> None:
    """Write the review of the published figures with our studies."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = str(Path(scratch) / "review")
        trimtab("evidence", "search", QUESTION, "--corpus", "alf-lb", "-o", folder, "--offline")
        trimtab("evidence", "report", folder, *(word for study in STUDIES for word in ("--study", str(study))))
        (FOLDER / "report").mkdir(parents=True, exist_ok=True)
        for file in REVIEW_FILES:
            shutil.copy(Path(folder) / file, FOLDER / "report" / file)


def read_review() -> dict[str, Any]:
    """Return the review that is written, with its claims and their verdicts."""
    folder = FOLDER / "report"
    reviewed: dict[str, Any] = json.loads((folder / "review.json").read_text(encoding="utf-8"))
    for name in ("claims", "verdicts"):
        lines = (folder / f"{name}.jsonl").read_text(encoding="utf-8").split("\n")
        reviewed[name] = [json.loads(line) for line in lines if line]
    return reviewed


def simulated() -> list[dict[str, Any]]:
    """Return the cells of a small grid: rules, streams and capacities, without a model."""
    options = [word for rule in RULES for word in ("-r", rule)] + [word for name in STREAMS for word in ("-s", name)]
    printed = trimtab("simulate", *options, "-c", "none", "-c", "1.0", "--steps", "200", "--json")
    cells: list[dict[str, Any]] = json.loads(printed)
    return cells


def row(cells: Iterable[object]) -> str:
    """Return a row of a Markdown table."""
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def table(head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> list[str]:
    """Return a Markdown table."""
    return [row(head), row(["---"] * len(head)), *map(row, rows), ""]


def matrix(reviewed: Mapping[str, Any]) -> list[str]:
    """Return the answer for each stress and benchmark: literature, our studies, and all together."""
    short = {"initialization": "expert initialization", "capacity": "expert capacity"}
    rows = []
    for cell in (answer["cell"] for answer in reviewed["answers"]):
        if cell["method"] != "loss_free":
            continue
        contrasts = [part for part in cell["study"].split("; ") if " against " in part]
        joint = f"**{cell['joint']}**" if cell["runs"] else "no evidence"
        certainty = f", certainty {cell['certainty']}" if cell["certainty"] else ""
        place = (short[cell["stressor"]], NAMES[cell["benchmark"]])
        rows.append((*place, cell["literature"], "<br>".join(contrasts) or "not measured", f"{joint}{certainty}"))
    return table(("stress", "benchmark", "literature", "our studies, ALF-LB against auxiliary loss", "together"), rows)


def claims(reviewed: Mapping[str, Any]) -> list[str]:
    """Return every claim that was drawn from the literature, with its verdict on two axes and its certainty."""
    verdicts = reviewed["verdicts"]
    words = Counter(verdict["fidelity"] for verdict in verdicts)
    rows = [
        (claim["statement"].replace("|", "\\|"), found["fidelity"], found["agreement"], found["certainty"] or "none")
        for claim, found in zip(reviewed["claims"], verdicts, strict=True)
    ]
    holding = sum(not places for places in reviewed["checks"].values())
    drawn = f"{len(rows)} claims were drawn: {', '.join(f'{count} {word}' for word, count in words.most_common())}."
    checks = f"Of the {len(reviewed['checks'])} checks of the review itself {holding} hold; no person has rated it."
    return [
        f"{drawn} {checks}",
        "",
        *table(("claim", "its source says it", "others agree", "certainty"), rows),
        EXPLAINED,
        "",
    ]


def study() -> list[str]:
    """Return every row of the study's primary endpoint that has all its cells, and what is still to be run."""
    collected = StudyTable.load(STUDY, spec.load(STUDY / "study.toml"))
    primary = [answer for answer in collected.answers if answer.role == "primary"]
    endpoint = ENDPOINTS[collected.study.endpoints.primary]
    rows = []
    for answer in primary:
        if answer.difference is not None and not answer.waiting:
            value = numbers.signed(endpoint, answer.difference.value, answer.margin)
            interval = numbers.span(endpoint, answer.difference.interval, answer.margin)
            rows.append((f"`{answer.method}`", answer.stressor.short, f"{value} {interval}", answer.words))
    unit = f"{endpoint.title}, {numbers.unit(endpoint)}"
    run = f"{len(collected.results)} of {len(collected.cells)} cells are run"
    return [
        f"Unit: {unit}. {run}; {len(rows)} of {len(primary)} rows are whole.",
        "",
        *table(("arm against `aux`", "stress", "difference, 95 % interval", "verdict"), rows),
    ]


def grid(cells: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return what rules do without a model: load above chance, drops beside theirs, steps to recover."""
    rows = [
        (
            cell["stream"],
            f"`{cell['rule']}`",
            "none" if cell["capacity"] is None else cell["capacity"],
            f"{cell['tail']:.2f} ({cell['floor']:.2f})",
            f"{100 * cell['dropped']:.1f} ({100 * cell['drop_floor']:.1f}) %",
            cell["recovery"] if cell["recovery"] is not None else "never",
        )
        for cell in cells
    ]
    return table(
        ("stream", "rule", "capacity", "MaxVio at the end (floor)", "dropped (floor)", "recovers after, batches"), rows
    )


def bullets(lines: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return sentences as a list."""
    return [*(f"* {line['text']}" for line in lines), ""]


def references(reviewed: Mapping[str, Any]) -> list[str]:
    """Return the works that figures come from."""
    return [
        *(
            f"* {entry['work']['title']} ({entry['work']['year']}), {entry['work']['id']}"
            for entry in reviewed["references"]
        ),
        "",
    ]


def page(reviewed: Mapping[str, Any], cells: Iterable[Mapping[str, Any]]) -> str:
    """Return the page."""
    conflicts = reviewed["conflicts"]
    parts = [
        "# The whole answer on one page",
        "",
        "<!-- Written by docs/make_answer.py; run `make answer`. -->",
        f"**Question.** {reviewed['question']}",
        "",
        "## In short",
        "",
        *bullets(reviewed["abstract"]),
        "## What was asked",
        "",
        "A published work had to use a term of each of these facets:",
        "",
        *(f"* {facet}" for facet in reviewed["facets"]),
        "",
        "## Method",
        "",
        *bullets(reviewed["method"]),
        "## Answer by stress and benchmark",
        "",
        MEANING,
        "",
        *matrix(reviewed),
        "## Our study, before learning each batch",
        "",
        *study(),
        *MORE,
        "",
        "## Without a model",
        "",
        GRID,
        "",
        *grid(cells),
        "## Conflicts",
        "",
        *(bullets(conflicts) if conflicts else ["Nothing that was read contradicts a claim here.", ""]),
        "## Limits",
        "",
        *bullets(reviewed["limits"]),
        "## Extracted claims",
        "",
        *claims(reviewed),
        "## References",
        "",
        *references(reviewed),
        "## Where each number comes from",
        "",
        "* Published figures: `report/claims.jsonl` and `report/verdicts.jsonl`, each with its work, table and row.",
        "* Our studies: the cells in `docs/results/robustness` and `docs/results/robustness-benchmarks`.",
        "* The whole review: [report](report/report.md).",
        "",
        "`make answer` rebuilds all of it from these files.",
    ]
    return "\n".join(parts) + "\n"


def main() -> None:
    """Write the review and the page."""
    write_review()
    cells = simulated()
    (FOLDER / "simulated.json").write_text(json.dumps(cells, indent=1) + "\n", encoding="utf-8")
    (FOLDER / "README.md").write_text(page(read_review(), cells), encoding="utf-8")


if __name__ == "__main__":
    main()
