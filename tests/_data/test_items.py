import html
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator
from sklearn.model_selection import GridSearchCV

from skrec import Items

TEXTS = ["sun and sea", "snow", "sea"]


def one(values, **options):
    """Return a catalogue with the ids 0, 1, 2, ... and one column `c`."""
    return Items({"item_id": range(len(values)), "c": values}, **options)


def assert_same(a, b):
    assert (a.id, a.roles) == (b.id, b.roles)
    pd.testing.assert_frame_equal(a.to_pandas(), b.to_pandas())
    assert_array_equal(a.hashes(), b.hashes())


@pytest.mark.parametrize("data", [[], {}, pd.DataFrame({"item_id": [], "title": []}), pd.Series()])
def test_an_empty_catalogue_raises(data):
    with pytest.raises(ValueError, match="the catalogue is empty; it must hold at least one item"):
        Items(data)


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ("a text", TypeError, "is a DataFrame-like, mapping or list, got 'a text'"),
        (None, TypeError, "is a DataFrame-like, mapping or list, got None"),
        (3, TypeError, "mapping of id to text or a list of texts, got int"),
        ([0, 1, 1], TypeError, "a list that is a catalogue must hold texts, got int64"),
        (
            {"itemid": [1], "title": ["a"]},
            ValueError,
            r"no id column 'item_id' \(did you mean 'itemid'\?\); its columns are 'itemid', "
            r"'title'\. Name the right one with Items\(\.\.\., id='\.\.\.'\)",
        ),
        (
            {"item_id": [1, 2], "title": ["a"]},
            ValueError,
            "column 'title' has 1 rows but column 'item_id' has 2",
        ),
        (
            pd.DataFrame([[1, "a", "b"]], columns=["item_id", "title", "title"]),
            ValueError,
            "several columns named 'title'",
        ),
        (
            pa.Table.from_arrays([pa.array([1])] * 3, names=["item_id", "t", "t"]),
            ValueError,
            "several columns named 't'",
        ),
    ],
)
def test_what_is_no_catalogue_raises(data, error, message):
    with pytest.raises(error, match=message):
        Items(data)


def test_id_must_name_a_column():
    with pytest.raises(TypeError, match="id must be the name of a column, got 0"):
        Items({"item_id": [1]}, id=0)


# Ids


@pytest.mark.parametrize(
    ("ids", "error", "message"),
    [
        ([1, 1, 2, 2, 3], ValueError, "2 ids of the catalogue are duplicate: 1, 2; keep one row"),
        ([1.0, 1], ValueError, "1 ids of the catalogue are duplicate: 1"),
        (["a", None, None], ValueError, "2 of the catalogue's ids are null; drop them"),
        ([1.0, np.nan], ValueError, "1 of the catalogue's ids are null"),
        ([1.5, 2], ValueError, "the catalogue's ids must be whole numbers or strings: .*1.5"),
        (np.array([2**63 + 1], dtype=np.uint64), ValueError, "must be whole numbers or strings"),
        ([1, "a"], ValueError, "can't read column 'item_id', mixed types"),
        ([True, False], TypeError, "the catalogue's ids must be ints or strings, got bool"),
        (pd.to_datetime(["2020-01-01"]), TypeError, "must be ints or strings, got timestamp"),
    ],
)
def test_bad_ids_raise(ids, error, message):
    with pytest.raises(error, match=message):
        Items({"item_id": ids})


@pytest.mark.parametrize(
    "ids",
    [
        [5, 3],
        [5.0, 3.0],
        np.array([5, 3], dtype=np.uint8),
        pd.array([5, 3], dtype="Int32"),
        pd.Categorical([5, 3]),
        pa.chunked_array([[5], [3]]),
    ],
)
def test_int_ids_of_any_dtype_are_int64(ids):
    # pandas reads a csv column with a missing value as float, and such ids must match ints
    items = Items({"item_id": ids})
    assert items.ids.dtype == np.int64
    assert_array_equal(items.ids, [5, 3])
    assert_array_equal(items.codes([3.0, 4.0, 5.0]), [1, -1, 0])


