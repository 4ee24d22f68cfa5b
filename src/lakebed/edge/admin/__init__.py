"""Lakebed's own endpoints under ``/_lakebed``: what runs, what flows, what was asked; clock, backup, reset."""
