"""Runs untrusted Python; knows nothing of benchmarks; standard library only."""
