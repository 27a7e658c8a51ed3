"""One table in every format, and what it says."""

from decimal import Decimal

import pytest

from trimtab.documents.reader import read_bytes

CAPTION = "Greedy pass@1 (%) of open and closed models."

MARKDOWN = f"""# Paper

Table 2: {CAPTION}

| Model | HumanEval Pro |  | MBPP Pro |  |
|---|---|---|---|---|
|  | 0-shot | 1-shot | 0-shot | 1-shot |
| Open models |  |  |  |  |
| Qwen2.5-Coder-7B | 54.9 ± 0.3 | 61.0 | 61.4 | — |
| Qwen2.5-Coder-32B | **61.6** (58.2) | 67.1 | 65.6 | 70.10 |
| Closed models |  |  |  |  |
| o1-mini | 76.2 | **84.8** | 68.3 | 81.2 |
"""

ROWS = [
    (("Open models", "Qwen2.5-Coder-7B"), ("54.9 ± 0.3", "61.0", "61.4", "—")),
    (("Open models", "Qwen2.5-Coder-32B"), ("61.6 (58.2)", "67.1", "65.6", "70.10")),
    (("Closed models", "o1-mini"), ("76.2", "84.8", "68.3", "81.2")),
]
COLUMNS = [("HumanEval Pro", "0-shot"), ("HumanEval Pro", "1-shot"), ("MBPP Pro", "0-shot"), ("MBPP Pro", "1-shot")]
BOLD = {"61.6 (58.2)", "84.8"}


def expected():
    """What the table says: label, caption, row path, column path, text, numbers, spread, unit, bold."""
    for row_path, texts in ROWS:
        for column_path, text in zip(COLUMNS, texts, strict=True):
            plain = text.split(" ±")[0]
            numbers = tuple(Decimal(part.strip("()")) for part in plain.split()) if text != "—" else ()
            spread = Decimal("0.3") if "±" in text else None
            unit = "%" if numbers else ""
            yield ("Table 2", CAPTION, row_path, column_path, text, numbers, spread, unit, text in BOLD)


def said(document):
    """What a document's cells say, in order."""
    return [
        (
            cell.label,
            cell.caption,
            cell.row_path,
            cell.column_path,
            cell.text,
            cell.numbers,
            cell.spread,
            cell.unit,
            cell.bold,
        )
        for cell in document.cells
    ]


@pytest.fixture
def check_table():
    """Assert that a file holds the table, cell for cell."""

    def check(raw, name):
        document = read_bytes(raw if isinstance(raw, bytes) else raw.encode(), name)
        assert said(document) == list(expected())
        assert document.warnings == ()
        for span in document.spans:
            assert document.text[span.start : span.end] == span.text
        return document

    return check


@pytest.fixture
def markdown_table():
    return MARKDOWN


@pytest.fixture
def read_text():
    """Read a string as a file of the name given."""
    return lambda text, name, **options: read_bytes(text.encode(), name, **options)
