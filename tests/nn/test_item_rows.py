import pytest
import torch

from skrec.nn import join_tokens, real_first, split_tokens, stack_rows

D = 3


@pytest.fixture
def parts():
    torch.manual_seed(0)
    vectors = torch.randn(3, D, dtype=torch.float64)
    x = torch.randn(3, 2, D, dtype=torch.float64)
    mask = torch.tensor([[True, True], [True, False], [False, False]])
    return vectors, x, mask


def test_a_row_gives_back_the_vector_and_the_tokens(parts):
    vectors, x, mask = parts
    rows = join_tokens(vectors, x, mask)
    assert rows.shape == (3, D + 2 * (D + 1))
    assert torch.equal(rows[:, :D], vectors)
    tokens, real = split_tokens(rows[:, D:], D)
    assert torch.equal(tokens[0], x[0])
    assert torch.equal(tokens[1, 0], x[1, 0])
    assert real.tolist() == [[True, True], [True, False], [True, False]]


def test_an_item_without_tokens_has_its_vector_as_the_only_one(parts):
    vectors, x, mask = parts
    tokens, _ = split_tokens(join_tokens(vectors, x, mask)[:, D:], D)
    assert torch.equal(tokens[2, 0], vectors[2])
    assert not tokens[2, 1].any()


def test_what_padding_holds_is_gone(parts):
    vectors, x, mask = parts
    other = torch.where(mask.unsqueeze(2), x, torch.full_like(x, 1e30))
    assert torch.equal(join_tokens(vectors, other, mask), join_tokens(vectors, x, mask))


def test_the_token_of_a_longer_row_is_the_vector_too(parts):
    """Side columns stand between the vector and the tokens."""
    vectors, x, mask = parts
    wide = torch.cat([vectors, torch.ones(3, D, dtype=torch.float64)], dim=1)
    rows = join_tokens(wide, x, mask)
    tokens, _ = split_tokens(rows[:, 2 * D :], D)
    assert torch.equal(tokens[2, 0], vectors[2])


def test_zeros_at_the_end_are_tokens_that_are_not_real(parts):
    rows = join_tokens(*parts)
    longer = torch.zeros(1, D + 4 * (D + 1), dtype=torch.float64)
    both = stack_rows([rows, longer])
    assert both.shape == (4, longer.shape[1])
    _, real = split_tokens(both[:, D:], D)
    assert real.sum(dim=1).tolist() == [2, 1, 1, 0]


def test_real_tokens_move_to_the_front_in_their_order():
    x = torch.arange(10.0).view(1, 5, 2)
    mask = torch.tensor([[False, True, False, True, True]])
    moved, real = real_first(x, mask)
    assert moved[0].tolist() == [[2.0, 3.0], [6.0, 7.0], [8.0, 9.0]]
    assert real.tolist() == [[True, True, True]]


def test_no_real_token_leaves_one_place():
    moved, real = real_first(torch.zeros(2, 3, 2), torch.zeros(2, 3, dtype=torch.bool))
    assert moved.shape == (2, 1, 2)
    assert not real.any()
