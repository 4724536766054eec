"""Ray Data makes lists for all users, with one model per worker."""

import sys

import ray

import skrec


class Recommend:
    """The model of a worker, which is loaded once."""

    def __init__(self, folder):
        self.rec = skrec.load(folder)

    def __call__(self, batch):
        ids, scores = self.rec.recommend(list(batch["history"]), k=5)
        return {"user_id": batch["user_id"], "ids": ids, "scores": scores}


folder, histories, lists = sys.argv[1:]
ray.init()
rows = ray.data.read_parquet(histories)
rows = rows.map_batches(
    Recommend,
    fn_constructor_args=[folder],
    batch_size=4096,
    compute=ray.data.ActorPoolStrategy(size=2),
)
rows.write_parquet(lists)
