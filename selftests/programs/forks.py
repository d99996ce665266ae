# SPDX-License-Identifier: GPL-2.0-only
"""Forks of a program with threads: a pool of processes, and a server that forks before it serves.

Each process that answers says whether libhpheap-malloc is mapped there, if the environment
asks for it; what is written is the same with and without.
"""

import multiprocessing
import os
import socket
import threading

WORKERS = 4
REQUESTS = 200


def preload_is_here():
    wanted = os.environ.get("LD_PRELOAD")
    with open("/proc/self/maps", encoding="utf-8") as maps:
        return not wanted or wanted in maps.read()


def work(number):
    made = {i: "x" * (i * number % 5000) for i in range(500)}
    return sum(map(len, made.values())), preload_is_here()


def churn(stop):
    kept = []
    while not stop.is_set():
        kept.append(bytes(len(kept) * 131 % 100000))
        del kept[:-50]


def serve(listener):
    while True:
        connection, _ = listener.accept()
        with connection:
            number = int(connection.recv(20))
            if number < 0:
                os._exit(0 if preload_is_here() else 1)
            connection.sendall(str(work(number)).encode())


def ask(path, number):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        client.sendall(str(number).encode())
        return client.recv(100)


def prefork(path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(50)
        children = []
        for _ in range(WORKERS):
            child = os.fork()
            if not child:
                serve(listener)
            children.append(child)
        answers = [ask(path, number) for number in range(REQUESTS)]
        for _ in children:
            ask(path, -1)
        statuses = [os.waitpid(child, 0)[1] for child in children]
    os.unlink(path)
    return answers, statuses


def main():
    stop = threading.Event()
    threads = [threading.Thread(target=churn, args=(stop,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        with multiprocessing.get_context("fork").Pool(WORKERS) as pool:
            print(pool.map(work, range(400)))
        print(prefork("socket"))
    finally:
        stop.set()
        for thread in threads:
            thread.join()


main()
