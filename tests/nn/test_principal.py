"""Linear layers that start at principal directions."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.decomposition import PCA
from torch import nn

from skrec.nn import start_at_principal_directions


def started(x, width, scale=1.0):
    torch.manual_seed(0)
    layer = nn.Linear(x.shape[1], width).double()
    start_at_principal_directions(layer, x, scale)
    return layer


@pytest.mark.parametrize("width", [3, 6, 9])
def test_outputs_are_the_scaled_principal_components_rotated(width):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 6)) @ np.diag([5, 3, 2, 1, 0.5, 0.1]) + 7
    y = started(torch.from_numpy(x), width)(torch.from_numpy(x)).detach().numpy()
    pca = PCA(min(width, 6)).fit(x)
    components = pca.transform(x) / pca.singular_values_**0.5
    ratio = (y @ y.T) / (components @ components.T)  # a rotation changes no inner product
    assert_allclose(ratio, ratio[0, 0], rtol=1e-6)
    kept = (pca.singular_values_**2).sum()
    assert_allclose((y**2).sum(), kept, rtol=1e-6)
    layer = started(torch.from_numpy(x), width, scale=3.0)
    assert_allclose(layer(torch.from_numpy(x)).detach(), 3 * y, rtol=1e-6, atol=1e-9)


def test_fewer_items_than_outputs_and_equal_items():
    x = torch.randn(3, 8, dtype=torch.float64)
    y = started(x, 6)(x)
    assert torch.linalg.matrix_rank(y) == 2  # three points lie in a plane
    layer = nn.Linear(4, 2).double()
    before = layer.weight.clone()
    start_at_principal_directions(layer, torch.ones(5, 4, dtype=torch.float64))
    assert torch.equal(layer.weight, before)
    start_at_principal_directions(layer, torch.randn(1, 4, dtype=torch.float64))
    assert torch.equal(layer.weight, before)
