"""Pictures of fitted recommenders: training, probabilities, groups, popularity.

As in scikit-learn, a Display is computed by ``from_estimator`` and drawn by ``plot``; it keeps the
numbers, so it can be drawn again on other axes. matplotlib is needed to draw.
"""

from skrec.inspection._groups import GroupScoreDisplay
from skrec.inspection._popularity import PopularityDisplay
from skrec.inspection._reliability import ReliabilityDisplay
from skrec.inspection._training import TrainingCurveDisplay

__all__ = [
    "GroupScoreDisplay",
    "PopularityDisplay",
    "ReliabilityDisplay",
    "TrainingCurveDisplay",
]
