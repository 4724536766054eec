"""Inputs that are probably something else: messages say what they are and what to do next."""

import warnings

import numpy as np
import pandas as pd
import pytest
from encoded import encode

from skrec import ContentRecommender, Interactions, Items
from skrec._data.hints import plain, words_of

CATALOGUE = pd.DataFrame({"item_id": [1, 2, 3, 4], "title": ["red fox", "blue sea", "sea", "fox"]})
ITEMS = Items(CATALOGUE)
HISTORIES = pd.DataFrame({"history": [[1, 2], [2, 3]]})


@pytest.fixture
def fit(make_recommender):
    return make_recommender(max_epochs=1, early_stopping=False, width=4).fit


# labels and candidates under another name


@pytest.mark.parametrize(
    "name",
    ["label", "target", "item_id", "rating", "click", "clicks", "news_id", "itemId", "next_item"]
    + ["Label", "movieId", "is_clicked", "is_click", "candidate_ids", "positive", "y", "article"],
)
def test_candidates_and_labels_under_another_name_are_no_bare_histories_in_silence(name):
    with pytest.warns(UserWarning, match=rf"'{name}'"):
        encode(HISTORIES.assign(**{name: [1, 2]}), items=ITEMS)


def test_the_warning_says_what_to_rename(fit):
    X = HISTORIES.assign(item_id=[3, 4], label=[1, 0])
    message = r"columns 'item_id' and 'label' of X are not used.*bare histories.*'candidate' \(one"
    with pytest.warns(UserWarning, match=message):
        fit(X, CATALOGUE)
    with pytest.warns(UserWarning, match=message):
        Interactions(X)


def test_labels_of_bare_histories_are_named():
    with pytest.warns(UserWarning, match="'clicked' of X is not used"):
        encode(HISTORIES.assign(clicked=[1, 0]), items=ITEMS)


def test_columns_that_are_known_or_mean_nothing_cause_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        X = HISTORIES.assign(user_id=[1, 2], time=[1, 2], impression_id=[1, 2], device=["a", "b"])
        encode(X, items=ITEMS)
        encode(X.assign(candidate=[3, 4], item_id=[3, 4], rating=[5, 1]), items=ITEMS)


@pytest.mark.parametrize(
    "columns", [{"candidates": [[3], [4]], "label": [[1], [0]]}, {"candidate": [3, 4], "label": 1}]
)
def test_training_without_clicks_names_the_column_that_may_contain_them(columns):
    with pytest.raises(ValueError, match="'label' contains them, rename it to 'clicked'"):
        encode(HISTORIES.assign(**columns), items=ITEMS, labels="required")


@pytest.mark.filterwarnings("ignore:column 'news_id'")
def test_y_of_histories_names_the_column_that_may_contain_candidates():
    with pytest.raises(ValueError, match="'news_id' contains the candidates, rename it to 'cand"):
        encode(HISTORIES.assign(news_id=[3, 4]), [0, 1], items=ITEMS)


# logs and catalogues in the place of X


@pytest.mark.parametrize(
    ("columns", "named"),
    [
        (["user_id", "item_id"], "user='user_id', item='item_id'"),
        (["item_id", "time"], "item='item_id', time='time'"),
        (["userId", "movieId", "rating"], "user='userId', item='movieId'"),
        (["customer_id", "article_id", "t_dat"], "item='article_id', time='t_dat'"),
        (["reviewerID", "asin", "unixReviewTime"], "time='unixReviewTime'"),
    ],
)
def test_a_log_is_named_by_its_columns(columns, named, fit):
    log = pd.DataFrame({name: [1, 2, 3] for name in columns})
    with pytest.raises(ValueError, match=r"fit takes it with columns=\{") as got:
        fit(log, CATALOGUE)
    assert got.match("impressions_from_clicks\\(log, .*" + named)


@pytest.mark.parametrize("other", [HISTORIES, HISTORIES.history.tolist()])
@pytest.mark.parametrize("catalogue", [CATALOGUE, ITEMS, CATALOGUE.assign(time=[1, 2, 3, 4])])
def test_X_and_the_catalogue_are_swapped(other, catalogue, fit):
    for call in (lambda: fit(catalogue, other), lambda: fit(catalogue, items=other)):
        with pytest.raises((ValueError, TypeError), match=r"rec\.fit\(X, items\)"):
            call()


def test_X_in_the_place_of_the_catalogue(fit):
    with pytest.raises(ValueError, match=r"a column 'history', so it is X: write rec\.fit\(X, it"):
        fit(HISTORIES, items=HISTORIES)


def test_three_positional_arguments(fit):
    X = HISTORIES.assign(candidate=[3, 4])
    with pytest.raises(TypeError, match=r"write rec\.fit\(X, y, items=items\)"):
        fit(X, [0, 1], CATALOGUE)
    rec = fit(X, [0, 1], items=CATALOGUE)
    with pytest.raises(TypeError, match=r"write rec\.score\(X, y, items=items\)"):
        rec.score(X, [0, 1], CATALOGUE)


