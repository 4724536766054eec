"""HTML of catalogues and rows for notebooks."""

import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from skrec import Interactions, Items
from skrec._common.html_view import shorten, view
from skrec._data.view import shape_of, table_view

BAD = "<script>alert('x')</script>&<b>"


def head_of(shown):
    """Return the names and notes of the columns."""
    return re.findall(r"<th>(.*?)<br><small>(.*?)</small></th>", shown)


def test_catalogues_show_roles_and_what_is_empty(mixed):
    shown = Items(mixed)._repr_html_()
    columns = dict(head_of(shown))
    assert columns["item_id"] == "id"
    assert columns["title"] == "text, 1 empty"
    assert columns["topic"] == "category, 1 missing"
    assert columns["tags"] == f"multi-category, {sum(not tags for tags in mixed.tags)} empty"
    assert "and 3 more" in shown and "Items: 8 items" in shown


def test_rows_show_counts_types_and_missing_values():
    X = Interactions(
        {
            "user_id": pa.array([1, 1, None]),
            "history": [[3, 8, 1, 4, 5], [5], []],
            "candidates": [[5, 6], [3], [3]],
            "clicked": [[0, 1], [0], [1]],
        }
    )
    shown = X._repr_html_()
    assert "Interactions: 3 impressions, 1 users, 2 clicks on 4 candidates" in shown
    columns = dict(head_of(shown))
    assert columns["user_id"] == "int64, 1 missing"
    assert columns["history"] == "lists of int64, 2 on average"
    assert "<td>3, 8, 1, 4, … (5)</td>" in shown
    pairs = Interactions({"history": [[1], []], "candidate": [2, 3]}, y=[0, 1])
    assert "2 pairs, 1 clicks on 2 candidates" in pairs._repr_html_()
    assert "Interactions: 2 histories" in Interactions([[1], []])._repr_html_()


@pytest.mark.parametrize("where", ["value", "name", "list", "category", "id"])
def test_no_text_of_a_user_is_read_as_html(where):
    frame = pd.DataFrame({"item_id": ["a", "b"], "title": ["x", "y"]})
    if where == "value":
        frame["title"] = BAD
    if where == "name":
        frame[BAD] = "z"
    if where == "list":
        frame["tags"] = [[BAD], [BAD, BAD]]
    if where == "category":
        frame["topic"] = pd.Categorical([BAD, BAD])
    if where == "id":
        frame["item_id"] = [BAD, "b"]
    rows = Interactions({"history": [[BAD]], BAD: [BAD], "candidate": [BAD]})
    for shown in (Items(frame)._repr_html_(), rows._repr_html_(), table_view(frame), view(BAD)):
        assert "<script" not in shown and "&<b>" not in shown
    assert "&lt;script&gt;" in Items(frame)._repr_html_()


def test_colors_are_those_of_the_theme(mixed):
    shown = Items(mixed)._repr_html_()
    for part in re.findall(r"(?:color|background): ([^;}]+)", shown):
        assert part in ("inherit", "transparent")
    assert "rgba(128, 128, 128" in shown  # borders are gray in both


def test_long_values_are_cut():
    assert shorten("a" * 100) == "a" * 59 + "…"
    assert shorten([1.23456, None, "x", 2, 3]) == "1.235, –, x, 2, … (5)"
    assert shorten(np.arange(2)) == "0, 1"
    assert shorten(float("nan")) == "–"


def test_what_counts_as_a_table():
    frame = pd.DataFrame({"a": [1, 2]})
    assert shape_of(frame) == shape_of(pa.table(frame)) == (2, 1)
    assert shape_of(Interactions([[1], [2]])) == (2, 1)
    assert shape_of(np.zeros((2, 1))) is None
    assert shape_of("text") is None
