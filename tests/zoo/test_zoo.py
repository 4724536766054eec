"""Published models: each builds, learns, answers, and is what the documentation says."""

import inspect
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone

from skrec import ContentRecommender, behavior, content, predictor, zoo

PRETRAINED = {"PLMNR", "MINER", "ONCE", "IISAN", "UniSRec"}
PUBLISHED = set(
    "NAML NRMS LSTUR PLMNR Fastformer MINER ONCE IISAN PNN DeepFM DCN DIN AutoInt DCNv2 "
    "MaskNet GDCN FinalMLP BST LateFusion UniSRec MINS CAUM NPA CROWN TANR SASRec GRU4Rec".split()
)
NO_USER_VECTOR = {"DIN", "BST", "CAUM", "LateFusion"}
GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "operators.rst"


def make(name, model, **parameters):
    """Make a model, small enough to be fitted in a moment."""
    small = {"width": 16, "max_epochs": 1, "random_state": 0} | parameters
    return getattr(zoo, name)(*([model] if name in PRETRAINED else []), **small)


def unfitted(name, **parameters):
    return make(name, "a/model", **parameters)


@pytest.fixture(scope="module", params=sorted(PUBLISHED))
def trained(request, news, tiny_bert):
    """Every model after an epoch, with its name."""
    return request.param, make(request.param, tiny_bert).fit(news.train, news.items)


def test_all_published_models_are_public():
    assert set(zoo.__all__) == PUBLISHED
    assert all(inspect.isfunction(getattr(zoo, name)) for name in PUBLISHED)
    assert all(vars(zoo)[name].__name__ == name for name in PUBLISHED)


def test_it_answers(trained, news):
    name, rec = trained
    probabilities = rec.predict_proba(news.test)
    assert len(probabilities) == len(news.test)
    scores = np.concatenate([row[:, 1] for row in probabilities])
    assert np.isfinite(scores).all() and scores.std() > 0
    assert 0 < rec.score(news.test) <= 1
    ids, best = rec.recommend([list(news.items.item_id[:3]), []], k=4)
    assert ids.shape == best.shape == (2, 4)
    if name in NO_USER_VECTOR:
        with pytest.raises(ValueError, match="no vector"):
            rec.transform(news.test)
    else:
        assert np.isfinite(rec.transform(news.test)).all()


