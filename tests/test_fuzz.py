"""Random inputs of all public entry points: a result without NaN, or an error with our message.

Inputs are valid ones in which a few values, columns or whole arguments are replaced by odd ones.
"""

import linecache
import os
import signal
import sys
import traceback
import warnings
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.exceptions import NotFittedError

import skrec
from skrec import ContentRecommender, Interactions, Items, baselines, explode
from skrec.datasets import impressions_from_clicks
from skrec.metrics import compute

hypothesis = pytest.importorskip("hypothesis")
st = hypothesis.strategies

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

PACKAGE = str(Path(skrec.__file__).parent)
ALLOWED = (ValueError, TypeError, KeyError, IndexError, NotFittedError)
SECONDS = 20  # per input
EXAMPLES = int(os.environ.get("SKREC_FUZZ", "110"))  # per entry point, of which there are many

CATALOGUE = pd.DataFrame(
    {"item_id": [1, 2, 3, 4, 5, 6], "title": ["red", "sea", "fox", "red sea", "sun", "red fox"]}
)

numbers = st.sampled_from(
    [0, 1, -1, 2**31, 2**53, 2**63 - 1, 2**63, -(2**63) - 1, 2**64, 10**30, True, 0.5, 1.0]
    + [1e17, 1e300, float("nan"), float("inf"), np.int8(1), np.float32(2), np.uint64(2**64 - 1)]
)
words = st.sampled_from(["", "a", "1", "[1, 2]", "1 2", "\ud83d", "\0", "é", "None", "x" * 5000])
others = st.sampled_from(
    [None, b"x", pd.NA, pd.NaT, np.nan, np.ma.masked, date(2020, 1, 1), datetime(2020, 1, 1)]
    + [Decimal(1), 1j, object(), pd.Interval(0, 1), {"a": 1}, {1}, ..., range(2), slice(1), len]
)
scalars = st.one_of(st.integers(1, 6), numbers, words, others)
flat = st.one_of(
    st.lists(st.integers(1, 6), max_size=4),
    st.lists(scalars, max_size=3),
    st.sampled_from(
        [
            np.array([1, 2]),
            np.array([1.0, np.nan]),
            np.array([], dtype=float),
            np.ma.array([1, 2], mask=[False, True]),
            pa.array([1, None]),
            pd.Series([1, 2], index=[7, 7]),
            pd.Categorical(["a", None]),
            pd.array([1, None], dtype="Int64"),
            np.array(["a", "\ud83d"]),
            np.array(["2020-01-01"], dtype="datetime64[D]"),
            np.zeros((0, 3)),
            np.zeros((2, 2, 2)),
            np.array(3),
        ]
    ),
)
nested = st.lists(st.one_of(flat, flat, scalars), max_size=4)
anything = st.one_of(scalars, flat, nested, st.dictionaries(words, flat, max_size=3))


def column(valid):
    """A valid column, one with odd cells, or something else."""
    rows = list(valid)
    with_odd_cell = st.tuples(st.integers(0, len(rows) - 1), st.one_of(scalars, flat)).map(
        lambda at: rows[: at[0]] + [at[1]] + rows[at[0] + 1 :]
    )
    return st.one_of(st.just(rows), with_odd_cell, with_odd_cell, nested, flat)


def table(columns, most=2):
    """A table in which up to `most` columns are odd, of one of several types, or missing."""

    def build(names):
        chosen = {
            name: column(values) if name in names[:most] else st.just(list(values))
            for name, values in columns.items()
        }
        return st.tuples(st.fixed_dictionaries(chosen), st.sets(st.sampled_from(list(columns))))

    def convert(made):
        (data, dropped), (kind, drop) = made
        if drop:
            data = {name: values for name, values in data.items() if name not in dropped}
        try:
            return {"dict": dict, "pandas": pd.DataFrame, "arrow": pa.table}[kind](data)
        except Exception:  # such a table does not exist
            return data

    kinds = st.tuples(
        st.sampled_from(["dict", "pandas", "arrow"]), st.sampled_from([False, False, True])
    )
    tables = st.permutations(list(columns)).flatmap(build)
    return st.tuples(tables, kinds).map(convert)


