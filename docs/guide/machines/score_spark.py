"""Spark makes lists for all users."""

import os
import sys

from pyspark.sql import SparkSession

os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
folder, histories, lists = sys.argv[1:]


def recommend(batches):
    import skrec

    rec = skrec.load(folder)  # once per partition
    for users in batches:
        ids, scores = rec.recommend(users["history"], k=5)
        yield users[["user_id"]].assign(ids=list(ids), scores=list(scores))


spark = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
users = spark.read.parquet(histories)
schema = "user_id long, ids array<long>, scores array<float>"
users.mapInPandas(recommend, schema).write.parquet(lists)
spark.stop()
