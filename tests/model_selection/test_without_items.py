"""Removal of items from histories and candidates."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from skrec import Interactions, Items, explode
from skrec.model_selection import split_cold_items, without_items


def slow_without(X, out):
    """Remove items impression by impression."""
    rows = []
    for row in X.to_dict("records"):
        shown = list(zip(row["candidates"], row["clicked"], strict=True))
        kept = [(item, click) for item, click in shown if item not in out]
        had_click = any(click for _, click in shown)
        if kept and (any(click for _, click in kept) or not had_click):
            row["history"] = [item for item in row["history"] if item not in out]
            row["candidates"], row["clicked"] = map(list, zip(*kept, strict=True))
            rows.append(row)
    return rows


def rows_of(rng, n=100):
    rows = []
    for number in range(n):
        candidates = rng.choice(20, rng.integers(1, 6), replace=False).tolist()
        clicked = (rng.random(len(candidates)) < 0.4).astype(int).tolist()
        history = rng.integers(20, size=rng.integers(5)).tolist()
        row = {"history": history, "candidates": candidates, "clicked": clicked}
        rows.append(row | {"impression_id": 7 * number, "note": f"n{number}"})
    return pd.DataFrame(rows)


@pytest.mark.parametrize("seed", range(3))
def test_result_equals_row_by_row_computation(seed):
    rng = np.random.default_rng(seed)
    X = rows_of(rng)
    out = set(rng.choice(20, 6, replace=False).tolist())
    wanted = slow_without(X, out)
    assert 0 < len(wanted) < len(X)
    for table in (X, pl.from_pandas(X), pa.Table.from_pandas(X), X.to_dict("list")):
        assert without_items(table, list(out)).to_pylist() == wanted
    assert without_items(Interactions(X), np.array(list(out))).to_pylist() == wanted
    assert without_items(X, []).to_pylist() == X.to_dict("records")


def test_pairs_equal_their_impressions():
    X = rows_of(np.random.default_rng(0))
    pairs, y = explode(X)
    found = without_items(pairs.assign(clicked=y), [1, 2, 3, 4, 5, 6])
    wanted, labels = explode(without_items(X, [1, 2, 3, 4, 5, 6]))
    for name in ("history", "candidate", "impression_id"):
        assert found[name].to_pylist() == wanted[name].to_pylist()
    assert found["clicked"].to_pylist() == labels.tolist()


def test_single_pairs_and_bare_histories():
    pairs = {"history": [[1, 2], [2], [3]], "candidate": [1, 3, 2]}
    assert without_items(pairs, [2]).to_pylist() == [
        {"history": [1], "candidate": 1},
        {"history": [], "candidate": 3},
    ]
    assert without_items([[1, 2], [2], [3]], [2]).to_pylist() == [
        {"history": [1]},
        {"history": [3]},
    ]


def test_rows_without_clicks():
    X = {"history": [[1], [2]], "candidates": [[2, 3], [2]]}
    assert without_items(X, [2]).to_pylist() == [{"history": [1], "candidates": [3]}]


def test_ids_of_another_type_raise():
    with pytest.raises(TypeError, match="ids in X are int ids .* but the catalogue's are str"):
        without_items([[1, 2]], ["1"])


def test_a_model_trains_on_what_is_left_and_ranks_cold_items(news, make_recommender):
    # few rows contain no cold item; after removing cold items, nearly all rows can train
    split = split_cold_items(news.train, valid_size=0, test_size=0.1)
    rows = without_items(news.train, split.test_items)
    assert len(split.train) < 20
    assert rows.num_rows > 150
    tested = set(news.train.impression_id.iloc[split.test])
    assert not tested & set(rows["impression_id"].to_pylist())
    is_cold = news.items.item_id.isin(split.test_items)
    rec = make_recommender().fit(rows, Items(news.items[~is_cold]))
    score = rec.score(news.train.iloc[split.test], items=news.items[is_cold])
    assert 0 <= score <= 1
