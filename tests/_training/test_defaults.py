"""Rules for parameters that are "auto"."""

import pytest
from tiny_models import save_tiny

import skrec._training.defaults as defaults
from skrec import ContentRecommender, Items, content, predictor, zoo

ITEMS = Items({number: f"word{number % 3}" for number in range(9)})
HISTORIES = [[n % 9, (n + 1) % 9, (n + 4) % 9] for n in range(30)]
IMPRESSIONS = {
    "history": HISTORIES,
    "candidates": [[(n + 5) % 9, (n + 6) % 9] for n in range(30)],
    "clicked": [[1, 0]] * 30,
}


def fit(X, items=ITEMS, **parameters):
    return ContentRecommender(width=4, max_epochs=1, random_state=0, **parameters).fit(X, items)


def test_bare_histories():
    rec = fit(HISTORIES)
    assert repr(rec.content_) == "WithID(dropout=0.2, operator=MeanPooling())"
    assert repr(rec.behavior_) == "MovingAverages(dropout=0.3)"
    assert repr(rec.predictor_) == "Dot()"
    chosen = {name: rec.chosen_[name] for name in ("history_targets", "n_negatives", "co_clicks")}
    assert chosen == {"history_targets": "all", "n_negatives": "all", "co_clicks": True}
    assert (rec.chosen_["batch_size"], rec.chosen_["learning_rate"]) == (16, 5e-3)
    assert rec.prior_ is not None


def test_impressions_read_content_alone():
    rec = fit(IMPRESSIONS)
    assert (repr(rec.content_), repr(rec.predictor_)) == ("MeanPooling()", "Dot(item_bias=True)")
    assert rec.chosen_["history_targets"] == "all"
    assert rec.chosen_["co_clicks"] is True


def test_catalogues_without_columns_have_ids():
    assert isinstance(fit(HISTORIES, Items({"item_id": range(9)})).content_, content.ID)


def test_large_catalogues_are_sampled(monkeypatch):
    monkeypatch.setattr(defaults, "LARGEST_SOFTMAX", 8)
    assert fit(HISTORIES).chosen_["n_negatives"] == 2048


@pytest.mark.parametrize("slow", [{"content": "cnn"}, {"predictor": "mlp"}], ids=str)
def test_slow_operators_have_few_negatives(slow):
    histories, impressions = fit(HISTORIES, **slow).chosen_, fit(IMPRESSIONS, **slow).chosen_
    assert (histories["history_targets"], histories["n_negatives"]) == ("all", 64)
    assert (impressions["history_targets"], impressions["n_negatives"]) == (0, 4)


def test_frozen_language_models_have_many_negatives(monkeypatch, tmp_path):
    monkeypatch.setattr(defaults, "LARGEST_SOFTMAX", 8)
    save_tiny(tmp_path, ["word0 word1 word2"])

    def n_negatives(operator):
        return fit(HISTORIES, content=operator).chosen_["n_negatives"]

    assert n_negatives(content.LanguageModel(str(tmp_path), trainable_layers=0)) == 2048
    assert n_negatives(content.LanguageModel(str(tmp_path), trainable_layers=1)) == 64
    assert n_negatives(content.SideNetwork(str(tmp_path))) == 2048


def test_operators_without_states_learn_one_click_per_row():
    chosen = fit(HISTORIES, behavior="cnn").chosen_
    assert (chosen["history_targets"], chosen["n_negatives"]) == (0, 4)


def test_what_was_given_is_kept():
    rec = fit(HISTORIES, n_negatives=3, predictor=predictor.Dot(2.0), co_clicks=False)
    assert not {"n_negatives", "predictor", "co_clicks"} & set(rec.chosen_)
    assert rec.prior_ is None
    naml = zoo.NAML(width=4, max_epochs=1).fit(IMPRESSIONS, ITEMS)
    assert naml.chosen_["history_targets"] == 0
