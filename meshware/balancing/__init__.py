"""Strategies, one a file; meters and scorers apart from choosers."""
