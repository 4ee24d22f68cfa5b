"""Benchmarks: Lakebed beside its peers and the bare limit, in one run, as ratios. `make bench` writes docs/benchmarks.md."""
