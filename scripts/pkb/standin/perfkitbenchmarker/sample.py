"""Samples."""

import collections
import time


class Sample(
    collections.namedtuple(
        'Sample', ('metric', 'value', 'unit', 'metadata', 'timestamp')
    )
):

  def __new__(cls, metric, value, unit, metadata=None):
    return super().__new__(
        cls, metric, float(value), unit, dict(metadata or {}), time.time()
    )
