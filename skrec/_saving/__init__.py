"""Saving of fitted recommenders to folders that any machine can read and that contain no code.

::

    recommender --Codec.encode--> recommender.json, arrays.safetensors, items.parquet, ...
                                      |  in a temporary folder, with checksums in skrec.json,
                                      |  which is then renamed
    recommender <--Codec.decode-------+  builds classes of skrec and trusted classes only
"""

from skrec._saving.checkpoint_folder import CheckpointFolder
from skrec._saving.save import load, save
from skrec._saving.weights import load_arrays, to_arrays

__all__ = ["CheckpointFolder", "load", "load_arrays", "save", "to_arrays"]
