"""Item vectors that are saved with a recommender are used, and belong to it."""

import json
import pickle
import shutil
import warnings

import numpy as np
import pytest
import safetensors.torch
import torch
from signed import sign

import skrec
from _combinations import (
    SETTINGS,
    TWO_STEPS,
    operators_with_options,
    registered_operators,
    scores_of,
)
from skrec import ContentRecommender, baselines
from skrec._network import Network
from skrec._saving.item_vectors import ALIGNMENT

PLAIN = {"content": "mean_pooling", "behavior": "mean_pooling", "predictor": "dot"}
FILE = "item_vectors.safetensors"


@pytest.fixture
def folder(fitted, tmp_path):
    fitted.save(tmp_path / "model", include_vectors=True)
    return tmp_path / "model"


@pytest.fixture
def n_encoded(monkeypatch):
    """Count the items that networks encode."""
    counted, encode = [], Network.encode

    def counting(network, packed, codes, *arguments):
        counted.append(len(codes))
        return encode(network, packed, codes, *arguments)

    monkeypatch.setattr(Network, "encode", counting)
    return counted


# sums of numbers that are aligned differently in memory are rounded differently
CLOSE = {"rtol": 1e-5, "atol": 1e-7}


def answers(rec, histories):
    return (
        rec.decision_function(histories),
        *rec.recommend(histories, k=5),
        *rec.similar_items(rec.items_.ids[:3], k=4),
        rec.item_vectors(),
        rec.transform(histories),
    )


def test_the_catalogue_is_not_encoded_again(fitted, news, folder, n_encoded):
    histories = news.test["history"].head(20).tolist()
    expected = answers(fitted, histories)
    n_encoded.clear()
    rec = skrec.load(folder)
    for got, wanted in zip(answers(rec, histories), expected, strict=True):
        np.testing.assert_allclose(got, wanted, **CLOSE)
    np.testing.assert_array_equal(rec.item_vectors(), fitted.item_vectors())
    assert n_encoded == []
    new = news.items.head(2).assign(item_id=[-1, -2])
    rec.add_items(new)
    assert n_encoded == [2]
    np.testing.assert_allclose(answers(rec, histories)[0][:, :-2], expected[0], **CLOSE)


def test_vectors_are_computed_once_where_they_were_not_yet(news, tmp_path, n_encoded):
    rec = ContentRecommender("mean_pooling", width=8, max_epochs=1, early_stopping=False)
    rec.fit(news.train.head(20), news.items)
    n_encoded.clear()
    rec.save(tmp_path / "model", include_vectors=True)
    rec.item_vectors()
    assert n_encoded == [rec.items_.n_items]
    assert not (tmp_path / "model" / FILE).samefile(tmp_path / "model")
    rec.save(tmp_path / "model")
    assert not (tmp_path / "model" / FILE).exists()


def operators():
    """Return the family and name of operators, with all that read more than item vectors."""
    made = registered_operators({"model": "", "word_vectors": ""})
    options = operators_with_options({"model": "", "word_vectors": ""})
    chosen = {"content": ["CNN", "LanguageModel", "WithID"], "predictor": ["Dot"]}
    chosen["behavior"] = [*made["behavior"], *options["behavior"]]
    return [(family, name) for family, names in chosen.items() for name in names]


@pytest.mark.parametrize(("family", "name"), operators())
def test_every_kind_of_rows_comes_back(family, name, data, given, tmp_path, n_encoded):
    # tokens and side columns are in the rows, too
    known = registered_operators(given)[family] | operators_with_options(given)[family]
    rec = ContentRecommender(**(PLAIN | SETTINGS | TWO_STEPS | {family: known[name]}))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about words without a vector
        rec.fit(data.impressions, data.items)
    rec.save(tmp_path / "model", include_vectors=True)
    expected = scores_of(rec, data.impressions)
    n_encoded.clear()
    other = skrec.load(tmp_path / "model")
    np.testing.assert_array_equal(scores_of(other, data.impressions), expected)
    assert n_encoded == []


@pytest.mark.parametrize("precision", ["float64", "bfloat16"])
def test_number_types_are_kept(news, tmp_path, precision, n_encoded):
    rec = ContentRecommender("mean_pooling", width=8, max_epochs=1, precision=precision)
    rec.fit(news.train.head(40), news.items)
    rec.save(tmp_path / "model", include_vectors=True)
    expected = rec.item_vectors()
    n_encoded.clear()
    got = skrec.load(tmp_path / "model").item_vectors()
    assert got.dtype == expected.dtype and n_encoded == []
    np.testing.assert_array_equal(got, expected)


def test_numbers_are_aligned_as_in_memory(fitted, tmp_path):
    # otherwise, sums would be rounded differently
    for name in ("a", "a-longer-name", "another-name-of-a-recommender"):
        fitted.save(tmp_path / name, include_vectors=True)
        rec = skrec.load(tmp_path / name)
        assert rec._encoded_items.encoding(rec.network_).rows.data_ptr() % ALIGNMENT == 0
        assert (tmp_path / name / FILE).stat().st_size % ALIGNMENT == 0  # 16 floats per item


def test_numbers_that_are_aligned_otherwise_are_moved(fitted, news, folder):
    # as a file would be that another program has written
    path = folder / FILE
    with safetensors.safe_open(path, "pt") as file:
        owners = json.loads(file.metadata()["files"])
        rows = file.get_tensor("rows")
    for extra in range(8):
        metadata = {"files": json.dumps(owners), "note": " " * extra * 8}
        safetensors.torch.save_file({"rows": rows.clone()}, path, metadata)
        sign(folder)
        rec = skrec.load(folder)
        assert rec._encoded_items.encoding(rec.network_).rows.data_ptr() % ALIGNMENT == 0
        np.testing.assert_array_equal(rec.item_vectors(), fitted.item_vectors())


