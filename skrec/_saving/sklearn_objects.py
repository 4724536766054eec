"""Estimators of scikit-learn, which skops writes without pickle."""

from __future__ import annotations

from typing import Any

from sklearn.base import BaseEstimator

from skrec._saving.codec import Codec, Kind
from skrec._saving.registry import name_of


def _skops() -> Any:
    """Return the module `skops.io`, or None if skops is not installed."""
    try:
        import skops.io
    except ImportError:
        return None
    return skops.io


def _write(codec: Codec, value: BaseEstimator, at: str) -> dict[str, Any]:
    """Write an estimator to a file; see `Kind`."""
    skops = _skops()
    if skops is None:
        raise ImportError(
            f"{at} is a {name_of(type(value))}, which is saved by the package skops: pip install "
            "skops. Or pickle the recommender, for readers who trust where the pickle comes from"
        )
    name = codec.new_file("estimator.skops")
    skops.dump(value, codec.folder / name)
    return {"file": name}


def _read(codec: Codec, value: dict[str, Any]) -> Any:
    """Read an estimator, or raise a ValueError if it contains types that are not trusted."""
    skops = _skops()
    if skops is None:
        raise ImportError("the recommender holds an estimator that skops reads: pip install skops")
    path = codec.path(value["file"])
    trusted = {kind if isinstance(kind, str) else name_of(kind) for kind in codec.trusted}
    unknown = sorted(set(skops.get_untrusted_types(file=path)) - trusted)
    if unknown:
        raise ValueError(
            f"the recommender holds objects of types that skops does not vouch for; if you trust "
            f"them, load(path, trusted={unknown})"
        )
    return skops.load(path, trusted=sorted(trusted))


KIND = Kind("estimator", (BaseEstimator,), _write, _read)
