"""Tables of all types give the same results in `fit`, prediction, `explode` and searches."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_predict

from skrec import ContentRecommender, Interactions, Items, explode
from skrec._data.table import Table

COLUMNS = ["user_id", "impression_id", "history", "candidates", "clicked"]
CONTAINERS = [
    "pandas",
    "pandas, Arrow columns",
    "polars",
    "Arrow",
    "Arrow, chunked",
    "Arrow, record batch",
    "datasets",
    "mapping",
    "parquet",
    "parquet, str",
    "parquet, folder",
    "parquet, str of folder",
]
# types that scikit-learn can index
SLICEABLE = ["pandas", "pandas, Arrow columns", "polars", "Arrow", "Arrow, chunked"]


@pytest.fixture(scope="session")
def datasets():
    return pytest.importorskip("datasets")


@pytest.fixture(scope="session")
def polars():
    return pytest.importorskip("polars")


@pytest.fixture
def contain(request, tmp_path):
    """Convert a pandas data frame to another type of table."""

    def put(frame, name):
        frame = frame.reset_index(drop=True)
        table = pa.Table.from_pandas(frame, preserve_index=False)
        third = -(-len(table) // 3)
        parts = [table[start : start + third] for start in range(0, len(table), third)]
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.parquet"
        match name:
            case "pandas":
                return frame
            case "pandas, Arrow columns":
                return table.to_pandas(types_mapper=pd.ArrowDtype)
            case "polars":
                return request.getfixturevalue("polars").from_arrow(table)
            case "Arrow":
                return table
            case "Arrow, chunked":
                return pa.concat_tables([parts[0], parts[0][:0], *parts[1:]])
            case "Arrow, record batch":
                return table.combine_chunks().to_batches()[0]
            case "datasets":
                return request.getfixturevalue("datasets").Dataset(table)
            case "mapping":
                return {name: frame[name].tolist() for name in frame}
            case "parquet" | "parquet, str":
                pa.parquet.write_table(table, path)
                return path if name == "parquet" else str(path)
            case "parquet, folder" | "parquet, str of folder":
                folder = path.with_suffix("")
                folder.mkdir()
                for at, part in enumerate(parts):
                    pa.parquet.write_table(part, folder / f"part-{at}.parquet")
                (folder / "README").write_text("not rows")
                return folder if name == "parquet, folder" else str(folder)

    return put


@pytest.fixture(scope="module")
def clicks(news):
    return news.train[COLUMNS].reset_index(drop=True), news.test[COLUMNS].reset_index(drop=True)


@pytest.fixture(scope="module")
def reference(clicks, news):
    """Results for pandas data frames, which those of other types must equal."""
    rec = ContentRecommender(
        "mean_pooling", width=8, max_epochs=1, batch_size=256, early_stopping=False, random_state=0
    )
    return rec.fit(clicks[0], news.items)


def assert_same(answers, expected):
    """Compare arrays bit for bit, row by row if rows differ in length."""
    assert len(answers) == len(expected)
    for row, other in zip(answers, expected, strict=True):
        assert_array_equal(row, other)


@pytest.mark.parametrize("wrapped", [False, True], ids=["bare", "Interactions"])
@pytest.mark.parametrize("name", CONTAINERS)
def test_fit_and_prediction_are_the_same(name, wrapped, contain, clicks, news, reference):
    train, test = (contain(frame, name) for frame in clicks)
    if wrapped:
        train, test = Interactions(train), Interactions(test)
    # a list has no categorical dtype, so the role is given
    items = Items(contain(news.items, name), roles={"topic": "category"})
    rec = clone(reference).fit(train, items=items)
    assert_same(rec.decision_function(test), reference.decision_function(clicks[1]))
    assert_same(rec.predict_proba(test), reference.predict_proba(clicks[1]))
    assert rec.score(test) == reference.score(clicks[1])


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_catalogue_of_any_container_in_the_place_of_y(name, contain, clicks, news, reference):
    texts = news.items[["item_id", "title"]]
    expected = clone(reference).fit(clicks[0], texts)
    rec = clone(reference).fit(clicks[0], contain(texts, name))
    assert_same(rec.decision_function(clicks[1]), expected.decision_function(clicks[1]))
    # as new items of one call, too
    assert_same(
        rec.decision_function(clicks[1], items=contain(texts, name)),
        rec.decision_function(clicks[1], items=texts),
    )


@pytest.mark.parametrize("wrapped", [False, True], ids=["bare", "Interactions"])
@pytest.mark.parametrize("name", CONTAINERS)
def test_explode_is_the_same(name, wrapped, contain, clicks):
    X = contain(clicks[0], name)
    pairs, y = explode(Interactions(X) if wrapped else X)
    expected, labels = explode(clicks[0])
    assert_array_equal(y, labels)
    if isinstance(pairs, pa.Table):
        pairs = pairs.to_pandas()
    assert set(pairs) == set(expected)
    for column in expected:
        assert_same(pairs[column], expected[column])


def search(rec, X, items):
    """Return the scores of cross_val_predict and of a grid search."""
    scores = cross_val_predict(rec, X, cv=3, method="decision_function", params={"items": items})
    grid = GridSearchCV(rec, {"learning_rate": [1e-3, 1e-2]}, cv=2, refit=False)
    return scores, grid.fit(X, items=items).cv_results_["mean_test_score"]


@pytest.fixture(scope="module")
def searched(reference, clicks, news):
    return search(reference, clicks[0].head(90), Items(news.items))


@pytest.mark.parametrize(
    ("name", "wrapped"),
    [(name, False) for name in SLICEABLE] + [(name, True) for name in CONTAINERS],
)
def test_search_is_the_same(name, wrapped, contain, clicks, news, reference, searched):
    X = contain(clicks[0].head(90), name)
    scores, results = search(reference, Interactions(X) if wrapped else X, Items(news.items))
    assert_same(scores, searched[0])
    assert_array_equal(results, searched[1])


BARE = {
    "lists": lambda rows: rows,
    "Series": pd.Series,
    "Series of arrays": lambda rows: pd.Series([np.array(row) for row in rows]),
    "Arrow": pa.array,
    "chunked Arrow": lambda rows: pa.chunked_array([rows[:7], [], rows[7:]]),
    "large Arrow": lambda rows: pa.array(rows, pa.large_list(pa.int32())),
    "2-D": lambda rows: np.array(rows),
    "2-D, column by column": lambda rows: np.asfortranarray(rows),
    "fixed-size Arrow": lambda rows: pa.array(rows, pa.list_(pa.int64(), 4)),
    "polars": lambda rows: pytest.importorskip("polars").Series(rows),
    "polars, arrays": lambda rows: polars_arrays(rows),
    "polars frame": lambda rows: pytest.importorskip("polars").DataFrame({"history": rows}),
}


def polars_arrays(rows):
    polars = pytest.importorskip("polars")
    return polars.Series(rows, dtype=polars.Array(polars.Int64, 4))


@pytest.mark.parametrize("wrapped", [False, True], ids=["bare", "Interactions"])
@pytest.mark.parametrize("form", BARE)
def test_bare_histories_are_the_same_and_can_be_searched(form, wrapped, news, reference):
    rows = [row[:4] for row in news.train.history if len(row) >= 4][:30]
    X = Interactions(BARE[form](rows)) if wrapped else BARE[form](rows)
    assert_array_equal(reference.decision_function(X), reference.decision_function(rows))
    kwargs = {"cv": 3, "method": "decision_function", "params": {"items": Items(news.items)}}
    assert_array_equal(
        cross_val_predict(reference, X, **kwargs), cross_val_predict(reference, rows, **kwargs)
    )


# Parquet


def test_columns_of_parquet_that_are_not_needed_are_not_read(tmp_path):
    pa.parquet.write_table(pa.table({"history": [[1]], "a.b": [2]}), tmp_path / "x.parquet")
    table = Table(tmp_path / "x.parquet")
    assert table.names == ["history", "a.b"]
    (tmp_path / "x.parquet").unlink()
    with pytest.raises(FileNotFoundError):
        table.column("history")


def test_a_column_with_a_dot_in_its_name(tmp_path):
    pa.parquet.write_table(pa.table({"a.b": [2], "a": [{"b": 1}]}), tmp_path / "x.parquet")
    assert Table(tmp_path / "x.parquet").column("a.b").to_pylist() == [2]


def test_files_of_a_folder_follow_each_other_by_name(tmp_path):
    for name, value in (("b", 2), ("a", 1), ("c", 3), (".hidden", 4), ("_temporary", 5)):
        pa.parquet.write_table(pa.table({"time": [value]}), tmp_path / f"{name}.parquet")
    assert Table(tmp_path).column("time").to_pylist() == [1, 2, 3]


def test_a_file_whose_lists_are_all_empty_knows_no_type(tmp_path):
    # pandas writes empty lists as lists of null, here in the first file
    for name, rows in (("a", [[], []]), ("b", [[3], [4, 5]])):
        pd.DataFrame({"history": rows}).to_parquet(tmp_path / f"{name}.parquet")
    assert Table(tmp_path).column("history").to_pylist() == [[], [], [3], [4, 5]]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (pa.list_(pa.int32()), pa.list_(pa.int64())),
        (pa.list_(pa.string()), pa.list_(pa.large_string())),
        (pa.list_(pa.int64()), pa.large_list(pa.int64())),
        (pa.int64(), pa.int32()),
        (pa.string(), pa.large_string()),
        (pa.dictionary(pa.int8(), pa.string()), pa.dictionary(pa.int16(), pa.string())),
    ],
    ids=str,
)
def test_files_of_a_folder_may_differ_in_width(first, second, tmp_path):
    # for example, if pandas wrote one file and polars the other
    inner = first.value_type if hasattr(first, "value_type") else first
    value = 1 if pa.types.is_integer(inner) else "a"
    value = [value] if pa.types.is_list(first) else value
    for name, kind in (("a", first), ("b", second)):
        plain = pa.array([value])
        array = plain.dictionary_encode() if pa.types.is_dictionary(kind) else plain
        pa.parquet.write_table(pa.table({"x": array.cast(kind)}), tmp_path / f"{name}.parquet")
    assert Table(tmp_path).column("x").to_pylist() == [value, value]


def test_a_path_from_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    pa.parquet.write_table(pa.table({"time": [1]}), tmp_path / "x.parquet")
    assert Table("~/x.parquet").column("time").to_pylist() == [1]


def test_a_missing_file(tmp_path, reference, clicks):
    missing = tmp_path / "missing.parquet"
    for use in (reference.predict, Items, explode, Interactions):
        for path in (missing, str(missing)):
            with pytest.raises(FileNotFoundError, match="no parquet file or folder '.*missing"):
                use(path)


def test_a_folder_without_parquet(tmp_path, reference):
    (tmp_path / "rows.csv").write_text("history\n1\n")
    for use in (reference.predict, Items, explode, Interactions):
        for path in (tmp_path, str(tmp_path)):
            with pytest.raises(ValueError, match="the folder '.*' holds no parquet files"):
                use(path)


def test_a_file_that_is_not_parquet(tmp_path, reference):
    for name in ("x.parquet", "x.csv"):
        (tmp_path / name).write_text("history\n1\n")
        for use in (reference.predict, Items, explode, Interactions):
            with pytest.raises(ValueError, match=rf"'.*{name}' is not a parquet file"):
                use(tmp_path / name)


def test_a_str_that_is_no_path_keeps_its_error(reference):
    with pytest.raises(TypeError, match=r"write \[\[3, 8, 1\]\]"):
        reference.predict("clicks.csv")
    with pytest.raises(TypeError, match="a catalogue is a DataFrame-like, mapping or list"):
        Items("items.csv")


def test_files_of_a_folder_that_differ(tmp_path):
    pa.parquet.write_table(pa.table({"time": [1]}), tmp_path / "a.parquet")
    pa.parquet.write_table(pa.table({"times": [1]}), tmp_path / "b.parquet")
    with pytest.raises(ValueError, match=r"b.parquet' has the columns \['times'\], but .*'time'"):
        Table(tmp_path)
    pa.parquet.write_table(pa.table({"time": ["x"]}), tmp_path / "b.parquet")
    with pytest.raises(ValueError, match="differ in types"):
        Table(tmp_path)


# datasets.Dataset


def test_a_dataset_stays_memory_mapped(datasets, tmp_path):
    rows = [[at, at + 1, at + 2] for at in range(50_000)]
    datasets.Dataset.from_dict({"history": rows}).save_to_disk(tmp_path)
    data = datasets.load_from_disk(tmp_path)
    before = pa.total_allocated_bytes()
    column = Table(data).column("history")
    wrapped = Interactions(data)
    part = wrapped[10:20_000]
    assert pa.total_allocated_bytes() - before < column.nbytes / 20
    assert part.column("history")[0].as_py() == [10, 11, 12]


def test_a_format_of_a_dataset_hides_no_columns(datasets):
    data = datasets.Dataset.from_dict({"history": [[1]], "candidates": [[1]]})
    assert Table(data.with_format("numpy", columns=["history"])).names == ["history", "candidates"]


def test_a_selection_of_a_dataset(datasets):
    data = datasets.Dataset.from_dict({"history": [[1], [2], [3]]}).select([2, 0])
    assert Table(data).column("history").to_pylist() == [[3], [1]]


def test_splits_and_streams_say_what_to_do(datasets, reference):
    data = datasets.Dataset.from_dict({"history": [[1]]})
    with pytest.raises(TypeError, match="DatasetDict of the splits 'train', 'test'; take one"):
        reference.predict(datasets.DatasetDict({"train": data, "test": data}))
    with pytest.raises(TypeError, match="IterableDataset, which streams; load it with streaming"):
        reference.predict(data.to_iterable_dataset())


def test_a_lazy_frame_says_what_to_do(polars, reference):
    lazy = polars.LazyFrame({"history": [[1]]})
    for use in (reference.predict, Items):
        with pytest.raises(TypeError, match=r"LazyFrame, which holds a query .* call collect\(\)"):
            use(lazy)


# Types that a search can't slice


@pytest.mark.parametrize("name", ["datasets", "mapping", "parquet, str"])
def test_what_scikit_learn_can_not_slice_does_not_give_wrong_answers(
    name, contain, clicks, news, reference
):
    with pytest.raises((TypeError, ValueError, KeyError)):
        cross_val_predict(
            reference, contain(clicks[0], name), cv=3, params={"items": Items(news.items)}
        )
