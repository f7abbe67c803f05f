"""Whom we believe, and what."""
