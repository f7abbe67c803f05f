"""Doors out: each client's seam, the drivers, the reaper."""
