import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from encoded import encode
from numpy.testing import assert_array_equal

from skrec import Items, explode
from skrec._data import arrow as _arrow
from skrec._data import encode as _encode

N_ITEMS = 30
INTS = Items(pd.Series([""] * N_ITEMS, index=np.arange(N_ITEMS) * 7 + 100))
STRINGS = Items(pd.Series([""] * N_ITEMS, index=[f"item-{i}" for i in range(N_ITEMS)]))


def random_rows(seed=0, n_rows=60, items=INTS):
    """Draw histories, of which many are equal and some are empty, with candidates and clicks."""
    rng = np.random.default_rng(seed)
    lengths = [0, *rng.integers(6, size=11)]
    histories = [items.ids[rng.integers(N_ITEMS, size=n)].tolist() for n in lengths]
    rows = {"history": [], "candidates": [], "clicked": []}
    for at in rng.integers(len(histories), size=n_rows):
        size = rng.integers(5)
        rows["history"].append(histories[at])
        rows["candidates"].append(items.ids[rng.integers(N_ITEMS, size=size)].tolist())
        rows["clicked"].append(rng.integers(2, size=size).tolist())
    return rows


def histories_of(data):
    """Return the history of each row as a list of codes."""
    parts = np.split(data.history_codes, data.history_offsets[1:-1])
    return [parts[at].tolist() for at in data.history_of_row]


def candidates_of(data, values=None):
    values = data.candidate_codes if values is None else values
    return [part.tolist() for part in np.split(values, data.candidate_offsets[1:-1])]


def codes_of(rows, items=INTS):
    """Return the codes of rows of ids, computed by a loop."""
    code = {id: at for at, id in enumerate(items.ids.tolist())}
    return [[code[id] for id in row] for row in rows]


def assert_encoded(data, rows, items=INTS):
    """Compare with the loop; each distinct history must occur once, in order of first use."""
    histories = codes_of(rows["history"], items)
    assert histories_of(data) == histories
    distinct = list(dict.fromkeys(map(tuple, histories)))
    assert_array_equal(data.history_of_row, [distinct.index(tuple(each)) for each in histories])
    assert_array_equal(np.diff(data.history_offsets), [len(each) for each in distinct])
    assert candidates_of(data) == codes_of(rows["candidates"], items)
    assert candidates_of(data, data.clicked) == rows["clicked"]
    assert data.history_codes.dtype == data.candidate_codes.dtype == np.int32
    assert data.history_of_row.dtype == data.history_offsets.dtype == np.int64
    assert data.clicked.dtype == np.int8


# Forms of X


def arrow(rows, kind=pa.list_):
    ids = pa.infer_type([id for row in rows["history"] for id in row])
    return pa.table(
        {
            "history": pa.array(rows["history"], kind(ids)),
            "candidates": pa.array(rows["candidates"], kind(ids)),
            "clicked": pa.array(rows["clicked"], kind(pa.int8())),
        }
    )


def sliced(rows):
    table = arrow(rows)
    return pa.concat_tables([table[7:11], table, table[3:5]]).combine_chunks()[4:-2]


def chunked(rows):
    table = arrow(rows)
    return pa.concat_tables([table[:13], table[13:13], table[13:40], table[40:]])


def dictionaries(rows):
    def encoded(column):
        array = column.combine_chunks()
        return pa.ListArray.from_arrays(array.offsets, array.values.dictionary_encode())

    table = arrow(rows)
    for at, name in enumerate(["history", "candidates"]):
        table = table.set_column(at, name, encoded(table[name]))
    return table


class ArrowFrame:
    """A table with columns and the Arrow interface only, as a polars DataFrame has."""

    def __init__(self, rows):
        self._table = arrow(rows, pa.large_list)
        self.columns = self._table.column_names

    def __arrow_c_stream__(self, requested_schema=None):
        return self._table.__arrow_c_stream__(requested_schema)


def hugging_face(rows):
    datasets = pytest.importorskip("datasets")
    return datasets.Dataset.from_dict(rows).select(range(len(rows["history"])))


