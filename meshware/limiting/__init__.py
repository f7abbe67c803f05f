"""Limits: how much is let out at once, so that an overload ends when its cause does."""
