"""A file of factors in; trained and evaluated cells, and a table, out."""