def test_its_pickle_answers_alike(trained, news):
    _, rec = trained
    again = pickle.loads(pickle.dumps(rec))
    for own, other in zip(
        rec.decision_function(news.test), again.decision_function(news.test), strict=True
    ):
        np.testing.assert_allclose(own, other, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_a_clone_has_its_parameters_and_trains_to_the_same(trained, news):
    _, rec = trained
    twin = clone(rec)
    assert not hasattr(twin, "network_")
    assert repr(twin) == repr(rec)
    twin.fit(news.train, news.items)
    assert twin.loss_curve_ == rec.loss_curve_


def test_its_html_shows_three_operators(trained):
    _, rec = trained
    html = rec._repr_html_()
    for operator in (rec.content, rec.behavior, rec.predictor):
        assert type(operator).__name__ in html


# What the caller names


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_parameters_go_to_the_recommender_and_override_operators(name):
    rec = unfitted(name, width=24, learning_rate=0.5)
    assert type(rec) is ContentRecommender
    assert (rec.width, rec.learning_rate) == (24, 0.5)
    own = rec.get_params(deep=False)
    for family in ("content", "behavior", "predictor"):
        changed = unfitted(name, **{family: "another"}).get_params(deep=False)
        assert changed[family] == "another"
        kept = {"content", "behavior", "predictor"} - {family}
        assert all(repr(changed[other]) == repr(own[other]) for other in kept)


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_two_calls_share_nothing(name):
    """A set_params on one recommender must not reach the next one."""
    first, second = unfitted(name), unfitted(name)
    for family in ("content", "behavior", "predictor"):
        assert getattr(first, family) is not getattr(second, family)


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_a_misspelt_parameter_raises(name):
    with pytest.raises(TypeError, match="widht"):
        unfitted(name, widht=3)


def test_models_read_the_language_model_they_are_given():
    for name in PRETRAINED:
        operator = unfitted(name).content
        assert getattr(operator, "operator", operator).model == "a/model"
    with pytest.raises(TypeError, match="model"):
        zoo.ONCE()


def test_once_trains_adapters_in_split_mode_and_plm_nr_two_layers():
    once, plm = zoo.ONCE("a/model").content, zoo.PLMNR("a/model").content
    assert once.lora and once.trainable_layers == plm.trainable_layers == 2
    assert plm.lora is None


def test_miner_reads_the_category_where_it_is_named(news, tiny_bert):
    rec = make("MINER", tiny_bert, category="topic")
    assert rec.behavior.side_columns == ["topic"]
    assert make("MINER", tiny_bert).behavior.side_columns is None
    rec.fit(news.train.head(40), news.items)
    assert np.isfinite(rec.score(news.test))


def test_unisrec_reads_vector_columns_without_a_language_model(news):
    vectors = np.random.default_rng(0).normal(size=(len(news.items), 5))
    rec = zoo.UniSRec(None, width=16, max_epochs=1, random_state=0)
    rec.fit(news.train, news.items.assign(vector=list(vectors)))
    assert rec.content_.schema_ == 5
    assert np.isfinite(rec.score(news.test))


@pytest.mark.parametrize("name", ["LSTUR", "NPA"])
def test_models_of_users_tell_known_users_apart(name, news):
    train = news.train.assign(user_id=np.arange(len(news.train)) % 7)
    rec = make(name, None, max_epochs=2).fit(train, news.items)
    rows = news.test.head(10)
    known, other, unknown = (
        np.concatenate(rec.decision_function(rows.assign(user_id=user))) for user in (0, 1, 999)
    )
    without = np.concatenate(rec.decision_function(rows.drop(columns="user_id", errors="ignore")))
    assert not np.allclose(known, other) and not np.allclose(known, unknown)
    np.testing.assert_allclose(unknown, without, rtol=1e-4, atol=1e-6)


def test_late_fusion_of_dot_products_is_the_mean(news):
    """The paper's claim in one line: the mean of scores is the score of the mean."""
    late = make("LateFusion", None).fit(news.train, news.items)
    mean = make("LateFusion", None, behavior=behavior.MeanPooling()).fit(news.train, news.items)
    assert isinstance(late.content, content.CNN) and isinstance(late.predictor, predictor.Dot)
    for a, b in zip(
        late.decision_function(news.test), mean.decision_function(news.test), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


# What the documentation says


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_docstring_names_the_paper(name):
    references = inspect.getdoc(getattr(zoo, name)).split("References\n")[1]
    assert re.search(r'"[^"]+",\s+(arXiv \d{4}\.\d{5}|\w[\w-]* .*20\d\d)', references)


def test_the_guides_table_is_true():
    """Each model has a row with the operators it is made of, and its docstring's paper."""
    cell = r"^   \* - :func:`~skrec\.zoo\.(\w+)`\n((?:     - .*\n)+)"
    rows = dict(re.findall(cell, GUIDE.read_text(), re.M))
    assert set(rows) == PUBLISHED
    for name, row in rows.items():
        *operators, paper = re.findall(r"^     - (.*)$", row, re.M)
        rec = unfitted(name)
        parts = {"content": rec.content, "behavior": rec.behavior, "predictor": rec.predictor}
        made = [f"{family}.{type(each).__name__}" for family, each in parts.items()]
        assert operators == [f":class:`~skrec.{each}`" for each in made], name
        references = inspect.getdoc(getattr(zoo, name)).split("References\n")[1]
        assert paper in " ".join(references.split()), name
