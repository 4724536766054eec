"""Generated headlines: shapes, splits, histories, and how well interests predict clicks."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from skrec.datasets import make_headlines


@pytest.fixture(scope="module")
def news():
    return make_headlines(random_state=0)


def rows(news):
    return pd.concat([news.train, news.test], ignore_index=True)


def gauc(frame, scores):
    """Return the mean AUC per impression."""
    return np.mean([roc_auc_score(y, s) for y, s in zip(frame["clicked"], scores, strict=True)])


def topic_codes(news):
    return pd.Series(news.items["topic"].cat.codes.to_numpy(), index=news.items["item_id"])


def assert_same(one, other):
    for name in ("items", "train", "test"):
        pd.testing.assert_frame_equal(one[name], other[name])
    for name in ("interests", "cold_items", "utilities"):
        np.testing.assert_array_equal(one[name], other[name])


def test_shapes_and_columns(news):
    assert news.items.columns.tolist() == ["item_id", "title", "topic"]
    assert len(news.items) == 1000
    assert len(news.train) == 2400
    assert len(news.test) == 600
    assert news.interests.shape == (500, len(news.topics))
    assert news.utilities.shape == (600, 10)
    columns = ["user_id", "time", "impression_id", "history", "candidates", "clicked"]
    assert news.train.columns.tolist() == news.test.columns.tolist() == columns


def test_columns_have_the_types_that_items_reads(news):
    assert pd.api.types.is_string_dtype(news.items["title"])
    assert news.items["topic"].cat.categories.tolist() == news.topics
    assert news.feature_names == ["title", "topic"]


def test_ids_are_not_positions(news):
    ids = news.items["item_id"]
    assert ids.is_unique
    assert ids.min() >= 1000
    assert not ids.is_monotonic_increasing


@pytest.mark.parametrize(
    "seed", [lambda: 7, lambda: np.random.RandomState(7), lambda: np.random.default_rng(7)]
)
def test_same_seed_gives_the_same_data(seed):
    sizes = {"n_users": 20, "n_items": 60, "n_impressions": 50}
    assert_same(*(make_headlines(**sizes, random_state=seed()) for _ in range(2)))


def test_other_seed_gives_other_data():
    one, other = (make_headlines(20, 60, 50, random_state=seed) for seed in (0, 1))
    assert one.train["candidates"].tolist() != other.train["candidates"].tolist()


def test_data_do_not_depend_on_the_global_seed_where_one_is_given():
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    make_headlines(20, 60, 50, random_state=0)
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


def test_every_impression_has_a_click_and_a_skip(news):
    clicked = rows(news)["clicked"]
    assert all(len(row) == 10 and set(row) == {0, 1} for row in clicked)


def test_candidates_are_distinct_and_known(news):
    known = set(news.items["item_id"])
    assert all(len(set(row)) == 10 and known.issuperset(row) for row in rows(news)["candidates"])


def test_train_is_before_test(news):
    frame = rows(news)
    assert frame["time"].is_monotonic_increasing
    assert frame["impression_id"].tolist() == list(range(3000))


def test_cold_items_are_candidates_of_test_and_nothing_else(news):
    cold = set(news.cold_items)
    assert len(cold) == 100
    assert not cold & set(news.train["candidates"].explode())
    assert not cold & set(rows(news)["history"].explode())
    assert cold & set(news.test["candidates"].explode())


def test_histories_grow_with_the_clicks_of_the_user(news):
    cold = set(news.cold_items)
    for _, mine in rows(news).groupby("user_id"):
        for (_, row), after in zip(mine.iterrows(), mine["history"][1:], strict=False):
            pairs = zip(row["candidates"], row["clicked"], strict=True)
            clicks = {item for item, click in pairs if click and item not in cold}
            newest = after[len(after) - len(clicks) :]
            assert set(newest) == clicks
            assert after == (row["history"] + newest)[-50:]


def test_nobody_is_shown_again_what_was_clicked(news):
    frame = rows(news)
    for history, candidates in zip(frame["history"], frame["candidates"], strict=True):
        assert not set(history) & set(candidates)


def test_new_users_have_no_history(news):
    assert (news.train["history"].map(len) == 0).sum() > 10
    assert (news.test["history"].map(len) == 0).sum() > 2


def test_histories_keep_the_last_50_clicks():
    news = make_headlines(n_users=1, n_items=500, n_impressions=100, random_state=0)
    assert max(map(len, news.test["history"])) == 50


def test_user_who_has_clicked_nearly_everything_sees_it_again():
    # 60 impressions of 8 out of 12 items must repeat clicked items, and must not fail
    news = make_headlines(1, 12, 60, n_candidates=8, cold_fraction=0, random_state=0)
    assert all(len(set(row)) == 8 for row in news.train["candidates"])


def test_interests_are_probabilities_with_one_to_three_strong_topics(news):
    np.testing.assert_allclose(news.interests.sum(axis=1), 1)
    assert (news.interests > 0).all()
    n_topics_of_most_interest = (news.interests > 0.15).sum(axis=1)
    assert set(n_topics_of_most_interest) <= {1, 2, 3, 4}
    assert np.isin(n_topics_of_most_interest, [1, 2, 3]).mean() > 0.95


def test_true_utilities_rank_well(news):
    assert 0.9 < gauc(news.test, news.utilities) < 0.98


@pytest.mark.slow
def test_utilities_follow_interests(news):
    code = topic_codes(news)
    scores = [
        news.interests[user, code[candidates]]
        for user, candidates in zip(news.test["user_id"], news.test["candidates"], strict=True)
    ]
    assert 0.85 < gauc(news.test, scores) < gauc(news.test, news.utilities)


def test_topics_of_the_history_predict_clicks(news):
    code = topic_codes(news)
    scores = []
    for history, candidates in zip(news.test["history"], news.test["candidates"], strict=True):
        counts = np.bincount(code[history], minlength=len(news.topics))
        scores.append(counts[code[candidates]])
    assert gauc(news.test, scores) > 0.75


def test_popularity_predicts_little(news):
    shown = news.train.explode(["candidates", "clicked"])
    rate = shown.groupby("candidates")["clicked"].mean()
    mean = shown["clicked"].mean()
    scores = [[rate.get(item, mean) for item in row] for row in news.test["candidates"]]
    assert gauc(news.test, scores) < 0.65


def test_without_noise_the_true_utilities_rank_perfectly():
    news = make_headlines(20, 100, 100, noise=0, random_state=0)
    assert gauc(news.test, news.utilities) == 1


def test_titles_are_nearly_all_distinct_and_complete(news):
    titles = news.items["title"]
    assert titles.nunique() > 980
    assert not titles.str.contains(r"[{}]").any()
    assert (titles.str[0] == titles.str[0].str.upper()).all()


def test_topics_share_words(news):
    # otherwise a single word would give the topic away
    words = news.items.assign(word=news.items["title"].str.lower().str.findall(r"\w+"))
    n_topics = words.explode("word").groupby("word")["topic"].nunique()
    assert (n_topics > 1).mean() > 0.2
    assert (n_topics[["star", "plot", "record", "rain", "score", "launch"]] > 1).all()


def test_items_reads_the_catalogue(news):
    from skrec import Items

    assert Items(news.items).roles == {"title": "text", "topic": "category"}


def test_description_contains_the_numbers(news):
    for text in ("1000 headlines", "500 with", "2400 impressions", "gardening"):
        assert text in news.DESCR


def test_smallest_data_set():
    news = make_headlines(1, 2, 2, n_candidates=2, cold_fraction=0, random_state=0)
    assert len(news.train) == len(news.test) == 1


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_users": 0}, "n_users must be an int of at least 1, got 0"),
        ({"n_items": 1}, "n_items must be an int of at least 2, got 1"),
        ({"n_impressions": 1}, "n_impressions must be an int of at least 2, got 1"),
        ({"n_candidates": 1}, "n_candidates must be an int of at least 2, got 1"),
        ({"cold_fraction": 1.5}, r"cold_fraction must be a number in \[0, 1\), got 1.5"),
        ({"cold_fraction": float("nan")}, r"cold_fraction must be a number in \[0, 1\), got nan"),
        ({"noise": -1}, r"noise must be a number in \[0, inf\), got -1"),
        ({"noise": "much"}, r"noise must be a number in \[0, inf\), got 'much'"),
        ({"n_items": 10}, "n_candidates must be at most 9, the number of items that are not cold"),
    ],
)
def test_parameters_out_of_range(parameters, message):
    with pytest.raises(ValueError, match=message):
        make_headlines(**parameters)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_users": 10.0}, "n_users must be an int of at least 1, got 10.0"),
        ({"n_items": True}, "n_items must be an int of at least 2, got True"),
    ],
)
def test_parameters_of_the_wrong_type(parameters, message):
    with pytest.raises(TypeError, match=message):
        make_headlines(**parameters)
