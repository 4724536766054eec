"""The estimator as scikit-learn and its users meet it."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.utils import estimator_checks

from skrec import ContentRecommender, Items, behavior, content, predictor, zoo
from skrec.datasets import make_headlines


def test_the_defaults_work_verbatim(news):
    """The first line a user types must train and beat chance on unseen impressions."""
    rec = ContentRecommender().fit(news.train, news.items)
    assert rec.score(news.test) > 0.5


@pytest.mark.parametrize("make", [zoo.NAML, pytest.param(zoo.NRMS, marks=pytest.mark.slow)])
def test_zoo_models_learn_the_known_interests(make):
    news = make_headlines(n_users=100, n_items=300, n_impressions=1500, random_state=0)
    rec = make(width=32, learning_rate=5e-3, random_state=0).fit(news.train, news.items)
    assert rec.score(news.test) > 0.7


def test_constructor_only_assigns_and_clone_keeps_parameters():
    rec = ContentRecommender(content=content.CNN(kernel_size=5), width=32, random_state=3)
    twin = clone(rec)
    assert twin.get_params()["content__kernel_size"] == 5
    assert twin.content is not rec.content
    assert rec.set_params(content__kernel_size=7).content.kernel_size == 7
    assert is_classifier(rec)


def test_fit_leaves_the_operators_it_was_given_alone(news, make_recommender):
    given = content.MeanPooling()
    rec = make_recommender(content=given).fit(news.train, news.items)
    assert not hasattr(given, "schema_")
    assert rec.content is given and rec.content_ is not given


def test_answers_have_one_entry_a_row(news, pairs, fitted):
    """cross_val_predict returns wrong rows in silence otherwise."""
    (train_pairs, _), _ = pairs
    probabilities = fitted.predict_proba(news.test)
    scores = fitted.decision_function(news.test)
    assert probabilities.shape == scores.shape == (len(news.test),)
    for row, p, s in zip(news.test.candidates, probabilities, scores, strict=True):
        assert p.shape == (len(row), 2) and s.shape == (len(row),)
        np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-6)
    assert fitted.predict_proba(train_pairs).shape == (len(train_pairs), 2)
    assert fitted.decision_function(train_pairs).shape == (len(train_pairs),)
    assert fitted.predict(train_pairs).shape == (len(train_pairs),)
    histories = news.test.history.head(5)
    assert fitted.decision_function(histories).shape == (5, 120)
    assert fitted.decision_function(histories).dtype == np.float32
    frame = news.test.assign(p=probabilities)
    assert frame.p.iloc[0].shape == probabilities[0].shape


def test_equally_long_impressions_still_give_an_object_array(fitted, news):
    """numpy would stack them to three dimensions."""
    ids = news.items.item_id.tolist()
    X = pd.DataFrame({"history": [ids[:2]] * 3, "candidates": [ids[2:4]] * 3})
    assert fitted.predict_proba(X).shape == (3,)


def test_impressions_pairs_and_histories_agree(news, pairs, fitted):
    _, (test_pairs, _) = pairs
    by_impression = np.concatenate(fitted.decision_function(news.test))
    np.testing.assert_allclose(by_impression, fitted.decision_function(test_pairs), rtol=1e-5)
    everything = fitted.decision_function(news.test.history)
    columns = fitted.items_.codes(test_pairs.candidate)
    rows = np.repeat(np.arange(len(news.test)), news.test.candidates.map(len))
    np.testing.assert_allclose(by_impression, everything[rows, columns], rtol=1e-4, atol=1e-5)


def test_predict_is_a_probability_of_at_least_one_half(pairs, fitted):
    _, (test_pairs, _) = pairs
    expected = fitted.predict_proba(test_pairs)[:, 1] >= 0.5
    np.testing.assert_array_equal(fitted.predict(test_pairs), expected)


def test_prediction_ignores_clicks(news, fitted):
    flipped = news.test.assign(clicked=[[1 - c for c in row] for row in news.test.clicked])
    for a, b in zip(fitted.predict_proba(news.test), fitted.predict_proba(flipped), strict=True):
        np.testing.assert_array_equal(a, b)
    without = news.test.drop(columns="clicked")
    assert len(fitted.predict_proba(without)) == len(without)


def test_two_fits_with_one_seed_are_equal_bit_for_bit(news, make_recommender):
    parameters = {"content": content.CNN(), "behavior": "self_attention", "random_state": 7}
    first = make_recommender(**parameters).fit(news.train, news.items)
    again = make_recommender(**parameters).fit(news.train, news.items)
    other = make_recommender(**(parameters | {"random_state": 8})).fit(news.train, news.items)
    a, b, c = (rec.transform(news.test.history) for rec in (first, again, other))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)


def test_refitting_forgets_the_first_fit(news, make_recommender):
    rec = make_recommender().fit(news.train, news.items)
    first = rec.transform(news.test.history)
    again = rec.fit(news.train, news.items).transform(news.test.history)
    np.testing.assert_array_equal(first, again)


def test_global_generators_are_untouched(news, make_recommender):
    """REFERENCE bug 13: two estimators in one process must not disturb each other."""
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
    rec = make_recommender().fit(news.train, news.items)
    pickle.loads(pickle.dumps(rec))
    assert torch.equal(torch_state, torch.get_rng_state())
    np.testing.assert_array_equal(numpy_state, np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.parametrize("copier", [copy.deepcopy, lambda rec: pickle.loads(pickle.dumps(rec))])
def test_copies_predict_the_same(copier, news, fitted):
    twin = copier(fitted)
    found, expected = (rec.decision_function(news.test.history) for rec in (twin, fitted))
    # not bit for bit: some CPUs add up numbers in another order where they lie elsewhere in memory
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)
    assert twin.score(news.test) == pytest.approx(fitted.score(news.test))


def test_a_pickle_holds_arrays_and_no_item_vectors(fitted, news):
    fitted.score(news.test)
    state = fitted.__getstate__()
    assert "_encoded_items" not in state
    assert all(isinstance(value, np.ndarray) for value in state["network_"].values())


def test_copies_survive_a_width_that_was_changed_after_fit(fitted, news):
    changed = copy.deepcopy(fitted).set_params(width=99)
    assert copy.deepcopy(changed).transform(news.test.history).shape[1] == 16


def test_unfitted_says_so(news):
    with pytest.raises(NotFittedError, match="not fitted"):
        ContentRecommender().predict(news.test)
    with pytest.raises(NotFittedError, match="not fitted"):
        ContentRecommender().item_vectors()


def test_html_repr_draws_the_operators():
    rec = ContentRecommender(content=content.CNN(), behavior=behavior.SelfAttention())
    html = rec._repr_html_()
    assert "content: CNN" in html and "behavior: SelfAttention" in html


def test_fitted_html_repr(fitted):
    assert "loss_curve_" in fitted._repr_html_()


@pytest.fixture
def no_start(monkeypatch):
    """Leave the weights before training out of the choice of the best ones."""
    monkeypatch.setattr("skrec._training.trainer.Trainer.score_start", lambda self: None)


def test_early_stopping_keeps_the_best_weights(news, make_recommender, no_start):
    common = {"behavior": "additive_attention", "history_targets": 0, "n_iter_no_change": 2}
    rec = make_recommender(max_epochs=8, learning_rate=0.01, **common)
    rec.fit(news.train, news.items)
    assert rec.best_score_ == max(rec.validation_scores_)
    assert len(rec.validation_scores_) == len(rec.loss_curve_) == rec.n_epochs_
    best = int(np.argmax(rec.validation_scores_)) + 1
    assert rec.n_epochs_ == min(best + 2, 8)
    # the same run, cut off at its best epoch, ends with the same weights
    short = make_recommender(max_epochs=best, learning_rate=0.01, **common)
    short.fit(news.train, news.items)
    np.testing.assert_array_equal(
        rec.transform(news.test.history), short.transform(news.test.history)
    )


def test_each_epoch_is_validated_with_its_own_weights(news, make_recommender):
    """Item vectors cached in one epoch must not be read in the next."""
    rec = make_recommender(max_epochs=3, learning_rate=0.01, n_iter_no_change=3)
    scores = rec.fit(news.train, news.items).validation_scores_
    for n_epochs in (1, 2):
        short = make_recommender(max_epochs=n_epochs, learning_rate=0.01, n_iter_no_change=3)
        assert short.fit(news.train, news.items).validation_scores_ == scores[:n_epochs]
        assert short._scorer().monitor("gauc", _held_out(short, news)) == short.best_score_


def _held_out(rec, news):
    """Read the latest tenth of the training rows, as fit does."""
    data, _ = rec._read(news.train, None, labels="required")
    n_held = round(rec.validation_fraction * data.n_rows)
    return data.take(np.argsort(data.time, kind="stable")[-n_held:])


def test_without_early_stopping_all_rows_and_epochs_are_used(news, make_recommender):
    rec = make_recommender(early_stopping=False, max_epochs=3).fit(news.train, news.items)
    assert rec.n_epochs_ == 3
    assert rec.validation_scores_ == [] and np.isnan(rec.best_score_)
    assert rec.calibration_ == (1.0, 0.0)


def test_nan_validation_scores_are_never_the_best(news, make_recommender):
    """REFERENCE bug 15: no held-out group has both classes, so nothing is best, and it says so."""
    always = news.train.assign(
        candidates=[row[:1] for row in news.train.candidates],
        clicked=[[1] for _ in range(len(news.train))],
    )
    rec = make_recommender()
    with pytest.warns(Warning, match="validation score was NaN in every epoch"):
        rec.fit(always, news.items)
    assert np.isnan(rec.best_score_) and rec.n_epochs_ == 2
    assert np.isfinite(rec.transform([[]])).all()


def test_a_loss_that_is_not_finite_raises_with_the_step(news, make_recommender):
    """REFERENCE bug 6: NaN is never replaced by noise."""
    with pytest.raises(ValueError, match=r"the loss became .* in step \d+ of epoch 1"):
        make_recommender(learning_rate=1e30, loss="bce").fit(news.train, news.items)


def test_the_held_out_part_is_the_latest_where_there_are_times(news, make_recommender, no_start):
    """The clicks of the future must not train a model that is judged on the past."""
    late = news.train.time >= news.train.time.quantile(0.9)
    scrambled = news.train.assign(
        clicked=[
            row[::-1] if is_late else row
            for row, is_late in zip(news.train.clicked, late, strict=True)
        ]
    )
    rec = make_recommender(max_epochs=1, validation_fraction=float(late.mean()))
    a = rec.fit(news.train, news.items).transform(news.test.history)
    b = rec.fit(scrambled, news.items).transform(news.test.history)
    np.testing.assert_array_equal(a, b)


def test_calibration_makes_probabilities_of_softmax_scores(news, make_recommender):
    rec = make_recommender(max_epochs=5, learning_rate=0.01).fit(news.train, news.items)
    raw = make_recommender(max_epochs=5, learning_rate=0.01, calibration=None)
    raw.fit(news.train, news.items)
    measures = ["ece", "logloss", "brier"]
    calibrated, uncalibrated = (r.evaluate(news.test, metrics=measures) for r in (rec, raw))
    assert all(calibrated[name] < uncalibrated[name] for name in measures)
    assert rec.score(news.test) == raw.score(news.test)


def test_recommend_gives_the_best_unseen_items(news, fitted):
    histories = news.test.history.head(20).tolist()
    ids, scores = fitted.recommend(histories, k=5)
    assert ids.shape == scores.shape == (20, 5)
    assert (np.diff(scores, axis=1) <= 0).all()
    everything = fitted.decision_function(histories)
    for history, row, best, own in zip(histories, ids, scores, everything, strict=True):
        assert not set(row) & set(history)
        np.testing.assert_allclose(best, own[fitted.items_.codes(row)], rtol=1e-5)
        unseen = np.setdiff1d(fitted.items_.ids, history)
        np.testing.assert_allclose(
            np.sort(own[fitted.items_.codes(unseen)])[-5:][::-1], best, rtol=1e-5
        )


def test_recommend_pads_short_lists(news, fitted):
    ids, scores = fitted.recommend([news.items.item_id.tolist()[:-2]], k=4)
    assert (ids[0, :2] >= 0).all() and (ids[0, 2:] == -1).all()
    assert np.isneginf(scores[0, 2:]).all()
    ids, _ = fitted.recommend([[]], k=200)
    assert ids.shape == (1, 200) and (ids[0, 120:] == -1).all()


def test_string_ids_pad_with_none(make_recommender):
    items = {"a": "red fox", "b": "blue sea", "c": "red sea"}
    rec = make_recommender().fit([["a", "b"], ["b", "c", "a"]], items)
    ids, _ = rec.recommend([["a", "b"]], k=2)
    assert ids.tolist() == [["c", None]]


def test_recommend_can_keep_seen_items(news, fitted):
    ids, _ = fitted.recommend([news.items.item_id.tolist()], k=3, exclude_seen=False)
    assert (ids >= 0).all()


def test_new_users_and_items_get_answers(news, fitted):
    """Content is what makes an unseen item and an empty history answerable."""
    new = pd.DataFrame({"item_id": [1], "title": ["New telescope"], "topic": ["space"]})
    X = pd.DataFrame({"history": [[], [1]], "candidates": [[1], [news.items.item_id[0], 1]]})
    answers = fitted.predict_proba(X, items=new)
    assert [len(answer) for answer in answers] == [1, 2]
    assert all(np.isfinite(answer).all() for answer in answers)
    assert fitted.items_.n_items == 120
    with pytest.raises(ValueError, match="missing from the catalogue"):
        fitted.predict_proba(X)
    ids, _ = fitted.recommend([[]], k=121, items=new)
    assert 1 in ids


def test_items_given_to_a_call_override_the_catalogue(news, fitted):
    changed = news.items.head(1).assign(title="entirely other words")
    history = [news.items.item_id.tolist()[:3]]
    before = fitted.decision_function(history)
    during = fitted.decision_function(history, items=changed)
    assert before[0, 0] != during[0, 0]
    np.testing.assert_array_equal(before, fitted.decision_function(history))


def test_items_are_encoded_once_a_version_of_the_weights(news, fitted):
    """Each item of the catalogue once, then only what a call brings that is new."""
    rec = copy.deepcopy(fitted)
    encoded = []
    rec.network_.content.register_forward_hook(lambda module, x, out: encoded.append(len(out)))
    rec.predict_proba(news.test)
    rec.recommend(news.test.history, k=3)
    assert sum(encoded) == 120
    encoded.clear()
    new = pd.DataFrame({"item_id": [1, 2], "title": ["a", "b"], "topic": ["space", "space"]})
    same = news.items.head(3).assign(topic=news.items.topic.astype(str))
    rec.predict_proba(news.test, items=pd.concat([same, new]))
    assert sum(encoded) == 2
    encoded.clear()
    with torch.no_grad():
        rec.network_.empty_history.add_(1.0)
    rec.predict_proba(news.test)
    assert sum(encoded) == 120


def test_item_vectors_of_the_catalogue_and_of_new_items(news, fitted):
    whole = fitted.item_vectors()
    assert whole.shape == (120, 16)
    np.testing.assert_allclose(
        fitted.item_vectors(items=news.items.iloc[[5, 3]]), whole[[5, 3]], rtol=1e-4, atol=1e-6
    )


def test_a_changed_weight_is_seen_at_once(news, fitted):
    """REFERENCE bugs 2 and 3: cached vectors must not outlive the weights they came from."""
    rec = copy.deepcopy(fitted)
    before = rec.transform(news.test.history)
    with torch.no_grad():
        next(rec.network_.content.parameters()).mul_(2.0)
    assert not np.allclose(before, rec.transform(news.test.history))


@pytest.mark.parametrize("data", ["pairs", "grouped pairs", "histories", "impressions, bce"])
def test_every_kind_of_rows_trains(data, news, pairs, make_recommender):
    (train, y), (test, y_test) = pairs
    rec = make_recommender(max_epochs=6, learning_rate=0.01)
    if data == "pairs":
        columns = ["history", "candidate"]
        rec.fit(train[columns], y, items=Items(news.items))
        assert rec.score(test[columns], y_test) > 0.55
    elif data == "grouped pairs":
        rec.fit(train, y, items=Items(news.items))
        assert rec.score(test, y_test) > 0.55
    elif data == "histories":
        rec.fit(news.train.history, news.items)
        assert 0 <= rec.score(news.test.history) <= 1
    else:
        rec.set_params(loss="bce").fit(news.train, news.items)
        assert rec.score(news.test) > 0.55


def test_grouped_pairs_train_like_their_impressions(news, pairs, make_recommender):
    (train, y), _ = pairs
    a = make_recommender().fit(news.train, news.items).transform(news.test.history)
    b = make_recommender().fit(train, y, items=news.items).transform(news.test.history)
    np.testing.assert_array_equal(a, b)


def test_evaluate_counts_the_groups_it_used(news, fitted):
    one_class = news.test.copy()
    one_class.at[one_class.index[0], "clicked"] = [0] * len(one_class.candidates.iloc[0])
    result = fitted.evaluate(one_class, metrics=["gauc", "ndcg@5"])
    assert result["n_groups_used"] == len(news.test) - 1
    assert fitted.evaluate(news.test) == fitted.evaluate(news.test, metrics="gauc")


def test_history_scores_equal_a_full_ranking(news, fitted):
    """The last click, hidden and ranked over the catalogue, gives the same nDCG as by hand."""
    histories = [row for row in news.test.history if len(row) > 2][:10]
    total = []
    for history in histories:
        scores = fitted.decision_function([history[:-1]])[0].astype(np.float64)
        scores[fitted.items_.codes(np.setdiff1d(history[:-1], history[-1:]))] = -np.inf
        own = scores[fitted.items_.codes(history[-1:])[0]]
        rank = 1 + int((scores > own).sum())
        total.append(1 / np.log2(rank + 1) if rank <= 10 else 0.0)
    found = fitted.evaluate(histories, metrics=["ndcg@10", "gauc"])
    assert found["ndcg@10"] == pytest.approx(np.mean(total), abs=1e-9)
    assert fitted.score(histories) == found["gauc"]


def test_losses_as_scoring_are_negated(news, make_recommender):
    rec = make_recommender(scoring="logloss").fit(news.train, news.items)
    assert rec.score(news.test) == -rec.evaluate(news.test)["logloss"]
    assert max(rec.validation_scores_) <= rec.best_score_ < 0


def test_unknown_items_are_dropped_on_request(news, make_recommender):
    items = Items(news.items.iloc[20:])
    rec = make_recommender(unknown_items="ignore").fit(news.train, items=items)
    missing = news.items.item_id[0]
    np.testing.assert_array_equal(rec.transform([[missing]]), rec.transform([[]]))
    with pytest.raises(ValueError, match="missing from the catalogue"):
        make_recommender().fit(news.train, items=items)


def test_all_roles_train(mixed, make_recommender):
    X = pd.DataFrame(
        {
            "history": [[0, 1], [2], [], [3, 4, 5]],
            "candidates": [[2, 3], [4, 5, 6], [1, 7], [0, 7]],
            "clicked": [[1, 0], [0, 0, 1], [1, 0], [0, 1]],
        }
    )
    for operator in (content.CNN(), content.SelfAttention(), content.MeanPooling(), content.ID()):
        rec = make_recommender(content=operator, early_stopping=False).fit(X, mixed)
        assert np.isfinite(np.concatenate(rec.predict_proba(X))).all()


def test_float64_precision_is_kept(news, make_recommender):
    rec = make_recommender(precision="float64").fit(news.train, news.items)
    assert rec.transform(news.test.history).dtype == np.float64
    assert pickle.loads(pickle.dumps(rec)).transform(news.test.history).dtype == np.float64


def test_cached_and_uncached_scores_agree(news, make_recommender):
    """REFERENCE bug 2: one row at a time, all at once, and after a pickle."""
    rec = make_recommender(content="cnn", precision="float64").fit(news.train, news.items)
    few = news.test.head(8)
    at_once = rec.decision_function(few)
    fresh = pickle.loads(pickle.dumps(rec))
    for i in range(len(few)):
        for model in (rec, fresh):
            alone = model.decision_function(few.iloc[[i]])[0]
            np.testing.assert_allclose(alone, at_once[i], rtol=1e-10, atol=1e-12)


def test_verbose_prints_a_line_an_epoch(news, make_recommender, capsys):
    make_recommender(verbose=1).fit(news.train, news.items)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4 and lines[1].startswith("epoch 1/2: loss ")
    assert lines[0].startswith("training on ")
    assert "; chosen: " in lines[0] and "behavior=MovingAverages(dropout=0.3), " in lines[0]
    assert lines[3].startswith("on the held-out part: gauc ")


def test_an_interrupt_keeps_the_model(news, make_recommender, monkeypatch):
    from skrec._training.trainer import Trainer

    run_epoch = Trainer.run_epoch

    def interrupted(trainer, *functions):
        if trainer.losses:
            raise KeyboardInterrupt
        run_epoch(trainer, *functions)

    monkeypatch.setattr(Trainer, "run_epoch", interrupted)
    rec = make_recommender(max_epochs=5)
    with pytest.warns(UserWarning, match="interrupted in epoch 2"):
        rec.fit(news.train, news.items)
    assert rec.n_epochs_ == 1
    assert np.isfinite(rec.score(news.test))


def test_predictor_with_layers_scores_the_catalogue_in_blocks(news, make_recommender):
    rec = make_recommender(predictor=predictor.MLP((8,))).fit(news.train, news.items)
    everything = rec.decision_function(news.test.history.head(3))
    one = pd.DataFrame(
        {"history": news.test.history.head(3), "candidate": news.items.item_id.head(3).tolist()}
    )
    np.testing.assert_allclose(
        everything[[0, 1, 2], [0, 1, 2]], rec.decision_function(one), rtol=1e-4, atol=1e-6
    )


DATA_FREE_CHECKS = [
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_estimator_tags_renamed",
    "check_estimators_unfitted",
    "check_get_params_invariance",
    "check_mixin_order",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_set_params",
    "check_valid_tag_types",
]


@pytest.mark.parametrize("name", DATA_FREE_CHECKS)
def test_scikit_learn_checks_that_need_no_data(name):
    getattr(estimator_checks, name)("ContentRecommender", ContentRecommender())
