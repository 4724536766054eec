"""The version, in the one place that setup.py, the docs and saved models read."""

__version__ = "0.1.0.dev0"
