import torch

from skrec.nn import unit


def test_length_is_one():
    x = torch.tensor([[3.0, 4.0], [-5e-6, 0.0], [0.0, 1e4]])
    wanted = torch.tensor([[0.6, 0.8], [-1.0, 0.0], [0.0, 1.0]])
    torch.testing.assert_close(unit(x), wanted)


def test_zero_stays_zero_with_a_tame_gradient():
    # torch's normalize gives it 1e12, and one empty category would blow up all weights
    x = torch.zeros(2, 3, requires_grad=True)
    unit(x).sum().backward()
    assert not unit(x).any()
    assert torch.equal(x.grad, torch.ones(2, 3))
