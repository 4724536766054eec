"""Changes of saved folders, with right checksums, as an attacker would make them.

pytest puts this folder on the path, so tests say ``from signed import sign``.
"""

import json

from skrec._saving import folder as _folder


def sign(folder, **changes):
    """Write the checksums of a folder that was changed, and change its description."""
    about = json.loads((folder / "skrec.json").read_text()) | changes
    names = set(_folder.relative_files(folder)) - {"skrec.json"}
    about["files"] = {name: _folder.sha256(folder / name) for name in names}
    about["checksum"] = _folder._own_digest(about)
    (folder / "skrec.json").write_text(json.dumps(about))


def ints_in(value, at=()):
    """Yield the paths of all ints in a JSON value; those of a long list are alike."""
    if isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else list(enumerate(value))[:3]
        for key, each in pairs:
            yield from ints_in(each, (*at, key))
    elif type(value) is int:
        yield at


def set_at(value, path, new):
    """Replace the value at a path of a JSON value."""
    for key in path[:-1]:
        value = value[key]
    value[path[-1]] = new
