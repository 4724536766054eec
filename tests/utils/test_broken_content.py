"""Each check of content operators fails for an operator that violates it."""

import pytest
import torch
from broken import Forward
from torch import nn
from torch.nn import functional as F

from skrec import content
from skrec._data.packed import Dense, Packed


class Content(content.MeanPooling):
    """Mean pooling whose output or input is replaced by a function."""

    def __init__(self, function=None):
        super().__init__()
        self.function = function

    def build(self, schema, width):
        return Forward(self.function, super().build(schema, width))


class NaNOnEmpty(content.MeanPooling):
    def build(self, schema, width):
        return Forward(unsafe_mean, nn.Embedding(10_000, width))


def unsafe_mean(table, columns):
    ids, mask = columns["title"]
    return (table(ids % 10_000) * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True)


def leaky_mean(table, columns):
    return table(columns["title"][0] % 10_000).mean(1)


class Leaky(NaNOnEmpty):
    def build(self, schema, width):
        return Forward(leaky_mean, nn.Embedding(10_000, width))


class NeedsFitToBuild(content.MeanPooling):
    def fit(self, items, y=None):
        self.n_items_ = items.n_items
        return super().fit(items)

    def build(self, schema, width):
        assert self.n_items_
        return super().build(schema, width)


class ReadsPositions(content.ID):
    def prepare(self, items):
        return Packed({"id": Dense(torch.arange(items.n_items)[:, None])})


class NoNewItems(content.ID):
    def prepare(self, items):
        packed = super().prepare(items)
        if (packed.columns["id"].values < 0).any():
            raise KeyError("unknown id")
        return packed


class DropsItems(content.ID):
    def prepare(self, items):
        return super().prepare(items.take([0, 1]))


class ChangesItsParameters(content.MeanPooling):
    def fit(self, items, y=None):
        self.max_length = 8
        return super().fit(items)


class NoSchema(content.MeanPooling):
    def fit(self, items, y=None):
        return self


class NoSelf(content.MeanPooling):
    def fit(self, items, y=None):
        super().fit(items)


class Forgets(content.ID):
    """Stores what it has learned outside the operator."""

    known = {}

    def fit(self, items, y=None):
        Forgets.known = {id(self): items}
        return super().fit(items)

    def prepare(self, items):
        if id(self) in Forgets.known:
            return super().prepare(items)
        return Packed({"id": Dense(torch.zeros((items.n_items, 1), dtype=torch.long))})


def overwrite(inner, columns):
    ids, mask = columns["title"]
    ids.masked_fill_(mask, 1)
    return inner(columns)


@pytest.mark.parametrize(
    ("operator", "check", "match"),
    [
        (NoSelf(), "check_fit", "fit must return self"),
        (NoSchema(), "check_fit", "fit must set schema_"),
        (ChangesItsParameters(), "check_fit", "must not change its parameters.*max_length"),
        (
            NeedsFitToBuild(),
            "check_builds_from_schema",
            "on schema_ and the.*AttributeError",
        ),
        (
            DropsItems(),
            "check_shape_and_type",
            "must return all 40 items in their order, got 2",
        ),
        (NaNOnEmpty(), "check_empty_items_are_finite", "clamp the number of tokens"),
        (Leaky(), "check_padding_changes_nothing", "padding affects an item's vector"),
        (NoNewItems(), "check_new_items", "new items must get finite vectors.*KeyError"),
        (ReadsPositions(), "check_position_does_not_matter", "depends on its position in the"),
        (Forgets(), "check_pickles", "a pickled operator prepares items differently"),
    ],
    ids=lambda value: type(value).__name__ if hasattr(value, "fit") else None,
)
def test_content(operator, check, match, fail):
    fail(operator, check, match)


@pytest.mark.parametrize(
    ("function", "check", "match"),
    [
        (
            lambda f, c: f(c)[:, :-1],
            "check_shape_and_type",
            r"\(U, width\) = \(3, 64\), got \(3, 63",
        ),
        (lambda f, c: f(c).float(), "check_shape_and_type", "must return float64"),
        (lambda f, c: f(c) - f(c).mean(0), "check_batch_equals_one_by_one", "the other items in"),
        (
            lambda f, c: f(c).detach(),
            "check_every_parameter_gets_a_gradient",
            "no gradient reaches",
        ),
        (lambda f, c: F.dropout(f(c)), "check_eval_is_deterministic", "training=self.training"),
        (overwrite, "check_inputs_are_unchanged", "changes column 'title' in place"),
    ],
)
def test_content_module(function, check, match, fail):
    fail(Content(function), check, match)


class WithTokens(content.MeanPooling):
    """Mean pooling whose tokens are replaced by a function."""

    def __init__(self, function=None):
        super().__init__()
        self.function = function

    def build(self, schema, width):
        module = super().build(schema, width)
        tokens = module.tokens
        module.tokens = lambda columns: self.function(*tokens(columns))
        return module


@pytest.mark.parametrize(
    ("function", "match"),
    [
        (lambda v, x, m: x, r"vectors \(U, width\), tokens .* got Tensor"),
        (
            lambda v, x, m: (2 * v, x, m),
            "tokens.columns. must equal those of forward",
        ),
        (lambda v, x, m: (v, x[..., :5], m), r"got \(5, \d+, 5\) and"),
        (lambda v, x, m: (v, x, m.float()), "of torch.float32"),
        (lambda v, x, m: (v, x / m.unsqueeze(-1), m), "tokens must be finite, also in padding"),
        (
            lambda v, x, m: (v, x.flip(1), m.flip(1)),
            "of an item must come before padding",
        ),
        (lambda v, x, m: (v, x - x.mean((0, 1)), m), "tokens depend on the other items"),
    ],
)
def test_content_tokens(function, match, fail):
    fail(WithTokens(function), "check_tokens", match)
