"""Columns of any layout as Arrow columns that the rest of skrec can read."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from encoded import encode
from numpy.testing import assert_array_equal

from skrec import Items, explode
from skrec._data.arrow import list_chunks, to_arrow
from skrec._data.items import codes_of
from skrec._data.table import Table

ITEMS = Items({"a": "x", "b": "y", "c": "z"})
ROWS = [["a", "b"], [], ["c"], ["a"]]


def views(rows, kind=None):
    return pa.array(rows, pa.list_view(kind or pa.string()))


def shuffled_views():
    """Return ROWS as list views that are out of order, with unused values between them."""
    values = pa.array(["c", "no", "a", "b", "a"])
    offsets, sizes = pa.array([2, 0, 0, 4], pa.int32()), pa.array([2, 0, 1, 1], pa.int32())
    return pa.ListViewArray.from_arrays(offsets, sizes, values)


def dictionary_of_views():
    codes = pa.array(["a", "b", "c", "a"]).dictionary_encode()
    values = codes.dictionary.cast(pa.string_view())
    codes = pa.DictionaryArray.from_arrays(codes.indices, values)
    return pa.LargeListArray.from_arrays(pa.array([0, 2, 2, 3, 4], pa.int64()), codes)


LAYOUTS = {
    "list": lambda: pa.array(ROWS),
    "large_list": lambda: pa.array(ROWS, pa.large_list(pa.large_string())),
    "list_view": lambda: views(ROWS),
    "large_list_view": lambda: pa.array(ROWS, pa.large_list_view(pa.string())),
    "list_view out of order": shuffled_views,
    "lists of string views": lambda: pa.array(ROWS, pa.list_(pa.string_view())),
    "views of string views": lambda: views(ROWS, pa.string_view()),
    "dictionary of string views": dictionary_of_views,
    "sliced list": lambda: pa.array([["b"], *ROWS, ["c"]])[1:-1],
    "sliced list_view": lambda: views([["b"], *ROWS, ["c"]])[1:-1],
    "chunks": lambda: pa.chunked_array([ROWS[:1], [], ROWS[1:]], pa.list_(pa.string())),
    "chunks of views": lambda: pa.chunked_array([views(ROWS[:2]), views(ROWS[2:])]),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_lists_of_every_layout(layout):
    column = to_arrow(LAYOUTS[layout](), "the rows")
    assert column.to_pylist() == ROWS
    assert_array_equal(
        np.concatenate([lengths for lengths, _ in list_chunks(column.chunks, "the rows")]),
        [2, 0, 1, 1],
    )
    data = encode(LAYOUTS[layout](), items=ITEMS)
    assert_array_equal(data.history_codes, [0, 1, 2, 0])
    assert_array_equal(data.history_offsets, [0, 2, 2, 3, 4])
    # explode takes single rows of candidates, too
    X = pa.table({"history": LAYOUTS[layout](), "candidates": LAYOUTS[layout]()})
    assert explode(X)[0]["candidate"].to_pylist() == ["a", "b", "c", "a"]
    assert explode(X)[0]["history"].to_pylist() == [["a", "b"]] * 2 + [["c"], ["a"]]


@pytest.mark.parametrize("layout", ["list", "large_list", "sliced list", "chunks"])
def test_common_layouts_are_not_copied(layout):
    column = LAYOUTS[layout]()
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    assert [
        chunk.buffers()[-1].address for chunk in to_arrow(column, "x").chunks if len(chunk)
    ] == [chunk.buffers()[-1].address for chunk in chunks if len(chunk)]


def test_fixed_size_lists_with_an_offset():
    column = pa.array([["b", "b"], ["a", "b"], ["c", "a"]], pa.list_(pa.string_view(), 2))[1:]
    assert_array_equal(encode(column, items=ITEMS).history_codes, [0, 1, 2, 0])


@pytest.mark.parametrize("rows", [[["a"], None], [None, ["a"], []]])
@pytest.mark.parametrize(
    "kind",
    [
        pa.list_(pa.string()),
        pa.list_view(pa.string()),
        pa.large_list_view(pa.string_view()),
        pa.large_list(pa.string_view()),
    ],
    ids=str,
)
def test_null_rows_stay_null_and_are_told(rows, kind):
    assert to_arrow(pa.array(rows, kind), "x").to_pylist() == rows
    with pytest.raises(ValueError, match=f"is null in row {rows.index(None)}; write an empty"):
        encode(pa.array(rows, kind), items=ITEMS)


def test_views_without_rows_or_chunks():
    for column in (views([]), pa.chunked_array([], pa.list_view(pa.string_view()))):
        assert len(to_arrow(column, "x")) == 0
        with pytest.raises(ValueError, match="X has no rows"):
            encode(column, items=ITEMS)


def test_ids_that_are_dictionaries():
    for values in (pa.string(), pa.large_string(), pa.string_view()):
        codes = pa.array(["c", "a", "c"]).dictionary_encode()
        ids = pa.DictionaryArray.from_arrays(codes.indices, codes.dictionary.cast(values))
        X = pa.table({"history": [["a"]] * 3, "candidate": ids, "impression_id": ids})
        data = encode(X, items=ITEMS)
        assert_array_equal(data.candidate_codes, [2, 0, 2])
        assert_array_equal(data.group_of_row, [0, 1, 0])
        with pytest.raises(ValueError, match="among them 'c'"):
            encode(X, items=Items({"a": "x"}))


def test_run_ends_are_refused():
    runs = pa.RunEndEncodedArray.from_arrays(pa.array([2], pa.int32()), pa.array(["a"]))
    with pytest.raises(TypeError, match="column 'candidate' must be ints or strings, got run_end"):
        encode({"history": [["a"]] * 2, "candidate": runs}, items=ITEMS)


def test_nullable_ints_of_pandas():
    items = Items(["", "", ""])
    for dtype in ("Int64", "UInt8", "int64[pyarrow]"):
        rows = [pd.array([1, 2], dtype=dtype), pd.array([], dtype=dtype)]
        X = {"history": pd.Series(rows), "candidate": pd.array([0, 2], dtype=dtype)}
        data = encode(X, items=items)
        assert_array_equal(data.history_codes, [1, 2])
        assert_array_equal(data.candidate_codes, [0, 2])
        missing = X | {"candidate": pd.array([0, None], dtype=dtype)}
        with pytest.raises(ValueError, match="1 of the ids in column 'candidate' are null"):
            encode(missing, items=items)


@pytest.mark.parametrize("dtype", ["String", "Categorical", "Enum"])
def test_strings_of_polars(dtype):
    polars = pytest.importorskip("polars")
    kind = polars.Enum(["c", "b", "a", "no"]) if dtype == "Enum" else getattr(polars, dtype)
    candidates = polars.Series([["a"], ["c", "b"], [], ["a"]], dtype=polars.List(kind))
    X = polars.DataFrame({"history": polars.Series(ROWS, dtype=polars.List(kind))})
    X = X.with_columns(candidates=candidates, impression_id=polars.Series(["u", "v", "u", "w"]))
    data = encode(X, items=ITEMS)
    assert_array_equal(data.history_codes, [0, 1, 2, 0])
    assert_array_equal(data.candidate_codes, [0, 2, 1, 0])
    assert_array_equal(data.group_of_row, [0, 1, 0, 2])
    items = Items(polars.DataFrame({"item_id": polars.Series(["a", "b"], dtype=kind)}))
    assert items.ids.tolist() == ["a", "b"]
    with pytest.raises(ValueError, match="2 ids in X are missing .* them 'c';"):
        encode(X, items=items)


def test_roles_of_polars_columns():
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame(
        {
            "item_id": ["a", "b"],
            "text": ["x", None],
            "category": polars.Series(["k", None], dtype=polars.Categorical),
            "tags": [["s", "t"], []],
            "vector": polars.Series(
                [[1.0, 2.0], [3.0, 4.0]], dtype=polars.Array(polars.Float32, 2)
            ),
            "number": [1, 2],
        }
    )
    items = Items(frame)
    assert items.roles == {
        "text": "text",
        "category": "category",
        "tags": "multi-category",
        "vector": "vector",
        "number": "number",
    }
    assert items.column("category").to_pylist() == ["k", None]
    assert items.column("tags").to_pylist() == [["s", "t"], []]


def test_texts_in_a_series_of_polars():
    polars = pytest.importorskip("polars")
    items = Items(polars.Series(["sun", "snow"]))
    assert items.ids.tolist() == [0, 1]
    assert items.column("text").to_pylist() == ["sun", "snow"]


def test_a_record_batch_is_a_table():
    assert Table(pa.RecordBatch.from_pydict({"history": [[1]]})).names == ["history"]


# Text that is not UTF-8, which Arrow tables and parquet files may contain

LATIN = pa.array([b"good"] * 3 + [b"ol\xe9"], pa.binary()).view(pa.string())
NOT_UTF8 = {
    "text": LATIN,
    "large": pa.array([b"a", b"b", b"c", b"ol\xe9"], pa.large_binary()).view(pa.large_string()),
    "chunks": pa.chunked_array([LATIN[:2], LATIN[2:]]),
    "slice": pa.concat_arrays([LATIN[:1], LATIN])[1:],
    "dictionary": LATIN.dictionary_encode(),
    "lists": pa.ListArray.from_arrays(pa.array([0, 0, 2, 2, 4], pa.int32()), LATIN),
    "views": LATIN.cast(pa.binary_view()).view(pa.string_view()),
}


@pytest.mark.parametrize("layout", NOT_UTF8)
def test_text_that_is_not_utf8_names_column_and_row(layout, tmp_path):
    table = pa.table({"item_id": range(4), "title": NOT_UTF8[layout]})
    message = r"column 'title' holds text that is not UTF-8 in row 3: b'ol\\xe9'; decode it"
    with pytest.raises(ValueError, match=message):
        Items(table)
    pq.write_table(table, tmp_path / "items.parquet")
    with pytest.raises(ValueError, match=message):
        Items(tmp_path / "items.parquet")


def test_ids_that_are_not_utf8_name_the_column(tmp_path):
    X = pa.table(
        {"history": pa.ListArray.from_arrays(pa.array([0, 1, 2, 3, 4], pa.int32()), LATIN)}
    )
    message = "column 'history' holds text that is not UTF-8 in row 3"
    with pytest.raises(ValueError, match=message):
        encode(X, items=ITEMS)
    pq.write_table(X, tmp_path / "X.parquet")
    with pytest.raises(ValueError, match=message):
        encode(tmp_path / "X.parquet", items=ITEMS)
    with pytest.raises(ValueError, match="candidates holds text that is not UTF-8 in row 3"):
        codes_of(ITEMS, LATIN, "candidates")


def test_a_column_in_place_of_a_table_is_refused():
    with pytest.raises(TypeError, match="a table with named columns is needed, got a single col"):
        Table(pd.Series([1, 2]))


def test_a_missing_time_before_a_large_int_is_an_error_of_ours():
    with pytest.raises(ValueError, match="the rows holds the number 9223372036854775808 in row 1"):
        to_arrow([pd.NaT, 2**63], "the rows")
