"""Construction of the published models."""

from __future__ import annotations

from typing import Any

from skrec._recommender import ContentRecommender


def make(parameters: dict[str, Any], **model: Any) -> ContentRecommender:
    """Return a recommender with the operators in `model`; values in `parameters` override them."""
    return ContentRecommender(**{**model, **parameters})
