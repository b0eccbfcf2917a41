"""Snapshots: what a plan may say, names, and the answers that are read."""