FORMS = {
    "mapping of lists": dict,
    "pandas, lists": pd.DataFrame,
    "pandas, tuples": lambda rows: pd.DataFrame(rows).map(tuple),
    "pandas, arrays": lambda rows: pd.DataFrame(rows).map(np.array),
    "pandas, other index": lambda rows: pd.DataFrame(rows, index=range(90, 30, -1)),
    "pandas, Arrow columns": lambda rows: arrow(rows).to_pandas(types_mapper=pd.ArrowDtype),
    "list": arrow,
    "large_list": lambda rows: arrow(rows, pa.large_list),
    "chunked": chunked,
    "sliced": sliced,
    "dictionaries": dictionaries,
    "Arrow frame": ArrowFrame,
    "datasets": hugging_face,
}


@pytest.mark.parametrize("items", [INTS, STRINGS], ids=["ints", "strings"])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_codes_of_a_loop(form, items):
    rows = random_rows(items=items)
    data = encode(FORMS[form](rows), items=items)
    assert data.kind == "impressions"
    assert_encoded(data, rows, items)
    assert_array_equal(data.group_of_row, np.arange(60))


@pytest.mark.parametrize("dtype", ["int8", "uint16", "int32", "uint64", "float32", "float64"])
def test_ids_of_every_width_match(dtype):
    rows = random_rows(items=Items([""] * N_ITEMS))
    X = pd.DataFrame(rows)
    for name in ("history", "candidates"):
        X[name] = X[name].map(lambda ids: np.array(ids, dtype=dtype))
    assert_encoded(encode(X, items=Items([""] * N_ITEMS)), rows, Items([""] * N_ITEMS))


def test_ids_are_looked_up_in_slices(monkeypatch):
    monkeypatch.setattr(_arrow, "SLICE", 5)
    monkeypatch.setattr(_encode, "SLICE", 5)
    rows = random_rows()
    assert_encoded(encode(arrow(rows), items=INTS), rows)
    rows["history"][40] = [1, 2, 3]
    with pytest.raises(ValueError, match=r"3 ids in X are missing .* among them 1, 2, 3;"):
        encode(arrow(rows), items=INTS)


BARE = {
    "lists": lambda rows: rows,
    "tuple of tuples": lambda rows: tuple(tuple(row) for row in rows),
    "list of arrays": lambda rows: [np.array(row) for row in rows],
    "generator": iter,
    "Series": pd.Series,
    "object array": lambda rows: np.array([*rows, None], dtype=object)[:-1],
    "Arrow": pa.array,
    "chunked Arrow": lambda rows: pa.chunked_array([rows[:2], rows[2:]]),
    "table": lambda rows: pd.DataFrame({"history": rows}),
}


@pytest.mark.parametrize("form", BARE)
def test_bare_histories(form):
    rows = [[100, 107], [], [114], [100, 107], []]
    data = encode(BARE[form](rows), items=INTS)
    assert data.kind == "histories"
    assert histories_of(data) == codes_of(rows)
    assert_array_equal(data.history_of_row, [0, 1, 2, 0, 1])
    assert_array_equal(data.candidate_offsets, np.zeros(6))
    assert len(data.candidate_codes) == 0
    assert data.clicked is data.group_of_row is data.time is None


@pytest.mark.parametrize(
    "X",
    [
        np.array([[100, 107], [114, 121]]),
        np.array([[100, 114], [107, 121]]).T,
        np.array([[100.0, 107.0], [114.0, 121.0]]),
        np.array([[100, 107], [114, 121]], dtype=object),
        pa.array([[100, 107], [114, 121]], pa.list_(pa.int64(), 2)),
        pa.array([[7, 7], [100, 107], [114, 121]], pa.list_(pa.int64(), 2))[1:],
    ],
    ids=["ints", "transposed", "floats", "objects", "fixed-size", "sliced fixed-size"],
)
def test_histories_of_one_length(X):
    assert histories_of(encode(X, items=INTS)) == [[0, 1], [2, 3]]


