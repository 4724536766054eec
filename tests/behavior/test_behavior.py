"""What every registered behavior operator promises."""

import pytest
import torch
from torch import nn

from skrec import behavior, predictor
from skrec._network import Network
from skrec.nn import masked_mean

WIDTH = 8
EXACT = {"rtol": 0, "atol": 1e-10}
UNORDERED = [
    "mean_pooling",
    "additive_attention",
    "self_attention",
    "late_fusion",
    "poly_attention",
    "target_attention",
    "max_pooling",
    "fastformer",
    "token_fastformer",
    "personalized_attention",
    "bipartite_graph",
]
ORDERED = [
    "gru",
    "last_item",
    "behavior_sequence_transformer",
    "cnn",
    "transformer",
    "token_transformer",
    "parallel_gru",
    "moving_averages",
    "candidate_self_attention",
]


class Users(nn.Module):
    """An operator's module behind one signature, be it candidate-aware or not.

    Of late fusion's one vector a click, which nothing but a mean ever reads, it gives the mean.
    """

    def __init__(self, operator):
        super().__init__()
        if "dropout" in operator.get_params():
            operator.set_params(dropout=0.0)
        operator.check(WIDTH)
        torch.manual_seed(0)
        self.module = operator.build(WIDTH).double().eval()
        self.operator = operator
        self.candidate_aware = operator.candidate_aware
        self.late_fusion = operator.late_fusion

    def forward(self, x, mask, candidates):
        if self.operator.reads_tokens:  # each click is its one token
            return self.module(x.unsqueeze(2), mask.unsqueeze(2))
        if self.late_fusion:
            return masked_mean(self.module(x, mask), mask).unsqueeze(1)
        user = [torch.zeros(len(x), dtype=torch.long)] if self.operator.reads_users else []
        if self.candidate_aware:
            return self.module(x, mask, candidates, *user)
        return self.module(x, mask, *user)


@pytest.fixture(params=sorted(behavior.ALIASES))
def users(request):
    """The module of every registered operator, without dropout."""
    return Users(behavior.ALIASES[request.param]())


@pytest.fixture
def x():
    torch.manual_seed(1)
    return torch.randn(3, 4, WIDTH, dtype=torch.float64)


@pytest.fixture
def mask():
    return torch.arange(4) < torch.tensor([[4], [1], [2]])


@pytest.fixture
def candidates():
    torch.manual_seed(2)
    return torch.randn(3, 5, WIDTH, dtype=torch.float64)


def test_shape(users, x, mask, candidates):
    shape = users(x, mask, candidates).shape
    assert shape[0] == 3
    assert shape[-1] == WIDTH
    assert len(shape) == (4 if users.candidate_aware else 3)
    assert shape[1] == 5 or not users.candidate_aware


def test_padding_changes_nothing(users, x, mask, candidates):
    wanted = users(x, mask, candidates)
    garbage = torch.where(mask.unsqueeze(-1), x, torch.full_like(x, 1e6))
    longer = torch.cat([garbage, torch.full_like(x, -1e6)], dim=1)
    longer_mask = torch.cat([mask, torch.zeros_like(mask)], dim=1)
    torch.testing.assert_close(users(longer, longer_mask, candidates), wanted, **EXACT)


def test_a_batch_equals_one_by_one(users, x, mask, candidates):
    together = users(x, mask, candidates)
    for row, length in enumerate([4, 1, 2]):
        only = slice(row, row + 1)
        alone = users(x[only, :length], mask[only, :length], candidates[only])
        torch.testing.assert_close(together[only], alone, **EXACT)


def test_every_parameter_gets_a_gradient(users, x, mask, candidates):
    found = users(x.requires_grad_(), mask, candidates)
    (found * torch.randn_like(found)).sum().backward()
    idle = [name for name, w in users.named_parameters() if w.grad is None or not w.grad.any()]
    assert not idle


def test_padding_gets_no_gradient(users, x, mask, candidates):
    x.requires_grad_()
    users(x, mask, candidates).square().sum().backward()
    assert x.grad.isfinite().all()
    assert not x.grad[~mask].any()


