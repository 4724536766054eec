"""Data and assertions shared by all checks, and checks of all operator families."""

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

WIDTH = 64  # default of the recommender, and a multiple of common numbers of attention heads

# Checks of scikit-learn that need no data and apply to all estimators.
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
    """Raise an AssertionError that shows the estimator, if the condition is false."""
    if not condition:
        raise AssertionError(f"{estimator!r}: {message}")


def nearly_equal(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Return whether two float64 results are equal up to rounding errors."""
    return a.shape == b.shape and torch.allclose(a, b, rtol=1e-9, atol=1e-9)


@contextmanager
def seeded(seed: int = 0) -> Iterator[None]:
    """Seed the global generator of torch, and restore its state afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


@functools.cache
def news() -> Any:
    """Return impressions with clicks on 40 items, for training and testing."""
    return make_headlines(n_users=12, n_items=40, n_impressions=60, random_state=0)


def items_frame() -> pd.DataFrame:
    """Return the items of `news` with one column per role. The columns of the last are empty."""
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
    """Return the items of `items_frame` as a catalogue, which is immutable and therefore cached."""
    return Items(items_frame())


def catalogue_for(behavior: Any) -> Items:
    """Return the catalogue, with columns added that the behavior operator needs as side columns."""
    frame = items_frame()
    names = getattr(behavior, "side_columns", None) or []
    missing = {name: frame["topic"] for name in names if name not in frame}
    return Items(frame.assign(**missing)) if missing else catalogue()


def histories(frame: pd.DataFrame, behavior: Any = None) -> Any:
    """Return the histories of impressions as lists, followed by an empty history.

    If the behavior operator reads users, the result is a table that also contains the users. The
    user of the empty history is unknown.
    """
    lists = [*(list(history) for history in frame["history"]), []]
    if not getattr(behavior, "reads_users", False):
        return lists
    return pd.DataFrame({"user_id": [*frame["user_id"], -1], "history": lists})


def to_float64_eval(module: Any, operator: Any) -> nn.Module:
    """Convert the result of `build` to float64 and eval mode, which turns dropout off."""
    require(
        isinstance(module, nn.Module),
        operator,
        f"build must return a torch.nn.Module, got {type(module).__name__}",
    )
    return module.double().eval()


def require_shape(found: Any, shape: tuple[int, ...], operator: Any, letters: str) -> None:
    """Require a float64 tensor with a shape. `letters` are the names of its axes."""
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
        f"a float64 module must return float64, got {found.dtype}; create new tensors with the "
        "dtype of the input, for instance with x.new_zeros(...), and do not call .float()",
    )


def require_gradients(
    operator: Any, module: nn.Module, forward: Callable[[], torch.Tensor]
) -> None:
    """Require that every trained weight has finite gradients, one of which is not zero."""
    learning = set()
    with seeded():
        # Weights that start at zero may block the gradients of other weights, which is no error.
        with torch.no_grad():
            for weight in module.parameters():
                weight.add_(0.1 * torch.randn_like(weight))
        module.train()
        for _ in range(3):  # In one pass, dropout may hide a weight.
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
                    f"the gradient of {name} is not finite; look for a division by zero, a square "
                    "root at zero, or a softmax over a fully masked row "
                    "(skrec.nn.masked_softmax is safe)",
                )
                if weight.grad.any():
                    learning.add(name)
    trained = [name for name, weight in module.named_parameters() if weight.requires_grad]
    idle = [name for name in trained if name not in learning]
    require(
        not idle,
        operator,
        f"no gradient reaches {', '.join(idle)}; use these weights in forward, remove them, or set "
        "requires_grad=False",
    )


def require_repeatable(operator: Any, forward: Callable[[], torch.Tensor]) -> None:
    """Require that the output in eval mode does not depend on the seed."""
    outputs = []
    for seed in (0, 1):
        with seeded(seed), torch.no_grad():
            outputs.append(forward())
    require(
        torch.equal(*outputs),
        operator,
        "the output of the module is random in eval mode; draw random numbers only "
        "`if self.training`, and pass training=self.training to functional.dropout",
    )


