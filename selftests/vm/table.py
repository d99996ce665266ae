# SPDX-License-Identifier: GPL-2.0-only
"""The kernel table for the Python side: kernels()[name] is a row."""

import collections
import os

Kernel = collections.namedtuple("Kernel", "name set arch source page node speed")


def kernels():
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "kernels.table")
    with open(path, encoding="utf-8") as table:
        rows = [line.split() for line in table if not line.startswith("#")]
    return {row[0]: Kernel(*row[:4], *map(int, row[4:])) for row in rows if row}
