"""A model on another device than the CPU gives the same results, with few synchronizations."""

import numpy as np
import pytest
import torch
from elsewhere import DEVICE, Elsewhere, elsewhere
from torch.utils._python_dispatch import _disable_current_modes

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
from skrec.content._lm import pretrained

CLOSE = {"rtol": 1e-4, "atol": 1e-5}
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


@pytest.mark.slow
@pytest.mark.usefixtures("loading_here")
@pytest.mark.filterwarnings("ignore:.*have no vector")
@pytest.mark.parametrize("names", ONE_OTHER, ids=lambda names: "-".join(names.values()))
def test_operators_give_equal_results(made, data, names):
    operators = {family: made[family][name] for family, name in names.items()}
    here, away = results(operators, data, "cpu")
    with elsewhere():
        here_too, away_too = results(operators, data, "meta")
    np.testing.assert_allclose(here_too, here, **CLOSE)
    np.testing.assert_array_equal(away_too, away)


def results(operators, data, device):
    """Return the scores of the candidates, and the lists, of a model that took two steps."""
    rec = ContentRecommender(**operators, device=device, **SETTINGS, **TWO_STEPS)
    rec.fit(data.impressions, data.items)
    return scores_of(rec, data.impressions), rec.recommend(data.impressions, k=3)[0]


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
