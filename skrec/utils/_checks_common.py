"""What all checks share: data, the words of a failure, and checks that hold for any operator."""

from __future__ import annotations

import functools
import inspect
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.base import clone
from sklearn.utils import estimator_checks as sklearn_checks
from torch import nn

from skrec._data.items import Items
from skrec._recommender import ContentRecommender
from skrec.datasets import make_headlines

WIDTH = 64  # the recommender's default, and a multiple of all usual numbers of heads

# those of scikit-learn's checks that need no data, and that say something of any estimator
SKLEARN_CHECKS = (
    sklearn_checks.check_estimator_cloneable,
    sklearn_checks.check_estimator_repr,
    sklearn_checks.check_estimator_tags_renamed,
    sklearn_checks.check_valid_tag_types,
    sklearn_checks.check_mixin_order,
    sklearn_checks.check_get_params_invariance,
    sklearn_checks.check_set_params,
    sklearn_checks.check_parameters_default_constructible,
    sklearn_checks.check_do_not_raise_errors_in_init_or_set_params,
)


def require(condition: Any, estimator: Any, message: str) -> None:
    """Raise an AssertionError that names the estimator, unless the condition holds."""
    if not condition:
        raise AssertionError(f"{estimator!r}: {message}")


def close(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether two float64 answers are the same but for the order of additions."""
    return a.shape == b.shape and torch.allclose(a, b, rtol=1e-9, atol=1e-9)


@contextmanager
def seeded(seed: int = 0) -> Iterator[None]:
    """Seed torch, and leave its global generator as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


@functools.cache
def news() -> Any:
    """Return clicks on 40 items."""
    return make_headlines(n_users=12, n_items=40, n_impressions=60, random_state=0)


def items_frame() -> pd.DataFrame:
    """Return the items of `news` with a column of every role; the last is empty."""
    frame = news().items
    n = len(frame)
    frame = frame.assign(
        tags=[["a", "b", "c"][: i % 4] for i in range(n)],
        length=np.arange(n) % 5.0,
        vector=[[np.sin(i), np.cos(i), 1.0] for i in range(n)],
    )
    empty: dict[str, Any] = {"title": "", "topic": None, "tags": [], "vector": [0.0, 0.0, 0.0]}
    for name, value in empty.items():
        frame.at[frame.index[-1], name] = value
    return frame


@functools.cache
def catalogue() -> Items:
    """Return these items as a catalogue, which can't be changed."""
    return Items(items_frame())


def catalogue_for(behavior: Any) -> Items:
    """Return these items with the columns, too, that a behavior operator names; an alias none."""
    frame = items_frame()
    names = getattr(behavior, "side_columns", None) or []
    missing = {name: frame["topic"] for name in names if name not in frame}
    return Items(frame.assign(**missing)) if missing else catalogue()


def histories(frame: pd.DataFrame, behavior: Any = None) -> Any:
    """Return the histories of some impressions as lists, with an empty one at the end.

    With users, of which the last is unknown, where the behavior operator reads them.
    """
    lists = [*(list(history) for history in frame["history"]), []]
    if not getattr(behavior, "reads_users", False):
        return lists
    return pd.DataFrame({"user_id": [*frame["user_id"], -1], "history": lists})


def ready(module: Any, operator: Any) -> nn.Module:
    """Return what `build` made in float64 and eval mode, with dropout off."""
    require(
        isinstance(module, nn.Module),
        operator,
        f"build must return a torch.nn.Module, got {type(module).__name__}",
    )
    return module.double().eval()


def require_shape(found: Any, shape: tuple[int, ...], operator: Any, letters: str) -> None:
    """Require a float64 tensor of a shape; `letters` say what its axes are."""
    require(
        isinstance(found, torch.Tensor),
        operator,
        f"the module must return a tensor {letters}, got {type(found).__name__}",
    )
    require(
        tuple(found.shape) == shape,
        operator,
        f"the module must return shape {letters} = {shape}, got {tuple(found.shape)}",
    )
    require(
        found.dtype == torch.float64,
        operator,
        f"a module in float64 must answer in float64, got {found.dtype}; make new tensors like "
        "the input, for instance with x.new_zeros(...), and convert none with .float()",
    )


def require_gradients(
    operator: Any, module: nn.Module, forward: Callable[[], torch.Tensor]
) -> None:
    """Require a finite gradient of every trained weight, not zero in all of three tries."""
    moved = set()
    with seeded():
        with torch.no_grad():  # weights that start at zero may rightly block each other's
            for weight in module.parameters():
                weight.add_(0.1 * torch.randn_like(weight))
        module.train()
        for _ in range(3):  # dropout may hide a weight once
            module.zero_grad(set_to_none=True)
            found = forward()
            if not found.requires_grad:
                break
            (found * torch.randn_like(found)).sum().backward()
            for name, weight in module.named_parameters():
                if weight.grad is None:
                    continue
                finite = weight.grad.isfinite().all()
                require(
                    finite,
                    operator,
                    f"the gradient of {name} is not finite; look for a division by zero, a root "
                    "at zero, or the softmax of a row that is wholly masked (skrec.nn has one "
                    "that is safe)",
                )
                if weight.grad.any():
                    moved.add(name)
    idle = [name for name, w in module.named_parameters() if w.requires_grad and name not in moved]
    require(
        not idle,
        operator,
        f"no gradient reaches {', '.join(idle)}; use these weights in forward, don't make them, or "
        "set requires_grad=False",
    )


def require_repeatable(operator: Any, forward: Callable[[], torch.Tensor]) -> None:
    """Require one answer in eval mode, whatever the seed."""
    answers = []
    for seed in (0, 1):
        with seeded(seed), torch.no_grad():
            answers.append(forward())
    require(
        torch.equal(*answers),
        operator,
        "the module answers at random in eval mode; draw random numbers only "
        "`if self.training`, and pass training=self.training to functional.dropout",
    )


def require_untouched(given: Any, before: Any, operator: Any, what: str = "its input") -> None:
    """Require that tensors are what they were before `forward` read them."""
    require(
        all(map(torch.equal, given, before)),
        operator,
        f"forward changes {what} in place; use masked_fill, not masked_fill_",
    )


def same_weights(a: nn.Module, b: nn.Module) -> bool:
    """Whether two modules have weights of the same names and shapes."""
    first, second = a.state_dict(), b.state_dict()
    return {name: value.shape for name, value in first.items()} == {
        name: value.shape for name, value in second.items()
    }


# Checks of any operator


def check_init_only_assigns(operator: Any) -> None:
    """Check that `__init__` stores its parameters as they are, and nothing else."""
    values = operator.get_params(deep=False)
    arguments = inspect.signature(type(operator).__init__).parameters.values()
    defaults: dict[str, Any] = {
        p.name: p.default for p in arguments if p.default is not inspect.Parameter.empty
    }
    for given in (values, {**values, **defaults}):
        fresh = type(operator)(**given)
        extra = sorted(set(vars(fresh)) - set(given))
        require(
            not extra,
            operator,
            f"__init__ must only assign its parameters, but sets {', '.join(extra)} too; compute "
            "it in fit or build",
        )
        for name, value in given.items():
            require(
                getattr(fresh, name) is value,
                operator,
                f"__init__ must store {name} as it is, without a copy or a conversion",
            )
    mutable = sorted(
        name for name, value in defaults.items() if isinstance(value, list | dict | set)
    )
    require(
        not mutable,
        operator,
        f"the default of {', '.join(mutable)} can be changed by anyone who holds it; take a tuple "
        "or None",
    )


def check_scikit_learn(operator: Any) -> None:
    """Check that clones, parameters, tags and repr work as scikit-learn's own checks want."""
    for check in SKLEARN_CHECKS:
        check(type(operator).__name__, operator)


def check_accepts_its_parameters(operator: Any) -> None:
    """Check that `check` passes at the recommender's default width, and changes nothing."""
    copy = clone(operator)
    try:
        copy.check(WIDTH)
    except Exception as error:
        message = f"check({WIDTH}) must pass with these parameters, but raised {error!r}"
        raise AssertionError(f"{operator!r}: {message}") from error
    require(
        vars(copy).keys() == vars(clone(operator)).keys(),
        operator,
        "check must not set attributes; it only raises",
    )


def check_in_a_recommender(operator: Any, family: str) -> None:
    """Check that it trains within a recommender, twice alike, and the fitted model pickles."""
    data = news()

    def fit() -> ContentRecommender:
        parts = {"content": "mean_pooling", family: clone(operator)}
        rec = ContentRecommender(
            **parts, width=WIDTH, max_epochs=1, early_stopping=False, random_state=0
        )
        return rec.fit(data.train, items=catalogue_for(rec.behavior))

    rec = fit()
    X = histories(data.test, rec.behavior)
    scores = rec.decision_function(X)
    require(
        np.isfinite(scores).all(),
        operator,
        "a fitted recommender gives scores that are not finite; the last of these histories is "
        "empty and comes as one learned click",
    )
    require(
        np.array_equal(scores, fit().decision_function(X)),
        operator,
        "two fits with one random_state differ; draw random numbers from torch's global "
        "generator, which fit seeds, and keep no state outside of self",
    )
    again = pickle.loads(pickle.dumps(rec))
    require(
        np.array_equal(scores, again.decision_function(X)),
        operator,
        "a pickled recommender predicts otherwise; what the module keeps beside its parameters "
        "must be a buffer (register_buffer) or follow from the operator",
    )


# Checks of behavior operators and predictors


def check_joint_fit(operator: Any) -> None:
    """Check that `fit` returns self and does nothing; scikit-learn draws only what has it."""
    copy = clone(operator)
    before = dict(vars(copy))
    require(
        copy.fit() is copy and vars(copy) == before,
        operator,
        "fit must return self and change nothing; inherit it",
    )


def check_pickled_build(operator: Any, *sizes: int) -> None:
    """Check that a pickled operator builds the same, and `build` leaves the operator as it was."""
    copy = clone(operator)
    before = dict(vars(copy))
    modules = []
    for twin in (copy, copy, pickle.loads(pickle.dumps(copy))):
        with seeded():
            modules.append(ready(twin.build(WIDTH, *sizes), operator))
    require(
        vars(copy) == before,
        operator,
        "build must not change the operator; keep state in the module that it makes",
    )
    require(
        same_weights(modules[0], modules[1]) and same_weights(modules[0], modules[2]),
        operator,
        "build must make modules with weights of the same names and shapes each time, from a "
        "pickled operator too: a fitted recommender is loaded that way",
    )
