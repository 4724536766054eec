"""Impressions from logs of clicks and ratings."""
