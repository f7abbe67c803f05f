"""Observers that turn facts into logs."""
