"""An approximate index (HNSW) over the item vectors of a saved folder."""

import sys

import faiss
import numpy as np
import pandas as pd

import skrec

folder, histories = sys.argv[1:]
rec = skrec.load(folder)
users = pd.read_parquet(histories)["history"]

index = faiss.IndexHNSWFlat(rec.width, 32, faiss.METRIC_INNER_PRODUCT)
index.hnsw.efSearch = 64
index.add(rec.item_vectors())  # not computed: the folder contains them
products, codes = index.search(rec.transform(users), 5)

exact, _ = rec.recommend(users, k=5, exclude_seen=False)
found = [np.isin(a, b).mean() for a, b in zip(exact, rec.items_.ids[codes], strict=True)]
print(f"{np.mean(found):.3f} of the exact lists")
