"""The maximum of the clicks."""

import torch

from skrec import behavior


def test_max_pooling_by_hand():
    module = behavior.MaxPooling().build(2)
    x = torch.tensor([[[-1.0, 0.0], [-3.0, 4.0], [9.0, 9.0]]] * 2)
    mask = torch.tensor([[True, True, False], [True, False, False]])
    assert module(x, mask).tolist() == [[[-1.0, 4.0]], [[-1.0, 0.0]]]
