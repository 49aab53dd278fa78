"""Names of what is read and written as JSON: dicts whose values are of many kinds."""

from collections.abc import Mapping
from typing import Any

# An object of JSON: what a file holds, or the place of an iterator.
Json = dict[str, Any]
# What was measured, by name: numbers, words, and groups of more of them. Ready for JSON; what is
# logged may also hold images uint8 [h w 3].
Figures = dict[str, Any]
# The same, only to be read.
Report = Mapping[str, Any]
