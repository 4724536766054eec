"""Data sets: generated headlines, readers of published files, and downloads."""

from skrec.datasets._adressa import read_adressa
from skrec.datasets._amazon import read_amazon
from skrec.datasets._clicks.histories import histories_from_clicks
from skrec.datasets._clicks.impressions import impressions_from_clicks
from skrec.datasets._clicks.sample_negatives import sample_negatives
from skrec.datasets._ebnerd import read_ebnerd
from skrec.datasets._fetch import (
    fetch_adressa,
    fetch_amazon,
    fetch_goodreads,
    fetch_hotelrec,
    fetch_lastfm,
    fetch_microlens,
    fetch_mind,
    fetch_movielens,
    fetch_xmind,
)
from skrec.datasets._goodreads import read_goodreads
from skrec.datasets._headlines.make import make_headlines
from skrec.datasets._hm import read_hm
from skrec.datasets._hotelrec import read_hotelrec
from skrec.datasets._lastfm import read_lastfm
from skrec.datasets._microlens import read_microlens
from skrec.datasets._mind import read_mind
from skrec.datasets._movielens import read_movielens
from skrec.datasets._netflix import read_netflix
from skrec.datasets._pens import read_pens
from skrec.datasets._pog import read_pog
from skrec.datasets._web.home import clear_data_home, get_data_home
from skrec.datasets._xmind import read_xmind
from skrec.datasets._yelp import read_yelp

__all__ = [
    "clear_data_home",
    "fetch_adressa",
    "fetch_amazon",
    "fetch_goodreads",
    "fetch_hotelrec",
    "fetch_lastfm",
    "fetch_microlens",
    "fetch_mind",
    "fetch_movielens",
    "fetch_xmind",
    "get_data_home",
    "histories_from_clicks",
    "impressions_from_clicks",
    "make_headlines",
    "read_adressa",
    "read_amazon",
    "read_ebnerd",
    "read_goodreads",
    "read_hm",
    "read_hotelrec",
    "read_lastfm",
    "read_microlens",
    "read_mind",
    "read_movielens",
    "read_netflix",
    "read_pens",
    "read_pog",
    "read_xmind",
    "read_yelp",
    "sample_negatives",
]
