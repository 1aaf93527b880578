"""merTools' answers for a list of fits, mistakes included: for matching an old R report only.

Every number is the one that merTools 0.5.2 gives for a ``merModList``. It is computed here from the
fits' own tables, so merTools need not be installed.

============  ======================================================
`tables`      `MerToolsTables`, which users have as ``fits.mertools``
`numbers`     the numbers: merTools' sums, in R's arithmetic
`printouts`   the lines that merTools prints
============  ======================================================
"""

from .tables import MerToolsTables

__all__ = ["MerToolsTables"]
