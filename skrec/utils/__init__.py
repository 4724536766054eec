"""Tools for those who write operators: checks that tell what an operator gets wrong."""

from skrec.utils import estimator_checks

__all__ = ["estimator_checks"]
