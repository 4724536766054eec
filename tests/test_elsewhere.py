"""A model on another device than the CPU gives the same results, with few synchronizations."""

import json
from argparse import Namespace
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from elsewhere import DEVICE, Elsewhere, elsewhere
from sklearn.base import clone
from torch.utils._python_dispatch import _disable_current_modes

import bench_gpu
from _combinations import (
    SETTINGS,
    TWO_STEPS,
    Data,
    operators_with_options,
    registered_operators,
    scores_of,
    write_pretrained,
)
from skrec import ContentRecommender
from skrec._training.trainer import Stepper
from skrec.content._lm import pretrained

CLOSE = {"rtol": 1e-4, "atol": 1e-5}
AFTER_STEPS = {"rtol": 1e-3, "atol": 1e-5}
# Adam makes steps of 3e-3 of gradients near zero, too, whose signs rounding decides
OF_LANGUAGE_MODELS = {"rtol": 1e-3, "atol": 5e-4}
GIVEN = {"model": "bert", "word_vectors": "vectors.txt"}  # names only
NAMES = {
    family: [*registered, *operators_with_options(GIVEN)[family]]
    for family, registered in registered_operators(GIVEN).items()
}
USUAL = {"content": "MeanPooling", "behavior": "MovingAverages", "predictor": "Dot"}
ONE_OTHER = [USUAL | {family: name} for family in NAMES for name in NAMES[family]]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    given = write_pretrained(tmp_path_factory.mktemp("elsewhere"))
    registered, options = registered_operators(given), operators_with_options(given)
    return {family: registered[family] | options[family] for family in registered}


@pytest.fixture(scope="module")
def data():
    return Data()


@pytest.fixture
def there():
    with elsewhere() as synchronizations:
        yield synchronizations


def test_tensors_of_two_devices_do_not_meet(there):
    moved = torch.arange(3.0).to(DEVICE)
    assert isinstance(moved, Elsewhere) and moved.device == DEVICE
    np.testing.assert_array_equal((moved + moved).cpu().numpy(), [0, 2, 4])
    with pytest.raises(RuntimeError, match="a tensor of the CPU meets one of another device"):
        moved + torch.arange(3.0)
    with pytest.raises(RuntimeError, match="a tensor of the CPU meets one of another device"):
        torch.nn.functional.embedding(torch.tensor([1]), torch.eye(3, device=DEVICE))


def test_synchronizations_are_counted(there):
    moved = torch.arange(3.0, device=DEVICE)
    moved.add_(1).mul_(2)
    assert not there.waits
    moved.sum().item(), moved.cpu(), moved[moved > 2], (moved > 2).nonzero()
    assert there.waits.total() == 4


@pytest.fixture
def loading_here(monkeypatch):
    """Load language models without the fake device: transformers makes them on "meta" first."""

    load = pretrained.load_base

    def load_base(*args):
        with _disable_current_modes():
            return load(*args)

    monkeypatch.setattr(pretrained, "load_base", load_base)


@contextmanager
def counted_steps(synchronizations):
    """Yield a list to which each training step adds the number of its synchronizations."""
    counts, add, flush = [], Stepper.add, Stepper.flush_if_due

    def counted_add(self, *args):
        counts.append(-synchronizations.waits.total())
        return add(self, *args)

    def counted_flush(self):
        flush(self)
        counts[-1] += synchronizations.waits.total()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Stepper, "add", counted_add)
        patch.setattr(Stepper, "flush_if_due", counted_flush)
        yield counts


@pytest.mark.slow
@pytest.mark.usefixtures("loading_here")
@pytest.mark.filterwarnings("ignore:.*have no vector")
@pytest.mark.parametrize("names", ONE_OTHER, ids=lambda names: "-".join(names.values()))
def test_operators_give_equal_results(made, data, names):
    operators = {family: without_dropout(made[family][name]) for family, name in names.items()}
    here, lists_here = results(operators, data, "cpu")
    with elsewhere() as synchronizations, counted_steps(synchronizations) as counts:
        away, lists_away = results(operators, data, "meta")
    is_pretrained = "LanguageModel" in names["content"]
    np.testing.assert_allclose(away, here, **OF_LANGUAGE_MODELS if is_pretrained else AFTER_STEPS)
    np.testing.assert_array_equal(lists_away, lists_here)
    # transformers reads the mask of a language model once more
    limit = 3 if is_pretrained else 2
    assert len(counts) == 2 and max(counts) <= limit


