"""An optional language model: it may point to passages and rate a review; it never sets a status."""
