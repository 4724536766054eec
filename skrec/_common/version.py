"""The version number, which setup.py, the documentation and saved recommenders read."""

__version__ = "0.1.0.dev0"