def test_a_matrix_of_strings():
    X = np.array([["item-3", "item-1"], ["item-3", "item-1"]])
    data = encode(X, items=STRINGS)
    assert histories_of(data) == [[3, 1], [3, 1]]
    assert len(data.history_offsets) == 2


@pytest.mark.parametrize(
    "X",
    [
        [[], [], []],
        pd.Series([[], [], []]),
        np.empty((3, 0), dtype=int),
        pa.array([[], [], []], pa.list_(pa.string())),
        {"history": [[], [], []]},
    ],
    ids=lambda X: type(X).__name__,
)
def test_all_histories_empty(X):
    # a new service has new users only
    data = encode(X, items=INTS)
    assert histories_of(data) == [[], [], []]
    assert_array_equal(data.history_of_row, [0, 0, 0])
    assert_array_equal(data.history_offsets, [0, 0])


def test_all_lists_empty():
    X = pd.DataFrame({"history": [[], []], "candidates": [[], []], "clicked": [[], []]})
    data = encode(X, items=INTS)
    assert_array_equal(data.candidate_offsets, [0, 0, 0])
    assert (len(data.candidate_codes), len(data.clicked)) == (0, 0)


def test_an_empty_array_among_arrays_of_ints():
    # np.array([]) is float64, and Arrow does not mix dtypes
    X = pd.Series([np.array([100]), np.array([]), np.array([107, 114])])
    assert histories_of(encode(X, items=INTS)) == [[0], [], [1, 2]]


# Pairs


@pytest.mark.parametrize(
    ("candidate", "items"),
    [
        ([100, 114, 107], INTS),
        (np.array([100.0, 114.0, 107.0]), INTS),
        (pd.array([100, 114, 107], dtype="Int32"), INTS),
        (pd.Categorical([100, 114, 107]), INTS),
        (pa.chunked_array([[100], [], [114, 107]], pa.int64()), INTS),
        (["item-0", "item-2", "item-1"], STRINGS),
        (pd.Categorical(["item-0", "item-2", "item-1"]), STRINGS),
        (pa.array(["item-0", "item-2", "item-1"]).dictionary_encode(), STRINGS),
    ],
)
def test_pairs(candidate, items):
    histories = [items.ids[:2].tolist(), [], items.ids[:2].tolist()]
    data = encode({"history": histories, "candidate": candidate}, items=items)
    assert data.kind == "pairs"
    assert_array_equal(data.candidate_codes, [0, 2, 1])
    assert_array_equal(data.candidate_offsets, [0, 1, 2, 3])
    assert_array_equal(data.history_of_row, [0, 1, 0])
    assert data.clicked is data.group_of_row is None


def pairs(**columns):
    return pd.DataFrame({"history": [[100], []], "candidate": [107, 114], **columns})


def impressions(**columns):
    return pd.DataFrame({"history": [[100], []], "candidates": [[107, 114], [100]], **columns})


@pytest.mark.parametrize(
    "y",
    [
        [0, 1],
        [False, True],
        (0.0, 1.0),
        np.array([[0], [1]]),
        pd.Series([0, 1], index=[8, 9]),
        pd.Series([0, 1], dtype="category"),
        pd.DataFrame({"label": [0, 1]}),
        pa.array([0, 1]),
        pa.chunked_array([[False], [True]]),
    ],
    ids=lambda y: type(y).__name__,
)
def test_y_of_any_form(y):
    assert_array_equal(encode(pairs(), y, items=INTS).clicked, [0, 1])
    assert encode(pairs(), y, items=INTS).clicked.dtype == np.int8
    # y may repeat the column `clicked`
    assert_array_equal(encode(pairs(clicked=[0, 1]), y, items=INTS).clicked, [0, 1])


def test_labels_may_be_required_optional_or_ignored():
    for X in (pairs(), impressions()):
        assert encode(X, items=INTS).clicked is None
        with pytest.raises(ValueError, match="training needs clicks: give a 'clicked' column"):
            encode(X, items=INTS, labels="required")
    # rows to predict may have clicks that are not valid labels
    X = impressions(clicked=[["?"], ["?"]])
    assert encode(X, items=INTS, labels="ignored").clicked is None
    assert encode([[100]], items=INTS, labels="required").kind == "histories"