def require_unchanged(given: Any, before: Any, operator: Any, what: str = "its input") -> None:
    """Require that the tensors passed to `forward` equal copies made before the call."""
    require(
        all(map(torch.equal, given, before)),
        operator,
        f"forward changes {what} in place; use operations that return a new tensor, such as "
        "masked_fill instead of masked_fill_",
    )


def same_weights(a: nn.Module, b: nn.Module) -> bool:
    """Return whether the weights of two modules have the same names and shapes."""
    first, second = a.state_dict(), b.state_dict()
    return {name: value.shape for name, value in first.items()} == {
        name: value.shape for name, value in second.items()
    }


# Checks of any operator


def check_init_only_assigns(operator: Any) -> None:
    """Check that `__init__` assigns its parameters unchanged, and sets nothing else."""
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
            f"__init__ must only assign its parameters, but also sets {', '.join(extra)}; compute "
            "it in fit or build",
        )
        for name, value in given.items():
            require(
                getattr(fresh, name) is value,
                operator,
                f"__init__ must assign {name} unchanged, without a copy or a conversion",
            )
    mutable = sorted(
        name for name, value in defaults.items() if isinstance(value, list | dict | set)
    )
    require(
        not mutable,
        operator,
        f"the default of {', '.join(mutable)} is mutable and shared by all instances; use a tuple "
        "or None",
    )


def check_scikit_learn_conventions(operator: Any) -> None:
    """Check that cloning, parameters, tags and repr pass the checks of scikit-learn."""
    for check in SKLEARN_CHECKS:
        check(type(operator).__name__, operator)


def check_accepts_its_parameters(operator: Any) -> None:
    """Check that the method `check` accepts the parameters, and does not set attributes."""
    copy = clone(operator)
    try:
        copy.check(WIDTH)
    except Exception as error:
        message = f"check({WIDTH}) must pass with these parameters, but raised {error!r}"
        raise AssertionError(f"{operator!r}: {message}") from error
    require(
        vars(copy).keys() == vars(clone(operator)).keys(),
        operator,
        "check must not set attributes; it may only raise errors",
    )


def check_in_a_recommender(operator: Any, family: str) -> None:
    """Check that a recommender with the operator can be trained, reproduced and pickled."""
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
        "the scores of a fitted recommender are not finite; the last of the scored histories is "
        "empty, and is passed to behavior operators as one learned click",
    )
    require(
        np.array_equal(scores, fit().decision_function(X)),
        operator,
        "two fits with the same random_state differ; draw random numbers from torch's global "
        "generator, which fit seeds, and store no state outside the operator",
    )
    again = pickle.loads(pickle.dumps(rec))
    require(
        np.array_equal(scores, again.decision_function(X)),
        operator,
        "a pickled recommender predicts differently; all state of the module must be in its "
        "parameters, in buffers (register_buffer), or computed from the operator",
    )


# Checks of behavior operators and predictors


def check_fit_changes_nothing(operator: Any) -> None:
    """Check that `fit` exists, as scikit-learn's display requires, and only returns self."""
    copy = clone(operator)
    before = dict(vars(copy))
    require(
        copy.fit() is copy and vars(copy) == before,
        operator,
        "fit must return self and change nothing; inherit it from the base class",
    )


def check_pickled_build(operator: Any, *sizes: int) -> None:
    """Check that a pickled operator builds the same module, and `build` changes no attribute."""
    copy = clone(operator)
    before = dict(vars(copy))
    modules = []
    for twin in (copy, copy, pickle.loads(pickle.dumps(copy))):
        with seeded():
            modules.append(to_float64_eval(twin.build(WIDTH, *sizes), operator))
    require(
        vars(copy) == before,
        operator,
        "build must not change the operator; store state in the module that it returns",
    )
    require(
        same_weights(modules[0], modules[1]) and same_weights(modules[0], modules[2]),
        operator,
        "build must return weights with the same names and shapes on each call, also after the "
        "operator was pickled, because a fitted recommender is loaded this way",
    )
