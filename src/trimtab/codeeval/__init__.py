"""Code benchmarks: problems, programs, verdicts; no torch, no model."""