def test_training_and_changed_weights_drop_them(fitted, news, folder):
    rec, plain = skrec.load(folder), pickle.loads(pickle.dumps(fitted))
    for each in (rec, plain):
        each.partial_fit(news.train)
    np.testing.assert_array_equal(rec.item_vectors(), plain.item_vectors())
    rec = skrec.load(folder)
    with torch.no_grad():
        for weight in rec.network_.content.parameters():
            weight.zero_()
    assert np.ptp(rec.item_vectors(), axis=0).max() == 0


def test_a_loaded_recommender_can_be_saved_and_pickled(fitted, news, folder, tmp_path):
    histories = news.test["history"].head(5).tolist()
    rec = skrec.load(folder)
    rec.save(folder, include_vectors=True)  # replaces the file that it has mapped
    for other in (rec, skrec.load(folder), pickle.loads(pickle.dumps(rec))):
        for got, wanted in zip(answers(other, histories), answers(fitted, histories), strict=True):
            np.testing.assert_array_equal(got, wanted)


# Vectors that do not belong


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda rec, news: rec.partial_fit(news.train), "arrays.safetensors"),
        (lambda rec, news: rec.add_items(news.items.head(1).assign(item_id=-1)), "items-1.parquet"),
        (lambda rec, news: rec.set_params(max_history=3), "recommender.json"),
    ],
)
def test_vectors_of_another_recommender_are_refused(news, folder, tmp_path, change, named):
    other = skrec.load(folder)
    change(other, news)
    other.save(tmp_path / "other", include_vectors=True)
    shutil.copy(tmp_path / "other" / FILE, folder)
    with pytest.raises(ValueError, match=f"{FILE}' is damaged, or was changed after"):
        skrec.load(folder)
    sign(folder)
    with pytest.raises(ValueError, match=f"do not belong .* another {named}.*include_vectors=True"):
        skrec.load(folder)


def rewrite(folder, change, metadata=True):
    """Change the rows of a folder, with right hashes everywhere."""
    path = folder / FILE
    with safetensors.safe_open(path, "pt") as file:
        about, rows = file.metadata(), file.get_tensor("rows").clone()
    safetensors.torch.save_file(
        {"rows": change(rows).contiguous()}, path, about if metadata else None
    )
    sign(folder)


def filled(rows, value):
    rows[3, 1] = value
    return rows


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows[:-1], r"have the shape \(\d+, 16\) for \d+ items"),
        (lambda rows: rows[:, :-1], "have 15 numbers, but the width is 16"),
        (lambda rows: torch.cat([rows, rows[:, :1]], 1), "have 17 numbers, but the width is 16"),
        (lambda rows: torch.cat([rows, rows, rows[:, :1]], 1), "have 33 numbers, but the width is"),
        (lambda rows: rows.ravel(), r"have the shape \(\d+,\) for \d+ items"),
        (lambda rows: rows.double(), "must have values of torch.float32, got torch.float64"),
        (lambda rows: rows.int(), "must have values of torch.float32, got torch.int32"),
        (lambda rows: filled(rows, torch.nan), "values that are not finite"),
        (lambda rows: filled(rows, -torch.inf), "values that are not finite"),
    ],
)
def test_signed_nonsense_is_refused(folder, change, message):
    rewrite(folder, change)
    with pytest.raises(ValueError, match=message):
        skrec.load(folder)


def test_rows_without_hashes_are_refused(folder):
    rewrite(folder, lambda rows: rows, metadata=False)
    with pytest.raises(ValueError, match="do not belong to this recommender"):
        skrec.load(folder)


def owned(folder, text):
    path = folder / FILE
    with safetensors.safe_open(path, "pt") as file:
        rows = file.get_tensor("rows").clone()
    safetensors.torch.save_file({"rows": rows}, path, {"files": text})
    sign(folder)


@pytest.mark.parametrize("text", ["", "3", "null", "[1]", '{"a": 3}', "[" * 100_000])
def test_hashes_that_are_nonsense_are_refused(folder, text):
    owned(folder, text)
    with pytest.raises(ValueError, match="do not belong|does not hold what save writes"):
        skrec.load(folder)


def test_no_file_is_opened_that_is_no_safetensors(folder):
    (folder / FILE).write_bytes(pickle.dumps({"rows": 1}))
    sign(folder)
    with pytest.raises(ValueError, match="does not hold what save writes"):
        skrec.load(folder)


def test_a_size_beyond_the_file_costs_no_memory(folder):
    about = {"dtype": "F32", "shape": [10**9, 10**6], "data_offsets": [0, 4 * 10**15]}
    header = json.dumps({"rows": about}).encode()
    (folder / FILE).write_bytes(len(header).to_bytes(8, "little") + header)
    sign(folder)
    with pytest.raises(ValueError, match="does not hold what save writes"):
        skrec.load(folder)


def test_a_baseline_has_none(news, folder, tmp_path):
    baselines.Popularity().fit(news.train, news.items).save(tmp_path / "baseline")
    shutil.copy(folder / FILE, tmp_path / "baseline")
    sign(tmp_path / "baseline")
    with pytest.raises(ValueError, match="do not belong"):
        skrec.load(tmp_path / "baseline")


def test_an_unfitted_recommender_is_refused(tmp_path):
    with pytest.raises(ValueError, match="not fitted"):
        ContentRecommender().save(tmp_path / "model", include_vectors=True)
    assert list(tmp_path.iterdir()) == []
