# SPDX-License-Identifier: GPL-2.0-only
"""Python's own objects, of many sizes and lives, made by some threads and dropped by others."""

import decimal
import hashlib
import json
import queue
import sqlite3
import threading

ITEMS = 20000
digest = hashlib.sha256()


def note(what):
    digest.update(repr(what).encode())


def containers():
    table = {f"key{i}": list(range(i % 50)) for i in range(ITEMS)}
    for i in range(0, ITEMS, 3):
        del table[f"key{i}"]
    note(sorted(table.items())[::100])
    grown = bytearray()
    for i in range(ITEMS):
        grown += bytes([i % 256]) * (i % 97)
    note(hashlib.sha256(grown).hexdigest())
    note(json.loads(json.dumps(table)) == table)


def numbers():
    with decimal.localcontext() as context:
        context.prec = 2000
        note(decimal.Decimal(2).sqrt())
    note(3 ** 20000 % 10 ** 50)


def rows():
    base = sqlite3.connect(":memory:")
    base.execute("create table t(a integer primary key, b text)")
    base.executemany("insert into t values(?, ?)", ((i, "x" * (i % 300)) for i in range(ITEMS)))
    note(base.execute("select count(*), sum(length(b)) from t where a % 7 = 1").fetchall())


def threads():
    """Whoever made an object is not who drops it."""
    handed, sums = queue.Queue(100), []

    def make(seed):
        for i in range(3000):
            handed.put(bytes([seed]) * (i * 37 % 70000))

    def drop():
        sums.append(sum(len(item) for item in iter(handed.get, None)))

    makers = [threading.Thread(target=make, args=(seed,)) for seed in range(4)]
    droppers = [threading.Thread(target=drop) for _ in range(4)]
    for thread in makers + droppers:
        thread.start()
    for thread in makers:
        thread.join()
    for _ in droppers:
        handed.put(None)
    for thread in droppers:
        thread.join()
    note(sum(sums))


for part in (containers, numbers, rows, threads):
    part()
print(digest.hexdigest())
