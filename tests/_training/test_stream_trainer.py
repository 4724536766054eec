"""Training on rows in files equals training on the same rows in memory."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from skrec import ContentRecommender, Interactions, behavior, content, load
from skrec._training.checkpoint import Checkpoint
from skrec._training.streamed_rows import StreamedExamples, StreamedRows
from skrec.datasets import make_headlines


@pytest.fixture(scope="module")
def catalogue(news):
    return news.items


@pytest.fixture(scope="module")
def numbered():
    """Items with the ids 0 to 119."""
    return pd.DataFrame({"item_id": range(120), "title": [f"word{i % 7}" for i in range(120)]})


@pytest.fixture(scope="module")
def tables(news):
    impressions = news.train[["history", "candidates", "clicked"]]
    impressions = pa.Table.from_pandas(impressions, preserve_index=False)
    return {"impressions": impressions, "histories": impressions.select(["history"])}


@pytest.fixture(scope="module")
def shards(tables, tmp_path_factory):
    """Return a function that opens the rows of a kind, in row groups of 50."""
    folder = tmp_path_factory.mktemp("shards")
    for kind, table in tables.items():
        pq.write_table(table, folder / f"{kind}.parquet", row_group_size=50)
    return lambda kind, **k: Interactions.from_shards(folder / f"{kind}.parquet", **k)


def weights(rec):
    return np.concatenate([v.numpy().ravel() for v in rec.network_.trained_state().values()])


def course(rec):
    return weights(rec).tobytes(), rec.loss_curve_, rec.validation_scores_, rec.calibration_


CASES = {
    "clicks": ("impressions", {}),
    "labels": ("impressions", {"loss": "bce"}),
    "inside": ("impressions", {"behavior": behavior.GRU(dropout=0.2), "history_targets": 2}),
    "histories": ("histories", {"co_clicks": False}),
    "one click": (
        "histories",
        {
            "co_clicks": False,
            "behavior": behavior.GRU(),
            "history_targets": 1,
            "n_negatives": 8,
            "gradient_accumulation_steps": 3,
        },
    ),
    "in batch": (
        "histories",
        {"co_clicks": False, "n_negatives": 8, "negative_sampling": "in_batch"},
    ),
    "popularity": (
        "impressions",
        {"n_negatives": 8, "negative_sampling": "popularity", "history_targets": "all"},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_buffer_that_holds_all_rows_trains_as_rows_in_memory(
    case, tables, shards, catalogue, make_recommender
):
    kind, parameters = CASES[case]
    fit = lambda X: make_recommender(early_stopping=False, **parameters).fit(X, catalogue)  # noqa: E731
    expected, found = fit(tables[kind]), fit(shards(kind))
    assert course(found) == course(expected)
    np.testing.assert_array_equal(found.n_clicks_, expected.n_clicks_)
    assert found.n_skipped_ == expected.n_skipped_
    chosen = [{k: repr(v) for k, v in rec.chosen_.items()} for rec in (found, expected)]
    assert chosen[0] == {k: v for k, v in chosen[1].items() if k != "co_clicks"} | (
        {"co_clicks": "False"} if "co_clicks" in chosen[0] else {}
    )


def test_the_schedule_of_a_single_buffer_is_exact(tables, shards, catalogue, make_recommender):
    parameters = {"lr_schedule": "linear", "warmup_fraction": 0.2, "history_targets": 0}
    fit = lambda X: make_recommender(early_stopping=False, **parameters).fit(X, catalogue)  # noqa: E731
    assert course(fit(shards("impressions"))) == course(fit(tables["impressions"]))


@pytest.mark.parametrize("buffer_size", [7, 37, 96, 1000])
@pytest.mark.parametrize("kind", ["impressions", "histories"])
def test_each_epoch_reads_each_row_once_and_no_held_out_row(
    kind, buffer_size, numbered, make_recommender, monkeypatch, tmp_path
):
    # each row has a history of its own, by which it is known
    rows = pd.DataFrame({"history": [[i % 100, i // 100] for i in range(192)]})
    if kind == "impressions":
        rows = rows.assign(candidates=[[3, 4]] * 192, clicked=[[0, 1]] * 192)
    rows.to_parquet(tmp_path / "a.parquet", row_group_size=50)
    epochs, held = [], []

    def key(data):
        at, offsets = data.history_positions()
        codes = data.history_codes[at].reshape(-1, 2)
        assert len(offsets) == len(codes) + 1
        return (codes[:, 0] + 100 * codes[:, 1]).tolist()

    buffers, hold_out = StreamedExamples.buffers, StreamedRows.hold_out

    def noted(self, seed, n_skipped=0):
        epochs.append([])
        for data in self.rows.buffers(seed, n_skipped):
            epochs[-1].append(key(data))
        return buffers(self, seed, n_skipped)

    def noted_hold_out(self, fraction, rng):
        rows, valid = hold_out(self, fraction, rng)
        held.extend(key(valid))
        return rows, valid

    monkeypatch.setattr(StreamedExamples, "buffers", noted)
    monkeypatch.setattr(StreamedRows, "hold_out", noted_hold_out)
    X = Interactions.from_shards(tmp_path, buffer_size=buffer_size)
    make_recommender(max_epochs=2, history_targets=0).fit(X, numbered)
    assert len(epochs) == 2
    assert 1 <= len(held) <= max(1, min(buffer_size, 19))
    for epoch in epochs:
        assert max(map(len, epoch)) <= buffer_size
        assert sorted(sum(epoch, held)) == list(range(192))
    if buffer_size in (7, 37):
        assert epochs[0] != epochs[1]  # row groups are shuffled


def test_held_out_rows_may_be_passed(tables, shards, catalogue, make_recommender):
    X = shards("impressions", validation=tables["impressions"].slice(0, 20))
    rec = make_recommender().fit(X, catalogue)
    alone = make_recommender(early_stopping=False).fit(shards("impressions"), catalogue)
    assert rec.loss_curve_ == alone.loss_curve_  # all rows are trained
    assert len(rec.validation_scores_) == 2
    assert rec.best_score_ >= rec.validation_scores_[-1]
    assert rec.calibration_ != (1.0, 0.0)


@pytest.mark.slow
def test_several_buffers_learn_as_much_as_one(make_recommender, tmp_path):
    data = make_headlines(n_users=100, n_items=120, n_impressions=1000, random_state=0)
    columns = ["history", "candidates", "clicked"]
    data.train[columns].to_parquet(tmp_path / "a.parquet", row_group_size=60)
    scores = []
    for buffer_size in (100, 10_000):
        X = Interactions.from_shards(tmp_path, buffer_size=buffer_size)
        rec = make_recommender(max_epochs=6, early_stopping=False).fit(X, data.items)
        scores.append(rec.score(data.test))
    assert abs(scores[0] - scores[1]) < 0.05
    assert min(scores) > 0.6


class Killed(BaseException):
    """Ends a fit at once, as a kill does."""


@pytest.mark.parametrize("kind", ["impressions", "histories"])
def test_a_fit_that_is_killed_continues_between_buffers(
    kind, shards, catalogue, make_recommender, tmp_path, monkeypatch
):
    parameters = {"behavior": behavior.GRU(dropout=0.3), "batch_size": 16, "max_epochs": 3}

    def fit(**k):
        return make_recommender(**parameters).fit(shards(kind, buffer_size=40), catalogue, **k)

    expected = course(fit())
    after, left, n_met = Checkpoint.after_buffer, [None], [0]

    def counted(self, trainer):
        after(self, trainer)
        n_met[0] += 1
        if left[0] is not None:
            left[0] -= 1
            if not left[0]:
                raise Killed

    monkeypatch.setattr(Checkpoint, "after_buffer", counted)
    n_killed = 0
    for n in (1, 3, 2, 4, None):
        left[0] = n
        try:
            rec = fit(checkpoint=tmp_path / "c", checkpoint_every=1)
        except Killed:
            n_killed += 1
            continue
        break
    assert n_killed > 2
    assert course(rec) == expected
    before = n_met[0]
    assert course(fit(checkpoint=tmp_path / "c", checkpoint_every=1)) == expected
    assert n_met[0] == before  # it was not trained again


def test_a_checkpoint_of_another_buffer_is_refused(shards, catalogue, make_recommender, tmp_path):
    fit = lambda size: make_recommender(max_epochs=1).fit(  # noqa: E731
        shards("impressions", buffer_size=size), catalogue, checkpoint=tmp_path / "c"
    )
    fit(40)
    with pytest.raises(ValueError, match=r"buffer_size|of another training: rows: .* of shards"):
        fit(50)


def test_warm_start_and_verbose(shards, catalogue, make_recommender, capsys):
    rec = make_recommender(warm_start=True, verbose=1).fit(shards("histories"), catalogue)
    rec.fit(shards("histories", buffer_size=50), catalogue)
    assert rec.n_epochs_ == 4
    lines = capsys.readouterr().out
    assert "histories (19 held out) in shards and 120 items" in lines
    assert "popularity alone" in lines


def test_a_model_of_shards_is_saved(shards, catalogue, make_recommender, tmp_path, news):
    rec = make_recommender().fit(shards("impressions", buffer_size=50), catalogue)
    again = load(rec.save(tmp_path / "model") and tmp_path / "model")
    for one, other in zip(rec.recommend(news.test), again.recommend(news.test), strict=True):
        np.testing.assert_array_equal(one, other)


def test_unknown_items_are_dropped_or_refused(tables, items, make_recommender, tmp_path):
    changed = tables["histories"].to_pandas()
    changed.loc[100, "history"] = np.array([10**9, 1076])
    changed.to_parquet(tmp_path / "a.parquet", row_group_size=50)
    X = Interactions.from_shards(tmp_path, buffer_size=30)
    with pytest.raises(ValueError, match="1 ids in X are missing from the catalogue"):
        make_recommender().fit(X, items)
    make_recommender(unknown_items="ignore").fit(X, items)


REFUSED = {
    "labels": ({}, {"y": [0, 1]}, "so y can't be given"),
    "weights": ({}, {"sample_weight": [1.0]}, "so sample_weight can't be given"),
    "columns": ({}, {"columns": {"user": "u"}}, "so columns can't be given"),
    "co-clicks": ({"co_clicks": True}, {}, "co_clicks=True needs all rows in memory.*'auto'"),
    "hard": ({"n_hard_negatives": 2}, {}, "n_hard_negatives=2 needs all rows .*n_hard_negatives=0"),
    "context": ({"context": "auto"}, {}, "context='auto' needs all rows .* context=None"),
    "users": ({"behavior": behavior.GRU(user_embedding="ini")}, {}, "vector for each user, whose"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_needs_all_rows_in_memory_is_refused(what, shards, catalogue, make_recommender):
    parameters, arguments, message = REFUSED[what]
    with pytest.raises(ValueError, match=message):
        make_recommender(**parameters).fit(shards("histories"), items=catalogue, **arguments)


def test_partial_fit_takes_rows_in_memory(shards, catalogue, make_recommender):
    with pytest.raises(ValueError, match="partial_fit takes rows in memory"):
        make_recommender().partial_fit(shards("histories"), catalogue)


NOTHING = {
    "no click": ({"candidates": [[1, 2]] * 3, "clicked": [[0, 0]] * 3}, {}, "none of the 6 cand"),
    "one label": (
        {"candidates": [[1, 2]] * 3, "clicked": [[1, 1]] * 3}, {"loss": "bce"}, "all 6 labels are 1"
    ),
    "empty": ({"history": [[], [], []]}, {}, "every history is empty"),
    "no labels": ({"candidates": [[1, 2]] * 3}, {}, "training needs clicks"),
    "null": ({"history": [[1], None, [2]]}, {}, "null in row"),
}  # fmt: skip


@pytest.mark.parametrize("what", NOTHING)
def test_rows_without_anything_to_learn(what, numbered, make_recommender, tmp_path):
    rows, parameters, message = NOTHING[what]
    pq.write_table(pa.table({"history": [[1], [2], [3]]} | rows), tmp_path / "a.parquet")
    X = Interactions.from_shards(tmp_path)
    with pytest.raises(ValueError, match=message):
        make_recommender(early_stopping=False, **parameters).fit(X, numbered)


@pytest.mark.parametrize("loss", ["softmax", "bce"])
def test_buffers_without_clicks_or_with_equal_labels(loss, numbered, make_recommender, tmp_path):
    # they must not end training in the middle of an epoch
    rows = {"history": [[1], [2], [3], [4]], "candidates": [[5, 6]] * 4}
    rows["clicked"] = [[0, 0], [0, 0], [1, 1], [0, 1]]
    pq.write_table(pa.table(rows), tmp_path / "a.parquet")
    X = Interactions.from_shards(tmp_path, buffer_size=1)
    rec = make_recommender(loss=loss, early_stopping=False, history_targets=0).fit(X, numbered)
    assert np.isfinite(rec.loss_curve_).all()


def test_unused_columns_warn_once(tables, catalogue, make_recommender, tmp_path):
    table = tables["histories"].append_column("device", pa.array(["tv"] * 192))
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=20)
    X = Interactions.from_shards(tmp_path, buffer_size=20)
    with pytest.warns(UserWarning, match="column 'device' of X is not used") as seen:
        make_recommender(max_epochs=1).fit(X, catalogue)
    assert len([each for each in seen if "device" in str(each.message)]) == 1


def test_ids_of_text_train_too(catalogue, make_recommender, tmp_path, news):
    named = catalogue.assign(item_id=[f"n{i}" for i in catalogue["item_id"]])
    rows = pd.DataFrame({"history": [[f"n{i}" for i in row] for row in news.train["history"]]})
    rows.to_parquet(tmp_path / "a.parquet", row_group_size=33)
    X = Interactions.from_shards(tmp_path, buffer_size=50)
    make = lambda: ContentRecommender(content.ID(), max_epochs=1, random_state=0)  # noqa: E731
    ids, _ = make().fit(X, named).recommend(rows.head(2), k=3)
    assert set(ids.ravel()) <= set(named["item_id"])
