"""Fitted recommenders in folders that any machine can read, and that hold no code.

::

    recommender --Encoder--> recommender.json, arrays.safetensors, items.parquet, ...
                                 |  written beside the target, checked by skrec.json, renamed
    recommender <--Decoder-------+  classes come from a closed list
"""

from skrec._saving._recommender import load, save

__all__ = ["load", "save"]
