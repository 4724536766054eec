"""The score that early stopping watches: its metric, its probabilities, its name."""

import numpy as np
import pandas as pd
import pytest
from encoded import encode
from sklearn.metrics import log_loss, roc_auc_score

from skrec._inference.scorer import Scorer
from skrec._training.fit import Validation
from skrec._training.holdout import hold_out


@pytest.mark.parametrize("scoring", ["gauc", "mrr", "recall@20", "ndcg@5", "map"])
def test_scoring_counts_for_bare_histories(news, make_recommender, scoring):
    """The last click is hidden and ranked among the items that the history does not contain."""
    rec = make_recommender(scoring=scoring, max_epochs=1).fit(news.train.history, news.items)
    histories = [row for row in news.test.history if len(row) > 1][:12]
    expected = []
    for history in histories:
        scores = rec.decision_function([history[:-1]])[0]
        shown = np.ones(len(scores), dtype=bool)
        shown[rec.items_.codes(history[:-1])] = False
        target = rec.items_.codes(history[-1:])[0]
        shown[target] = True
        label = (np.arange(len(scores)) == target)[shown]
        rank = 1 + int((scores[shown] > scores[target]).sum())
        by_hand = {
            "gauc": lambda label=label, s=scores[shown]: roc_auc_score(label, s),
            "mrr": lambda rank=rank: 1 / rank,
            "map": lambda rank=rank: 1 / rank,
            "recall@20": lambda rank=rank: float(rank <= 20),
            "ndcg@5": lambda rank=rank: 1 / np.log2(rank + 1) if rank <= 5 else 0.0,
        }
        expected.append(by_hand[scoring]())
    assert rec.score(histories) == pytest.approx(np.mean(expected), abs=1e-9)
    assert rec.evaluate(histories)[scoring] == rec.score(histories)


def test_metrics_of_labels_are_refused_for_bare_histories(news, make_recommender):
    message = "scoring='logloss' needs labelled candidates.*such as 'gauc'"
    with pytest.raises(ValueError, match=message):
        make_recommender(scoring="logloss").fit(news.train.history, news.items)
    rec = make_recommender(scoring="auc", early_stopping=False, max_epochs=1)
    rec.fit(news.train.history, news.items)
    with pytest.raises(ValueError, match="scoring='auc' needs labelled"):
        rec.score(news.test.history)


@pytest.mark.parametrize("scoring", ["logloss", "brier", "ece", "f1@0.5"])
def test_calibrated_probabilities_are_watched(news, make_recommender, scoring):
    # the weights of the co-clicks are chosen after the last epoch
    rec = make_recommender(scoring=scoring, max_epochs=3, learning_rate=1e-2, co_clicks=False)
    rec.fit(news.train, news.items)
    data = encode(news.train, items=rec.items_, labels="required")
    seed = np.random.RandomState(rec.random_state).randint(2**31, size=4)
    held = hold_out(data, rec.validation_fraction, np.random.default_rng(seed))[1]
    # what was watched is what the recommender answers for the held-out rows
    assert rec._scorer().monitor(scoring, held) == pytest.approx(rec.best_score_, abs=1e-6)


def test_calibrated_probabilities_are_watched_on_a_warm_start(news, make_recommender):
    rec = make_recommender(scoring="logloss", max_epochs=3, warm_start=True)
    rec.fit(news.train, news.items)
    rec.calibration_ = (40.0, 9.0)  # a sigmoid that does not fit
    rec.fit(news.train)
    test = rec.evaluate(news.test)["logloss"]
    assert abs(-rec.best_score_ - test) < 0.1


def test_without_calibration_raw_probabilities_are_watched(news, make_recommender):
    rec = make_recommender(scoring="logloss", calibration=None, max_epochs=1)
    rec.fit(news.train, news.items)
    assert rec.calibration_ == (1.0, 0.0)
    scores = np.concatenate(rec.decision_function(news.train)).astype(np.float64)
    labels = np.concatenate(news.train.clicked.tolist())
    raw = log_loss(labels, 1 / (1 + np.exp(-scores)))
    assert -rec.best_score_ == pytest.approx(raw, abs=0.1)


def test_the_printed_line_names_the_metric(news, make_recommender, capsys):
    for scoring, sign in (("gauc", 1), ("logloss", -1)):
        rec = make_recommender(scoring=scoring, max_epochs=1, verbose=1).fit(news.train, news.items)
        line = f"validation {scoring} {sign * rec.validation_scores_[0]:.4f}"
        assert line in capsys.readouterr().out


def test_pairs_without_groups_watch_the_auc(news, make_recommender):
    X = pd.DataFrame({"history": [[0]] * 40, "candidate": list(range(1, 41))})
    X["history"] = [[int(news.items.item_id[0])]] * 40
    X["candidate"] = news.items.item_id[:40].tolist()
    rec = make_recommender(max_epochs=1, validation_fraction=0.5).fit(
        X, [0, 1] * 20, items=news.items
    )
    data = encode(X, [0, 1] * 20, items=rec.items_)
    watched = Validation(rec._scorer(), "gauc", data, "sigmoid")
    assert isinstance(watched.scorer, Scorer)
    assert watched.describe(0.5) == "auc 0.5000"
    assert watched() == pytest.approx(
        roc_auc_score([0, 1] * 20, rec.decision_function(X)), abs=1e-9
    )


def test_training_never_ends_below_where_it_began(news, make_recommender):
    """If each epoch makes the held-out score worse, the weights before training are kept."""
    common = {"learning_rate": 0.3, "max_epochs": 2}
    rec = make_recommender(**common).fit(news.train, news.items)
    untrained = make_recommender(**(common | {"learning_rate": 1e-30})).fit(news.train, news.items)
    assert max(rec.validation_scores_) < rec.best_score_ == untrained.best_score_
    np.testing.assert_array_equal(rec.item_vectors(), untrained.item_vectors())
