"""Save fitted recommenders to folders that any machine can read and that contain no code.

::

    recommender --Codec.encode--> recommender.json, arrays.safetensors, items.parquet, ...
                                      |  written beside the target, checksums in skrec.json, renamed
    recommender <--Codec.decode-------+  only classes of a closed list are built
"""

from skrec._saving.save import load, save
from skrec._saving.weights import load_arrays, to_arrays

__all__ = ["load", "load_arrays", "save", "to_arrays"]
