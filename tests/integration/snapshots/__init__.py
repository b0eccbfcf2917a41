"""Snapshots at the three providers, over real HTTP."""
