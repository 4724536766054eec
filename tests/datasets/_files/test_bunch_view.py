"""Data sets as a few lines of text, and as HTML."""

import pickle

import pandas as pd

from skrec import Interactions, Items
from skrec.datasets import make_headlines
from skrec.datasets._files.bunch import DataBunch

BAD = "<script>alert('x')</script>"


def test_a_data_set_is_one_line_per_entry():
    news = make_headlines(n_users=20, n_items=60, n_impressions=50, random_state=0)
    lines = repr(news).splitlines()
    assert lines[0] == "DataBunch"
    assert len(lines) == 1 + len(news.keys())
    assert max(map(len, lines)) <= 100
    assert "  items: 60 rows, 3 columns (item_id, title, topic)" in lines
    assert repr(pickle.loads(pickle.dumps(news))) == repr(news)


def test_every_kind_of_entry():
    data = DataBunch(
        items=Items(["sun", "sea"]),
        train=Interactions([[0], [1]]),
        n_users=1234567,
        names={"a": 1},
        empty=[],
        nothing=None,
    )
    assert repr(data).splitlines() == [
        "DataBunch",
        "  items: 2 items (text)",
        "  train: 2 rows, 1 columns (history)",
        "  n_users: 1234567",
        "  names: dict of 1 entries",
        "  empty: 0 values: ",
        "  nothing: –",
    ]
    shown = data._repr_html_()
    assert "<td>sun</td>" in shown and "<details open>" in shown


def test_nothing_is_read_as_html():
    frame = pd.DataFrame({"history": [[BAD]], BAD: [BAD]})
    data = DataBunch(items=Items([BAD]), train=frame, DESCR=BAD, other=[BAD])
    assert "<script" not in data._repr_html_()
