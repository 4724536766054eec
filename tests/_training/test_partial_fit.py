"""Training in several calls: `partial_fit`, new items, and `warm_start`."""

import copy
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from tiny_models import save_tiny

import skrec
from skrec import ContentRecommender, Items, content, explode, predictor
from skrec._network import Network
from skrec._training import start
from skrec._training.batches import iterate_batches
from skrec._training.losses import batch_loss

PLAIN = {
    "early_stopping": False,
    "learning_rate": 1e-2,
    "behavior": "additive_attention",
    "predictor": "dot",
    "history_targets": 0,
    "n_negatives": 4,
    "negative_sampling": "uniform",
    "batch_size": 64,
}


def scores(rec, X):
    return np.concatenate(rec.decision_function(X))


def weights(rec):
    return {name: value.clone() for name, value in rec.network_.state_dict().items()}


def assert_same_weights(rec, other):
    found = other.network_.trained_state()
    for name, value in rec.network_.trained_state().items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=0)


# partial_fit


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"behavior": "self_attention", "predictor": predictor.MLP((8,), dropout=0.5)},
        {"behavior": "target_attention", "loss": "bce", "weight_decay": 0.1},
        {"n_negatives": 20, "history_targets": 2, "negative_sampling": "popularity"},
        {"precision": "float64"},
        {"precision": "bfloat16"},
    ],
)
@pytest.mark.parametrize("between", ["nothing", "pickle", "folder", "deepcopy"])
def test_epochs_in_pieces_equal_one_fit(news, make_recommender, parameters, between, tmp_path):
    # dropout, shuffling, negatives and optimizer moments must continue where they stopped
    parameters = PLAIN | parameters
    whole = make_recommender(max_epochs=3, **parameters).fit(news.train, news.items)
    rec = make_recommender(**parameters)
    for _ in range(3):
        rec.partial_fit(news.train, news.items)
        if between == "pickle":
            rec = pickle.loads(pickle.dumps(rec))
        if between == "folder":
            rec = skrec.load(rec.save(tmp_path / "model") and tmp_path / "model")
        if between == "deepcopy":
            rec = copy.deepcopy(rec)
    assert_same_weights(whole, rec)
    assert rec.loss_curve_ == whole.loss_curve_
    assert rec.n_epochs_ == 3
    np.testing.assert_array_equal(scores(whole, news.test), scores(rec, news.test))


def test_an_epoch_equals_plain_adamw(news, make_recommender):
    rec = make_recommender(precision="float64", **PLAIN).partial_fit(news.train, news.items)
    network, progress = copy.deepcopy(rec.network_), copy.deepcopy(rec._training_state)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2, weight_decay=0.0)
    for name, weight in network.named_parameters():
        optimizer.state[weight] = progress.moments[name]
    start_of = skrec._training.start.read_inputs(rec, news.train, None, None, None, True)
    examples = start_of.examples(start_of.data, None)
    packed = rec._encoded().packed(network)
    network.train()
    for batch in iterate_batches(examples, rec.batch_size, rec.max_history, progress.rng, 0, 1):
        optimizer.zero_grad()
        outputs = network.outputs(batch, packed, 1 << 16)
        batch_loss("softmax", network, outputs, batch).backward()
        optimizer.step()
    rec.partial_fit(news.train)
    for name, weight in network.named_parameters():
        torch.testing.assert_close(
            rec.network_.get_parameter(name), weight, rtol=0, atol=1e-10, check_dtype=True
        )


def test_parameters_may_change_on_the_way(news, make_recommender):
    rec = make_recommender(**PLAIN).partial_fit(news.train, news.items)
    before = weights(rec)
    rec.set_params(learning_rate=1e-12, batch_size=7).partial_fit(news.train)
    for name, value in rec.network_.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=1e-8)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"width": 8}, "width=8, was 16"),
        ({"behavior": "gru"}, r"behavior=GRU\(\), was AdditiveAttention\(\)"),
        ({"predictor": predictor.Dot(2.0)}, r"predictor.temperature=2.0, was 1.0"),
        ({"precision": "float64"}, "precision='float64', was another than 'float64'"),
    ],
)
@pytest.mark.parametrize("method", ["partial_fit", "fit"])
def test_another_model_is_refused(news, make_recommender, parameters, message, method):
    rec = make_recommender(warm_start=True, **PLAIN).fit(news.train, news.items)
    rec.set_params(**parameters)
    with pytest.raises(ValueError, match=f"can't go on with another model.*{message}"):
        getattr(rec, method)(news.train, items=Items(news.items))


