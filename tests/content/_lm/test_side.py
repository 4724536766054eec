"""Pooled states of chosen layers, and the module that reads them."""

import copy

import pytest
import torch
from tiny_models import ARCHITECTURES, VOCABULARY, WIDTH, tiny_model

from skrec.content._lm import PooledLayers, SideTower
from skrec.nn import SideBlocks

EXACT = {"rtol": 0, "atol": 1e-10}
N_LAYERS = 4


@pytest.fixture(scope="module")
def tokens():
    """Return ids and mask of three texts with 7, 4 and 1 tokens."""
    mask = torch.arange(7) < torch.tensor([[7], [4], [1]])
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(5, VOCABULARY, mask.shape, generator=generator)
    return ids * mask, mask


def padded_states(model, ids, mask):
    """Return the hidden states (U, L, H) of all layers, computed by transformers."""
    with torch.no_grad():
        answer = model(input_ids=ids, attention_mask=mask.long(), output_hidden_states=True)
    return [*answer.hidden_states[:-1], answer.last_hidden_state]


def pooled(states, mask, pooling):
    """Pool states (U, L, H) text by text."""
    rows = [state[real] for state, real in zip(states, mask, strict=True)]  # (n_tokens, H)
    pool = {"mean": lambda x: x.mean(dim=0), "cls": lambda x: x[0], "last": lambda x: x[-1]}
    return torch.stack([pool[pooling](row) for row in rows])


# models whose last hidden states are narrower than those of the layers
NARROW_END = ["OPT"]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_equal_to_the_hidden_states_of_a_whole_run(name, tokens):
    """Compare with the hidden states of transformers, for several choices of layers."""
    model = tiny_model(name, n_layers=N_LAYERS, dtype=torch.float64)
    wanted = padded_states(model, *tokens)
    top = N_LAYERS - (name in NARROW_END)
    for layers in ([0, 2, top], [0], [1, top - 1], range(top + 1)):
        found = PooledLayers(copy.deepcopy(model), layers, "mean").states(*tokens)
        for at, layer in enumerate(layers):
            torch.testing.assert_close(
                found[:, at], pooled(wanted[layer], tokens[1], "mean"), **EXACT
            )


@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
def test_poolings_leave_padding_out(pooling, tokens):
    model = tiny_model("Llama", n_layers=N_LAYERS, dtype=torch.float64)
    wanted = padded_states(model, *tokens)
    found = PooledLayers(model, [1, 4], pooling).states(*tokens)
    assert found.shape == (3, 2, WIDTH)
    for at, layer in enumerate([1, 4]):
        torch.testing.assert_close(found[:, at], pooled(wanted[layer], tokens[1], pooling), **EXACT)


def test_layers_above_the_highest_are_not_run(tokens):
    # layers that are not read must cost neither time nor memory
    model = tiny_model("BERT", n_layers=N_LAYERS)
    ran = []
    for at, layer in enumerate(model.encoder.layer):
        layer.register_forward_hook(lambda *_, at=at: ran.append(at))
    reader = PooledLayers(model, [0, 2], "mean")
    reader.states(*tokens)
    reader.states(*tokens)
    assert ran == [0, 1, 0, 1]


def test_a_run_leaves_no_hook_behind(tokens):
    # hooks would accumulate, and pickles of the model would contain them
    model = tiny_model("BERT", n_layers=N_LAYERS)
    reader = PooledLayers(model, [0, 2], "mean")
    reader.states(*tokens)
    with pytest.raises(IndexError):
        reader.states(tokens[0] + VOCABULARY, tokens[1])
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_last_hidden_states_of_another_size_are_refused(tokens):
    model = tiny_model("OPT", n_layers=N_LAYERS)
    message = r"of OPTModel have 16 numbers, those of its layers 32.*leave the last layer out"
    with pytest.raises(ValueError, match=message):
        PooledLayers(model, [0, 4], "mean").states(*tokens)


def test_tower_standardises_and_projects():
    torch.manual_seed(0)
    mean, scale = torch.randn(3, 5), torch.rand(3, 5) + 0.5
    tower = SideTower(mean, scale, bottleneck=2, width=4).double()
    assert isinstance(tower.side, SideBlocks)
    kept = torch.randn(6, 1, 15)  # three concatenated states
    mask = torch.ones(6, 1, dtype=torch.bool)
    states = torch.stack([kept[:, 0, 5 * i : 5 * i + 5].double() for i in range(3)], dim=1)
    wanted = tower.project(tower.side((states - mean.double()) / scale.double()))
    torch.testing.assert_close(tower({"states": (kept, mask)}), wanted, **EXACT)
    assert tower({"states": (kept[:0], mask[:0])}).shape == (0, 4)
    assert not {"mean", "scale"} & set(tower.state_dict())
