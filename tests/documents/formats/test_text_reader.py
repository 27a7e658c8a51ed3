"""Plain text has paragraphs, list items, sections and tables of tabs."""


def test_text(read_text):
    text = "A Title\n\n5 Claims\n\nClaim\tVerified\tConfidence\nit holds\t✓\t0.25\n\nOne. Two\nof it.\n\n- x\n- y\n"
    document = read_text(text, "report.txt")
    found = [(span.kind, span.section, span.text, span.position.line) for span in document.spans]
    assert found == [
        ("sentence", "", "A Title", 1),
        ("heading", "", "5 Claims", 3),
        ("sentence", "5 Claims", "One.", 8),
        ("sentence", "5 Claims", "Two of it.", 8),
        ("sentence", "5 Claims", "x", 11),
        ("sentence", "5 Claims", "y", 12),
    ]
    assert [(cell.row_path, cell.column_path, cell.text) for cell in document.cells] == [
        (("it holds",), ("Verified",), "✓"),
        (("it holds",), ("Confidence",), "0.25"),
    ]
