"""Contenders for the calls to a fleet that has trouble, live on loopback: see benchmarks/live.py."""