@pytest.mark.parametrize(
    "ids", [["b", "a"], pd.Categorical(["b", "a"]), pa.array(["b", "a"], pa.string_view())]
)
def test_string_ids(ids):
    items = Items({"item_id": ids})
    assert items.ids.tolist() == ["b", "a"]
    assert_array_equal(items.codes(["a", "z", "b", "a"]), [1, -1, 0, 1])
    assert len(items.codes([])) == 0


def test_strings_never_match_ints():
    # otherwise, all ids would be unknown
    with pytest.raises(TypeError, match=r"are str ids \(string\) but .* are int \(int64\)"):
        Items({"item_id": [1]}).codes(["1"])
    with pytest.raises(TypeError, match=r"are int ids \(int64\) but .* str \(large_string\)"):
        Items({"item_id": ["1"]}).codes([1])


# Forms


class ArrowFrame:
    """A table with columns and the Arrow interface only, as a polars DataFrame has."""

    def __init__(self, table):
        self._table, self.columns = table, table.column_names

    def __arrow_c_stream__(self, requested_schema=None):
        return self._table.__arrow_c_stream__(requested_schema)


def test_tables_of_any_kind_give_the_same_items(mixed):
    table = pa.Table.from_pandas(mixed)
    expected = Items(mixed)
    assert list(expected.roles.values()) == [
        "text",
        "category",
        "multi-category",
        "number",
        "vector",
    ]
    assert_same(Items(table), expected)
    assert_same(Items(pa.concat_tables([table[:3], table[3:]])), expected)
    assert_same(Items(pa.concat_tables([table[:2], table])[2:]), expected)
    assert_same(Items(ArrowFrame(table)), expected)
    assert_same(Items({name: mixed[name] for name in mixed}), expected)
    assert_same(Items(mixed.set_index("item_id")), expected)


def test_a_hugging_face_dataset_is_a_table():
    datasets = pytest.importorskip("datasets")
    data = datasets.Dataset.from_dict({"item_id": [9, 5, 6, 7], "text": ["x", *TEXTS]})
    # `data.data` still contains all rows after a selection
    assert_same(Items(data.select([1, 2, 3])), Items(dict(zip([5, 6, 7], TEXTS, strict=True))))


def test_mappings_series_and_lists_of_texts_give_the_same_items():
    expected = Items({"item_id": [0, 1, 2], "text": TEXTS})
    assert_same(Items(TEXTS), expected)
    assert_same(Items(tuple(TEXTS)), expected)
    assert_same(Items(np.array(TEXTS)), expected)
    assert_same(Items(pa.array(TEXTS)), expected)
    assert_same(Items(text for text in TEXTS), expected)
    assert_same(Items(dict(enumerate(TEXTS))), expected)
    assert_same(Items(pd.Series(TEXTS)), expected)
    assert_same(Items(pd.Series(TEXTS, name="text")), expected)


def test_a_series_gives_ids_by_its_index_and_the_column_its_name():
    items = Items(pd.Series(TEXTS, index=["x", "y", "z"], name="title"))
    assert items.ids.tolist() == ["x", "y", "z"]
    assert items.roles == {"title": "text"}


def test_none_in_a_list_or_mapping_is_an_empty_text():
    assert Items(["a", None]).column("text").to_pylist() == ["a", ""]
    assert Items({7: "a", 8: None}).column("text").to_pylist() == ["a", ""]


def test_the_id_column_may_have_another_name(mixed):
    items = Items(mixed.rename(columns={"item_id": "movie"}), id="movie")
    assert items.id == "movie"
    assert "movie" not in items.roles
    assert_array_equal(items.ids, mixed["item_id"])


def test_columns_without_a_string_for_a_name_are_left_out():
    items = Items(pd.DataFrame([[1, "a", "b"]], columns=["item_id", "title", 3]))
    assert items.roles == {"title": "text"}


