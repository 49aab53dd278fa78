"""Importing this makes TensorFlow a package that is not installed, in this process."""

import sys

MISSING = ("tensorflow", "tensorflow_datasets")


class _Without:
    """A finder that knows all but some. (None in `sys.modules` would look like an import.)"""

    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in MISSING:
            return None
        return self.finder.find_spec(name, path, target)


assert not set(MISSING) & sys.modules.keys()
sys.meta_path[:] = [_Without(finder) for finder in sys.meta_path]