def test_the_first_call_needs_the_catalogue_and_classes_are_checked(news, make_recommender):
    with pytest.raises(ValueError, match="fit needs the catalogue of items"):
        make_recommender().partial_fit(news.train)
    with pytest.raises(ValueError, match=r"classes must be \[0, 1\].* got \[1, 2\]"):
        make_recommender().partial_fit(news.train, news.items, classes=[1, 2])
    rec = make_recommender().partial_fit(news.train, news.items, classes=np.array([0, 1]))
    assert rec.classes_.tolist() == [0, 1]
    assert rec.validation_scores_ == []
    assert rec.calibration_ == (1.0, 0.0)


def test_it_goes_on_from_a_fit_and_keeps_the_calibration(news, make_recommender):
    rec = make_recommender().fit(news.train, news.items)
    before, calibration = weights(rec), rec.calibration_
    n_epochs = rec.n_epochs_
    rec.partial_fit(news.train)
    assert rec.calibration_ == calibration != (1.0, 0.0)
    assert rec.n_epochs_ == n_epochs + 1 == len(rec.loss_curve_)
    moved = [not torch.equal(before[n], w) for n, w in rec.network_.state_dict().items()]
    assert any(moved)
    assert rec.loss_curve_[-1] < rec.loss_curve_[0]


def test_answers_are_those_of_the_new_weights(news, make_recommender):
    rec = make_recommender(**PLAIN).fit(news.train, news.items)
    new = news.items.head(2).assign(item_id=[-1, -2], title=["sea", "sun"])
    X = news.test.head(3).assign(candidates=[[-1, -2]] * 3).drop(columns="clicked")
    scores(rec, news.test)  # fills the caches
    scores_of_new = np.concatenate(rec.decision_function(X, items=new))
    rec.partial_fit(news.train)
    fresh = pickle.loads(pickle.dumps(rec))
    np.testing.assert_array_equal(scores(rec, news.test), scores(fresh, news.test))
    now = np.concatenate(rec.decision_function(X, items=new))
    assert not np.allclose(now, scores_of_new)
    np.testing.assert_array_equal(now, np.concatenate(fresh.decision_function(X, items=new)))


@pytest.mark.parametrize("operator", ["mean_pooling", "id", content.WithID(content.CNN())])
def test_new_items_join_the_catalogue(news, make_recommender, operator):
    rec = make_recommender(content=operator, **PLAIN)
    old = news.items[~news.items.item_id.isin(news.cold_items)]
    rec.partial_fit(news.train, old)
    before = weights(rec)
    assert rec.items_.n_items == len(old)
    rec.partial_fit(news.test, items=news.items)  # with clicks on new items
    assert rec.items_.n_items == len(news.items)
    assert any(not torch.equal(before[n], w) for n, w in rec.network_.state_dict().items())
    kept = rec.items_
    rec.partial_fit(news.test, items=news.items)  # nothing new
    assert rec.items_ is kept
    assert np.isfinite(scores(rec, news.test)).all()
    assert len(rec.recommend([[]], k=120)[0][0]) == 120


def test_new_users_of_a_model_of_users(news, make_recommender):
    reads_users = {"behavior": skrec.behavior.GRU(user_embedding="ini")}
    rec = make_recommender(**(PLAIN | reads_users))
    rec.partial_fit(news.train, news.items)
    strangers = news.train.assign(user_id=news.train.user_id + 10**6)
    known = rec.users_
    rec.partial_fit(strangers)
    assert rec.users_ is known


@pytest.mark.parametrize("kind", ["pairs", "histories"])
def test_every_kind_of_rows(news, make_recommender, kind):
    X, y = explode(news.train) if kind == "pairs" else (news.train.history.tolist(), None)
    rec = make_recommender(**PLAIN).partial_fit(X, y, items=news.items)
    rec.partial_fit(X, y, sample_weight=np.ones(len(X)))
    assert rec.n_epochs_ == 2


# Failures


def assert_untouched(rec, twin, news):
    assert vars(rec).keys() == vars(twin).keys()
    assert_same_weights(rec, twin)
    assert rec.loss_curve_ == twin.loss_curve_
    assert rec.items_.n_items == twin.items_.n_items
    np.testing.assert_array_equal(scores(rec, news.test), scores(twin, news.test))
    rec.partial_fit(news.train)
    twin.partial_fit(news.train)
    assert_same_weights(rec, twin)  # moments and generators are equal, too


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_a_failure_leaves_all_as_it_was(news, make_recommender, monkeypatch, error):
    rec = make_recommender(**PLAIN).partial_fit(news.train, news.items)
    twin = copy.deepcopy(rec)
    scores(rec, news.test), scores(twin, news.test)
    new = news.items.head(2).assign(item_id=[-1, -2])
    forward, calls = Network.outputs, []

    def fail(self, *args):
        calls.append(1)
        if len(calls) == 3:  # after two steps
            raise error
        return forward(self, *args)

    with monkeypatch.context() as patched:
        patched.setattr(Network, "outputs", fail)
        with pytest.raises(error):
            rec.partial_fit(news.train, items=new)
    assert_untouched(rec, twin, news)


