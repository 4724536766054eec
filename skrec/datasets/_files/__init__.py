"""Readers of the owners' file formats, and converted copies of the data sets."""
