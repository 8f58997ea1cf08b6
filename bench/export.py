# SPDX-License-Identifier: GPL-3.0-or-later
"""What exporting a day of trades to Parquet costs, beside pyarrow writing the same table.

    tools/dev bench export [--smoke] [--trades N] [--symbols N] [--repetitions N]

The store is a day of many symbols, made of the recordings (format_bench long_tail_store: activity
falls off like Zipf's law, each symbol's trades are those of a recording of like activity), sealed
densely as the daemon does. `ringtape export` runs as a process of its own, everything counted: CPU
time of user and system from start to exit, decoding, sorting, files synced. pyarrow, in a process
of its own, holds the table as it reads it from those files and writes it with zstd as it does by
itself (level 1, dictionaries), one file, decimals of 18 digits on INT64 as ours; only write_table()
is counted, its CPU time. The two take turns; medians; spread = (max - min) / median.
ratio_to_pyarrow_smallest: the same beside pyarrow's write of its smallest file, once.

Sizes: pyarrow's best setting is looked for column by column: dictionary, PLAIN or
DELTA_BINARY_PACKED at zstd levels 1, 3 and 9, then written as one file. With BYTE_STREAM_SPLIT
added it is reported as well, and decides nothing: not every engine reads it (docs/parquet.md).

Commits: the same export into a new Delta table each time (`--delta`); a commit is everything from
the files in their place to the entry of the log that is synced (commit_ns of each, as told).

What decides over the exit code: the tables are equal, and (but for smoke runs) the size and the
median of a commit."""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "peers"))
sys.path.insert(0, str(ROOT / "bench"))

ENGINE = ROOT / "zig-out" / "bench" / "format_bench"
LEVELS = (1, 3, 9)
COMMIT_MS_MAX = 50


# ---- pyarrow, in a process of its own ----


