"""Arrays that are moved to temporary files, and rows of X that are read in chunks."""

import os
import subprocess
import sys
import tempfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from encoded import encode

from skrec import ContentRecommender, Items
from skrec._data import ragged
from skrec._data.ragged import GrowingArray, keep_elements, offsets_of, take_segments


@pytest.fixture
def tiny_limits(monkeypatch):
    """Lower the limits, so that small data is written to files and read in several chunks."""
    monkeypatch.setattr(ragged, "IN_MEMORY", 64)
    monkeypatch.setattr("skrec._data.ragged.BLOCK", 7)
    monkeypatch.setattr("skrec._data.encode.SLICE", 5)
    monkeypatch.setattr("skrec._data.table.ROWS", 3)


def is_mapped(array):
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap):
            return True
        array = array.base
    return False


@pytest.mark.parametrize("n_parts", [0, 1, 2, 50])
@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.int8, bool])
def test_an_array_that_grew_is_the_parts_end_to_end(n_parts, dtype, tiny_limits):
    rng = np.random.default_rng(0)
    parts = [rng.integers(2, size=number % 5).astype(dtype) for number in range(n_parts)]
    grown = GrowingArray(dtype)
    for part in parts:
        grown.append(part)
    array = grown.array()
    np.testing.assert_array_equal(array, np.concatenate([np.empty(0, dtype), *parts]))
    assert array.dtype == dtype
    assert is_mapped(array) == (array.nbytes > 64)


def test_large_arrays_leave_no_file_behind(tiny_limits, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    grown = GrowingArray(np.int64)
    grown.append(np.arange(100))
    array = grown.array()
    assert is_mapped(array)
    assert not list(tmp_path.iterdir())  # a file without a name is deleted with the process
    np.testing.assert_array_equal(array, np.arange(100))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_an_error(tiny_limits, monkeypatch):
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: open("/dev/full", "wb"))
    grown = GrowingArray(np.int64)
    with pytest.raises(OSError, match=r"No space left.*TMPDIR"):
        grown.append(np.arange(100))


def test_segments_that_are_taken_or_thinned(tiny_limits):
    rng = np.random.default_rng(1)
    offsets = offsets_of(rng.integers(6, size=40))
    values, others = rng.integers(99, size=offsets[-1]), rng.random(offsets[-1])
    lists = np.split(values, offsets[1:-1])
    rows = rng.integers(40, size=30)
    taken, copy, other = take_segments(offsets, rows, values, others)
    assert [part.tolist() for part in np.split(copy, taken[1:-1])] == [
        lists[row].tolist() for row in rows
    ]
    assert len(other) == taken[-1]
    kept = values % 2 == 0
    thinned, copy = keep_elements(offsets, kept, values)
    assert [part.tolist() for part in np.split(copy, thinned[1:-1])] == [
        [value for value in part.tolist() if value % 2 == 0] for part in lists
    ]


def impressions(n_rows, seed=0):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(6, size=n_rows).tolist()
    n_shown = rng.integers(2, 6, size=n_rows).tolist()
    return {
        "history": [[f"n{rng.integers(20)}" for _ in range(n)] for n in lengths],
        "candidates": [[f"n{code}" for code in rng.permutation(20)[:n]] for n in n_shown],
        "clicked": [[1] + [0] * (n - 1) for n in n_shown],
    }


def as_parquet(rows, folder):
    path = folder / "rows.parquet"
    pq.write_table(pa.table(rows), path, row_group_size=4)
    return path


def as_dataset(rows, folder):
    return pytest.importorskip("datasets").Dataset.from_dict(rows)


def as_dataset_on_disk(rows, folder):
    datasets = pytest.importorskip("datasets")
    datasets.Dataset.from_dict(rows).save_to_disk(folder / "saved")
    return datasets.load_from_disk(folder / "saved")


def as_chosen_rows(rows, folder):
    """Return a data set whose rows are selected by an index."""
    order = np.random.default_rng(0).permutation(len(rows["history"]))
    back = np.argsort(order)
    shuffled = {name: [column[row] for row in order] for name, column in rows.items()}
    return as_dataset_on_disk(shuffled, folder).select(back)


def as_mapped_arrow(rows, folder):
    table = pa.table(rows)
    with pa.ipc.new_file(str(folder / "rows.arrow"), table.schema) as writer:
        writer.write_table(table, max_chunksize=4)
    return pa.ipc.open_file(pa.memory_map(str(folder / "rows.arrow"))).read_all()


KEPT = [as_parquet, as_dataset, as_dataset_on_disk, as_chosen_rows, as_mapped_arrow]


