"""Logs of clicks in `fit`, and recommenders that remember the histories of users."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.preprocessing import StandardScaler

import skrec
from skrec import ContentRecommender, Items
from skrec.baselines import EASE, ContentKNN, ItemKNN, Popularity
from skrec.datasets import histories_from_clicks, impressions_from_clicks

NAMES = {"user": "uid", "item": "sku", "time": "ts"}
BASELINES = [Popularity, ItemKNN, EASE, ContentKNN]


@pytest.fixture(scope="module")
def log(news):
    rows = [
        (row.user_id, item, row.time)
        for row in news.train.itertuples()
        for item, clicked in zip(row.candidates, row.clicked, strict=True)
        if clicked
    ]
    return pd.DataFrame(rows, columns=["uid", "sku", "ts"]).sample(frac=1, random_state=0)


@pytest.fixture(scope="module")
def catalogue(news):
    return news.items.rename(columns={"item_id": "sku"})


@pytest.fixture(scope="module")
def trained(log, catalogue):
    rec = ContentRecommender(content="mean_pooling", width=16, max_epochs=2, random_state=0)
    return rec.fit(log, catalogue, columns=NAMES)


@pytest.fixture
def rec(trained):
    """Return a copy that a test may change."""
    return pickle.loads(pickle.dumps(trained))


def make(kind):
    if kind is ContentRecommender:
        return kind(content="mean_pooling", width=16, max_epochs=1, random_state=0)
    return kind()


def users_of(rec):
    return rec.histories_["user_id"].to_pylist()


def test_a_log_is_trained_as_the_histories_of_its_users(trained, log, catalogue):
    found = histories_from_clicks(log, user="uid", item="sku", time="ts")
    plain = clone(trained).fit(found.histories, Items(catalogue, id="sku"))
    assert plain.histories_ is None
    X = found.histories.to_pandas()
    users = X.user_id.tolist()
    for rows in (slice(0, 5), slice(-4, None)):
        wanted = plain.recommend(X[rows], k=5)
        ids, scores = trained.recommend(users=users[rows], k=5)
        assert (ids == wanted[0]).all()
        assert (scores == wanted[1]).all()
    # in the order in which users are asked for, and as often
    twice = trained.recommend(users=[users[3], users[0], users[3]], k=2)[1]
    assert (twice == plain.recommend(X.iloc[[3, 0, 3]], k=2)[1]).all()


def test_seen_items_are_left_out(trained, log):
    user = users_of(trained)[0]
    seen = set(log.sku[log.uid == user])
    n_items = trained.items_.n_items
    ids, _ = trained.recommend(users=[user], k=n_items - len(seen))
    assert not seen & set(ids[0])
    assert -1 not in ids[0]


@pytest.mark.parametrize("form", ["polars", "arrow", "mapping", "file", "files"])
def test_every_form_of_a_log(form, log, catalogue, trained, tmp_path):
    table = pa.Table.from_pandas(log, preserve_index=False)
    if form == "polars":
        clicks = pytest.importorskip("polars").from_arrow(table)
    elif form in ("arrow", "mapping"):
        clicks = table if form == "arrow" else table.to_pydict()
    else:
        paths = [tmp_path / f"{at}.parquet" for at in range(2)]
        pq.write_table(table[:99], paths[0])
        pq.write_table(table[99:], paths[1])
        clicks = tmp_path if form == "file" else paths
    popular = Popularity().fit(clicks, catalogue, columns=NAMES)
    assert popular.histories_.equals(trained.histories_)


@pytest.mark.parametrize("time", ["time", "timestamp"])
@pytest.mark.parametrize("by_keyword", [True, False])
def test_unmistakable_columns_need_no_names(time, by_keyword, log, news, capsys):
    clicks = log.rename(columns={"uid": "user_id", "sku": "item_id", "ts": time})
    rec = ContentRecommender(content="mean_pooling", width=16, max_epochs=1, verbose=1)
    if by_keyword:
        rec.fit(clicks, items=Items(news.items))
    else:
        rec.fit(clicks, news.items)
    assert len(rec.histories_) == clicks.user_id.nunique()
    said = f"log of clicks: user='user_id', item='item_id', time='{time}'; {len(log)} clicks of"
    assert said in capsys.readouterr().out


def test_time_may_be_the_order_of_the_rows(log, catalogue):
    ordered = log.sort_values(["ts", "sku"]).drop(columns="ts")
    rec = Popularity().fit(ordered, catalogue, columns={"user": "uid", "item": "sku"})
    assert rec.histories_.column_names == ["user_id", "history"]
    timed = Popularity().fit(log, catalogue, columns=NAMES)
    assert rec.histories_.select(["user_id", "history"]).equals(
        timed.histories_.select(["user_id", "history"])
    )
    rec.update({"uid": [users_of(rec)[0]], "sku": [ordered.sku.iloc[0]]})
    assert rec.histories_["history"][0].as_py()[-1] == ordered.sku.iloc[0]
    anyway = Popularity().fit(log, catalogue, columns=NAMES | {"time": None})
    assert anyway.histories_.column_names == ["user_id", "history"]


@pytest.mark.parametrize(
    ("change", "arguments", "error", "message"),
    [
        (
            {},
            {"columns": NAMES | {"time": "when"}},
            ValueError,
            r"columns\['time'\] is 'when'",
        ),
        ({}, {"columns": {"usr": "uid"}}, ValueError, "the role 'usr' .did you mean 'user'"),
        ({}, {"columns": NAMES | {"user": None}}, TypeError, r"columns\['user'\] must be the name"),
        ({}, {"columns": "uid"}, TypeError, "columns must map roles to names"),
        ({}, {"columns": NAMES, "y": [0, 1]}, ValueError, "y has one value for each row of X, and"),
        ({}, {"columns": NAMES, "sample_weight": [1]}, ValueError, "sample_weight has one value"),
        ({}, {}, ValueError, r"fit takes it with columns=\{'user': 'uid', 'item': 'sku', 'time': "),
        (
            {"history": [[1]] * 2},
            {"columns": NAMES},
            ValueError,
            "has the column 'history'",
        ),
        (
            {"sku": [5, -9]},
            {"columns": NAMES},
            ValueError,
            "ids in X are missing from the catalogue",
        ),
        ({"ts": [5, None]}, {"columns": NAMES}, ValueError, "column 'ts' of clicks has 1 nulls"),
    ],
)
def test_logs_that_can_not_be_fitted(change, arguments, error, message, catalogue):
    log = {"uid": [1, 2], "sku": catalogue.sku[:2], "ts": [1, 2]} | change
    for kind in (ContentRecommender, Popularity):
        with pytest.raises(error, match=message):
            make(kind).fit(pd.DataFrame(log), items=Items(catalogue, id="sku"), **arguments)


def test_rows_that_may_be_no_clicks(news):
    log = {"user_id": [1, 1], "item_id": news.items.item_id[:2], "time": [1, 2], "rating": [5, 1]}
    with pytest.raises(ValueError, match="its column 'rating' may say that some rows"):
        Popularity().fit(log, news.items)
    names = {"user": "user_id", "item": "item_id", "time": "time"}
    assert len(Popularity().fit(log, news.items, columns=names).histories_) == 1


def test_lists_are_no_log(news):
    with pytest.raises(TypeError, match="which is a table; X is of type list"):
        Popularity().fit([[1]], news.items, columns=NAMES)


def test_clicks_without_a_user_are_left_out_with_a_warning(log, catalogue):
    some = log.assign(uid=log.uid.astype(float).where(log.index > 20))
    with pytest.warns(UserWarning, match=f"of {len(log)} clicks, 21 have no user; they are left"):
        rec = Popularity().fit(some, catalogue, columns=NAMES)
    assert sum(map(len, rec.histories_["history"].to_pylist())) == len(log) - 21


def test_unknown_items_are_dropped_on_request(log, catalogue, news):
    few = Items(catalogue[:60], id="sku")
    known = set(few.ids)
    assert not set(log.sku) <= known
    rec = ContentRecommender(
        content="mean_pooling", width=16, max_epochs=1, unknown_items="ignore", random_state=0
    ).fit(log, few, columns=NAMES)
    user = users_of(rec)[:3]
    ids, scores = rec.recommend(users=user, k=3)
    histories = [
        [item for item in row if item in known] for row in rec.histories_["history"].to_pylist()[:3]
    ]
    assert (rec.recommend(histories, k=3)[1] == scores).all()
    rec.update({"uid": user[:1], "sku": [-7], "ts": [log.ts.max()]})
    assert (rec.recommend(users=user, k=3)[1] == scores).all()


# predictions for users


def test_frames_name_the_users(trained, catalogue):
    users = users_of(trained)[:2]
    frame = trained.recommend(users=users, k=2, as_frame=True, columns=["title"])
    assert frame.user.tolist() == [users[0], users[0], users[1], users[1]]
    ids, scores = trained.recommend(users=users, k=2)
    assert frame.sku.tolist() == ids.ravel().tolist()
    assert frame.title.tolist() == catalogue.set_index("sku").title[ids.ravel()].tolist()


def test_users_that_are_not_known(trained, fitted):
    with pytest.raises(ValueError, match=r"2 users are not remembered, among them -5, -6"):
        trained.recommend(users=[users_of(trained)[0], -5, -6])
    with pytest.raises(ValueError, match="no histories are remembered"):
        fitted.recommend(users=[1])
    for arguments in ({}, {"X": [[1]], "users": [1]}):
        with pytest.raises(ValueError, match="recommend needs either X, .* or users"):
            trained.recommend(**arguments)
    with pytest.raises(NotFittedError):
        ContentRecommender().recommend(users=[1])


def test_a_log_is_neither_scored_nor_predicted(trained, log, catalogue):
    message = r"To score, evaluate or search, .*from_clicks\(log, user='uid', item='sku'"
    for call in (trained.score, trained.evaluate, trained.predict, trained.transform):
        with pytest.raises(ValueError, match=message):
            call(log)
    with pytest.raises(ValueError, match=message):
        make(ContentRecommender).partial_fit(log, items=Items(catalogue, id="sku"))
    with pytest.raises(ValueError, match=message):
        skrec.Interactions(log)


@pytest.mark.filterwarnings("ignore:One or more of the test scores")
def test_a_search_over_a_log_has_no_scores(log, catalogue):
    clicks = log.rename(columns={"uid": "user_id", "sku": "item_id", "ts": "time"})
    items = Items(catalogue, id="sku")
    search = GridSearchCV(Popularity(), {"scoring": ["gauc", "mrr"]}, cv=2, refit=False)
    with pytest.warns(UserWarning) as warned:  # scikit-learn's, with the text of our error
        search.fit(clicks, items=items)
    texts = [str(each.message) for each in warned]
    [text] = {each.splitlines()[-1] for each in texts if "Scoring failed" in each}
    assert "To score, evaluate or search" in text and "impressions_from_clicks(log, user=" in text
    assert np.isnan(search.cv_results_["mean_test_score"]).all()
    with pytest.raises(ValueError, match="looks like a log with one click per row"):
        search.set_params(error_score="raise").fit(clicks, items=items)
    with pytest.raises(ValueError, match="looks like a log with one click per row"):
        cross_val_predict(Popularity(), clicks, cv=2, params={"items": items})


def test_from_a_log_to_scores(log, catalogue):
    items = Items(catalogue, id="sku")
    with pytest.warns(UserWarning, match="users have fewer than min_clicks=4 clicks"):
        data = impressions_from_clicks(log, items, **NAMES, min_clicks=4, n_test=1)
    assert data.report["n_rows"] == len(log)
    rec = make(ContentRecommender).fit(data.train, items).update(log, columns=NAMES)
    assert 0 <= rec.score(data.test) <= 1
    assert rec.recommend(users=users_of(rec)[:2], k=3)[0].shape == (2, 3)


# updates


def test_updates_equal_a_fit_on_all_clicks(log, catalogue):
    half = len(log) // 2
    items = Items(catalogue, id="sku")
    rec = ItemKNN().fit(log[:half], items, columns=NAMES)
    similarities = rec.similarities_
    assert rec.update(log[half:]) is rec
    assert rec.histories_.equals(ItemKNN().fit(log, items, columns=NAMES).histories_)
    assert rec.similarities_ is similarities  # nothing is trained


def test_new_items_must_be_added_first(rec, catalogue):
    before = rec.histories_
    click = {"uid": [-1], "sku": [-7], "ts": pd.to_datetime(["2030-01-01"])}
    with pytest.raises(ValueError, match=r"1 items of the new clicks .* -7; add them first"):
        rec.update(click)
    assert rec.histories_ is before
    rec.add_items(catalogue.head(1).assign(sku=-7)).update(click)
    assert rec.recommend(users=[-1], k=1)[0].shape == (1, 1)
    with pytest.raises(NotFittedError):
        ContentRecommender().update(click)


def test_other_names_in_an_update(rec):
    user, item = users_of(rec)[0], int(rec.items_.ids[0])
    click = {"u": [user], "sku": [item], "at": pd.to_datetime(["2030-01-01"])}
    with pytest.raises(ValueError, match="clicks has no column 'uid'"):
        rec.update(click)
    rec.update(click, columns={"user": "u", "time": "at"})
    assert rec.histories_["history"][0].as_py()[-1] == item
    rec.update({"uid": [user], "sku": [item], "ts": pd.to_datetime(["2030-01-02"])})
    assert rec.histories_["history"][0].as_py()[-2:] == [item, item]


def test_forgotten_users(rec):
    users = users_of(rec)
    assert rec.forget_users(users[:2]) is rec
    assert users_of(rec) == users[2:]
    with pytest.raises(ValueError, match="1 users are not remembered"):
        rec.recommend(users=users[:1])
    with pytest.raises(ValueError, match="1 users are not remembered"):
        rec.forget_users(users[:1])


def test_other_rows_are_not_remembered(rec, news, catalogue):
    rec.fit(news.train, Items(catalogue, id="sku"))
    assert rec.histories_ is None


def test_partial_fit_keeps_the_histories(rec, news):
    before = rec.histories_
    assert rec.partial_fit(news.train.head(20)).histories_ is before


def test_clones_remember_nothing(trained):
    assert not hasattr(clone(trained), "histories_")


def test_warm_start_replaces_the_histories(log, catalogue):
    rec = make(ContentRecommender).set_params(warm_start=True)
    rec.fit(log[:100], Items(catalogue, id="sku"), columns=NAMES)
    rec.fit(log[100:], columns=NAMES)
    assert rec.n_epochs_ == 2
    assert sum(map(len, rec.histories_["history"].to_pylist())) == len(log) - 100


# saving and threads


@pytest.mark.parametrize("kind", [ContentRecommender, *BASELINES])
@pytest.mark.parametrize("text", [False, True])
def test_histories_are_saved(kind, text, log, catalogue, tmp_path):
    if text:
        log = log.assign(uid=log.uid.map("u{}".format), sku=log.sku.map("i{}".format))
        catalogue = catalogue.assign(sku=catalogue.sku.map("i{}".format))
    rec = make(kind).fit(log, catalogue, columns=NAMES)
    rec.save(tmp_path / "rec")
    users = users_of(rec)[:4]
    ids, scores = rec.recommend(users=users, k=4)
    for other in (skrec.load(tmp_path / "rec"), pickle.loads(pickle.dumps(rec))):
        assert other.histories_.equals(rec.histories_)
        assert other.histories_.schema.equals(rec.histories_.schema, check_metadata=True)
        found, values = other.recommend(users=users, k=4)
        assert (found == ids).all()
        assert (values == scores).all()
        other.update(log.head(1).assign(uid="new" if text else -1))
        assert len(other.histories_) == len(rec.histories_) + 1


def test_damaged_histories_are_not_loaded(rec, tmp_path):
    rec.histories_ = rec.histories_.take(pa.array([1, 0]))
    with pytest.raises(ValueError, match="histories_ must be None or a table of histories by asc"):
        rec.save(tmp_path / "rec")
    popular = Popularity().fit([[1, 2]], Items({"item_id": [1, 2]}))
    popular.histories_ = pa.table({"a": [1]})
    with pytest.raises(ValueError, match="histories_ must be None or a table of histories by asc"):
        popular.save(tmp_path / "popular")


def test_threads_read_whole_histories_while_others_update(rec, log):
    users = users_of(rec)[:3]
    lengths = dict(zip(users, map(len, rec.histories_["history"].to_pylist()), strict=False))
    item = int(rec.items_.ids[0])

    def read(_):
        ids, scores = rec.recommend(users=users, k=3)
        return ids.shape == (3, 3) and np.isfinite(scores).all()

    def write(day):
        times = [pd.Timestamp("2030-01-01") + pd.Timedelta(days=day)] * 3
        rec.update({"uid": users, "sku": [item] * 3, "ts": times})
        return True

    with ThreadPoolExecutor(6) as pool:
        done = [pool.submit(write if job % 2 else read, job) for job in range(20)]
        assert all(each.result() for each in done)
    found = dict(zip(users, map(len, rec.histories_["history"].to_pylist()), strict=False))
    assert found == {user: n + 10 for user, n in lengths.items()}


def test_clicks_of_a_log_on_unknown_items_are_errors_that_name_what_leaves_them_out():
    log = pd.DataFrame({"user_id": [1, 1, 2], "item_id": [1, 2, 99], "time": [1, 2, 3]})
    items = pd.DataFrame({"item_id": [1, 2], "title": ["red hat", "blue coat"]})
    for model in (ContentRecommender(), Popularity()):
        with pytest.raises(ValueError, match=r"among them 99.*impressions_from_clicks\(clicks, it"):
            model.fit(log, items)
    with pytest.raises(ValueError, match="unknown_items='ignore'$"):  # no log
        ContentRecommender().fit([[1, 99]], items)


# what a log does not have


def with_device(log):
    return log.assign(device=["phone", "desk"] * (len(log) // 2) + ["desk"] * (len(log) % 2))


def test_context_of_a_log_is_not_ignored_in_silence(log, catalogue, recwarn):
    wide = with_device(log).assign(rating=5.0, event_id=np.arange(len(log)))
    fit = {"items": Items(catalogue, id="sku"), "columns": NAMES}
    for context in ("warn", "auto"):
        with pytest.warns(UserWarning, match="column 'device' of the log is not used, because"):
            rec = make(ContentRecommender).set_params(context=context).fit(wide, **fit)
        assert rec.recommend(users=users_of(rec)[:1], k=2)[0].shape == (1, 2)
    for context in (["device"], StandardScaler()):
        with pytest.raises(ValueError, match="can't be read from a log of clicks.*make rows"):
            make(ContentRecommender).set_params(context=context).fit(wide, **fit)
    recwarn.clear()
    make(ContentRecommender).set_params(context=None).fit(wide, **fit)
    make(ContentRecommender).fit(log, **fit)
    assert not recwarn


def test_weights_of_a_log_belong_to_impressions(log, catalogue):
    wide = log.assign(seconds=1.5)
    with pytest.raises(ValueError, match=r"impressions_from_clicks\(log, weight='seconds'\)"):
        ItemKNN().fit(wide, Items(catalogue, id="sku"), columns=NAMES | {"weight": "seconds"})


# explanations


def test_explanations_of_remembered_users(trained, fitted):
    user = users_of(trained)[1]
    history = trained.histories_["history"][1].as_py()
    [item] = trained.recommend(users=[user], k=1)[0][0]
    found, wanted = trained.explain(user=user, item=item), trained.explain(history, item)
    pd.testing.assert_frame_equal(found.clicks, wanted.clicks)
    assert found.score == wanted.score
    with pytest.raises(ValueError, match="1 users are not remembered, among them -5"):
        trained.explain(user=-5, item=item)
    with pytest.raises(ValueError, match="no histories are remembered"):
        fitted.explain(user=1, item=1)
    for arguments in ({"item": item}, {"history": history, "user": user, "item": item}):
        with pytest.raises(ValueError, match="explain needs either history, .* or user"):
            trained.explain(**arguments)
    with pytest.raises(TypeError, match=r"user must be the id of one user, got \[3\]"):
        trained.explain(user=[3], item=item)
    with pytest.raises(TypeError, match="explain takes the id of one item, got None"):
        trained.explain(user=user)
