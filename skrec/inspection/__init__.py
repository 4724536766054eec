"""Plots of fitted recommenders: training, probabilities, metrics, comparisons, explanations.

As in scikit-learn, ``from_estimator`` computes a display and draws it. The display stores its
numbers, so ``plot`` can draw it again on other axes. Drawing requires matplotlib.
"""

from skrec._data.explanation import Explanation
from skrec.inspection._comparison import ComparisonDisplay, compare
from skrec.inspection._explanation import ExplanationDisplay
from skrec.inspection._groups import GroupScoreDisplay
from skrec.inspection._popularity import PopularityDisplay
from skrec.inspection._reliability import ReliabilityDisplay
from skrec.inspection._training import TrainingCurveDisplay

__all__ = [
    "ComparisonDisplay",
    "Explanation",
    "ExplanationDisplay",
    "GroupScoreDisplay",
    "PopularityDisplay",
    "ReliabilityDisplay",
    "TrainingCurveDisplay",
    "compare",
]