class Peer:
    """Runs `peer` below; one line asks, one line answers."""

    def __init__(self, folder, out):
        command = [sys.executable, __file__, "--peer", folder, out]
        self.child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, **question):
        self.child.stdin.write(json.dumps(question) + "\n")
        self.child.stdin.flush()
        return json.loads(self.child.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.stdin.close()
        self.child.wait()


def peer_write(pq, table, path, level, dictionary, encodings):
    start = time.process_time()
    pq.write_table(
        table, path, compression="zstd", compression_level=level, use_dictionary=dictionary,
        column_encoding=encodings or None, store_decimal_as_integer=True,
    )  # fmt: skip
    return time.process_time() - start


def peer_sizes(pq, path):
    """Compressed bytes of each column, dictionaries included."""
    meta = pq.ParquetFile(path).metadata
    found = {}
    for g in range(meta.num_row_groups):
        for c in range(meta.num_columns):
            chunk = meta.row_group(g).column(c)
            found[chunk.path_in_schema] = (
                found.get(chunk.path_in_schema, 0) + chunk.total_compressed_size
            )
    return found


def peer_alone(pq, table, path, level):
    """{column: {encoding, or None for a dictionary: bytes}} at a level."""
    found = {name: {} for name in table.column_names}
    for encoding in (None, "PLAIN", "DELTA_BINARY_PACKED", "BYTE_STREAM_SPLIT"):
        names = peer_columns(table, encoding)
        given = {} if encoding is None else dict.fromkeys(names, encoding)
        peer_write(pq, table.select(names), path, level, encoding is None, given)
        for name, size in peer_sizes(pq, path).items():
            found[name][encoding] = size
    return found


def peer_columns(table, encoding):
    """The columns that an encoding is for."""
    import pyarrow.types as types

    def fits(field):
        whole = types.is_integer(field.type) or types.is_timestamp(field.type)
        whole = whole or (types.is_decimal(field.type) and field.type.precision <= 18)
        wide = types.is_decimal(field.type) and field.type.precision > 18
        if encoding == "DELTA_BINARY_PACKED":
            return whole
        return encoding != "BYTE_STREAM_SPLIT" or whole or wide

    return [field.name for field in table.schema if fits(field)]


def peer_setting(pq, table, path, level, alone, without):
    """The file whose columns have the best encodings but those of `without`."""
    best = {}
    for name, sizes in alone.items():
        allowed = [encoding for encoding in sizes if encoding not in without]
        best[name] = min(allowed, key=sizes.get)
    dictionary = [name for name, encoding in best.items() if encoding is None]
    encodings = {name: encoding for name, encoding in best.items() if encoding is not None}
    seconds = peer_write(pq, table, path, level, dictionary or False, encodings)
    return {"bytes": os.path.getsize(path), "level": level, "seconds": seconds,
            "encodings": encodings, "columns": peer_sizes(pq, path)}  # fmt: skip


def peer_smallest(pq, table, path):
    """The smallest files: without, and with, BYTE_STREAM_SPLIT."""
    found = []
    for level in LEVELS:
        alone = peer_alone(pq, table, path, level)
        usual = peer_setting(pq, table, path, level, alone, ("BYTE_STREAM_SPLIT",))
        found.append((usual, peer_setting(pq, table, path, level, alone, ())))
    return [min(each, key=lambda setting: setting["bytes"]) for each in zip(*found)]


def peer(folder, out):
    import pyarrow
    import pyarrow.parquet as pq

    pyarrow.set_cpu_count(1)
    files = sorted(pathlib.Path(folder).rglob("*.parquet"))
    table = pyarrow.concat_tables([pq.ParquetFile(file).read() for file in files])
    for line in sys.stdin:
        question = json.loads(line)
        if question["what"] == "write":
            seconds = peer_write(pq, table, out, question["level"], True, {})
            answer = {"seconds": seconds, "bytes": os.path.getsize(out)}
        elif question["what"] == "best":
            answer = peer_smallest(pq, table, out)
        else:
            answer = {"rows": table.num_rows, "columns": table.num_columns,
                      "own": own_sizes(pq, files)}  # fmt: skip
        print(json.dumps(answer), flush=True)


def own_sizes(pq, files):
    total = {}
    for file in files:
        for name, size in peer_sizes(pq, file).items():
            total[name] = total.get(name, 0) + size
    return total


# ---- ringtape ----


def engine(*arguments):
    done = subprocess.run([ENGINE, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"bench export: format_bench failed:\n{done.stderr}")
    return json.loads(done.stdout)


def make_store(folder, symbols, trades):
    """In a process of its own, so that this one stays small: what a child's peak of memory is told
    to be includes its parent's size at the fork."""
    import format as recordings  # bench/format.py: how recordings are read

    sources = []
    for exchange, symbol, name in recordings.TAIL:
        path = recordings.frames(name, folder)
        if path is not None:
            sources += [exchange, symbol, path]
    if not sources:
        print("bench export: no recordings, trades are made up", file=sys.stderr)
    print(json.dumps(engine("long_tail_store", folder / "store", symbols, trades, *sources)))


def export(store, out):
    """CPU seconds, peak of resident memory, bytes, rows of one run."""
    import support

    shutil.rmtree(out, ignore_errors=True)
    command = [support.program("ringtape"), "export", "--store", store, "--parquet", out, "--json"]
    child = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE)
    answer = json.loads(child.stdout.read())
    _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        sys.exit(f"bench export: ringtape export ended with {os.waitstatus_to_exitcode(status)}")
    return {"seconds": usage.ru_utime + usage.ru_stime, "rss": usage.ru_maxrss * 1024,
            "bytes": answer["bytes"], "rows": answer["messages"]}  # fmt: skip


def commits(store, folder, repetitions):
    """Milliseconds of each commit into a new table."""
    import support

    found = []
    for turn in range(repetitions):
        tables = folder / f"delta-{turn}"
        command = [support.program("ringtape"), "export", "--store", store, "--delta", tables]
        done = subprocess.run([*map(str, command), "--json"], stdout=subprocess.PIPE, check=True)
        found += [commit["commit_ns"] / 1e6 for commit in json.loads(done.stdout)["commits"]]
        shutil.rmtree(tables)
    return found


# ---- report ----


def spread(values):
    return (max(values) - min(values)) / statistics.median(values)


def emit(metric, value, unit, spread=None, peer=None):
    line = {"bench": "export", "case": "trades", "metric": metric, "value": value, "unit": unit,
            "spread": spread, "peer": peer}  # fmt: skip
    print(json.dumps(line), flush=True)


def measure(store, folder, repetitions):
    """Runs of ringtape and of pyarrow in turns, and pyarrow's smallest files."""
    own, peers = [], []
    out = folder / "parquet"
    own.append(export(store, out))  # the files that pyarrow reads; also warms the cache
    with Peer(out, folder / "peer.parquet") as peer_process:
        shape = peer_process.ask(what="shape")
        for _ in range(repetitions):
            own.append(export(store, folder / "again"))
            peers.append(peer_process.ask(what="write", level=1))
        best, split = peer_process.ask(what="best")
    return own[1:], peers, best, split, shape


def columns(own, best):
    print(f"{'column':<20} {'ours':>12} {'pyarrow':>12}  its encoding", file=sys.stderr)
    for name, size in own.items():
        encoding = best["encodings"].get(name, "dictionary")
        print(f"{name:<20} {size:>12,} {best['columns'][name]:>12,}  {encoding}", file=sys.stderr)


def report(rows, own, peers, best, split, shape):
    rates = [rows / run["seconds"] for run in own]
    peer_rates = [rows / run["seconds"] for run in peers]
    ratios = [ours / theirs for ours, theirs in zip(rates, peer_rates)]
    size = own[-1]["bytes"]
    rss = max(run["rss"] for run in own) / 2**20
    emit("rows_per_second", round(statistics.median(rates)), "1/s", round(spread(rates), 3))
    emit("rows_per_second", round(statistics.median(peer_rates)), "1/s",
         round(spread(peer_rates), 3), "pyarrow")  # fmt: skip
    emit("ratio_to_pyarrow", round(statistics.median(ratios), 2), "ratio",
         round(spread(ratios), 3))  # fmt: skip
    smallest = rates[-1] * best["seconds"] / rows
    emit("ratio_to_pyarrow_smallest", round(smallest, 2), "ratio", 0)
    emit("size_to_pyarrow", round(size / best["bytes"], 4), "ratio", 0)
    emit("size_to_pyarrow_byte_stream_split", round(size / split["bytes"], 4), "ratio", 0)
    emit("bytes_per_row", round(size / rows, 3), "byte", 0)
    emit("bytes_per_row", round(best["bytes"] / rows, 3), "byte", 0, "pyarrow")
    emit("peak_rss_mb", round(rss, 1), "MB", 0)
    columns(shape["own"], best)
    print(
        f"{rows:,} trades, {shape['columns']} columns: {statistics.median(rates) / 1e6:.2f} M "
        f"rows/s of CPU, pyarrow {statistics.median(peer_rates) / 1e6:.2f} (x"
        f"{statistics.median(ratios):.1f}); {size / rows:.3f} bytes a row, pyarrow's best "
        f"{best['bytes'] / rows:.3f} (level {best['level']}, x{smallest:.1f}), BYTE_STREAM_SPLIT "
        f"{split['bytes'] / rows:.3f}, its default {peers[0]['bytes'] / rows:.3f}; "
        f"peak {rss:.0f} MB",
        file=sys.stderr,
    )
    return size <= best["bytes"]


def report_commits(found):
    middle = statistics.median(found)
    emit("delta_commit_ms", round(middle, 2), "ms", round(spread(found), 3))
    emit("delta_commit_ms_max", round(max(found), 2), "ms", 0)
    print(f"{len(found)} commits of Delta: median {middle:.1f} ms, slowest {max(found):.1f} ms",
          file=sys.stderr)  # fmt: skip
    return middle <= COMMIT_MS_MAX


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--trades", type=int)
    parser.add_argument("--symbols", type=int, default=1500)
    parser.add_argument("--repetitions", type=int, default=5)
    chosen = parser.parse_args()
    trades = chosen.trades or (200000 if chosen.smoke else 8000000)
    with tempfile.TemporaryDirectory(prefix="bench-export-") as name:
        folder = pathlib.Path(name)
        maker = [sys.executable, __file__, "--store", name, str(chosen.symbols), str(trades)]
        rows = json.loads(subprocess.run(maker, stdout=subprocess.PIPE, check=True).stdout)["rows"]
        found = measure(folder / "store", folder, 1 if chosen.smoke else chosen.repetitions)
        quick = report_commits(commits(folder / "store", folder, 1 if chosen.smoke else 9))
        own, shape = found[0], found[-1]
        whole = shape["rows"] == own[0]["rows"] == rows
        small = report(own[0]["rows"], *found)
    good = whole and ((small and quick) or chosen.smoke)
    print(json.dumps({"bench": "export", "metric": "ok", "value": good}), flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peer"]:
        peer(*sys.argv[2:])
    elif sys.argv[1:2] == ["--store"]:
        make_store(pathlib.Path(sys.argv[2]), *sys.argv[3:])
    else:
        sys.exit(main())
