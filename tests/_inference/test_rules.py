"""Rules of `recommend`: its lists equal those of plain loops over all scores."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from by_rules import allowed_codes, by_score, greedy, mmr

from skrec import ContentRecommender, Items
from skrec._inference import (
    choice,
    conditions,
    history_ranker,
    limited,
    row_blocks,
    scores,
    selection,
)
from skrec.baselines import EASE, ContentKNN, ItemKNN, Popularity

N = 40
PRICE = pc.field("price")


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    words = rng.choice(["red", "blue", "sea", "fox", "sun"], (N, 3))
    topics = rng.choice(["a", "b", None], N, p=[0.6, 0.2, 0.2])
    return pd.DataFrame(
        {
            "item_id": 100 + rng.permutation(N),
            "title": [" ".join(row) for row in words],
            "topic": pd.Categorical(topics),
            "price": rng.integers(1, 50, N),
        }
    )


@pytest.fixture(scope="module")
def histories(frame):
    rng = np.random.default_rng(1)
    return [rng.choice(frame.item_id, n, replace=False).tolist() for n in (3, 0, 6, 2, 9)]


MODELS = {
    "dot": ContentRecommender("mean_pooling", predictor="dot", width=8, max_epochs=1),
    "co-clicks": ContentRecommender(width=8, max_epochs=1, co_clicks=True),
    "each click": ContentRecommender(behavior="late_fusion", width=8, max_epochs=1),
    "pairs": ContentRecommender("mean_pooling", "target_attention", width=8, max_epochs=1),
    "float64": ContentRecommender("mean_pooling", width=8, max_epochs=1, precision="float64"),
    "popularity": Popularity(),
    "item knn": ItemKNN(),
    "ease": EASE(),
    "content knn": ContentKNN(),
}


@pytest.fixture(scope="module", params=list(MODELS))
def rec(request, frame, histories):
    model = MODELS[request.param]
    return model.set_params(random_state=0).fit(histories, frame)


@pytest.fixture(scope="module")
def model(frame, histories):
    return MODELS["dot"].set_params(random_state=0).fit(histories, frame)


@pytest.fixture(params=[50, 1 << 22], ids=lambda n: f"blocks of {n}")
def blocks(request, monkeypatch):
    for module in (choice, history_ranker, limited, row_blocks, selection):
        monkeypatch.setattr(module, "CELL_BLOCK", request.param)
    monkeypatch.setattr(row_blocks, "ROW_BLOCK", 1)


def assert_lists(rec, found, wanted, totals):
    """Check the lists against codes, up to the order of items whose scores are equal nearly."""
    ids, values = found
    for row, codes in enumerate(wanted):
        count = len(codes)
        assert (ids[row, count:] == -1).all() and np.isneginf(values[row, count:]).all()
        got = rec.items_.codes(ids[row, :count])
        np.testing.assert_allclose(values[row, :count], totals[row][got], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(totals[row][got], totals[row][codes], rtol=1e-4, atol=1e-5)
        assert len(set(got)) == count


def codes_in(rec, ids):
    return rec.items_.codes(ids).tolist()


@pytest.mark.usefixtures("blocks")
def test_candidates_exclude_and_where_for_all_rows(rec, frame, histories):
    totals = rec.decision_function(histories)
    candidates, exclude = frame.item_id[::2], frame.item_id[:10]
    satisfied = (frame.price < 30) & (frame.topic == "a")
    where = (PRICE < 30) & (pc.field("topic") == "a")
    for seen in (True, False):
        found = rec.recommend(
            histories, 7, candidates=candidates, exclude=exclude, where=where, exclude_seen=seen
        )
        wanted = []
        for scores_of_row, history in zip(totals, histories, strict=True):
            codes = allowed_codes(
                N,
                candidates=codes_in(rec, candidates),
                exclude=codes_in(rec, exclude),
                satisfied=satisfied,
                seen=codes_in(rec, history) if seen else (),
            )
            wanted.append(by_score(scores_of_row, codes)[:7])
        assert_lists(rec, found, wanted, totals)


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("with_candidates", [True, False])
def test_rules_per_row(rec, frame, histories, with_candidates):
    rng = np.random.default_rng(2)
    totals = rec.decision_function(histories)
    candidates = [rng.choice(frame.item_id, n).tolist() for n in (30, 40, 0, 1, 30)]
    exclude = [rng.choice(frame.item_id, n).tolist() for n in (5, 0, 9, 9, 2)]
    limits = [10, 40, None, 40, 30]
    where = [None if limit is None else PRICE < limit for limit in limits]
    given = {"candidates": candidates} if with_candidates else {}
    found = rec.recommend(histories, 6, exclude=exclude, where=where, **given)
    wanted = []
    for row, history in enumerate(histories):
        codes = allowed_codes(
            N,
            candidates=codes_in(rec, candidates[row]) if with_candidates else None,
            exclude=codes_in(rec, exclude[row]),
            satisfied=None if limits[row] is None else frame.price < limits[row],
            seen=codes_in(rec, history),
        )
        wanted.append(by_score(totals[row], codes)[:6])
    assert_lists(rec, found, wanted, totals)


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("own", [True, False])
def test_all_rules_together(rec, frame, histories, own):
    has_vectors = isinstance(rec, ContentRecommender | ContentKNN)
    vectors = rec.item_vectors() if isinstance(rec, ContentRecommender) else None
    if isinstance(rec, ContentKNN):
        vectors = rec._vectors.toarray()
    boost = np.linspace(-1, 1, N)
    totals = rec.decision_function(histories) + boost
    candidates = frame.item_id[5:].tolist()
    where, topics = PRICE > 5, [[t] if isinstance(t, str) else [] for t in frame.topic]
    rules = {
        "candidates": [candidates] * len(histories) if own else candidates,
        "where": where,
        "boost": boost,
        "at_most": {"topic": 2},
    }
    codes = [
        allowed_codes(
            N,
            candidates=codes_in(rec, candidates),
            satisfied=frame.price > 5,
            seen=codes_in(rec, history),
        )
        for history in histories
    ]
    limits = [(topics, 2)]
    found = rec.recommend(histories, 8, **rules)
    wanted = [greedy(row, own, 8, limits) for row, own in zip(totals, codes, strict=True)]
    assert_lists(rec, found, wanted, totals)
    if not has_vectors:
        with pytest.raises(ValueError, match="which .* does not have; use ContentKNN or"):
            rec.recommend(histories, 8, diversity=0.1)
        return
    found = rec.recommend(histories, 8, diversity=0.4, **rules)
    wanted = [
        mmr(row, own, 8, 0.4, vectors, limits) for row, own in zip(totals, codes, strict=True)
    ]
    for row, each in enumerate(wanted):
        assert codes_in(rec, found[0][row, : len(each)]) == each
        np.testing.assert_allclose(found[1][row, : len(each)], totals[row][each], rtol=1e-4)


def test_the_rows_own_candidates(model, frame, histories):
    X = pd.DataFrame({"history": histories, "candidates": [[100, 101, 102, 101]] * 4 + [[103]]})
    by_name, by_lists = (
        model.recommend(X, 3, candidates=candidates, exclude_seen=False)
        for candidates in ("row", X["candidates"])
    )
    np.testing.assert_array_equal(by_name[0], by_lists[0])
    assert sorted(by_name[0][0]) == [100, 101, 102]
    assert by_name[0][4].tolist() == [103, -1, -1]
    with pytest.raises(ValueError, match="X has no column 'candidates'"):
        model.recommend(histories, candidates="row")
    pairs = pd.DataFrame({"history": histories, "candidate": [100] * 5})
    with pytest.raises(ValueError, match="X has no column 'candidates'"):
        model.recommend(pairs, candidates="row")


def test_no_diversity_is_the_plain_list(model, histories):
    plain = model.recommend(histories, 9)
    for rules in ({"diversity": 0}, {"diversity": 0.0, "exclude": []}, {"where": pc.scalar(True)}):
        for found, wanted in zip(model.recommend(histories, 9, **rules), plain, strict=True):
            np.testing.assert_array_equal(found, wanted)


def test_data_frames_of_lists_under_rules(model, histories):
    rules = {"boost": "price", "where": PRICE < 30, "at_most": {"topic": 1}, "diversity": 0.3}
    ids, values = model.recommend(histories, 4, **rules)
    frame = model.recommend(histories, 4, **rules, as_frame=True, columns=["price"])
    assert frame["item_id"].tolist() == ids[ids >= 0].tolist()
    np.testing.assert_array_equal(frame["score"], values[ids >= 0])
    assert (frame["price"] < 30).all()
    # the boost is no part of the probability
    wanted = model.predict_proba(histories)[frame["row"], model.items_.codes(frame["item_id"])]
    np.testing.assert_allclose(frame["probability"], wanted, rtol=1e-4)


def test_no_item_is_left(rec, frame, histories):
    for rules in (
        {"where": PRICE > 1000},
        {"where": pc.scalar(None)},
        {"exclude": frame.item_id},
        {"candidates": [[]] * 5},
        {"where": [PRICE > 1000, PRICE > 2000] + [PRICE > 1000] * 3},
        {"where": PRICE > 1000, "at_most": {"topic": 1}, "diversity": 0.5},
        {"candidates": [[]] * 5, "at_most": {"topic": 1}, "diversity": 0.5},
        {"where": [PRICE > 1000, PRICE > 2000] + [PRICE > 1000] * 3, "diversity": 0.5},
    ):
        if "diversity" in rules and not isinstance(rec, ContentRecommender):
            continue
        ids, values = rec.recommend(histories, 3, **rules)
        assert ids.shape == values.shape == (5, 3)
        assert (ids == -1).all() and np.isneginf(values).all()
        made = rec.recommend(histories, 3, **rules, boost="price", as_frame=True)
        assert not len(made) and "probability" in made


def test_candidates_of_rows_are_scored_alone(frame, histories, monkeypatch):
    # a model that reads pairs of a click and a candidate would take long to score the catalogue
    rec = MODELS["pairs"].set_params(random_state=0).fit(histories, frame)
    monkeypatch.setattr(scores, "score_catalogue", None)
    ids, _ = rec.recommend(histories, 2, candidates=[[100, 101]] * 5, exclude_seen=False)
    assert (np.sort(ids) == [100, 101]).all()


def test_string_ids(frame):
    items = {"a": "red fox", "b": "blue sea", "c": "red sea"}
    rec = ContentKNN().fit([["a", "b"], ["b", "c", "a"]], items)
    ids, _ = rec.recommend([["a"], []], k=2, exclude=[["b"], ["a"]], boost={"c": 100})
    assert ids.tolist() == [["c", None], ["c", "b"]]
    ids, _ = rec.recommend([["a"]], k=2, where=pc.field("item_id").isin(["b", "x"]))
    assert ids.tolist() == [["b", None]]


def test_new_items_obey_the_rules(model, frame, histories):
    new = frame.head(1).assign(item_id=[-7], price=[1000])
    ids, _ = model.recommend(histories, 2, items=new, where=PRICE > 500)
    assert ids.tolist() == [[-7, -1]] * 5
    boost = np.zeros(N + 1)
    boost[N] = 100
    ids, values = model.recommend(histories, 1, items=new, boost=boost)
    assert (ids == -7).all() and (values > 50).all()
    with pytest.raises(ValueError, match="boost has 40 numbers, but the catalogue has 41 items"):
        model.recommend(histories, items=new, boost=boost[:N])


# where


def test_equal_conditions_are_evaluated_once(model, histories, monkeypatch):
    evaluated = []
    plain = conditions._satisfied
    monkeypatch.setattr(conditions, "_satisfied", lambda *args: evaluated.append(1) or plain(*args))
    model.recommend(histories * 4, where=[PRICE < 20, PRICE < 30, None, PRICE < 20, None] * 4)
    assert len(evaluated) == 3
    evaluated.clear()
    per_row = model.recommend(histories, where=[PRICE < 20] * 5)
    assert len(evaluated) == 1
    for found, wanted in zip(per_row, model.recommend(histories, where=PRICE < 20), strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_conditions_with_the_same_text_may_differ(frame):
    # pyarrow shortens long sets of values in the text of an expression
    price = frame.price.astype(float)
    sets = [list(range(30)), [*range(14), 50, *range(15, 30)]]
    where = [PRICE.isin([float(value) for value in values]) for values in sets]
    found = conditions.read_where(where, Items(frame), 2)
    for row, values in enumerate(sets):
        np.testing.assert_array_equal(found.hold(slice(row, row + 1))[0], price.isin(values))


def test_null_is_not_satisfied(frame):
    items = Items(frame)
    is_a = frame.topic == "a"
    np.testing.assert_array_equal(conditions.read_where(pc.field("topic") == "a", items, 1), is_a)
    not_a = (frame.topic != "a") & frame.topic.notna()
    np.testing.assert_array_equal(conditions.read_where(pc.field("topic") != "a", items, 1), not_a)


@pytest.mark.parametrize(
    ("where", "error", "message"),
    [
        (pc.field("prize") < 3, ValueError, r"the column 'prize'.*did you mean 'price'.*'item_id'"),
        (PRICE.is_null() | (pc.field("x") > 1), ValueError, "names the column 'x', which the cat"),
        (pc.field("price", "low") < 3, ValueError, "names the column 'price low', which the"),
        (pc.field(9) < 3, ValueError, "names the column '9', which the catalogue lacks"),
        (PRICE, ValueError, r"for each item, but price is double; .*'price' is double"),
        (PRICE + 1, ValueError, "must be true or false for each item, but add_checked"),
        (PRICE == "a", ValueError, "can't be evaluated: .*no kernel.*'price' is double"),
        (pc.field("topic") > 3, ValueError, "can't be evaluated: .*'topic' is large_string"),
        (pc.divide(pc.field("item_id"), 0) > 1, ValueError, "can't be evaluated:.*divide by zero"),
        ("price < 20", TypeError, "must be a pyarrow expression, such as .*got 'price < 20'"),
        (20, TypeError, "must be a pyarrow expression, such as .*got int"),
        ([True] * 5, TypeError, "must be a pyarrow expression.*got bool"),
        (pd.Series([True] * N), TypeError, "must be a pyarrow expression.*got Series"),
        ([PRICE < 3] * 4, ValueError, "where has 4 expressions, but X has 5 rows; give one per"),
    ],
)
def test_bad_conditions_name_the_column(model, histories, where, error, message):
    with pytest.raises(error, match=message):
        model.recommend(histories, where=where)


# boost


def test_all_forms_of_a_boost(model, frame, histories):
    polars = pytest.importorskip("polars")
    price = frame.price.to_numpy().astype(float)
    by_id = dict(zip(frame.item_id.tolist(), price, strict=True))
    totals = model.decision_function(histories) + price
    forms = [
        "price",
        price,
        price.tolist(),
        frame.price,
        frame.price.astype("Int64"),
        polars.Series(price),
        pa.array(price),
        pa.chunked_array([price[:7], price[7:]]),
        by_id,
        dict(reversed(by_id.items())),
        pd.Series(by_id),
        pd.Series(by_id).sample(frac=1, random_state=0),
        frame.set_index("item_id").price,
    ]
    for boost in forms:
        ids, values = model.recommend(histories, 4, boost=boost, exclude_seen=False)
        codes = model.items_.codes(ids.ravel()).reshape(ids.shape)
        assert codes.tolist() == [by_score(row, range(N))[:4] for row in totals]
        np.testing.assert_allclose(values, np.take_along_axis(totals, codes, 1), rtol=1e-5)
    ids, _ = model.recommend(histories, 1, boost=frame.price == 7, exclude_seen=False)
    only = pd.Series([1000.0], pd.Index([103], name="item_id"))
    ids, _ = model.recommend(histories, 1, boost=only, exclude_seen=False)
    assert (ids == 103).all()


def test_a_boost_by_ids_with_a_default_index_needs_its_name(frame, histories):
    # ids 0, 1, 2 in another order than the catalogue look like a default index
    items = pd.DataFrame({"item_id": [2, 0, 1], "title": ["a", "b", "c"]})
    rec = ContentKNN().fit([[0, 1]], items)
    numbers = pd.Series([100.0, 0.0, 0.0])
    assert rec.recommend([[]], 1, boost=numbers)[0].tolist() == [[2]]
    numbers.index.name = "item_id"
    assert rec.recommend([[]], 1, boost=numbers)[0].tolist() == [[0]]


@pytest.mark.parametrize(
    ("boost", "error", "message"),
    [
        ("prize", ValueError, "'prize', which the catalogue lacks .did you mean 'price'"),
        ("topic", ValueError, "needs a column of numbers, and column 'topic' has the role 'categ"),
        ([1.0], ValueError, "boost has 1 numbers, but the catalogue has 40 items; give one number"),
        ([np.nan] + [0.0] * (N - 1), ValueError, "null, NaN or infinite for 1 items, among them"),
        ([None, np.inf] + [0.0] * (N - 2), ValueError, "null, NaN or infinite for 2 items, among"),
        ({103: np.nan}, ValueError, "null, NaN or infinite for 1 items, among them 103; give 0"),
        ({103: None}, ValueError, "null, NaN or infinite for 1 items, among them 103; give 0"),
        ({9: 1.0}, ValueError, "1 ids in boost are missing from the catalogue of 40 items"),
        ({"a": 1.0}, TypeError, "boost"),
        (["a"] * N, TypeError, "boost must be one number per item.*got string"),
        (5, ValueError, "can't read boost"),
        (pd.Series([1.0, 2.0], index=[103, 103]), ValueError, "several numbers for the ids 103"),
        (np.zeros((N, 2)), TypeError, "boost must be one number per item"),
    ],
)
def test_bad_boosts_name_the_items(model, histories, boost, error, message):
    with pytest.raises(error, match=message):
        model.recommend(histories, boost=boost)


# candidates, exclude and diversity that cannot work


@pytest.mark.parametrize(
    ("rules", "error", "message"),
    [
        ({"exclude": [9]}, ValueError, "1 ids in exclude are missing from the catalogue of 40"),
        ({"exclude": [[9]] * 5}, ValueError, "1 ids in exclude are missing from the catalogue"),
        ({"exclude": [[100]]}, ValueError, "exclude has 1 lists, but X has 5 rows"),
        ({"exclude": [[100], None] * 2 + [[]]}, ValueError, "exclude is null in row 1"),
        ({"exclude": 100}, TypeError, "exclude must be a flat sequence of item ids: write .100"),
        ({"exclude": ["a"]}, TypeError, "exclude are str ids"),
        ({"candidates": [[9]] * 5}, ValueError, "1 ids in candidates are missing from the cat"),
        ({"candidates": "rows"}, TypeError, "candidates must be a flat sequence of item ids"),
        ({"candidates": [[1.5]] * 5}, ValueError, "candidates"),
        ({"diversity": 1}, ValueError, r"diversity must be a number in \[0, 1\), got 1"),
        ({"diversity": "0.5"}, ValueError, r"diversity must be a number in \[0, 1\), got '0.5'"),
        ({"at_most": {"topics": 1}}, ValueError, "did you mean 'topic'"),
    ],
)
def test_rules_that_cannot_work(model, histories, rules, error, message):
    with pytest.raises(error, match=message):
        model.recommend(histories, **rules)


def test_unknown_ids_to_leave_out_are_ignored_if_unknown_items_are(frame, histories):
    rec = ItemKNN(unknown_items="ignore").fit(histories, Items(frame))
    plain, _ = rec.recommend(histories, 3)
    first = plain[:, 0].tolist()
    for exclude in ([9, first[0]], [[9, first[0]]] + [[9]] * 4):
        ids, _ = rec.recommend(histories, 2, exclude=exclude)
        assert ids[0].tolist() == plain[0, 1:].tolist()


# similar_items


def test_similar_items_obey_rules(model, frame):
    asked = frame.item_id[:3]
    vectors = model.item_vectors()
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = unit[:3] @ unit.T
    exclude = [[], frame.item_id[3:9].tolist(), frame.item_id[3:30].tolist()]
    ids, values = model.similar_items(asked, 30, exclude=exclude, where=PRICE < 30)
    wanted = [
        by_score(
            cosines[row],
            allowed_codes(
                N, exclude=codes_in(model, exclude[row]), satisfied=frame.price < 30, seen=[row]
            ),
        )[:30]
        for row in range(3)
    ]
    assert_lists(model, (ids, values), wanted, cosines)
    ids, _ = model.similar_items(asked, 30, where=[PRICE < 10, PRICE < 20, None])
    prices = frame.set_index("item_id").price
    assert (prices[ids[0][ids[0] >= 0]] < 10).all() and (ids[2] >= 0).all()
    assert (model.similar_items(asked, 3, where=PRICE > 1000)[0] == -1).all()
    with pytest.raises(TypeError, match="candidates must be a flat sequence of item ids here"):
        model.similar_items(asked, candidates=[[100]] * 3)
    with pytest.raises(ValueError, match="'prize', which the catalogue lacks"):
        model.similar_items(asked, where=pc.field("prize") < 3)
