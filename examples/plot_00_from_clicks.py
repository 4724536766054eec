"""
==================================
From a click log to titled lists
==================================

Most projects start with two CSV files: a log, with one click per row, and a table of items. This
example goes from there to lists with titles, and keeps the lists up to date.
"""

# %%
# The files
# ---------
# The files are those of MovieLens latest-small, if ``shared/data`` next to the project has them.
# Otherwise, made-up headlines are written to files with the same columns.
import tempfile
from pathlib import Path

from skrec import explode
from skrec.datasets import make_headlines

above = [parent / "shared" / "data" / "movielens-latest-small" for parent in Path.cwd().parents]
folder = next((path for path in above if path.exists()), None)
if folder is None:
    folder, news = Path(tempfile.mkdtemp()), make_headlines(n_users=200, random_state=0)
    pairs, clicked = explode(news.train)
    log = pairs.assign(rating=5 * clicked, timestamp=pairs.time.astype("datetime64[s]").astype(int))
    names = {"user_id": "userId", "candidate": "movieId", "item_id": "movieId", "topic": "genres"}
    columns = ["userId", "movieId", "rating", "timestamp"]
    log.rename(columns=names)[columns].to_csv(folder / "ratings.csv", index=False)
    news.items.rename(columns=names).to_csv(folder / "movies.csv", index=False)

# %%
# From CSV to lists
# -----------------
# Ratings of 4 stars and more are the clicks. ``columns`` names the columns of the log. ``fit``
# collects the clicks of each user in the order of their times, and trains on these histories. It
# remembers them, so that ``recommend`` needs the ids of the users only.
import pandas as pd

from skrec import ContentRecommender

films = pd.read_csv(folder / "movies.csv")
films["genres"] = films["genres"].str.split("|")
ratings = pd.read_csv(folder / "ratings.csv")
clicks = ratings[ratings["rating"] >= 4]
columns = {"user": "userId", "item": "movieId", "time": "timestamp"}
rec = ContentRecommender(max_epochs=2, random_state=0, verbose=1)
rec.fit(clicks, films, columns=columns)
users = clicks["userId"].unique()[:2]
lists = rec.recommend(users=users, k=5, as_frame=True, columns=["title"])
print(lists[["user", "rank", "title"]])

# %%
# What users click next
# ---------------------
# ``update`` adds new clicks to the histories, also those of new users. It does not train, so the
# lists follow at once. New items must be added first, by ``add_items``.
last = clicks["timestamp"].max()
new_clicks = pd.DataFrame(
    {"userId": [-1, -1], "movieId": films["movieId"].iloc[:2], "timestamp": [last + 60, last + 120]}
)
rec.update(new_clicks)
print("clicked:", *films["title"].iloc[:2], sep="\n  ")
print(
    "next:", *rec.recommend(users=[-1], k=5, as_frame=True, columns=["title"])["title"], sep="\n  "
)

# %%
# The histories are in ``rec.histories_``, and are saved with the model. ``forget_users`` deletes
# those of users who leave.
import matplotlib.pyplot as plt

rec.forget_users([-1])
lengths = [len(history) for history in rec.histories_["history"].to_pylist()]
figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
axes.hist(lengths, bins=30)
axes.set(xlabel="clicks in a history", ylabel="users")
plt.show()

# %%
# How good are the lists?
# -----------------------
# A log has no scores: a model must not be asked about clicks that it was trained on.
# :func:`~skrec.datasets.impressions_from_clicks` cuts the log by time. The last clicks of each user
# are for the test, and sampled items are the other candidates.
from skrec import Items
from skrec.baselines import Popularity
from skrec.datasets import impressions_from_clicks

items = Items(films, id="movieId")
data = impressions_from_clicks(clicks, items, **columns, min_clicks=4)
print({name: n for name, n in data.report.items() if n})
popular = Popularity().fit(data.train, items)
print(popular.evaluate(data.test, metrics=["gauc", "ndcg@5"]))