# scikit-learn


class Keeper(BaseEstimator):
    def fit(self, X, y=None, items=None):
        self.items_ = items
        return self


def test_a_search_never_slices_items():
    # scikit-learn slices every fit parameter that is as long as X
    items, seen = Items(TEXTS * 2), []

    def score(estimator, X, y=None):
        seen.append(estimator.items_)
        return 0.0

    search = GridSearchCV(Keeper(), {}, cv=2, scoring=score, refit=False)
    search.fit(np.zeros((items.n_items, 1)), items=items)
    assert len(seen) == 2
    assert all(each is items for each in seen)


@pytest.mark.parametrize("name", ["__len__", "shape", "__array__", "__getitem__", "__iter__"])
def test_items_look_like_no_array(name):
    assert not hasattr(Items(TEXTS), name)


# Hashes


def test_hashes_are_of_the_content_alone(mixed):
    items = Items(mixed)
    assert items.hashes().dtype == np.uint64
    assert len(np.unique(items.hashes())) == items.n_items
    # hashes depend on content only, not on order, other items or ids
    order = [5, 0, 3]
    assert_array_equal(items.take(order).hashes(), items.hashes()[order])
    assert_array_equal(Items(mixed.iloc[order]).hashes(), items.hashes()[order])
    assert_array_equal(Items(mixed.assign(item_id=range(100, 108))).hashes(), items.hashes())
    assert_array_equal(Items(mixed[mixed.columns[::-1]]).hashes(), items.hashes())


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("title", "a red fix"),
        ("topic", "water"),
        ("topic", None),
        ("tags", ["b", "a"]),
        ("tags", ["a", "b", None]),
        ("length", 3.0000001),
        ("vector", [0.0, 1.0, 0.0001]),
    ],
)
def test_a_changed_value_changes_the_hash_of_its_item_only(mixed, column, value):
    # a cache with these keys must not return the states of a previous content
    changed = mixed.copy()
    changed[column] = changed[column].astype(object)
    changed.at[0, column] = value
    roles = {"topic": "category"}
    same = Items(changed, roles=roles).hashes() == Items(mixed, roles=roles).hashes()
    assert same.tolist() == [False] + [True] * 7


def test_names_and_roles_count_in_hashes():
    base = one(["a", "b"]).hashes()
    assert not np.isin(one(["a", "b"], roles={"c": "category"}).hashes(), base).any()
    assert not np.isin(Items({"item_id": [0, 1], "d": ["a", "b"]}).hashes(), base).any()
    swapped = [Items({"item_id": [0], "c": [a], "d": [b]}).hashes() for a, b in ("xy", "yx")]
    assert swapped[0] != swapped[1]


def test_a_null_category_hashes_unlike_any_string():
    items = one(pd.Categorical([None, "None", "nan", "", "<NA>"]))
    assert len(np.unique(items.hashes())) == 5


