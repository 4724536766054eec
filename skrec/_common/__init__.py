"""Helpers that are independent of recommendation."""
