-- The corpus on disk. Texts of spans live once, in document.text; span_text is an FTS5 index over copies of its rows.
CREATE TABLE work (
    id TEXT PRIMARY KEY,
    title TEXT NOT NULL,
    year INTEGER,
    record TEXT NOT NULL
) STRICT;

CREATE TABLE document (
    sha256 TEXT PRIMARY KEY,
    path TEXT NOT NULL,
    format TEXT NOT NULL,
    work TEXT NOT NULL,
    version TEXT NOT NULL,
    title TEXT NOT NULL,
    text TEXT NOT NULL,
    hidden TEXT NOT NULL,
    warnings TEXT NOT NULL
) STRICT;

CREATE INDEX document_of_work ON document (work);

CREATE TABLE span (
    id INTEGER PRIMARY KEY,
    document TEXT NOT NULL REFERENCES document ON DELETE CASCADE,
    kind TEXT NOT NULL,
    section TEXT NOT NULL,
    start INTEGER NOT NULL,
    "end" INTEGER NOT NULL,
    text TEXT NOT NULL,
    position TEXT NOT NULL
) STRICT;

CREATE INDEX span_of_document ON span (document, start);

CREATE VIRTUAL TABLE span_text USING fts5 (
    text, content = 'span', content_rowid = 'id', tokenize = 'porter unicode61 remove_diacritics 2'
);

CREATE TRIGGER span_added AFTER INSERT ON span BEGIN
    INSERT INTO span_text (rowid, text) VALUES (new.id, new.text);
END;

CREATE TRIGGER span_removed AFTER DELETE ON span BEGIN
    INSERT INTO span_text (span_text, rowid, text) VALUES ('delete', old.id, old.text);
END;

CREATE TABLE cell (
    id INTEGER PRIMARY KEY,
    document TEXT NOT NULL REFERENCES document ON DELETE CASCADE,
    "table" INTEGER NOT NULL,
    "row" INTEGER NOT NULL,
    "column" INTEGER NOT NULL,
    label TEXT NOT NULL,
    caption TEXT NOT NULL,
    row_path TEXT NOT NULL,
    column_path TEXT NOT NULL,
    text TEXT NOT NULL,
    numbers TEXT NOT NULL,
    spread TEXT,
    unit TEXT NOT NULL,
    bold INTEGER NOT NULL,
    position TEXT NOT NULL
) STRICT;

CREATE INDEX cell_of_document ON cell (document, "table", "row", "column");

CREATE TABLE cell_number (
    value REAL NOT NULL,
    cell INTEGER NOT NULL REFERENCES cell ON DELETE CASCADE
) STRICT;

CREATE INDEX cell_by_number ON cell_number (value);
CREATE INDEX number_of_cell ON cell_number (cell);