# lists as text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2]", r"such as '\[1, 2\]'.*CSV.*X\['history'\]\.map\(ast\.literal_eval\)"),
        ("['a', 'b']", r"ast\.literal_eval"),
        ("(1, 2)", r"ast\.literal_eval"),
        ("[]", r"ast\.literal_eval"),
        ("[1 2\n 3]", r"X\['history'\]\.str\.strip\('\[\]'\)\.str\.split\(\)"),
        ("1 2 3", r"X\['history'\]\.str\.split\(\)"),
        ("1,2", r"X\['history'\]\.str\.split\(','\)"),
        ("1|2", r"X\['history'\]\.str\.split\('\|'\)"),
    ],
)
def test_lists_that_a_csv_file_kept_as_text(text, message):
    with pytest.raises(TypeError, match=message):
        encode(pd.DataFrame({"history": [None, text]}), items=ITEMS)


def test_other_columns_and_plain_lists_of_texts():
    with pytest.raises(TypeError, match=r"X\['candidates'\]\.map\(ast"):
        encode(HISTORIES.assign(candidates="[1, 2]"), items=ITEMS)
    with pytest.raises(TypeError, match=r"X\['clicked'\]\.map\(ast"):
        encode(HISTORIES.assign(candidates=[[1], [2]], clicked="[1]"), items=ITEMS)
    with pytest.raises(TypeError, match=r"X\.map\(ast"):
        encode(["[1, 2]", "[3]"], items=ITEMS)


@pytest.mark.parametrize("user", ["u77", 77, np.int64(77)])
def test_a_user_id_is_no_history(user, fitted):
    with pytest.raises(TypeError, match="A user is given by the ids of the clicked items"):
        fitted.recommend(user)


# catalogues by index


def test_catalogues_whose_index_has_the_ids_work_everywhere(fit):
    by_index = CATALOGUE.set_index("item_id")
    wanted = fit(HISTORIES, CATALOGUE).item_vectors()
    for catalogue in (by_index, by_index.title):
        np.testing.assert_array_equal(fit(HISTORIES, catalogue).item_vectors(), wanted)
        np.testing.assert_array_equal(fit(HISTORIES, items=catalogue).item_vectors(), wanted)


def test_an_index_under_another_name_is_explained(fit):
    nameless = CATALOGUE.set_index("item_id").rename_axis(None)
    for call in (lambda: fit(HISTORIES, nameless), lambda: fit(HISTORIES, items=nameless)):
        with pytest.raises(ValueError, match=r"df\.rename_axis\('item_id'\)"):
            call()


# columns of the catalogue


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("Unnamed: 0", [0, 1, 2, 3], r"'Unnamed: 0' of the .* row numbers that to_csv writes"),
        ("index", [0, 1, 2, 3], "'index' of the catalogue looks like the row numbers"),
        ("genre_id", [3, 1, 3, 2], r"'genre_id' .* read as a number.*\{'genre_id': 'category'\}"),
        ("brandId", [3, 1, 3, 2], r"roles=\{'brandId': 'category'\}"),
        ("category", [3, 1, 3, 2], "'category' of the catalogue contains ints"),
        ("price", [1.0, 2.0, 1e300, 3.0], r"'price' of the catalogue contains numbers above 3\.4e"),
        ("price", [1.0, 2.0, -1e39, 3.0], r"'price' of the catalogue contains numbers above 3\.4e"),
    ],
)
def test_numbers_that_are_probably_none_cause_a_hint(name, values, message):
    with pytest.warns(UserWarning, match=message) as seen:
        Items(CATALOGUE.assign(**{name: values}))
    assert seen[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Items(CATALOGUE.assign(**{name: values}), roles={name: "category"})


def test_plain_numbers_cause_no_hint():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Items(CATALOGUE.assign(year=[1999, 2000, 2001, 2002], price=[1.5, 2.0, 1e30, 3.0]))
        Items(CATALOGUE.assign(genre=pd.Categorical([1, 2, 1, 2])))
        ITEMS.extend(Items(CATALOGUE))


def test_huge_numbers_give_finite_vectors(fit):
    catalogue = CATALOGUE[["item_id"]].assign(price=[1.7e308, 1.0, -1.7e308, 1e300])
    with pytest.warns(UserWarning, match="'price'"):
        rec = fit(HISTORIES, catalogue)
    assert np.isfinite(rec.item_vectors()).all()


@pytest.mark.parametrize("roles", [None, {"price": "category"}, {"price": "text"}])
@pytest.mark.parametrize("convert", [lambda cut: cut, list])
def test_intervals_are_explained(roles, convert):
    cut = convert(pd.cut([1.0, 5.0, 9.0, 2.0], [0, 4, 10]))
    with pytest.raises(ValueError, match=r"'price' holds intervals, such as pd\.cut makes"):
        Items(CATALOGUE.assign(price=cut), roles=roles)


def test_names_are_compared_without_separators():
    assert plain("Item_ID") == plain("itemId") == "itemid"
    assert words_of("subGenre_id2") == ["sub", "genre", "id"]


def test_impressions_have_no_columns(fitted, news):
    probabilities = fitted.predict_proba(news.test)
    with pytest.raises(IndexError, match=r"np\.concatenate\(p\)\[:, 1\]"):
        probabilities[:, 1]
    with pytest.raises(IndexError, match="out of bounds"):
        probabilities[10**6]
    assert np.concatenate(probabilities)[:, 1].shape == (sum(map(len, news.test.candidates)),)
    assert news.test.assign(p=probabilities).p.iloc[0].shape == probabilities[0].shape


def test_unfitted_names_its_catalogue():
    with pytest.raises(ValueError, match="fit needs the catalogue"):
        ContentRecommender().fit(HISTORIES)
