"""Operators against the same layers of other packages, where these are installed."""

import pytest
import torch

from skrec import behavior

WIDTH = 6


@pytest.mark.parametrize("normalize", [False, True])
@torch.no_grad()
def test_target_attention_equals_deepctr(normalize):
    sequence = pytest.importorskip("deepctr_torch.layers.sequence")
    torch.manual_seed(0)
    theirs = sequence.AttentionSequencePoolingLayer(
        (7, 3), "relu", weight_normalization=normalize, embedding_dim=WIDTH
    ).double()
    ours = behavior.TargetAttention((7, 3), normalize=normalize).build(WIDTH).double()
    unit = theirs.local_att
    linears = [layer for layer in ours.unit.layers if isinstance(layer, torch.nn.Linear)]
    for layer, other in zip(linears, [*unit.dnn.linears, unit.dense], strict=True):
        layer.weight.copy_(other.weight.normal_())  # they start at 1e-4, where all is alike
        if layer.bias is not None:
            layer.bias.copy_(other.bias.normal_())
    x = torch.randn(3, 4, WIDTH, dtype=torch.float64)
    lengths = torch.tensor([4, 1, 2])
    v = torch.randn(3, 1, WIDTH, dtype=torch.float64)
    found = ours(x, torch.arange(4) < lengths.unsqueeze(1), v).squeeze(2)
    wanted = theirs(v, x, lengths.unsqueeze(1))
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-10)
