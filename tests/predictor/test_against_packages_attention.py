"""Attention, masks, gates and Dice against the same layers of other packages, where installed."""

import pytest
import torch
from by_numpy import EXACT, build

from skrec import predictor
from skrec.nn import Dice, MaskBlock
from skrec.predictor._autoint import InteractingLayer

D = 6


def rows(*shape):
    return torch.randn(*shape, dtype=torch.float64)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.mark.parametrize("n_heads", [2, 3])
@pytest.mark.parametrize("n_fields", [2, 5])
@torch.no_grad()
def test_interacting_layer_equals_deepctr(n_heads, n_fields):
    interaction = pytest.importorskip("deepctr_torch.layers.interaction")
    theirs = interaction.InteractingLayer(D, n_heads, use_res=True, scaling=False).double()
    ours = InteractingLayer(D, n_heads).double()
    names = ["W_Query", "W_key", "W_Value", "W_Res"]
    parts = [getattr(theirs, name).normal_() for name in names]  # they start near 0
    ours.project.weight.copy_(torch.cat([part.T for part in parts]))
    # a batch of one row would lose an axis in theirs
    x = rows(4, n_fields, D)
    torch.testing.assert_close(ours(x), theirs(x), **EXACT)


@pytest.mark.parametrize("shape", [(7, 3), (4, 5, 3)])
def test_dice_equals_deepctr(shape):
    activation = pytest.importorskip("deepctr_torch.layers.activation")
    theirs = activation.Dice(3, dim=len(shape), epsilon=1e-8).double()
    ours = Dice(3).double()
    with torch.no_grad():
        ours.alpha.normal_()
        theirs.alpha.copy_(ours.alpha.view_as(theirs.alpha))
    x = rows(*shape).requires_grad_()
    wanted = theirs(x)
    torch.testing.assert_close(ours(x), wanted, **EXACT)
    share = torch.randn_like(wanted)
    found = torch.autograd.grad((ours(x) * share).sum(), x)
    torch.testing.assert_close(found, torch.autograd.grad((wanted * share).sum(), x), **EXACT)
    # they keep a moving average from the start; with one of the same values both predict alike
    theirs.bn.running_mean.copy_(ours.mean)
    theirs.bn.running_var.copy_(ours.var)
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x), **EXACT)


@torch.no_grad()
def test_final_mlp_equals_fuxictr():
    zoo = pytest.importorskip("model_zoo.LongCTR.FinalMLP.FinalMLP")
    layers = pytest.importorskip("fuxictr.pytorch.layers")
    ours = build(predictor.FinalMLP((8, 6), hidden2=(5, 9), n_heads=3, gate_hidden=(7,)), D)
    streams = [
        layers.MLP_Block(2 * D, hidden, hidden_activations="ReLU", output_activation=None)
        for hidden in ([8, 6], [5, 9])
    ]
    gates = zoo.FeatureSelection(None, 2 * D, D, fs_hidden_units=[7])
    fusion = zoo.InteractionAggregation(6, 9, num_heads=3)
    for module in (*streams, gates, fusion):
        module.double()
    copy(ours.streams[0], streams[0])
    copy(ours.streams[1], streams[1])
    copy(ours.gates[0].mlp, gates.fs1_gate)
    copy(ours.gates[1].mlp, gates.fs2_gate)
    fusion.w_x.weight.copy_(ours.fusion.linear.weight[:, :6])
    fusion.w_y.weight.copy_(ours.fusion.linear.weight[:, 6:])
    fusion.w_x.bias.copy_(ours.fusion.linear.bias)
    fusion.w_y.bias.zero_()
    fusion.w_xy.copy_(ours.fusion.product.reshape(-1, 1))
    for _ in range(3):
        user, item = rows(1, 1, D), rows(1, 1, D)
        # the context of a gate is a learned vector in theirs: put ours in its place
        gates.fs1_ctx_bias.copy_(user[0])
        gates.fs2_ctx_bias.copy_(item[0])
        views = gates(None, torch.cat([user[0], item[0]], dim=-1))
        wanted = fusion(*(mlp(x) for mlp, x in zip(streams, views, strict=True)))
        torch.testing.assert_close(ours.score(user, item), wanted, **EXACT)


@torch.no_grad()
def test_mask_block_equals_rec_pangu():
    interaction = pytest.importorskip("rec_pangu.models.layers.interaction")
    theirs = interaction.MaskBlock(D, 8, 5, 1.5).double()
    ours = MaskBlock(8, D, 5, 12).double()
    copy(ours.mask, theirs._mask_layer)
    ours.project.weight.copy_(theirs._hidden_layer.weight)
    theirs._hidden_layer.bias.zero_()
    for norm in (theirs._input_layer_norm, theirs._layer_norm):
        norm.weight.normal_()
        norm.bias.normal_()
    ours.norm.load_state_dict(theirs._layer_norm.state_dict())
    x0, h = rows(4, 8), rows(4, D)
    # theirs norms its input itself, and leaves the last relu out
    found = ours(x0, theirs._input_layer_norm(h))
    torch.testing.assert_close(found, torch.relu(theirs(h, x0)), **EXACT)


def copy(ours, theirs):
    """Give their linear layers the weights of ours."""
    pairs = [
        [layer for layer in module.modules() if isinstance(layer, torch.nn.Linear)]
        for module in (ours, theirs)
    ]
    for layer, other in zip(*pairs, strict=True):
        other.weight.data = layer.weight.data.clone()
        other.bias.data = layer.bias.data.clone()
