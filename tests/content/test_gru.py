"""Recurrent network over words."""

import pytest
import torch

from skrec import Items, content

WIDTH = 8
EXACT = {"rtol": 0, "atol": 1e-10}


def build(operator):
    torch.manual_seed(0)
    return operator.build(operator.schema_, WIDTH).double().eval()


def unroll(gru, rows):
    """Compute the states (L, D) from the equations of the unit, word by word."""
    h, states = torch.zeros(WIDTH, dtype=torch.float64), []
    for row in rows:
        i = gru.weight_ih_l0 @ row + gru.bias_ih_l0
        s = gru.weight_hh_l0 @ h + gru.bias_hh_l0
        (ir, iz, i_new), (sr, sz, s_new) = i.split(WIDTH), s.split(WIDTH)
        r, z = torch.sigmoid(ir + sr), torch.sigmoid(iz + sz)
        h = (1 - z) * torch.tanh(i_new + r * s_new) + z * h
        states.append(h)
    return torch.stack(states)


@torch.no_grad()
def test_a_text_is_the_state_after_its_last_word(mixed):
    items = Items(mixed)
    operator = content.GRU(["title"]).fit(items)
    module, packed = build(operator), operator.prepare(items)
    columns = packed.take(torch.arange(8))
    found = module(columns)
    vectors, states, real = module.tokens(columns)
    torch.testing.assert_close(vectors, found, **EXACT)
    for code in range(8):
        ids, mask = packed.take(torch.tensor([code]))["title"]
        if not mask.any():
            assert not found[code].any()
            continue
        wanted = unroll(module.encoders[0].gru, module.embeddings["text"](ids[mask]))
        torch.testing.assert_close(found[code], wanted[-1], **EXACT)
        # operators that read tokens get the states of all words
        torch.testing.assert_close(states[code][real[code]], wanted, **EXACT)


def test_order_of_words_matters():
    items = Items(["fox eats hen", "hen eats fox"])
    operator = content.GRU().fit(items)
    a, b = build(operator)(operator.prepare(items).take(torch.arange(2)))
    assert (a - b).abs().max() > 1e-4


def test_dropout_acts_in_training_only():
    items = Items(["fox eats hen"])
    operator = content.GRU(dropout=0.5).fit(items)
    module, columns = build(operator), operator.prepare(items).take(torch.arange(1))
    assert torch.equal(module(columns), module(columns))
    module.train()
    assert not torch.equal(module(columns), module(columns))


def test_bad_dropout_is_refused():
    with pytest.raises(ValueError, match=r"^dropout must be a number in \[0, 1\), got 1.0$"):
        content.GRU(dropout=1.0).check(WIDTH)
