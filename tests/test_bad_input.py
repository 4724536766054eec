"""What can be wrong is said at the start of fit, with what was got and what to do."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch

from skrec import ContentRecommender, Items, behavior, content, predictor, zoo

ITEMS = {"item_id": [1, 2, 3, 4], "title": ["red fox", "blue sea", "red sea", "fox"]}
X = pd.DataFrame(
    {
        "history": [[1, 2], [], [3]],
        "candidates": [[3, 4], [1, 2], [4, 1]],
        "clicked": [[1, 0], [0, 1], [0, 1]],
    }
)
PAIRS = pd.DataFrame({"history": [[1], [2]], "candidate": [2, 3]})


def fit(X=X, y=None, items=ITEMS, **parameters):
    parameters = {"max_epochs": 1, "early_stopping": False} | parameters
    return ContentRecommender(**parameters).fit(X, y, items=items)


def test_the_data_themselves_are_fine():
    """Otherwise the tests below could fail for another reason than they say."""
    fit()
    fit(PAIRS, [0, 1])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"scoring": "gacu"}, r"unknown metric 'gacu'; did you mean 'gauc'"),
        ({"scoring": "ndcg"}, r"write 'ndcg@10'"),
        ({"scoring": "roc_auc"}, r"unknown metric 'roc_auc'.*Valid names are"),
        ({"content": "cn"}, r"content must be .* got 'cn'.*did you mean 'cnn'\?"),
        ({"behavior": "attention"}, r"behavior must be .* one of 'additive_attention'"),
        ({"predictor": "dott"}, r"got 'dott'.*did you mean 'dot'\?"),
        ({"batch_size": -10}, r"batch_size must be a positive int, got -10"),
        ({"width": 0}, r"width must be a positive int, got 0"),
        ({"width": 6.5}, r"width must be a positive int, got 6\.5"),
        ({"max_epochs": True}, r"max_epochs must be a positive int, got True"),
        ({"max_history": -1}, r"max_history must be a positive int, got -1"),
        ({"n_negatives": 0}, r"n_negatives must be a positive int, got 0"),
        ({"n_iter_no_change": 0}, r"n_iter_no_change must be a positive int"),
        ({"learning_rate": 0}, r"learning_rate must be a number in \(0, inf\), got 0"),
        ({"learning_rate": float("nan")}, r"learning_rate must be a number"),
        ({"learning_rate": "1e-3"}, r"learning_rate must be a number .* got '1e-3'"),
        ({"weight_decay": -1.0}, r"weight_decay must be a number in \[0, inf\), got -1\.0"),
        ({"validation_fraction": 1.0}, r"validation_fraction must be a number in \(0, 1\)"),
        ({"loss": "hinge"}, r"loss must be one of None, 'softmax', 'bpr', 'bce', 'gbce', got 'h"),
        ({"calibration": "isotonic"}, r"calibration must be one of 'sigmoid', None"),
        ({"unknown_items": "drop"}, r"unknown_items must be one of 'raise', 'ignore'"),
        ({"negative_sampling": "hard"}, r"negative_sampling must be one of 'auto', 'uniform', "),
        ({"precision": "half"}, r"precision must be one of 'auto'"),
        ({"early_stopping": "yes"}, r"early_stopping must be one of True, False"),
        ({"device": "gpu"}, r"device must be None or a device such as 'cpu'.*got 'gpu'"),
        ({"verbose": -1}, r"verbose must be a non-negative int"),
        ({"content": content.CNN(kernel_size=4)}, r"kernel_size must be odd, got 4"),
        ({"content": content.CNN(["titel"])}, r"names 'titel', .*did you mean 'title'\?"),
        ({"content": content.CNN("title")}, r"columns must be a list of column names"),
        ({"behavior": behavior.SelfAttention(7)}, r"n_heads must divide width=64, got n_heads=7"),
        ({"predictor": predictor.MLP(())}, r"hidden must be a sequence of layer sizes"),
        ({"predictor": predictor.Dot(0)}, r"temperature must be a number in \(0, inf\), got 0"),
    ],
)
def test_parameters_that_can_not_work(parameters, message):
    """REFERENCE bug 14: no option is accepted in silence."""
    with pytest.raises(ValueError, match=message):
        fit(**parameters)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"content": behavior.MeanPooling()}, r"content must be a content operator such as"),
        ({"behavior": predictor.Dot()}, r"behavior must be a behavior operator .* got Dot\(\)"),
        ({"predictor": content.CNN()}, r"predictor must be a predictor"),
        ({"content": content.CNN}, r"write CNN\(\) with parentheses"),
        ({"content": 3}, r"content must be a content operator"),
    ],
)
def test_operators_of_the_wrong_family(parameters, message):
    with pytest.raises(TypeError, match=message):
        fit(**parameters)


def test_float16_is_refused_on_the_cpu():
    with pytest.raises(ValueError, match="precision='float16' needs a GPU, got device='cpu'"):
        fit(precision="float16", device="cpu")


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (X.rename(columns={"history": "histroy"}), None, r"no column 'history'.*is it 'histroy'"),
        (X.drop(columns="clicked"), None, r"training needs clicks: give a 'clicked' column"),
        (PAIRS, None, r"training needs clicks.*or y with 0/1"),
        (PAIRS, [0, 1, 1], r"X has 2 rows but y has 3 labels"),
        (PAIRS, [0, 2], r"y must be 0/1 labels, got the values 0, 2"),
        (PAIRS, ["no", "yes"], r"y must be 0/1 labels"),
        (PAIRS, [0.0, float("nan")], r"y must be 0/1 labels"),
        (PAIRS.assign(clicked=[0, 1]), [1, 0], r"y differs from the 'clicked' column"),
        (X, [0, 1, 1], r"y goes with pairs"),
        (X.assign(candidate=[1, 2, 3]), None, r"both 'candidate' and 'candidates'"),
        (X.assign(clicked=[[1], [0, 1], [0, 1]]), None, r"row 0 has 2 candidates but 1 labels"),
        (X.assign(clicked=[[0, 0]] * 3), None, r"none of the .* candidates was clicked"),
        (X.assign(clicked=[[0, -3]] * 3), None, r"'clicked' must be 0/1 labels.* got -3 in row 0"),
        (X.assign(history=[[1], [99], [98, 99]]), None, r"3 ids in X are missing .* 99"),
        (X.assign(history=[[1], None, [2]]), None, r"null in row 1; write an empty list"),
        (X.head(0), None, r"no rows"),
        ([[], []], None, r"every history is empty"),
        ([], None, r"no rows"),
    ],
)
def test_rows_that_break_the_contract(X, y, message):
    with pytest.raises(ValueError, match=message):
        fit(X, y)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ("abc", r"write \[\[3, 8, 1\]\]"),
        ([1, 2, 3], r"\[\[3, 8, 1\]\].*flat"),
        (["a", "b"], r"\[\[3, 8, 1\]\]"),
        (np.array([1, 2, 3]), r"\[\[3, 8, 1\]\].*flat"),
        (7, r"\[\[3, 8, 1\]\]"),
        (X.assign(history=[1, 2, 3]), r"'history' must hold a list of ids"),
        (X.assign(history=["a", "b", "c"]), r"'history' must hold a list of ids"),
        (X.assign(candidates=[1, 2, 3]), r"for one id a row call it 'candidate'"),
        (PAIRS.assign(candidate=[[1], [2]]), r"call it 'candidates'"),
        (X.assign(history=[["1"], ["2"], ["3"]]), r"history.*str ids .*the catalogue's are int"),
    ],
)
def test_rows_of_the_wrong_type(X, message):
    with pytest.raises(TypeError, match=message):
        fit(X)


@pytest.mark.parametrize(
    ("items", "message"),
    [
        (None, r"fit needs the catalogue.*rec\.fit\(histories, items\)"),
        (pd.DataFrame(ITEMS).head(0), r"catalogue is empty"),
        (ITEMS | {"item_id": [1, 1, 2, 3]}, r"duplicate: 1"),
        (ITEMS | {"item_id": [1, None, 2, 3]}, r"ids are null"),
        (ITEMS | {"price": [1.0, float("nan"), 2.0, 3.0]}, r"'price' holds 1 null, NaN or inf"),
        ({"id": [1, 2, 3, 4], "title": ["a"] * 4}, r"no id column 'item_id'"),
        (pd.DataFrame(ITEMS).assign(t=pd.Timestamp("2020-01-01")), r"'t' holds dates"),
    ],
)
def test_catalogues_that_can_not_be_read(items, message):
    with pytest.raises(ValueError, match=message):
        fit(items=items)


def test_a_catalogue_without_columns_needs_ids():
    ids = Items({"item_id": [1, 2, 3, 4]})
    with pytest.raises(ValueError, match="no column besides 'item_id'"):
        fit(items=ids, content="cnn")
    assert type(fit(items=ids).content_) is content.ID


def test_two_catalogues():
    with pytest.raises(ValueError, match="two catalogues"):
        fit(y=Items(ITEMS), items=Items(ITEMS))


def test_a_table_of_other_things_in_the_place_of_y():
    with pytest.raises(ValueError, match=r"needs the id column 'item_id', or give items="):
        fit(PAIRS, pd.DataFrame({"a": [0, 1], "b": [1, 1]}))


def test_a_catalogue_with_another_id_column_in_the_place_of_y():
    with pytest.raises(
        ValueError, match=r"no id column 'item_id', only 'id', 'title'.*id='.*columns="
    ):
        ContentRecommender().fit(X, pd.DataFrame({"id": [1], "title": ["a"]}))


def test_unknown_items_ignore_takes_items_only():
    with pytest.raises(TypeError, match=r"items=Items\(df\)"):
        fit(unknown_items="ignore")


def test_misspelt_columns_warn():
    with pytest.warns(UserWarning, match=r"'usr_id' of X is not used.*did you mean 'user_id'\?"):
        fit(X.assign(usr_id=[1, 2, 3]))


def test_softmax_needs_groups():
    with pytest.raises(ValueError, match="'impression_id' column, or take loss='bce'"):
        fit(PAIRS, [0, 1], loss="softmax")


def test_one_class_of_pairs():
    with pytest.raises(ValueError, match="all .* labels are 1"):
        fit(PAIRS, [1, 1])


def test_nested_keys_on_an_alias():
    with pytest.raises(ValueError, match=r"pass predictor=predictor\.Dot\(temperature=\.\.\.\)"):
        ContentRecommender().set_params(predictor__temperature=0.1)
    rec = ContentRecommender().set_params(predictor=predictor.Dot(), predictor__temperature=0.1)
    assert rec.predictor.temperature == 0.1


def test_misspelt_parameters():
    with pytest.raises(ValueError, match="Invalid parameter 'widht'"):
        ContentRecommender().set_params(widht=3)
    with pytest.raises(TypeError, match="widht"):
        zoo.NAML(widht=3)


@pytest.fixture(scope="module")
def rec():
    return fit()


def test_misspelt_metrics_of_evaluate(rec):
    with pytest.raises(ValueError, match="did you mean 'mrr'"):
        rec.evaluate(X, metrics=["mr"])


def test_grouped_metrics_of_ungrouped_pairs(rec):
    with pytest.raises(ValueError, match="impression_id"):
        rec.evaluate(PAIRS, [0, 1], metrics="gauc")


def test_pointwise_metrics_of_histories(rec):
    with pytest.raises(ValueError, match="'auc' needs labelled candidates"):
        rec.evaluate([[1, 2]], metrics="auc")


def test_empty_histories_have_no_last_click(rec):
    with pytest.raises(ValueError, match="no last click"):
        rec.score([[], []])


def test_score_needs_clicks(rec):
    with pytest.raises(ValueError, match="clicks"):
        rec.score(X.drop(columns="clicked"))


def test_k_must_be_positive(rec):
    with pytest.raises(ValueError, match="k must be a positive int, got 0"):
        rec.recommend([[1]], k=0)


def test_too_many_cells(rec, monkeypatch):
    monkeypatch.setattr("skrec._inference.ranker.MAX_CELLS", 3)
    with pytest.raises(ValueError, match=r"recommend\(X, k\) gives the best k"):
        rec.decision_function([[1]])


def test_new_items_must_have_the_catalogues_columns(rec):
    with pytest.raises(ValueError, match="lack the catalogue's columns 'title'"):
        rec.predict_proba([[9]], items={"item_id": [9], "name": ["x"]})


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_raises_in_fit_and_is_replaced_in_a_pickle():
    with pytest.raises(ValueError, match=r"device='cuda', but torch finds no CUDA GPU"):
        fit(device="cuda")
    rec = fit().set_params(device="cuda")
    with pytest.warns(UserWarning, match="the CPU is used"):
        twin = pickle.loads(pickle.dumps(rec))
    assert np.isfinite(twin.transform([[1]])).all()