def test_inputs_are_left_alone(users, x, mask, candidates):
    # the clicks are gathered from cached item vectors
    before = x.clone(), mask.clone(), candidates.clone()
    users(x, mask, candidates)
    assert torch.equal(x, before[0])
    assert torch.equal(mask, before[1])
    assert torch.equal(candidates, before[2])


@pytest.mark.parametrize("alias", UNORDERED)
def test_order_of_the_clicks_does_not_matter(alias, x, candidates):
    users = Users(behavior.ALIASES[alias]())
    mask = torch.ones(3, 4, dtype=torch.bool)
    order = [2, 0, 3, 1]
    found = users(x[:, order], mask, candidates)
    torch.testing.assert_close(found, users(x, mask, candidates), **EXACT)


@pytest.mark.parametrize("alias", ORDERED)
def test_order_of_the_clicks_matters(alias, x, mask, candidates):
    # oldest first: read the other way round, the user is who they were long ago
    users = Users(behavior.ALIASES[alias]())
    found = users(x.flip(1), torch.ones_like(mask), candidates)
    wanted = users(x, torch.ones_like(mask), candidates)
    assert ((found - wanted).abs() > 1e-3).any(dim=-1).all()


def test_every_operator_is_known_to_mind_the_order_or_not():
    assert sorted(UNORDERED + ORDERED) == sorted(behavior.ALIASES)


@pytest.mark.parametrize(
    "alias", ["mean_pooling", "additive_attention", "last_item", "late_fusion"]
)
def test_one_click_is_the_user(alias, x, mask, candidates):
    # a weighted mean of one vector is that vector
    users = Users(behavior.ALIASES[alias]())
    torch.testing.assert_close(users(x, mask, candidates)[1, 0], x[1, 0], **EXACT)


# Known answers


def attend(layer, rows):
    """Additive attention over the rows of (L, D), click by click."""
    scores = torch.stack([layer.query.weight[0] @ torch.tanh(layer.project(row)) for row in rows])
    weights = scores.exp() / scores.exp().sum()
    return sum(weight * row for weight, row in zip(weights, rows, strict=True))


def test_mean_pooling_by_hand():
    module = behavior.MeanPooling().build(2)
    x = torch.tensor([[[1.0, 0.0], [3.0, 4.0], [9.0, 9.0]]])
    assert module(x, torch.tensor([[True, True, False]])).tolist() == [[[2.0, 2.0]]]


def test_additive_attention_equals_the_formula(x, mask, candidates):
    users = Users(behavior.AdditiveAttention())
    found = users(x, mask, candidates)
    for row, length in enumerate([4, 1, 2]):
        wanted = attend(users.module.attention, x[row, :length])
        torch.testing.assert_close(found[row, 0], wanted, **EXACT)


def test_self_attention_equals_the_formula(x, mask, candidates):
    users = Users(behavior.SelfAttention(n_heads=2))
    twin = nn.MultiheadAttention(WIDTH, 2, batch_first=True).double()
    mix = users.module.mix
    twin.in_proj_weight.data, twin.in_proj_bias.data = (
        mix.project.weight.data,
        mix.project.bias.data,
    )
    twin.out_proj = mix.out
    found = users(x, mask, candidates)
    for row, length in enumerate([4, 1, 2]):
        clicks = x[row : row + 1, :length]
        wanted = attend(users.module.attention, twin(clicks, clicks, clicks)[0][0])
        torch.testing.assert_close(found[row, 0], wanted, **EXACT)


def test_last_item_by_hand():
    module = behavior.LastItem().build(2)
    x = torch.tensor([[[1.0, 0.0], [3.0, 4.0], [9.0, 9.0]]] * 3)
    mask = torch.tensor([[True, True, False], [True, False, False], [True, True, True]])
    assert module(x, mask).tolist() == [[[3.0, 4.0]], [[1.0, 0.0]], [[9.0, 9.0]]]


@pytest.mark.parametrize("training", [True, False])
def test_gru_equals_torch_without_padding_in_values_and_gradients(x, mask, training):
    # the padded rows run on to the end: nothing of what they read there may come back
    module = Users(behavior.GRU()).module.train(training)
    weights = list(module.parameters())
    x.requires_grad_()
    wanted = []
    for row, length in enumerate([4, 1, 2]):
        _, state = module.gru(x[row : row + 1, :length])
        wanted.append(state)  # (1, 1, D): the last state
    wanted = torch.cat(wanted)
    found = module(x, mask)
    torch.testing.assert_close(found, wanted, **EXACT)
    inputs = [x, *weights]
    found, wanted = (torch.autograd.grad(y.square().sum(), inputs) for y in (found, wanted))
    torch.testing.assert_close(found, wanted, **EXACT)


