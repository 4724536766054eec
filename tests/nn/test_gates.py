"""Side blocks: the formula of IISAN, and what its gates and blocks promise."""

import math

import pytest
import torch

from skrec.nn import SideBlocks

EXACT = {"rtol": 0, "atol": 1e-10}


def make(n_states, hidden_size=5, bottleneck=3, spread=0.5):
    """Side blocks in float64 with weights far from where they start."""
    module = SideBlocks(n_states, hidden_size, bottleneck).double()
    generator = torch.Generator().manual_seed(n_states)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(0, spread, generator=generator)
    return module


def states(n_items, n_states, hidden_size=5):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(n_items, n_states, hidden_size, dtype=torch.float64, generator=generator)


def by_loops(module, rows):
    """Compute the formula for one item, number by number."""

    def linear(layer, row):
        weight, bias = layer.weight.tolist(), layer.bias.tolist()
        return [
            sum(w * x for w, x in zip(line, row, strict=True)) + b
            for line, b in zip(weight, bias, strict=True)
        ]

    def block(layer, row):
        inner = [z * (1 + math.erf(z / math.sqrt(2))) / 2 for z in linear(layer.down, row)]
        return [x + y for x, y in zip(row, linear(layer.up, inner), strict=True)]

    rows = rows.tolist()
    side = block(module.blocks[0], rows[0])
    for at in range(1, len(rows)):
        gate = 1 / (1 + math.exp(-module.logits[at - 1].item() / 0.1))
        mixed = [gate * h + (1 - gate) * s for h, s in zip(rows[at], side, strict=True)]
        side = block(module.blocks[at], mixed)
    return torch.tensor(side, dtype=torch.float64)


@pytest.mark.parametrize("n_states", [1, 2, 4])
def test_equals_the_formula(n_states):
    # a gate on the wrong side, a lost residual or an order of layers upside down
    module, x = make(n_states), states(3, n_states)
    found = module(x)
    assert found.shape == (3, 5)
    for row, given in zip(found, x, strict=True):
        torch.testing.assert_close(row, by_loops(module, given), **EXACT)


def test_gates_stay_between_0_and_1_and_start_at_a_half():
    module = SideBlocks(4, 5, 3)
    assert module.gates.tolist() == [0.5, 0.5, 0.5]
    with torch.no_grad():
        module.logits.copy_(torch.tensor([-50.0, 0.1, 50.0]))
    wanted = [0.0, 1 / (1 + math.exp(-1)), 1.0]
    assert module.gates.tolist() == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize(("logit", "unread"), [(50.0, [0, 1]), (-50.0, [1, 2])])
def test_a_gate_chooses_between_the_layer_and_the_block_below(logit, unread):
    # open gates read the last layer alone, shut ones the first alone
    module, x = make(3), states(2, 3)
    with torch.no_grad():
        module.logits.fill_(logit)
    other = x.clone()
    other[:, unread] += 1.0
    torch.testing.assert_close(module(other), module(x), **EXACT)
    assert not torch.allclose(module(x + 1.0), module(x))


def test_starts_as_the_gated_mean_of_the_states():
    # blocks that start large would drown what the language model says
    torch.manual_seed(0)
    module = SideBlocks(3, 32, 8)
    x = torch.randn(4, 3, 32)
    mean = x[:, 0] / 4 + x[:, 1] / 4 + x[:, 2] / 2
    assert (module(x) - mean).abs().max() < 0.02
    weights = [block.down.weight for block in module.blocks]
    assert not torch.equal(weights[0], weights[1])


@pytest.mark.parametrize("n_states", [1, 2, 4])
def test_gradients_reach_every_parameter(n_states):
    # from the very start: blocks of zeros would hold their lower half back
    module = SideBlocks(n_states, 5, 3)
    module(states(2, n_states).float()).square().sum().backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_a_lone_state_has_no_gate():
    # a parameter of no numbers would be one more thing to save, and never gets a gradient
    module = SideBlocks(1, 5, 3)
    assert {name.rsplit(".", 1)[0] for name, _ in module.named_parameters()} == {
        "blocks.0.down",
        "blocks.0.up",
    }
    assert module.gates.shape == (0,)


def test_a_batch_equals_one_by_one():
    module, x = make(3), states(6, 3)
    alone = torch.cat([module(row) for row in x.split(1)])
    torch.testing.assert_close(module(x), alone, **EXACT)


def test_inputs_are_left_alone():
    # the states may lie in a store that others read
    module, x = make(3), states(2, 3)
    before = x.clone()
    module(x)
    assert torch.equal(x, before)


def test_other_numbers_of_states_are_refused():
    with pytest.raises(ValueError, match="zip"):
        make(3)(states(2, 2))
