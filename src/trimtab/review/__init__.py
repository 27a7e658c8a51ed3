"""Claims and works in, a checked report or a review out: linter, answer matrix, raters, an optional language model."""