def without_dropout(operator):
    """Return a copy without dropout, which differs between tensors of different sizes."""
    names = [name for name in operator.get_params() if name.split("__")[-1].endswith("dropout")]
    return clone(operator).set_params(**dict.fromkeys(names, 0.0))


def results(operators, data, device):
    """Return the scores of the candidates, and the lists, of a model that took two steps."""
    rec = ContentRecommender(**operators, device=device, **SETTINGS, **TWO_STEPS)
    rec.fit(data.impressions, data.items)
    return scores_of(rec, data.impressions), rec.recommend(data.impressions, k=3)[0]


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"history_targets": "all", "n_negatives": 3, "n_hard_negatives": 2},
        {"history_targets": "all", "n_negatives": "all"},
        {"history_targets": "all", "n_negatives": 3, "loss": "bpr", "max_grad_norm": 1.0},
    ],
)
def test_steps_wait_for_the_device_once(data, parameters, there):
    histories = data.impressions.history.tolist()
    rec = ContentRecommender(device="meta", random_state=0, max_epochs=2, **parameters)
    with counted_steps(there) as counts:
        rec.fit(histories, items=data.items)
    assert counts and set(counts) == {1}  # for the loss


BLOCKS = [
    ("scores", "HISTORY_BLOCK"),
    ("scores", "PAIR_BLOCK"),
    ("row_blocks", "CELL_BLOCK"),
]


@pytest.mark.parametrize("behavior", ["moving_averages", "candidate_self_attention"])
def test_blocks_of_answers_do_not_wait_for_the_device(data, behavior, there, monkeypatch):
    histories = data.impressions.history.tolist()
    rec = ContentRecommender(behavior=behavior, device="meta", random_state=0, max_epochs=1)
    rec.fit(histories, items=data.items)
    monkeypatch.setattr("skrec._inference.row_blocks.ROW_BLOCK", 1)
    counts = []
    for size in 1 << 22, 64, 16:
        for module, name in BLOCKS:
            monkeypatch.setattr(f"skrec._inference.{module}.{name}", size)
        there.waits.clear()
        rec.recommend(histories, k=3)
        rec.similar_items(data.items.ids, k=3)
        rec.predict_proba(data.impressions)
        counts.append(there.waits.total())
    assert counts == [5, 5, 5]  # each reads its answers once; lists have codes and scores


def test_explanations_are_equal(data, there, tmp_path):
    histories = data.impressions.history.tolist()
    rec = ContentRecommender(device="meta", random_state=0, max_epochs=1)
    rec.fit(histories, items=data.items)
    rec.set_params(device="cpu").save(tmp_path / "model")
    again = ContentRecommender.load(tmp_path / "model")
    away, here = (each.explain(histories[3], item=data.items.ids[1]) for each in (rec, again))
    np.testing.assert_allclose(away.score, here.score, **CLOSE)
    np.testing.assert_allclose(away.clicks["share"], here.clicks["share"], **CLOSE)
    np.testing.assert_allclose(away.words["share"], here.words["share"], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("parameters", [{}, {"history_targets": "all", "n_negatives": 3}])
def test_defaults_give_equal_results(data, parameters, tmp_path, there):
    histories = data.impressions.history.tolist()
    rec = ContentRecommender(device="meta", random_state=0, max_epochs=1, **parameters)
    rec.fit(histories, items=data.items)
    rec.partial_fit(histories)
    rec.set_params(device="cpu").save(tmp_path / "model")  # "meta" is no device to load to
    again = ContentRecommender.load(tmp_path / "model")
    assert rec.network_.empty_history.device == DEVICE
    ids, scores = rec.recommend(histories, k=3)
    ids_here, scores_here = again.recommend(histories, k=3)
    np.testing.assert_allclose(scores, scores_here, **CLOSE)
    np.testing.assert_array_equal(ids, ids_here)
    assert rec.evaluate(histories[3:9]) == pytest.approx(again.evaluate(histories[3:9]))


@pytest.mark.slow
def test_the_benchmark_of_a_gpu_runs_elsewhere(there, capsys, monkeypatch):
    make = bench_gpu.large_llama

    def large_llama(args):
        with _disable_current_modes():
            return make(args)

    monkeypatch.setattr(bench_gpu, "large_llama", large_llama)
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module: None)
    args = Namespace(quick=True, device="meta", repeats=1, batches=1)
    for part in bench_gpu.PARTS.values():
        part(args)
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    names = ["gpu training", "gpu lists", "gpu split"]
    assert [row["bench"] for row in rows] == [names[0]] * 4 + [names[1]] + [names[2]] * 4
    assert all(row["failure"] is None for row in rows[-4:])