def test_bad_rows_and_diverging_training_leave_all_as_it_was(news, make_recommender):
    rec = make_recommender(loss="bce", **PLAIN).partial_fit(news.train, news.items)
    twin = copy.deepcopy(rec)
    scores(rec, news.test), scores(twin, news.test)
    with pytest.raises(ValueError, match="ids in X are missing from the catalogue"):
        rec.partial_fit(news.train.assign(history=[[-5]] * len(news.train)))
    with pytest.raises(ValueError, match="title"):
        rec.partial_fit(news.train, items={"item_id": [-1], "topic": ["a"]})
    with pytest.raises(ValueError, match="the loss became"):
        rec.set_params(learning_rate=1e30).partial_fit(news.train)
    rec.set_params(learning_rate=PLAIN["learning_rate"])
    assert_untouched(rec, twin, news)


def test_a_failed_first_call_leaves_it_unfitted(news, make_recommender):
    rec = make_recommender(loss="bce", learning_rate=1e30)
    with pytest.raises(ValueError, match="the loss became"):
        rec.partial_fit(news.train, news.items)
    assert vars(rec).keys() == vars(clone(rec)).keys()


# warm_start


def test_a_warm_start_goes_on(news, make_recommender):
    whole = make_recommender(max_epochs=4, **PLAIN).fit(news.train, news.items)
    rec = make_recommender(max_epochs=2, warm_start=True, **PLAIN)
    rec.fit(news.train, news.items).fit(news.train, news.items)
    assert_same_weights(whole, rec)
    assert rec.loss_curve_ == whole.loss_curve_
    rec.partial_fit(news.train)
    assert rec.n_epochs_ == 5


def test_without_it_a_second_fit_starts_anew(news, make_recommender):
    rec = make_recommender(**PLAIN).fit(news.train, news.items).partial_fit(news.train)
    once = make_recommender(**PLAIN).fit(news.train, news.items)
    assert_same_weights(once, rec.fit(news.train, news.items))
    assert rec.loss_curve_ == once.loss_curve_
    assert rec._training_state is None  # moments are kept only if they are needed


def test_a_warm_start_stops_early_and_takes_new_items(news, make_recommender):
    old = news.items[~news.items.item_id.isin(news.cold_items)]
    rec = make_recommender(warm_start=True, max_epochs=3, learning_rate=1e-2)
    rec.fit(news.train, old)
    first = rec.n_epochs_
    rec.fit(news.train, news.items)
    assert rec.items_.n_items == len(news.items)
    assert first < rec.n_epochs_ <= first + 3
    assert len(rec.loss_curve_) == len(rec.validation_scores_) == rec.n_epochs_
    assert rec.best_score_ >= max(rec.validation_scores_[first:])  # the start may be the best


def test_a_warm_start_holds_out_the_same_rows(news, make_recommender):
    # otherwise, rows of the first training would be used for validation
    seen = []
    monkey = pytest.MonkeyPatch()
    real = start.hold_out

    def look(data, fraction, rng):
        parts = real(data, fraction, rng)
        seen.append(parts[1].candidate_codes.tolist())
        return parts

    with monkey.context() as patched:
        patched.setattr(start, "hold_out", look)
        rec = make_recommender(warm_start=True)
        rec.fit(news.train, news.items).fit(news.train, news.items)
    assert seen[0] == seen[1]


def test_a_clone_of_a_warm_start_is_unfitted(news, make_recommender):
    rec = make_recommender(warm_start=True, **PLAIN).fit(news.train, news.items)
    again = clone(rec).fit(news.train, news.items)
    assert again.n_epochs_ == rec.n_epochs_ == 2


# Language models


@pytest.mark.parametrize("options", [{"trainable_layers": 1}, {"trainable_layers": 1, "lora": 2}])
def test_frozen_layers_read_only_what_is_new(news, make_recommender, tmp_path, options):
    folder = save_tiny(tmp_path / "lm", news.items.title)
    rec = make_recommender(
        content=content.LanguageModel(folder, **options), memory=tmp_path / "kept", **PLAIN
    )
    rec.partial_fit(news.train, news.items)
    n_kept = skrec.cache.info(tmp_path / "kept").n_items.sum()
    new = news.items.head(2).assign(item_id=[-1, -2], title=["sea sun sea", "sun sea sun"])
    rec.partial_fit(news.train, items=new)
    assert skrec.cache.info(tmp_path / "kept").n_items.sum() == n_kept + 2
    X = news.test.head(2).assign(candidates=[[-1, -2]] * 2).drop(columns="clicked")
    assert np.isfinite(scores(rec, X)).all()
    again = pickle.loads(pickle.dumps(rec)).partial_fit(news.train)
    rec.partial_fit(news.train)
    assert_same_weights(rec, again)


def test_requests_are_routed():
    request = ContentRecommender().get_metadata_routing().partial_fit.requests
    assert request["items"] is True
