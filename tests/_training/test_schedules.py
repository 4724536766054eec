"""Schedules of the learning rate, clipping and accumulation of gradients."""

import numpy as np
import pytest
import torch
from transformers import get_cosine_schedule_with_warmup, get_linear_schedule_with_warmup

from skrec import ContentRecommender, behavior, content
from skrec._training.plan import Plan, share_of_rate

HISTORIES = [[n % 9, (n + 1) % 9, (n * n) % 9] for n in range(24)]
ITEMS = {n: f"word{n} thing{n % 3}" for n in range(9)}


def plan(**parameters):
    return Plan.of(ContentRecommender(learning_rate=1e-2, batch_size=4, **parameters), "softmax")


@pytest.mark.parametrize(
    ("name", "reference"),
    [("linear", get_linear_schedule_with_warmup), ("cosine", get_cosine_schedule_with_warmup)],
)
def test_schedules_equal_those_of_transformers(name, reference):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    wanted = reference(optimizer, 0, 40).lr_lambdas[0]
    shares = [share_of_rate(plan(lr_schedule=name), 40, step) for step in range(40)]
    np.testing.assert_allclose(shares, [wanted(step) for step in range(40)], atol=1e-12)


def test_warmup_rises_to_the_learning_rate_and_falls_to_zero():
    for name in ("constant", "linear", "cosine"):
        warm = plan(lr_schedule=name, warmup_fraction=0.25)
        shares = [share_of_rate(warm, 40, step) for step in range(41)]
        assert (np.diff(shares[:11]) > 0).all()
        assert shares[10] == 1.0
        assert shares[40] == (1.0 if name == "constant" else 0.0)


def fit(**parameters):
    rec = ContentRecommender(
        content.MeanPooling(), behavior.MeanPooling(), "dot", width=4, n_negatives=3,
        history_targets=0, co_clicks=False, learning_rate=1e-2, precision="float64",
        early_stopping=False, random_state=0, **{"max_epochs": 1, **parameters},
    )  # fmt: skip
    return rec.fit(HISTORIES, ITEMS)


def weights(rec):
    return torch.cat([weight.detach().flatten() for weight in rec.network_.parameters()])


def test_the_schedule_is_used():
    plain, falling = fit(batch_size=4), fit(batch_size=4, lr_schedule="linear")
    assert not torch.allclose(weights(plain), weights(falling))
    one = {"batch_size": 24, "max_epochs": 1}  # the only step has the whole learning rate
    assert torch.equal(weights(fit(**one)), weights(fit(lr_schedule="cosine", **one)))


def test_gradients_of_several_batches_are_averaged(monkeypatch):
    seen = []
    step = torch.optim.AdamW.step

    def spy(self, *args, **kwargs):
        grads = [p.grad for g in self.param_groups for p in g["params"]]
        seen.append([grad.clone() for grad in grads if grad is not None])
        return step(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.AdamW, "step", spy)
    fit(batch_size=5, gradient_accumulation_steps=2)
    assert len(seen) == 3  # of five batches; the last one is alone
    seen.clear()
    # with a learning rate of almost zero, the gradients are those of equal weights
    rate = {"learning_rate": 1e-300}
    rec = ContentRecommender(
        content.MeanPooling(), behavior.MeanPooling(), "dot", width=4, n_negatives=3,
        history_targets=0, co_clicks=False, precision="float64", early_stopping=False,
        random_state=0, max_epochs=1, batch_size=12, **rate,
    )  # fmt: skip
    rec.fit(HISTORIES, ITEMS)
    single = [torch.stack(each).mean(dim=0) for each in zip(*seen, strict=True)]
    seen.clear()
    rec.set_params(gradient_accumulation_steps=2).fit(HISTORIES, ITEMS)
    assert len(seen) == 1
    for one, other in zip(seen[0], single, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-10)


def test_the_norm_of_the_gradients_is_bounded(monkeypatch):
    norms = []
    step = torch.optim.AdamW.step

    def spy(self, *args, **kwargs):
        grads = [p.grad for g in self.param_groups for p in g["params"]]
        grads = [grad.flatten() for grad in grads if grad is not None]
        norms.append(torch.cat(grads).norm().item())
        return step(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.AdamW, "step", spy)
    fit(batch_size=8)
    free = norms.copy()
    norms.clear()
    fit(batch_size=8, max_grad_norm=min(free) / 2)
    assert max(norms) == pytest.approx(min(free) / 2, rel=1e-3)


@pytest.mark.parametrize(
    ("parameter", "value", "message"),
    [
        ("lr_schedule", "cos", "lr_schedule must be one of 'constant', 'linear', 'cosine'"),
        ("warmup_fraction", 1.0, r"warmup_fraction must be a number in \[0, 1\)"),
        ("max_grad_norm", 0, r"max_grad_norm must be a number in \(0, inf\)"),
        ("gradient_accumulation_steps", 0, "gradient_accumulation_steps must be a positive int"),
    ],
)
def test_refused_values(parameter, value, message):
    with pytest.raises(ValueError, match=message):
        ContentRecommender(**{parameter: value}).fit(HISTORIES, ITEMS)
