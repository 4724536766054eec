"""Scales of numbers: learned from the training catalogue, and applied to any catalogue."""

from __future__ import annotations

import numpy as np

# Larger numbers, in units of the scale, overflow in the network.
LARGEST = 1e15
HUGE = 1e100  # squares of larger numbers may overflow


def mean_and_scale(values: np.ndarray) -> tuple[float, float]:
    """Return the mean and the standard deviation of numbers.

    Parameters
    ----------
    values : ndarray of float64, shape (n,)
        Finite numbers.

    Returns
    -------
    mean, scale : float
        Finite, even if squares of the numbers are not. The scale of equal numbers is 1.
    """
    least, most = float(values.min()), float(values.max())
    if least == most:  # rounding may give them a deviation above zero
        return least, 1.0
    largest = max(-least, most)
    unit = largest if largest > HUGE else 1.0
    values = values / unit
    return float(values.mean()) * unit, float(values.std()) * unit or 1.0


def standardized(values: np.ndarray, mean: float, scale: float, what: str) -> np.ndarray:
    """Return ``(values - mean) / scale`` as float32.

    Parameters
    ----------
    values : ndarray of float, shape (n,) or (n, n_features)
        Finite numbers.
    mean, scale : float
        Mean and scale of the training catalogue.
    what : str
        Description of the numbers in the error message.

    Returns
    -------
    ndarray of float32, of the shape of `values`

    Raises
    ------
    ValueError
        If a number is so far from the mean that a network would overflow.
    """
    with np.errstate(over="ignore"):
        scaled = (values - mean) / scale
        if not np.isfinite(scaled).all():  # the difference of huge numbers may overflow
            scaled = values / scale - mean / scale
    far = ~(np.abs(scaled) <= LARGEST)
    if far.any():
        row = int(np.argmax(far.reshape(len(far), -1).any(axis=1)))
        number = values[far].flat[0]
        raise ValueError(
            f"{what} holds {number:g} in row {row}, out of all proportion to the catalogue of fit, "
            f"whose mean is {mean:g} and whose scale is {scale:g}; correct it, or fit again"
        )
    return scaled.astype(np.float32)