HISTORY = [[1, 2], [3], [], [4, 5, 6]]
impressions = table(
    {
        "history": HISTORY,
        "candidates": [[3, 4], [1, 2], [5, 6, 1], [2, 3]],
        "clicked": [[1, 0], [0, 1], [1, 0, 0], [0, 1]],
        "user_id": [1, 2, 1, 3],
        "impression_id": [1, 2, 3, 4],
        "time": [1, 2, 3, 4],
    }
)
pairs = table({"history": HISTORY, "candidate": [3, 4, 5, 1], "clicked": [0, 1, 1, 0]})
histories = st.one_of(
    st.just(HISTORY), column(HISTORY), table({"history": HISTORY, "label": [1] * 4})
)
X = st.one_of(impressions, pairs, histories, anything)
catalogues = st.one_of(
    table(
        {
            "item_id": [1, 2, 3, 4, 5, 6],
            "title": list(CATALOGUE.title),
            "price": [1.5, 2.0, 3.0, 4.0, 5.0, 6.0],
        }
    ),
    st.just(CATALOGUE),
    st.just(CATALOGUE.set_index("item_id")),
    anything,
)
logs = table(
    {
        "user_id": [1] * 5 + [2] * 5,
        "item_id": [1, 2, 3, 4, 5, 6, 5, 4, 3, 2],
        "time": list(range(10)),
    }
)
lengths = st.one_of(st.integers(1, 8), numbers, words, others)
rarely_odd = st.one_of(st.none(), st.none(), anything)


