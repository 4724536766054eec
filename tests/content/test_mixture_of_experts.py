"""Mixture of experts against the formulas of UniSRec."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from skrec import ContentRecommender, Items, content
from skrec.content._mixture_of_experts import Experts

WIDTH = 4
EXACT = {"rtol": 0, "atol": 1e-10}
ITEMS = Items(
    {
        "item_id": range(6),
        "title": ["red fox", "sea", "the sun", "owl", "a red sea", ""],
        "vector": np.random.default_rng(0).normal(size=(6, 5)).tolist(),
    }
)


def random_weights(module):
    """Give weights that start at zero a value, so that all of them take part."""
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in module.parameters():
            weight.normal_()
    return module


def build(operator, items=ITEMS):
    operator.check(WIDTH)
    operator.fit(items)
    return random_weights(operator.build(operator.schema_, WIDTH).double()).eval()


class Twin(nn.Module):
    """The adapter, written with one ``nn.Linear`` per expert."""

    def __init__(self, experts):
        super().__init__()
        n_experts, n_out, n_in = experts.weight.shape
        self.experts = nn.ModuleList(nn.Linear(n_in, n_out, bias=False) for _ in range(n_experts))
        self.shifts = experts.shift
        for own, weight in zip(self.experts, experts.weight, strict=True):
            own.weight = nn.Parameter(weight.detach().clone())
        self.gate = experts.gate.weight.detach().clone().T

    def forward(self, x):
        gates = F.softmax(x @ self.gate, dim=-1)
        outputs = [expert(x - b) for expert, b in zip(self.experts, self.shifts, strict=True)]
        return (gates.unsqueeze(-1) * torch.stack(outputs, dim=-2)).sum(dim=-2)


@pytest.mark.parametrize("shape", [(7, 5), (2, 3, 5)])
def test_equals_the_formula_in_values_and_gradients(shape):
    experts = random_weights(Experts(5, WIDTH, 3, 0.2, True).double()).eval()
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    found, wanted = experts(x), Twin(experts)(x)
    torch.testing.assert_close(found, wanted, **EXACT)
    found, wanted = (torch.autograd.grad(y.square().sum(), x)[0] for y in (found, wanted))
    torch.testing.assert_close(found, wanted, **EXACT)


def test_vectors_of_the_catalogue_are_the_input():
    operator = content.MixtureOfExperts(n_experts=3)
    module = build(operator)
    inputs = operator.prepare(ITEMS).take(torch.arange(6))
    experts = module.mlp.layers[-1]
    wanted = Twin(experts)(inputs["vector"][0].double())
    torch.testing.assert_close(module(inputs), wanted, **EXACT)


def test_only_the_last_layer_of_a_perceptron_is_replaced():
    inner = content.Vectors(hidden=(7,))
    module = build(content.MixtureOfExperts(inner, n_experts=2))
    assert [type(layer).__name__ for layer in module.mlp.layers] == [
        "Linear",
        "ReLU",
        "Dropout",
        "Experts",
    ]
    assert module.mlp.layers[-1].weight.shape == (2, WIDTH, 7)


@pytest.mark.parametrize("pooling", ["cls", "mean", "attention"])
def test_pooled_states_of_a_language_model_are_the_input(tiny_bert, pooling):
    frozen = content.LanguageModel(tiny_bert, trainable_layers=0, pooling=pooling)
    operator = content.MixtureOfExperts(frozen, n_experts=3)
    module = build(operator)
    ((values, mask),) = operator.prepare(ITEMS).take(torch.arange(6)).values()
    pooled = module.pool(values.double(), mask)
    pooled = pooled / pooled.norm(dim=1, keepdim=True)
    found = module(operator.prepare(ITEMS).take(torch.arange(6)))
    torch.testing.assert_close(found, Twin(module.project)(pooled), **EXACT)
    assert operator.keeps_states


def test_all_experts_start_with_equal_weights():
    operator = content.MixtureOfExperts(n_experts=4).fit(ITEMS)
    experts = operator.build(operator.schema_, WIDTH).eval().mlp.layers[-1]
    x = torch.randn(3, 5)
    wanted = torch.stack([x @ weight.T for weight in experts.weight]).mean(dim=0)
    torch.testing.assert_close(experts(x), wanted)


def test_equal_shifts_remove_what_all_texts_share():
    experts = random_weights(Experts(5, WIDTH, 3, 0.0, False).double())
    nn.init.zeros_(experts.gate.weight)  # else the gate sees it
    shared = torch.randn(5, dtype=torch.float64)
    x = torch.randn(4, 5, dtype=torch.float64)
    before = experts(x)
    with torch.no_grad():
        experts.shift += shared
    torch.testing.assert_close(experts(x + shared), before, **EXACT)


@pytest.mark.parametrize(("noise", "same"), [(True, False), (False, True)])
def test_noise_acts_in_training_only(noise, same):
    experts = random_weights(Experts(5, WIDTH, 3, 0.0, noise))
    x = torch.randn(4, 5)
    experts.train()
    assert torch.equal(experts(x), experts(x)) is same
    experts.eval()
    assert torch.equal(experts(x), experts(x))


def test_dropout_is_drawn_for_each_expert():
    experts = Experts(50, 50, 2, 0.5, False).train()
    with torch.no_grad():
        experts.weight.copy_(torch.eye(50).expand(2, 50, 50))
    found = experts(torch.ones(1, 50)).flatten()  # mean of two masks, scaled by 2
    assert set(found.tolist()) == {0.0, 1.0, 2.0}


# Parameters


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"n_experts": 0}, ValueError, "n_experts must be a positive int, got 0"),
        ({"dropout": 1.0}, ValueError, r"dropout must be a number in \[0, 1\), got 1.0"),
        ({"noise": "no"}, ValueError, "noise must be one of True, False, got 'no'"),
        ({"operator": "vectors"}, ValueError, "operator must be content.Vectors, Features.*got 'v"),
        ({"operator": content.CNN()}, ValueError, r"whose last layer is linear.*got CNN\(\)"),
        ({"operator": content.Vectors}, TypeError, r"write Vectors\(\) with parentheses"),
        ({"operator": content.Vectors(dropout=2)}, ValueError, "dropout must be a number"),
    ],
    ids=str,
)
def test_bad_parameters_raise_in_check(parameters, error, message):
    with pytest.raises(error, match=message):
        content.MixtureOfExperts(**parameters).check(WIDTH)


def test_nested_key_on_the_default_says_what_to_pass():
    with pytest.raises(ValueError, match=r"operator__dropout can't be set on operator=None.*"):
        content.MixtureOfExperts().set_params(operator__dropout=0.1)
    operator = content.MixtureOfExperts(content.Vectors()).set_params(operator__dropout=0.1)
    assert operator.operator.dropout == 0.1


# In a recommender


def test_saved_and_loaded_with_and_without_ids(news, tmp_path):
    experts = content.MixtureOfExperts(content.Vectors(hidden=()), n_experts=2)
    vectors = np.random.default_rng(1).normal(size=(len(news.items), 6))
    items = news.items.assign(vector=list(vectors))
    for number, operator in enumerate([experts, content.WithID(experts)]):
        rec = ContentRecommender(operator, width=8, max_epochs=1, random_state=0)
        rec.fit(news.train, items)
        rec.save(tmp_path / str(number))
        again = ContentRecommender.load(tmp_path / str(number))
        assert repr(again) == repr(rec)
        np.testing.assert_array_equal(again.item_vectors(), rec.item_vectors())


def test_it_learns_from_features_of_texts(news):
    operator = content.MixtureOfExperts(content.Features(), n_experts=2)
    rec = ContentRecommender(operator, width=16, max_epochs=8, learning_rate=1e-2, random_state=0)
    rec.fit(news.train, news.items)
    assert rec.loss_curve_[-1] < rec.loss_curve_[0]
    assert rec.score(news.train) > 0.7
