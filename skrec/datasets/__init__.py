"""Data to try recommenders on: generated headlines, and files as their owners publish them."""

from skrec.datasets._headlines import make_headlines
from skrec.datasets._impressions import impressions_from_clicks
from skrec.datasets._mind import read_mind
from skrec.datasets._movielens import read_movielens

__all__ = ["impressions_from_clicks", "make_headlines", "read_mind", "read_movielens"]
