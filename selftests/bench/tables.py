# SPDX-License-Identifier: GPL-2.0-only
"""What contest.py found, as tables for people and as JSON for programs."""

import json
import os
import platform

import contest
import objects
import service

# Whose cells are rows of objects.row().
OBJECT_PARTS = ("breathing", "survivors", "service")

MOMENT_TEXT = {
    "peak": "at the peak",
    "end": "at the end",
    "idle": "idle",
    "asked": "asked to give back",
}


def size(number):
    return f"{number >> 20} MiB" if number >> 20 else contest.size_text(number)


def grid(rows):
    """Lines of columns, the first two to the left."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(field.ljust(width) if i < 2 else field.rjust(width)
                        for i, (field, width) in enumerate(zip(row, widths))).rstrip()


def ratio(number):
    """Three digits are all that a ratio of times has."""
    return f"{number:.{2 if number < 10 else 1 if number < 100 else 0}f}"


def spread(number):
    return f"±{50 * (number['high'] - number['low']) / number['median']:.0f}%"


def best(cell):
    against = cell["ratios"][cell["best"]]
    sure = 50 * (against["most"] - against["least"]) / against["median"]
    return cell["best"], ratio(against["median"]), f"±{sure:.0f}%", cell["verdict"]


def span_table(cells, threads, among, what):
    yield (f"{what}, {threads} thread{'s' * (threads > 1)}: ns per operation of hpheap, then what "
           "the others take as a multiple of that")
    yield ""
    names = list(among)[1:]
    rows = [("workload", "size", "hpheap", "", *names, "best", "/ hpheap", "", "target > 1")]
    for cell in cells:
        if cell["threads"] != threads:
            continue
        mine, others = cell["contestants"]["hpheap"], cell["ratios"]
        rows.append((cell["workload"], size(cell["size"]), f"{mine['median']:.1f} ns", spread(mine),
                     *(ratio(others[name]["median"]) if name in others else "-"
                       for name in names), *best(cell)))
    yield from grid(rows)
    yield ""


def life_table(life, effort):
    low, high = (size(edge(life["live"]["end"])) for edge in (min, max))
    yield ("resident / live bytes in the same random life for all, "
           f"{effort['peak_mib']} MiB live at the peak, {low} to {high} at the end after "
           f"{effort['life_seconds']} s")
    yield ""
    names = list(contest.CONTESTANTS)
    rows = [("", "", *names, "best", "/ hpheap", "", "target > 1")]
    for moment, cell in life["moments"].items():
        numbers = cell["contestants"]
        text = MOMENT_TEXT[moment] + (f" {effort['idle_seconds']} s" if moment == "idle" else "")
        rows.append((text, "", *(ratio(numbers[name]["median"]) if name in numbers else "-"
                                 for name in names), *best(cell)))
    yield from grid(rows)
    yield ""
    yield (f"Median of {effort['seeds']} lives. mmap is there for scale, not as a peer: it pays a "
           "system call for each span.")
    yield ""


def extent_table(cells):
    yield "A span in a sparse heap of so much memory: ns per operation, and against the smallest"
    yield ""
    rows = [("heap", "ns", "", "ratio", "", f"target < {contest.EXTENT_BOUND}")]
    for cell in cells:
        rows.append((size(cell["mib"] << 20), f"{cell['ns']['median']:.1f}", spread(cell["ns"]),
                     ratio(cell["ratio"]["median"]), spread(cell["ratio"]), cell["verdict"]))
    yield from grid(rows)
    yield ""


def objects_table(part, heading, names=tuple(objects.SETTINGS)):
    """A row for each measure; what is asked of hpheap, and what came of it."""
    yield heading
    yield ""
    rows = [("", "", *names, "target", "")]
    for cell in part["rows"].values():
        numbers = cell["contestants"]
        target = cell["target"] + (f" x {cell['best']}: {ratio(cell['ratio']['median'])}"
                                   if "best" in cell else "")
        rows.append((cell["text"], "", *(ratio(numbers[name]["median"]) if name in numbers else "-"
                                         for name in names), target, cell.get("verdict", "")))
    yield from grid(rows)
    yield ""


def settings_note():
    for name, (_, settings, meaning) in objects.SETTINGS.items():
        words = " ".join(f"{key}={value}" for key, value in settings.items())
        yield f"{name}: {words + ': ' if words else ''}{meaning}"
    yield ""


def objects_tables(found):
    effort = found["effort"]
    if "breathing" in found:
        yield from objects_table(
            found["breathing"],
            f"A cache of {effort['objects_mib']} MiB that breathes: to 30 % and back, "
            f"{effort['tides']} times, a minute apart, the worst of them; median of "
            f"{effort['seeds']} lives")
    if "survivors" in found:
        yield from objects_table(
            found["survivors"],
            f"Of {effort['objects_mib']} MiB in small objects 1 in 64 survives, then as many come "
            f"again; median of {effort['survivor_seeds']} lives")
    if "service" in found:
        yield from objects_table(
            found["service"], "malloc() as a service sees it; medians of rounds",
            [name for name in objects.SETTINGS if name != "jemalloc/bg"] + [service.HAND])
        if not found["service"]["redis"]:
            yield "redis-server is not installed, so it was not measured"
            yield ""
    if any(part in found for part in OBJECT_PARTS):
        yield from settings_note()


def object_verdicts(found):
    for part in OBJECT_PARTS:
        for cell in found.get(part, {}).get("rows", {}).values():
            if "verdict" in cell:
                yield cell["verdict"]


def totals(found):
    verdicts = [] if "malloc" not in found else [
        "met" if found["malloc"]["mean"] >= 1 else "NOT MET"]
    verdicts += [cell["verdict"] for cell in found.get("span", [])]
    verdicts += [cell["verdict"] for cell in found.get("life", {}).get("moments", {}).values()]
    verdicts += [cell["verdict"] for cell in found.get("extent", [])[1:]]
    verdicts += object_verdicts(found)
    verdicts = [verdict for verdict in verdicts if verdict != contest.NO_TARGET]
    return (f"{len(verdicts)} targets: {verdicts.count('met')} met, {verdicts.count('NOT MET')} "
            f"not met, {verdicts.count('undecided')} undecided (the median could be on either "
            "side of the bound)")


def report(found):
    yield f"{platform.machine()}, Linux {platform.release()}, {os.cpu_count()} CPUs"
    if contest.ROOT:
        yield f"All of them with that C library: {', '.join(contest.versions())}"
    yield ""
    if "span" in found:
        for threads in contest.WORKLOADS:
            yield from span_table(found["span"], threads, contest.CONTESTANTS, "Spans")
    if "malloc" in found:
        for threads in contest.WORKLOADS:
            yield from span_table(found["malloc"]["cells"], threads, contest.MALLOCS, "malloc()")
        yield (f"Geometric mean of what the best takes: {ratio(found['malloc']['mean'])} of "
               f"hpheap's time, {'met' if found['malloc']['mean'] >= 1 else 'NOT MET'} (1.00)")
        yield ""
    if "life" in found:
        yield from life_table(found["life"], found["effort"])
    if "extent" in found:
        yield from extent_table(found["extent"])
    yield from objects_tables(found)
    for name in found["not_installed"]:
        yield f"{name}: not installed ({contest.CONTESTANTS[name][1]}), so not among the best"
    yield totals(found)


def write(folder, found):
    os.makedirs(folder, exist_ok=True)
    text = "\n".join(report(found)) + "\n"
    with open(os.path.join(folder, "heap.txt"), "w", encoding="utf-8") as file:
        file.write(text)
    with open(os.path.join(folder, "heap.json"), "w", encoding="utf-8") as file:
        json.dump(found, file, indent=1)
    return text
