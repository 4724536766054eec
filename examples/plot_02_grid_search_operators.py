"""
======================
Search among operators
======================

Operators and their parameters, such as the temperature, are ordinary hyperparameters.
:class:`~sklearn.model_selection.GridSearchCV` chooses among them.
"""

# %%
# The grid
# --------
# Operators are objects, so a grid can list them. Keys such as ``content__dropout`` or
# ``predictor__temperature`` set their parameters. Pass the catalogue as ``items=Items(df)``,
# because scikit-learn would cut a DataFrame that is as long as X into folds.
#
# Each candidate is trained on two thirds of the readers, and evaluated on the impressions of the
# other readers by GAUC, the default metric of ``score``.
from sklearn.model_selection import GridSearchCV, GroupKFold

from skrec import ContentRecommender, Items, behavior, content, predictor
from skrec.datasets import make_headlines

news = make_headlines(n_users=300, n_items=500, n_impressions=1000, random_state=0)
rec = ContentRecommender(predictor=predictor.Dot(), width=32, max_epochs=8, random_state=0)
search = GridSearchCV(
    rec,
    {
        "content": [content.MeanPooling(), content.CNN(), content.ID()],
        "behavior": [behavior.MeanPooling(), behavior.AdditiveAttention()],
        "predictor__temperature": [0.2, 1.0],
    },
    cv=GroupKFold(3),
)
search.fit(news.train, groups=news.train["user_id"], items=Items(news.items))
search.best_estimator_

# %%
# Results
# -------
# ``cv_results_`` is a table with one column per parameter.
import pandas as pd

found = pd.DataFrame(search.cv_results_).sort_values("rank_test_score")
names = ["param_content", "param_behavior", "param_predictor__temperature"]
print(found[[*names, "mean_test_score", "mean_fit_time"]].head(6).round(3).to_string(index=False))

# %%
# The differences between the folds are larger than those between the candidates that read texts.
# The fastest of these candidates is therefore as good a choice as the first one. The large
# difference is between operators that read texts and the operator that only looks up ids.
import matplotlib.pyplot as plt

figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
colors = dict(zip(["MeanPooling", "CNN", "ID"], plt.cm.tab10.colors, strict=False))
for operator, color in colors.items():
    rows = found[[type(value).__name__ == operator for value in found["param_content"]]]
    for temperature, marker in ((0.2, "o"), (1.0, "s")):
        some = rows[rows["param_predictor__temperature"] == temperature]
        axes.errorbar(
            some["mean_fit_time"],
            some["mean_test_score"],
            some["std_test_score"],
            fmt=marker,
            color=color,
            capsize=3,
            label=f"{operator}, temperature {temperature:g}",
        )
axes.axhline(0.5, color="0.7", linestyle=":")
axes.annotate("random ranking", (axes.get_xlim()[1], 0.5), ha="right", va="bottom", color="0.5")
axes.set(
    xlabel="seconds to fit",
    ylabel="GAUC, mean and standard deviation",
    title="Each point is one candidate of the grid, in three folds",
)
axes.legend(fontsize="small", ncols=2, loc="center right")
plt.show()

# %%
# The best candidate on test impressions
# --------------------------------------
# The search refits the best candidate on all training impressions, so it can predict directly.
print(search.best_estimator_.evaluate(news.test, metrics=["gauc", "ndcg@5", "hit@1"]))
