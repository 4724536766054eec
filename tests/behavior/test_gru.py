"""The GRU with and without user embeddings, as LSTUR has them."""

import numpy as np
import pytest
import torch
from torch import nn

from skrec import behavior

WIDTH = 5
N_USERS = 6
LENGTHS = [4, 1, 2]
EXACT = {"rtol": 0, "atol": 1e-10}


@pytest.fixture
def given():
    """Clicks (3, 4, D), their mask, and users (3,), the second of them unknown."""
    torch.manual_seed(1)
    x = torch.randn(3, 4, WIDTH, dtype=torch.float64)
    mask = torch.arange(4) < torch.tensor(LENGTHS).unsqueeze(1)
    return x, mask, torch.tensor([6, 0, 2])


def build(how, n_users=N_USERS, **parameters):
    torch.manual_seed(0)
    operator = behavior.GRU(user_embedding=how, **parameters)
    operator.check(WIDTH)
    return operator.build(WIDTH, n_users).double().eval()


def run(gru, clicks, h):
    """The state after clicks (L, D) from state h (D,), in numpy."""
    w, u, b, c = (weight.detach().numpy() for weight in gru.parameters())
    for click in clicks:
        i, s = w @ click + b, u @ h + c
        (ir, iz, i_new), (sr, sz, s_new) = np.split(i, 3), np.split(s, 3)
        r, z = 1 / (1 + np.exp(-ir - sr)), 1 / (1 + np.exp(-iz - sz))
        h = (1 - z) * np.tanh(i_new + r * s_new) + z * h
    return h


def vectors(module, user):
    """The embeddings of users, zeros for the unknown one, in numpy."""
    table = module.users.table.weight.detach().numpy()
    return [table[code] if code else np.zeros(WIDTH) for code in user.tolist()]


def test_without_user_embedding_nothing_has_changed(given):
    # the weights of models that were trained before must fit, and seeds give the same ones
    x, mask, _ = given
    module = build(None)
    torch.manual_seed(0)
    twin = nn.GRU(WIDTH, WIDTH, batch_first=True).double()
    assert list(module.state_dict()) == [f"gru.{name}" for name in twin.state_dict()]
    for a, b in zip(module.parameters(), twin.parameters(), strict=True):
        assert torch.equal(a, b)
    states, _ = twin(x)
    wanted = torch.stack([states[row, length - 1] for row, length in enumerate(LENGTHS)])
    assert torch.equal(module(x, mask), wanted.unsqueeze(1))


def test_ini_starts_from_the_user(given):
    module = build("ini")
    found = module(*given)
    assert found.shape == (3, 1, WIDTH)
    x, _, user = given
    for row, (length, start) in enumerate(zip(LENGTHS, vectors(module, user), strict=True)):
        wanted = run(module.gru, x[row, :length].numpy(), start)
        np.testing.assert_allclose(found[row, 0].detach().numpy(), wanted, rtol=0, atol=1e-10)


def test_con_projects_state_and_user(given):
    module = build("con")
    found = module(*given)
    assert found.shape == (3, 1, WIDTH)
    x, _, user = given
    W, b = (weight.detach().numpy() for weight in module.project.parameters())
    for row, (length, vector) in enumerate(zip(LENGTHS, vectors(module, user), strict=True)):
        state = run(module.gru, x[row, :length].numpy(), np.zeros(WIDTH))
        wanted = W @ np.concatenate([state, vector]) + b
        np.testing.assert_allclose(found[row, 0].detach().numpy(), wanted, rtol=0, atol=1e-10)


@pytest.mark.parametrize("how", ["ini", "con"])
def test_padding_and_other_rows_change_nothing(given, how):
    x, mask, user = given
    module = build(how)
    together = module(x, mask, user)
    garbage = torch.where(mask.unsqueeze(-1), x, torch.full_like(x, 1e6))
    torch.testing.assert_close(module(garbage, mask, user), together, **EXACT)
    for row, length in enumerate(LENGTHS):
        only = slice(row, row + 1)
        alone = module(x[only, :length], mask[only, :length], user[only])
        torch.testing.assert_close(together[only], alone, **EXACT)


@pytest.mark.parametrize("how", ["ini", "con"])
def test_gradients_reach_all_but_the_unknown_user(given, how):
    module = build(how)
    module(*given).square().sum().backward()
    assert all(weight.grad.any() for weight in module.parameters())
    moved = module.users.table.weight.grad.any(dim=1)
    assert moved.tolist() == [False, False, True, False, False, False, True]


@pytest.mark.parametrize("how", ["ini", "con"])
def test_the_unknown_user_stays_zero_in_training(given, how):
    # were its row to move, all who come without an id would share a taste
    module = build(how).train()
    optimizer = torch.optim.AdamW(module.parameters(), lr=0.1, weight_decay=0.1)
    for _ in range(5):
        optimizer.zero_grad()
        module(*given).square().sum().backward()
        optimizer.step()
    assert not module.users.table.weight[0].any()
    assert module.users.table.weight[1:].all()


@pytest.mark.parametrize("how", ["ini", "con"])
def test_masked_users_are_the_unknown_one_at_the_paper_s_rate(how):
    x = torch.randn(1, 3, WIDTH, dtype=torch.float64).expand(2000, -1, -1)
    mask, user = torch.ones(2000, 3, dtype=torch.bool), torch.full((2000,), 3)
    module = build(how, user_dropout=0.3)
    known, unknown = module(x[:1], mask[:1], user[:1]), module(x[:1], mask[:1], user[:1] * 0)
    assert not torch.allclose(known, unknown, atol=1e-3)
    module.train()
    users = module(x, mask, user)
    masked = (users - unknown).abs().amax(dim=(1, 2)) < 1e-10
    kept = (users - known).abs().amax(dim=(1, 2)) < 1e-10  # not scaled up
    assert (masked ^ kept).all()
    assert masked.double().mean().item() == pytest.approx(0.3, abs=0.05)
    module.users.dropout = 0.0
    torch.testing.assert_close(module(x[:1], mask[:1], user[:1]), known, **EXACT)


@pytest.mark.parametrize("how", ["ini", "con"])
def test_no_known_users(given, how):
    # no table is built that nothing could train
    x, mask, user = given
    module = build(how, n_users=0)
    assert not [name for name in module.state_dict() if "users" in name]
    torch.testing.assert_close(module(x, mask, user * 0), module(x, mask, user), **EXACT)
    module(x, mask, user).sum().backward()
    assert all(weight.grad.any() for weight in module.parameters())


@pytest.mark.parametrize("how", ["ini", "con"])
def test_large_inputs_are_finite(given, how):
    x, mask, user = given
    clicks = (1e4 * x).requires_grad_()
    users = build(how)(clicks, mask, user)
    users.sum().backward()
    assert users.isfinite().all()
    assert clicks.grad.isfinite().all()


def test_reads_users_follows_the_parameter():
    operator = behavior.GRU()
    assert not operator.reads_users
    for how in ("ini", "con"):
        assert operator.set_params(user_embedding=how).reads_users


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"user_embedding": "add"},
            "^user_embedding must be one of 'ini', 'con', None, got 'add'$",
        ),
        ({"user_dropout": 1.0}, r"^user_dropout must be a number in \[0, 1\), got 1.0$"),
        ({"dropout": -0.1}, r"^dropout must be a number in \[0, 1\), got -0.1$"),
    ],
)
def test_refused_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        behavior.GRU(**parameters).check(WIDTH)