# Unknown ids

UNKNOWN = pd.DataFrame(
    {
        "history": [[1, 100], [100], [2, 3, 1], []],
        "candidates": [[100, 4], [107], [5, 6], []],
        "clicked": [[1, 0], [1], [0, 1], []],
    }
)


def test_missing_ids_are_counted_and_named_with_the_remedy():
    message = (
        r"7 ids in X are missing from the catalogue of 30 items, among them 1, 2, 3, 4, 5, \.\.\.; "
        r"give a catalogue that holds them: items=Items\(df\)\. .*cut into folds.*"
        "unknown_items='ignore'"
    )
    with pytest.raises(ValueError, match=message):
        encode(UNKNOWN, items=INTS)


def test_missing_strings_are_named():
    with pytest.raises(ValueError, match="1 ids in X are missing .* among them 'item-99';"):
        encode([["item-99", "item-1"]], items=STRINGS)


def test_unknown_ids_of_histories_may_be_dropped():
    # prediction returns a score for each candidate, so no candidate can be dropped
    known = UNKNOWN.assign(candidates=[[100, 107], [107], [107, 114], []])
    data = encode(known, items=INTS, drop_unknown="histories")
    assert histories_of(data) == [[0], [0], [], []]
    assert_array_equal(data.history_of_row, [0, 0, 1, 1])  # equal without unknown ids
    with pytest.raises(ValueError, match=r"3 ids in X .* among them 4, 5, 6;.*drops no candidates"):
        encode(UNKNOWN, items=INTS, drop_unknown="histories")


def test_all_unknown_ids_may_be_dropped_with_rows_that_hold_nothing_else():
    X = UNKNOWN.assign(impression_id=["a", "b", "c", "d"], time=[4, 3, 2, 1])
    data = encode(X, items=INTS, drop_unknown="all")
    assert histories_of(data) == [[0], [0]]
    assert candidates_of(data) == [[0], [1]]
    assert_array_equal(data.clicked, [1, 1])
    assert_array_equal(data.time, [4, 3])
    assert len(data.group_of_row) == 2
    bare = encode([[1, 100], [2]], items=INTS, drop_unknown="all")
    assert histories_of(bare) == [[0], []]


def test_nothing_left_raises():
    with pytest.raises(ValueError, match="none of the candidates in X is in the catalogue"):
        encode(UNKNOWN.iloc[2:], items=INTS, drop_unknown="all")


# Groups and times


@pytest.mark.parametrize(
    "ids",
    [
        [9, 5, 9, 7],
        ["b", "a", "b", "c"],
        pd.Categorical(["b", "a", "b", "c"]),
        pd.array([9, 5, 9, 7], dtype="Int64"),
        pa.chunked_array([pa.array(part).dictionary_encode() for part in (["b", "a"], ["b", "c"])]),
    ],
    ids=["ints", "strings", "categories", "Int64", "chunks of dictionaries"],
)
def test_rows_of_one_impression_id_are_one_group(ids):
    rows = {"history": [[]] * 4, "impression_id": ids}
    for column in ({"candidate": [100] * 4}, {"candidates": [[100]] * 4}):
        group = encode(rows | column, items=INTS).group_of_row
        assert group.dtype == np.int64
        assert group[0] == group[2]
        assert len(set(group.tolist())) == 3


def test_groups_are_never_guessed_from_equal_histories():
    same = {"history": [[100]] * 2}
    assert encode(same | {"candidate": [100, 107]}, items=INTS).group_of_row is None
    data = encode(same | {"candidates": [[100], [107]]}, items=INTS)
    assert_array_equal(data.group_of_row, [0, 1])
    assert len(data.history_offsets) == 2


