"""What the published models share."""

from __future__ import annotations

from typing import Any

from skrec._recommender import ContentRecommender


def make(parameters: dict[str, Any], **model: Any) -> ContentRecommender:
    """Return a recommender of a model's parts; what the caller names counts more."""
    return ContentRecommender(**{**model, **parameters})
