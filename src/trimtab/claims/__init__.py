"""Text in, claims out, and a verdict on each from documents, tables and our own measurements."""