@pytest.mark.slow
def test_hashes_are_equal_in_another_process(mixed, tmp_path):
    path = tmp_path / "items.pickle"
    path.write_bytes(pickle.dumps(Items(mixed)))
    code = (
        "import pickle, pathlib, sys;"
        "print(*pickle.loads(pathlib.Path(sys.argv[1]).read_bytes()).hashes())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    assert [int(each) for each in done.stdout.split()] == Items(mixed).hashes().tolist()


# take, extend


def test_take_gives_items_in_order_and_leaves_the_source(mixed):
    items, before = Items(mixed), Items(mixed)
    taken = items.take([4, 1])
    assert_same(taken, Items(mixed.iloc[[4, 1]]))
    assert_array_equal(taken.codes([4, 1, 0]), [0, 1, -1])
    assert_same(items, before)


def test_extend_overrides_in_place_and_appends(mixed):
    items, before = Items(mixed), Items(mixed)
    new = mixed.iloc[[6, 2, 3]].assign(item_id=[20, 2, 21], title=["new", "changed", "newer"])
    longer = items.extend(new)
    # codes of known items must not change, because item vectors and histories use them
    assert longer.ids.tolist() == [*range(8), 20, 21]
    expected = pd.concat([mixed, new.iloc[[0, 2]]], ignore_index=True)
    expected.loc[2, "title"] = "changed"
    assert_same(longer, Items(expected))
    assert_same(items, before)
    assert_same(items.extend(Items(new)), longer)


def test_extend_reads_new_items_by_the_roles_of_the_catalogue():
    items = one([7, 8], roles={"c": "category"})
    longer = items.extend({"item_id": [2], "c": [9], "further": ["left out"]})
    assert longer.roles == {"c": "category"}
    assert longer.column("c").to_pylist() == ["7", "8", "9"]


def test_extend_by_texts():
    assert Items(["a", "b"]).extend({1: "c", 5: "d"}).column("text").to_pylist() == ["a", "c", "d"]


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ({"item_id": [9]}, ValueError, "the new items lack the catalogue's columns 'c'"),
        ({"c": [[0.0, 0.0]]}, ValueError, "no id column 'item_id'"),
        ({"item_id": [9], "c": [[0.0]]}, ValueError, r"new items is vector .*\[1\].* \[2\]|\[2\]"),
        ({"item_id": ["9"], "c": [[0.0, 0.0]]}, TypeError, "ids of the new items are str ids"),
        (Items({9: "text"}), ValueError, "the new items lack the catalogue's columns 'c'"),
        (Items({"item_id": [9], "c": ["text"]}), ValueError, "is text .* but vector"),
    ],
)
def test_extend_refuses_items_of_another_kind(data, error, message):
    items = one([[1.0, 2.0], [3.0, 4.0]])
    with pytest.raises(error, match=message):
        items.extend(data)


# Immutability and representations


def test_changing_what_items_were_made_of_does_not_change_them():
    frame = pd.DataFrame({"item_id": [1, 2], "price": [1.0, 2.0]})
    vectors, ids = np.ones((2, 2), dtype=np.float32), np.array([1, 2])
    roles = {"v": "vector"}
    made = [Items(frame), Items({"item_id": ids, "v": vectors}, roles=roles)]
    before = [items.hashes() for items in made]
    frame.loc[0, ["item_id", "price"]] = 9
    vectors[:], ids[:] = 5, 7
    roles["v"] = "text"
    for items, hashes in zip(made, before, strict=True):
        assert_array_equal(items.hashes(), hashes)
        assert_array_equal(items.ids, [1, 2])
    assert made[1].roles == {"v": "vector"}


def test_ids_cannot_be_written():
    with pytest.raises(ValueError, match="read-only"):
        Items(TEXTS).ids[0] = 5
    strings = Items(pd.Series(TEXTS, index=["x", "y", "z"]))
    strings.ids[0] = "other"
    assert strings.ids[0] == "x"


def test_pickle(mixed):
    assert_same(pickle.loads(pickle.dumps(Items(mixed))), Items(mixed))


def test_repr_shows_size_id_and_roles():
    assert repr(Items(TEXTS)) == "Items(n_items=3, id='item_id', roles={'text': 'text'})"


def test_html_shows_the_first_items_escaped():
    texts = ["<b>bold</b>", *(f"text {i}" for i in range(6))]
    shown = Items(texts)._repr_html_()
    assert "Items: 7 items" in shown
    assert "<th>text<br><small>text</small></th>" in shown
    assert html.escape(texts[0]) in shown
    assert texts[0] not in shown
    assert "text 3" in shown
    assert "text 4" not in shown


def test_a_catalogue_may_hold_ids_alone():
    items = Items({"item_id": [3, 4]})
    assert items.roles == {}
    assert items.extend({"item_id": [5]}).ids.tolist() == [3, 4, 5]
    assert "Items: 2 items" in items._repr_html_()
