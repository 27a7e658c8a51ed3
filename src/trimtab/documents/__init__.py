"""Bytes in, documents out: text, sentences and table cells, each with its exact place; works from bibliographies."""
