# SPDX-License-Identifier: GPL-2.0-only
"""redis: a server that forks to save while clients write, and reads back what it saved."""

import contextlib
import os
import subprocess
import time

from cases import Case, maps_library, run, takes_malloc

SECONDS = 60
KEYS = "20000"


class Server:
    """One on a socket in a folder; the commands are sent by its client, without the library."""

    def __init__(self, place, folder):
        self.place, self.folder = place, folder
        self.socket = os.path.join(folder, "socket")

    def __call__(self, *command):
        return run(["redis-cli", "-s", self.socket, *command], self.place.plain,
                   self.folder).strip()

    def wait(self, what, *command):
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            with contextlib.suppress(AssertionError):
                if what in self(*command):
                    return
            time.sleep(0.1)
        raise AssertionError(f"{command}: no {what} after {SECONDS} s")

    @contextlib.contextmanager
    def running(self, *options):
        takes_malloc(self.place, "redis-server")
        # --save "" leaves saving to the test.
        with subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", self.socket,
                               "--dir", self.folder, "--save", "", "--enable-debug-command",
                               "yes", *options], env=self.place.preloaded,
                              stdout=subprocess.DEVNULL) as process:
            try:
                self.wait("PONG", "ping")
                self.wait("loading:0", "info", "persistence")
                maps_library(self.place, process.pid)
                yield process
            finally:
                process.terminate()
                process.wait(SECONDS)

    def load(self, requests):
        run(["redis-benchmark", "-s", self.socket, "-q", "-c", "20", "-P", "8", "-n", requests,
             "-r", KEYS, "-d", "200", "-t", "set,lpush,hset,sadd,zadd,spop"],
            self.place.plain, self.folder)

    def load_meanwhile(self, command, done):
        """Writes go on while a child saves."""
        self.load(KEYS)
        self(command)
        self.load(KEYS)
        self.wait(done[0], "info", "persistence")
        self.wait(done[1], "info", "persistence")


def saves_while_it_is_written_to(place, folder):
    server = Server(place, folder)
    with server.running():
        server.load_meanwhile("bgsave", ("rdb_bgsave_in_progress:0",
                                         "rdb_last_bgsave_status:ok"))
        server("save")
        before = server("debug", "digest"), server("dbsize")
    with server.running():
        assert before == (server("debug", "digest"), server("dbsize")), "it loads something else"


def appends_while_it_is_written_to(place, folder):
    server = Server(place, folder)
    with server.running("--appendonly", "yes"):
        server.load_meanwhile("bgrewriteaof", ("aof_rewrite_in_progress:0",
                                               "aof_last_bgrewrite_status:ok"))
        before = server("debug", "digest"), server("dbsize")
    with server.running("--appendonly", "yes"):
        assert before == (server("debug", "digest"), server("dbsize")), "it loads something else"


NEEDS = ["redis-server", "redis-cli", "redis-benchmark"]
CASES = [
    Case("redis_saves_while_it_is_written_to", NEEDS, saves_while_it_is_written_to),
    Case("redis_appends_while_it_is_written_to", NEEDS, appends_while_it_is_written_to),
]
