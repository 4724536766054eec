"""Learning all clicks of a history in one pass, compared with reading each prefix again."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import skrec._training.blocked_softmax as blocked
import skrec._training.losses as losses
import skrec._training.start as start
from skrec import ContentRecommender, behavior, content, predictor

EXACT = {"rtol": 0, "atol": 1e-10}
CAUSAL = [
    behavior.AdditiveAttention(),
    behavior.AdditiveAttention(decay=0.8),
    behavior.GRU(),
    behavior.GRU(user_embedding="con", user_dropout=0.0),
    behavior.GRU(user_embedding="ini", user_dropout=0.0),
    behavior.LastItem(),
    behavior.MaxPooling(),
    behavior.MeanPooling(),
    behavior.MeanPooling(decay=0.7),
    behavior.MovingAverages(),
    behavior.PolyAttention(3, hidden=4),
    behavior.Transformer(dropout=0.0),
]
ITEMS = {number: f"word{number % 7} thing{number % 11} x{number}" for number in range(40)}


@pytest.fixture(scope="module")
def histories():
    """Return ragged histories, two of them empty and two of them equal."""
    rng = np.random.default_rng(0)
    rows = [rng.permutation(40)[: rng.integers(1, 14)].tolist() for _ in range(12)]
    return [*rows, [], [], rows[3], [5]]


@pytest.fixture(scope="module")
def table(histories):
    return {"history": histories, "user_id": [f"u{n % 5}" for n in range(len(histories))]}


@pytest.fixture(scope="module")
def impressions(histories):
    rng = np.random.default_rng(1)
    rows = [row for row in histories for _ in range(2)]  # two impressions share a history
    return {
        "history": rows,
        "candidates": [rng.permutation(40)[:4].tolist() for _ in rows],
        "clicked": [[0, 1, 0, 0], [1, 0, 0, 1]] * (len(rows) // 2),
        "user_id": [f"u{number % 5}" for number in range(len(rows))],
    }


def train(X, monkeypatch, one_pass, **parameters):
    """Return the losses and weights after two epochs, with one pass or with a pass per prefix."""
    make = start.make_examples
    seen = []

    def again(data, **options):
        examples = make(data, **options | {"one_pass": options["one_pass"] and one_pass})
        seen.append(examples)
        return examples

    monkeypatch.setattr(start, "make_examples", again)
    rec = ContentRecommender(
        content.MeanPooling(),
        width=6,
        batch_size=5,
        history_targets="all",
        co_clicks=False,
        precision="float64",
        max_epochs=2,
        early_stopping=False,
        random_state=0,
        **parameters,
    ).fit(X, ITEMS)
    monkeypatch.undo()
    rng = np.random.default_rng(0)
    windows = seen[0].draw(np.arange(3), seen[0].sampler.draw(rng), rng)
    assert (windows.windows is not None) == one_pass
    return rec


def assert_equal_training(one, other):
    assert_allclose(one.loss_curve_, other.loss_curve_, **EXACT)
    # AdamW divides by the size of the gradient, so rounding errors of tiny ones grow
    for (name, weight), twin in zip(
        one.network_.named_parameters(), other.network_.parameters(), strict=True
    ):
        assert_allclose(weight.detach(), twin.detach(), rtol=0, atol=1e-7, err_msg=name)


@pytest.mark.parametrize("n_negatives", [3, "all"])
@pytest.mark.parametrize("operator", CAUSAL, ids=repr)
@pytest.mark.parametrize("max_history", [50, 4])
def test_one_pass_equals_a_pass_per_prefix(table, monkeypatch, operator, n_negatives, max_history):
    options = {"behavior": operator, "n_negatives": n_negatives, "max_history": max_history}
    runs = [train(table, monkeypatch, one_pass, **options) for one_pass in (True, False)]
    assert_equal_training(*runs)


@pytest.mark.parametrize(
    "operator",
    [behavior.GRU(user_embedding="ini", user_dropout=0.0), behavior.MovingAverages()],
    ids=repr,
)
@pytest.mark.parametrize("n_negatives", [3, "all"])
def test_one_pass_equals_a_pass_per_prefix_beside_impressions(
    impressions, monkeypatch, operator, n_negatives
):
    options = {"behavior": operator, "n_negatives": n_negatives}
    runs = [train(impressions, monkeypatch, p, **options) for p in (True, False)]
    assert_equal_training(*runs)


@pytest.mark.parametrize("loss", ["softmax", "bce", "bpr", "gbce"])
@pytest.mark.parametrize(
    "head", [predictor.Dot(0.5, item_bias=True), predictor.Cosine(), predictor.MLP((4,))], ids=repr
)
def test_losses_of_targets_equal_those_of_rows(histories, monkeypatch, loss, head):
    options = {"loss": loss, "predictor": head, "n_negatives": 6, "negative_sampling": "popularity"}
    runs = [
        train(histories, monkeypatch, p, behavior=behavior.GRU(), **options) for p in (True, False)
    ]
    assert_equal_training(*runs)


@pytest.mark.parametrize("head", [predictor.Dot(item_bias=True), predictor.MLP((4,))], ids=repr)
def test_blocks_of_targets_equal_one_block(histories, monkeypatch, head):
    options = {"behavior": "gru", "predictor": head, "n_negatives": "all"}
    whole = train(histories, monkeypatch, True, **options)
    with monkeypatch.context() as patched:
        patched.setattr(blocked, "BLOCK_CELLS", 100)
        patched.setattr(losses.target_loss, "__defaults__", (100,))
        parts = train(
            histories, monkeypatch, True, behavior="gru", predictor=head, n_negatives="all"
        )
    assert_equal_training(whole, parts)


@pytest.mark.parametrize("kind", ["table", "impressions"])
def test_one_pass_equals_a_pass_per_prefix_with_negatives_of_the_batch(request, monkeypatch, kind):
    X = request.getfixturevalue(kind)
    options = {"behavior": behavior.GRU(), "n_negatives": 9, "negative_sampling": "in_batch"}
    assert_equal_training(*(train(X, monkeypatch, p, **options) for p in (True, False)))


def test_a_row_twice_is_a_row_of_weight_two(histories):
    filled = [row for row in histories if row][:6]
    drawn = []
    for X, weight in (([*filled, filled[0]], None), (filled, [2, 1, 1, 1, 1, 1])):
        rec = ContentRecommender(content.MeanPooling(), behavior.GRU(), n_negatives="all")
        inputs = start.read_inputs(rec, X, None, ITEMS, weight, False)
        examples = inputs.examples(inputs.data, None)
        pool = examples.sampler.draw(np.random.default_rng(0))
        windows = examples.draw(np.arange(len(examples)), pool, np.random.default_rng(0)).windows
        drawn.append(windows.weight / windows.weight.sum())
    assert_allclose(*drawn)


def test_each_click_of_a_history_is_learned_once_beside_impressions(impressions):
    n_clicks = sum(len(row) for row in impressions["history"][::2])
    seen = []
    rec = ContentRecommender(
        content.MeanPooling(), width=6, history_targets="all", max_epochs=1, early_stopping=False
    )
    inputs = start.read_inputs(rec, impressions, None, ITEMS, None, False)
    examples = inputs.examples(inputs.data, None)
    pool = examples.sampler.draw(np.random.default_rng(0))
    for row in range(len(examples)):
        drawn = examples.draw(np.array([row]), pool, np.random.default_rng(0))
        seen.extend(drawn.windows.targets()[2])
    # equal histories of one user are one history
    assert len(seen) == len(set(seen)) <= n_clicks
    assert set(seen) == set(range(len(inputs.data.history_codes)))


def test_operators_say_whether_they_are_causal():
    """Each operator whose module has states is tested above."""
    tested = {type(operator) for operator in CAUSAL}
    for kind in behavior.ALIASES.values():
        operator = kind()
        assert operator.causal == hasattr(operator.build(8, *[2] * operator.reads_users), "states")
        assert operator.causal == (kind in tested), kind