@pytest.mark.parametrize("keep", KEPT)
@pytest.mark.parametrize("drop_unknown", ["nothing", "histories", "all"])
def test_rows_in_parts_are_coded_as_rows_in_memory(keep, drop_unknown, tiny_limits, tmp_path):
    rows = impressions(50)
    n_known = 20 if drop_unknown == "nothing" else 17
    items = Items({"item_id": [f"n{number}" for number in range(n_known)]})
    if drop_unknown == "histories":
        rows["candidates"] = [[f"n{code}" for code in range(len(row))] for row in rows["clicked"]]
    kept = keep(rows, tmp_path)
    coded = encode(kept, items=items, drop_unknown=drop_unknown)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ragged, "IN_MEMORY", 1 << 30)
        patch.setattr("skrec._data.ragged.BLOCK", 1 << 20)
        expected = encode(pa.table(rows), items=items, drop_unknown=drop_unknown)
    for name, value in vars(expected).items():
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(getattr(coded, name), value, err_msg=name)
            assert getattr(coded, name).dtype == value.dtype
    assert is_mapped(coded.candidate_codes)


@pytest.mark.parametrize("keep", KEPT)
def test_fit_and_score_on_rows_in_parts(keep, tiny_limits, tmp_path):
    rows, items = impressions(60), {f"n{n}": f"word{n} word{n % 3}" for n in range(20)}
    rec = ContentRecommender("mean_pooling", width=8, max_epochs=2, random_state=0)
    kept = keep(rows, tmp_path)
    score = rec.fit(kept, items).score(kept)
    assert score == rec.fit(pa.table(rows), items).score(pa.table(rows))


def test_unknown_ids_are_counted_over_all_parts(tiny_limits, tmp_path):
    rows = impressions(50)
    n_unknown = sum(row.count("n19") for name in ("history", "candidates") for row in rows[name])
    items = Items({"item_id": [f"n{number}" for number in range(19)]})
    with pytest.raises(ValueError, match=rf"{n_unknown} ids in X are missing.*'n19'"):
        encode(as_parquet(rows, tmp_path), items=items)


def test_a_null_list_is_found_in_its_row(tiny_limits, tmp_path):
    rows = impressions(20)
    rows["history"][13] = None
    items = Items({"item_id": [f"n{number}" for number in range(20)]})
    with pytest.raises(ValueError, match="'history' is null in row 13"):
        encode(as_parquet(rows, tmp_path), items=items)


MORE_THAN_MEMORY = """
import resource, sys
import numpy as np, torch
from skrec import ContentRecommender, Items
from skrec._data import ragged

ragged.IN_MEMORY = 1 << 22
items = Items({"item_id": np.arange(1000), "kind": np.arange(1000) % 7})
rec = ContentRecommender(
    "mean_pooling", width=8, batch_size=512, max_epochs=1, early_stopping=False,
    calibration=None, random_state=0,
)
small = {"history": [[1]], "candidates": [[2, 3]], "clicked": [[0, 1]]}
rec.fit(small, items)  # allocates the memory that torch and Arrow need once
with open("/proc/self/status") as file:
    used = next(int(line.split()[1]) for line in file if line.startswith("VmData")) * 1024
resource.setrlimit(resource.RLIMIT_DATA, (used + int(sys.argv[2]), -1))
rec.fit(sys.argv[1], items)
print(rec.loss_curve_)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory as Linux has them")
def test_training_on_more_than_memory_holds(tmp_path):
    n_rows, n_shown = 100_000, 400
    rng = np.random.default_rng(0)
    offsets = np.arange(n_rows + 1, dtype=np.int32) * n_shown
    clicked = np.zeros((n_rows, n_shown), dtype=np.int8)
    clicked[np.arange(n_rows), rng.integers(n_shown, size=n_rows)] = 1
    shown = rng.integers(1000, size=n_rows * n_shown)
    table = pa.table(
        {
            "history": pa.array([[1, 2]] * n_rows),
            "candidates": pa.ListArray.from_arrays(offsets, shown),
            "clicked": pa.ListArray.from_arrays(offsets, clicked.ravel()),
        }
    )
    pq.write_table(table, tmp_path / "rows.parquet")
    assert table.nbytes > 340e6  # 40 million candidates of 9 bytes; their codes are 160 MB
    limit = 150_000_000
    found = subprocess.run(
        [sys.executable, "-c", MORE_THAN_MEMORY, str(tmp_path / "rows.parquet"), str(limit)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stderr[-2000:]
