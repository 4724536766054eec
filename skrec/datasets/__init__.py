"""Data to try recommenders on: generated headlines and the MovieLens files."""

from skrec.datasets._headlines import make_headlines
from skrec.datasets._movielens import read_movielens

__all__ = ["make_headlines", "read_movielens"]