def test_gru_equals_the_formula(x, mask, candidates):
    users = Users(behavior.GRU())
    found = users(x, mask, candidates)
    gru = users.module.gru
    for row, length in enumerate([4, 1, 2]):
        h = torch.zeros(WIDTH, dtype=torch.float64)
        for click in x[row, :length]:
            i = gru.weight_ih_l0 @ click + gru.bias_ih_l0
            s = gru.weight_hh_l0 @ h + gru.bias_hh_l0
            (ir, iz, i_new), (sr, sz, s_new) = i.split(WIDTH), s.split(WIDTH)
            r, z = torch.sigmoid(ir + sr), torch.sigmoid(iz + sz)
            h = (1 - z) * torch.tanh(i_new + r * s_new) + z * h
        torch.testing.assert_close(found[row, 0], h, **EXACT)


def test_late_fusion_keeps_every_click(x, mask):
    assert torch.equal(behavior.LateFusion().build(WIDTH)(x, mask)[mask], x[mask])


def test_hidden_is_the_size_of_the_attention():
    assert behavior.AdditiveAttention(hidden=3).build(WIDTH).attention.project.out_features == 3
    assert behavior.AdditiveAttention().build(WIDTH).attention.project.out_features == WIDTH


@pytest.mark.parametrize("operator", [behavior.SelfAttention, behavior.GRU])
def test_dropout_acts_in_training_only(operator, x, mask):
    module = operator(dropout=0.5).build(WIDTH).double()
    assert not torch.equal(module(x, mask), module(x, mask))
    module.eval()
    assert torch.equal(module(x, mask), module(x, mask))


# Empty histories, inside the network


@pytest.fixture
def network(users):
    module = predictor.Dot().build(WIDTH)
    return Network(nn.Identity(), users.module, module, WIDTH, users.operator).double()


def rows(network, x):
    """Items as the network gathers them: with tokens, a vector has itself as its one real token."""
    return torch.cat([x, x, torch.ones_like(x[..., :1])], dim=-1) if network.reads_tokens else x


def score(network, x, mask, candidates):
    return network.score(
        *network.with_empty(rows(network, x), mask), torch.arange(len(x)), candidates
    )


def test_empty_history_is_the_learned_click(network, x, mask, candidates):
    mask[1] = False
    learned = x.clone()
    learned[1, 0] = network.empty_history.detach()
    one = mask.clone()
    one[1, 0] = True
    wanted = network.score(rows(network, learned), one, torch.arange(3), candidates)
    torch.testing.assert_close(score(network, x, mask, candidates), wanted, **EXACT)


@pytest.mark.parametrize("n_empty", [1, 3])
def test_empty_histories_are_finite_in_loss_and_gradients(network, x, mask, candidates, n_empty):
    # a softmax over nothing gives NaN, which one new user in a batch would spread to all weights
    mask[:n_empty] = False
    x.requires_grad_()
    loss = score(network, x, mask, candidates).square().sum()
    loss.backward()
    assert loss.isfinite()
    assert x.grad.isfinite().all()
    assert not x.grad[:n_empty].any()
    assert all(w.grad is None or w.grad.isfinite().all() for w in network.parameters())
    assert network.empty_history.grad.any()


def test_other_histories_do_not_see_the_learned_click(network, x, mask):
    before = x.clone(), mask.clone()
    mask[1] = False
    clicks, real = network.with_empty(x, mask)
    assert torch.equal(clicks[[0, 2]], x[[0, 2]])
    assert torch.equal(real[[0, 2]], mask[[0, 2]])
    assert real[1].tolist() == [True, False, False, False]
    assert torch.equal(x, before[0])
    assert not mask[1].any()


def test_fit_does_nothing():
    for operator in behavior.ALIASES.values():
        operator = operator()
        before = dict(vars(operator))
        assert operator.fit() is operator
        assert vars(operator) == before