@pytest.mark.parametrize(
    "time",
    [
        [3, 1],
        [0.5, -0.5],
        pd.array([3, 1], dtype="Int64"),
        pd.to_datetime(["2020-01-02", "2020-01-01"]),
        pd.to_datetime(["2020-01-02", "2020-01-01"]).tz_localize("Asia/Tokyo"),
        pd.DatetimeIndex(np.array(["9999-12-31", "2020-01-01"], "M8[s]")),  # not in the range of ns
        [datetime.date(2020, 1, 2), datetime.date(2020, 1, 1)],
    ],
)
def test_times_keep_their_order(time):
    data = encode(pairs(time=time), items=INTS)
    assert data.time.dtype == np.float64
    assert data.time[0] > data.time[1]
    assert np.isfinite(data.time).all()


# explode

EXPLODED = {
    "history": [[100], [], [100]],
    "candidates": [[107, 114], [], [100]],
    "clicked": [[0, 1], [], [1]],
    "user_id": ["u", "v", "u"],
}


def test_explode_pandas():
    X = pd.DataFrame(EXPLODED, index=[7, 7, 9])
    before = X.copy(deep=True)
    frame, y = explode(X)
    expected = {
        "history": [[100]] * 3,
        "candidate": [107, 114, 100],
        "user_id": ["u"] * 3,
        "impression_id": [0, 0, 2],
    }
    pd.testing.assert_frame_equal(frame, pd.DataFrame(expected))
    assert_array_equal(y, [0, 1, 1])
    pd.testing.assert_frame_equal(X, before)


@pytest.mark.parametrize("form", [pa.table, dict, hugging_face])
def test_explode_others_gives_arrow(form):
    table, y = explode(form(EXPLODED))
    assert isinstance(table, pa.Table)
    assert table.to_pydict() == {
        "history": [[100]] * 3,
        "candidate": [107, 114, 100],
        "user_id": ["u"] * 3,
        "impression_id": [0, 0, 2],
    }
    assert_array_equal(y, [0, 1, 1])


@pytest.mark.parametrize("form", [pd.DataFrame, arrow, chunked, sliced])
def test_exploded_pairs_are_the_impressions(form):
    X = form(random_rows())
    whole = encode(X, items=INTS)
    single = encode(*explode(X), items=INTS)
    assert single.kind == "pairs"
    assert_array_equal(single.candidate_codes, whole.candidate_codes)
    assert_array_equal(single.clicked, whole.clicked)
    row = whole.row_of_candidate()
    assert histories_of(single) == [histories_of(whole)[at] for at in row]
    assert_array_equal(np.diff(single.group_of_row) != 0, np.diff(row) != 0)


def test_explode_keeps_the_impression_ids_of_x():
    frame, _ = explode(pd.DataFrame(EXPLODED | {"impression_id": ["x", "y", "x"]}))
    assert frame["impression_id"].tolist() == ["x", "x", "x"]


def test_explode_without_clicks_has_no_y():
    frame, y = explode(pd.DataFrame(EXPLODED).drop(columns="clicked"))
    assert y is None
    assert frame["candidate"].tolist() == [107, 114, 100]


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (pairs(), ValueError, "explode takes impressions, with a 'candidates' column; got pairs"),
        ([[100]], ValueError, "explode takes impressions, .* got histories"),
        (impressions(clicked=[[1], [1, 0]]), ValueError, "row 0 has 2 candidates but 1 labels"),
        (impressions().iloc[:0], ValueError, "X has no rows"),
        (pa.table(impressions())[:0], ValueError, "X has no rows"),
        (EXPLODED | {"history": [[100]]}, ValueError, "'candidates' has 3 rows but .* has 1"),
        (EXPLODED | {"user_id": ["u"]}, ValueError, "'user_id' has 1 rows but .* has 3"),
        ({"candidates": [[100]]}, ValueError, "X has no column 'history'"),
        ("history", TypeError, r"\[\[3, 8, 1\]\]"),
    ],
)
def test_explode_refuses_the_rest(X, error, message):
    with pytest.raises(error, match=message):
        explode(X)