@contextmanager
def limit(seconds):
    """Interrupt the block after some seconds."""
    if not hasattr(signal, "setitimer"):
        yield
        return

    def stop(*_):
        raise AssertionError(f"no answer after {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def is_ours(error):
    """Whether a `raise` in skrec, or in a check of scikit-learn, raised an allowed error."""
    if not isinstance(error, ALLOWED) or not str(error):
        return False
    if isinstance(error, NotFittedError):
        return True
    frame = traceback.extract_tb(error.__traceback__)[-1]
    line = linecache.getline(frame.filename, frame.lineno or 0).strip()
    return frame.filename.startswith(PACKAGE) and line.startswith("raise")


def has_nan(result):
    """Whether a result contains NaN."""
    if isinstance(result, tuple | list):
        return any(map(has_nan, result))
    if isinstance(result, dict):
        return any(has_nan(value) for name, value in result.items())
    if isinstance(result, np.ndarray) and result.dtype == object:
        return any(has_nan(row) for row in result.ravel() if not isinstance(row, str))
    if isinstance(result, np.ndarray | float) and np.asarray(result).dtype.kind == "f":
        return bool(np.isnan(result).any())
    return False


def try_out(call, *, may_be_undefined=False):
    """Call a function; its answer must have no NaN, and its error must be ours."""
    with limit(SECONDS), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", RuntimeWarning)  # those of NumPy are no messages for users
        try:
            result = call()
        except Exception as error:
            if not is_ours(error):
                frames = traceback.extract_tb(error.__traceback__)[-3:]
                where = " < ".join(f"{f.filename}:{f.lineno}" for f in reversed(frames))
                text = f"{type(error).__name__}: {str(error)[:200]} at {where}"
                raise AssertionError(text) from error
            return
    assert may_be_undefined or not has_nan(result), f"NaN in {str(result)[:200]}"


def check(*strategies):
    """Run a test with many drawn inputs."""

    def wrap(test):
        settings = hypothesis.settings(
            max_examples=EXAMPLES,
            deadline=None,  # `limit` interrupts
            database=None,
            derandomize=True,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        return settings(hypothesis.given(*strategies)(test))

    return wrap


def make():
    return ContentRecommender(
        "mean_pooling", width=4, max_epochs=1, early_stopping=False, random_state=0
    )


@pytest.fixture(scope="module")
def rec():
    X = {"history": HISTORY, "candidates": [[3, 4]] * 4, "clicked": [[1, 0]] * 4}
    return make().fit(X, CATALOGUE)


def test_the_check_itself():
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        try_out(lambda: 1 / 0)
    with pytest.raises(AssertionError, match="ValueError: foreign"):
        try_out(lambda: exec("raise ValueError('foreign')"))
    with pytest.raises(AssertionError, match="NaN"):
        try_out(lambda: {"a": np.array([np.nan])})
    try_out(lambda: make().predict([[1]]))


@check(X, rarely_odd, catalogues, rarely_odd)
def test_fit(X, y, items, sample_weight):
    def call():
        rec = make().fit(X, y, items=items, sample_weight=sample_weight)
        return rec.item_vectors(), rec.recommend([[]], k=2)

    try_out(call)


@pytest.mark.parametrize("name", baselines.__all__)
def test_baselines(name):
    @check(X, rarely_odd, catalogues, rarely_odd)
    def run(X, y, items, sample_weight):
        def call():
            model = getattr(baselines, name)(unknown_items="ignore", random_state=0)
            model.fit(X, y, items=items, sample_weight=sample_weight)
            return model.decision_function([[]]), model.recommend(X, k=2)[1], model.calibration_

        try_out(call)

    run()


@check(scalars, scalars, scalars)
def test_parameters_of_baselines(first, second, third):
    X = pd.DataFrame({"history": HISTORY, "time": range(len(HISTORY))})
    for model in (
        baselines.Popularity(first),
        baselines.ItemKNN(first, shrinkage=second, decay=third),
        baselines.EASE(first, min_clicks=second, max_items=third),
        baselines.EASE(k=first, decay=second, scoring=third),
        baselines.ContentKNN(first, columns=second, validation_fraction=third),
    ):
        try_out(lambda model=model: model.fit(X, CATALOGUE).decision_function(HISTORY))


@pytest.mark.parametrize(
    "method", ["decision_function", "predict_proba", "predict", "transform", "recommend"]
)
def test_prediction(rec, method):
    @check(X, st.one_of(st.none(), st.none(), catalogues))
    def run(X, items):
        try_out(lambda: getattr(rec, method)(X, items=items))

    run()


@pytest.mark.parametrize("method", ["score", "evaluate"])
def test_scores(rec, method):
    @check(X, rarely_odd)
    def run(X, y):
        try_out(lambda: getattr(rec, method)(X, y), may_be_undefined=True)

    run()


def test_lists(rec):
    @check(st.one_of(flat, anything), lengths, rarely_odd)
    def run(ids, k, candidates):
        try_out(lambda: rec.similar_items(ids, k, candidates=candidates))
        try_out(lambda: rec.recommend([[1, 2]], k, candidates=candidates))

    run()


def test_items_of_a_call(rec):
    @check(catalogues)
    def run(items):
        try_out(lambda: rec.item_vectors(items))

    run()


@check(catalogues)
def test_added_items(items):
    try_out(lambda: make().fit([[1, 2], [3, 4]], CATALOGUE).add_items(items).item_vectors())


@check(catalogues, st.one_of(st.just("item_id"), anything), rarely_odd, anything)
def test_items(data, id, roles, ids):
    try_out(lambda: Items(data, id=id, roles=roles).hashes())
    try_out(lambda: Items(CATALOGUE).codes(ids))


@check(X, rarely_odd, anything)
def test_interactions_and_explode(X, y, rows):
    try_out(lambda: Interactions(X, y).shape)
    try_out(lambda: Interactions(HISTORY)[rows])
    try_out(lambda: explode(X)[1])


@check(st.one_of(logs, anything), st.sampled_from([1, 0, 3, -1, 2.5, "a"]))
def test_impressions_from_clicks(log, n):
    def call():
        kept = impressions_from_clicks(log, n_negatives_eval=2, min_clicks=4, n_test=n)
        return kept.test["history"].to_pylist()

    try_out(call)


@check(
    st.sampled_from(["auc", "gauc", "ndcg@2", "logloss", "f1@0.5", "ece", "mrr", "lrap", "x@", 3]),
    column([0, 1, 1, 0]),
    column([0.1, 0.5, 0.9, 0.3]),
    st.one_of(st.none(), column([1, 1, 2, 2])),
)
def test_metrics(name, y, scores, groups):
    try_out(lambda: compute(name, y, scores, groups, scores), may_be_undefined=True)


def test_enough_inputs():
    tests = [name for name in vars(sys.modules[__name__]) if name.startswith("test_")]
    assert EXAMPLES * (len(tests) - 2) > 1000
