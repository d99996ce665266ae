# SPDX-License-Identifier: GPL-2.0-only
"""The parts of `make bench`, by name."""

import dataclasses

import contest
import objects
import service

PARTS = {
    "span": contest.spans,
    "malloc": contest.mallocs,
    "life": contest.lives,
    "extent": contest.extents,
    "breathing": objects.breathing,
    "survivors": objects.survivors,
    "service": service.service,
}


def measure(out, parts, effort):
    """Everything asked for, of everybody who is there."""
    names = contest.installed(out)
    found = {"effort": dataclasses.asdict(effort), "installed": names,
             "not_installed": [name for name in contest.CONTESTANTS if name not in names]}
    for name, part in PARTS.items():
        if name in parts:
            found[name] = part(out, names, effort)
    return found
