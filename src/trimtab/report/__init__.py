"""A study table in; one self-contained page out; no torch."""
