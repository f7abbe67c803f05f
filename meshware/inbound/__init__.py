"""Doors in: each framework's middleware."""
