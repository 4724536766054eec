"""Files of rows that are read in parts."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from skrec import Interactions, Items
from skrec._data.shards import READ, Piece, cut

HISTORIES = {"history": [[i, i + 1] for i in range(10)], "other": list(range(10))}
IMPRESSIONS = {"history": [[1]], "candidates": [[2, 3]], "clicked": [[0, 1]]}


def write(path, rows, size=4):
    table = pa.table(rows)
    if path.suffix == ".parquet":
        pq.write_table(table, path, row_group_size=size)
    else:
        with pa.ipc.new_file(path, table.schema) as file:
            file.write_table(table, max_chunksize=size)
    return path


def read(shards, pieces, sizes, n_skipped=0, columns=READ):
    """Return the first click of each row, table by table."""
    tables = shards.read(pieces, sizes, n_skipped, columns)
    return [[row[0] for row in table["history"].to_pylist()] for table in tables]


@pytest.fixture(params=["parquet", "arrow"])
def shards(request, tmp_path):
    """Ten histories, whose first clicks are their row numbers, in two files."""
    write(tmp_path / f"a.{request.param}", {k: v[:7] for k, v in HISTORIES.items()}, size=4)
    write(tmp_path / f"b.{request.param}", {k: v[7:] for k, v in HISTORIES.items()}, size=2)
    return Interactions.from_shards(tmp_path, buffer_size=3)


def test_shards_know_their_rows_and_columns(shards):
    assert (shards.kind, shards.n_rows, shards.columns) == ("histories", 10, ["history", "other"])
    assert [len(piece) for piece in shards.pieces] == [4, 3, 2, 1]
    assert repr(shards) == (
        "ShardedInteractions(n_rows=10, kind='histories', columns=['history', 'other'], n_files=2)"
    )
    assert shards.first_rows().column("other").to_pylist() == [0, 1, 2, 3]


@pytest.mark.parametrize("sizes", [[10], [3, 3, 4], [1] * 10, [7, 0, 3], [2, 8]])
def test_rows_are_read_once_in_tables_of_any_sizes(shards, sizes):
    found = read(shards, shards.pieces, sizes)
    assert [len(rows) for rows in found] == sizes
    assert sum(found, []) == list(range(10))


def test_skipped_tables_are_left_out(shards):
    order = [shards.pieces[at] for at in (2, 0, 3, 1)]
    whole = read(shards, order, [4, 3, 3])
    for n in range(4):
        assert read(shards, order, [4, 3, 3], n) == whole[n:]


def test_row_groups_of_skipped_tables_are_not_read(shards, monkeypatch):
    # a training that continues would otherwise read everything again
    asked = []
    batches = type(shards)._batches
    monkeypatch.setattr(
        type(shards),
        "_batches",
        lambda self, piece, schema: asked.append(piece) or batches(self, piece, schema),
    )
    assert read(shards, shards.pieces, [8, 2], 1) == [[8, 9]]
    assert [(piece.file, piece.group) for piece in asked] == [(1, 0), (1, 1)]


@pytest.mark.parametrize("n", [1, 2, 3, 10])
def test_processes_share_the_rows(shards, n):
    parts = [shards.share(rank, n) for rank in range(n)]
    sizes = [sum(map(len, part)) for part in parts]
    assert max(sizes) - min(sizes) <= 1
    found = [read(shards, part, [size])[0] for part, size in zip(parts, sizes, strict=True)]
    assert sum(found, []) == list(range(10))


def test_cut_keeps_the_ranges_of_row_groups():
    pieces = [Piece(0, 0, 2, 5), Piece(1, 3, 0, 4)]
    assert cut(pieces, 0, 7) == pieces
    assert cut(pieces, 1, 5) == [Piece(0, 0, 3, 5), Piece(1, 3, 0, 2)]
    assert cut(pieces, 3, 4) == [Piece(1, 3, 0, 1)]
    assert cut(pieces, 2, 2) == []


def test_row_groups_larger_than_a_read_are_decoded_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr("skrec._data.shards.N_PER_READ", 2)
    shards = Interactions.from_shards(write(tmp_path / "a.parquet", HISTORIES, size=100))
    assert read(shards, [Piece(0, 0, 3, 8)], [2, 3]) == [[3, 4], [5, 6, 7]]


def test_types_of_files_are_joined(tmp_path):
    write(tmp_path / "a.parquet", {"history": pa.array([[1]], pa.list_(pa.int32()))})
    write(tmp_path / "b.parquet", {"history": pa.array([[]], pa.list_(pa.null()))})
    shards = Interactions.from_shards([tmp_path / "a.parquet", str(tmp_path / "b.parquet")])
    (table,) = shards.read(shards.pieces, [2])
    assert table["history"].to_pylist() == [[1], []]


def test_sharded_rows_cannot_be_cut(shards):
    # scikit-learn would split them row by row
    assert not hasattr(shards, "__len__")
    assert not hasattr(shards, "shape")
    assert not hasattr(shards, "__getitem__")


def test_other_calls_say_what_to_do(shards, fitted):
    with pytest.raises(TypeError, match="whose rows only fit reads, one part after another; give"):
        fitted.predict(shards)


@pytest.mark.parametrize(
    ("rows", "arguments", "message"),
    [
        ({"history": [[1]], "candidate": [2]}, {}, "are impressions or bare histories, and these"),
        ({"items": [[1]]}, {}, "X has no column 'history'"),
        ({"history": pa.array([], pa.list_(pa.int64()))}, {}, "X has no rows"),
        (HISTORIES, {"buffer_size": 0}, "buffer_size must be a positive int, got 0"),
        (HISTORIES, {"rank": 1}, "rank and world belong together, got rank=1 and world=None"),
        (HISTORIES, {"rank": 2, "world": 2}, "rank must be less than world=2, got 2"),
        (HISTORIES, {"rank": -1, "world": 2}, "rank must be a non-negative int, got -1"),
        (HISTORIES, {"validation": IMPRESSIONS}, "validation holds impressions, and the shards"),
    ],
)
def test_invalid_shards(rows, arguments, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        Interactions.from_shards(write(tmp_path / "a.parquet", rows), **arguments)


def test_invalid_paths(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file or folder"):
        Interactions.from_shards(tmp_path / "none.parquet")
    with pytest.raises(ValueError, match="holds no parquet or Arrow files"):
        Interactions.from_shards(tmp_path)
    with pytest.raises(ValueError, match="paths is empty"):
        Interactions.from_shards([])
    with pytest.raises(TypeError, match="paths must be a file, a folder, or a list"):
        Interactions.from_shards([3])
    path = write(tmp_path / "a.parquet", HISTORIES)
    with pytest.raises(ValueError, match="more than once"):
        Interactions.from_shards([path, path])
    write(tmp_path / "b.parquet", IMPRESSIONS)
    with pytest.raises(ValueError, match="has the columns"):
        Interactions.from_shards(tmp_path)


@pytest.mark.parametrize(("suffix", "what"), [("parquet", "parquet"), ("arrow", "Arrow")])
def test_files_of_another_format(suffix, what, tmp_path):
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(b"no columns at all")
    with pytest.raises(ValueError, match=f"is not an? {what} file"):
        Interactions.from_shards(path)


def test_a_catalogue_is_no_path():
    with pytest.raises(TypeError, match="paths must be"):
        Interactions.from_shards(Items({1: "x"}))
