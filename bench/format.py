# SPDX-License-Identifier: GPL-3.0-or-later
"""What rows cost on disk, and how fast they are coded.

    tools/dev bench format [--smoke] [--only CASE ...]

Each recording is written as one segment, headers, index and checksums counted, at both levels, in
blocks of 8,192 rows; depth is counted by level of the book, the message's own columns included.
Peers see the same columns in the same run: pcodec in equal chunks of 8,192 rows, each column plain
or as the difference that its documentation advises (event - trade time, receive - event time, ask -
bid), whichever is smaller; Parquet by pyarrow with zstd, dictionary or DELTA_BINARY_PACKED,
whichever is smaller, in one row group. CPU time of one thread, median of seven.

At the end every figure that is asked of the format is listed: limit, measured, met or missed. Sizes
are exact, so they decide over the exit code; speeds depend on the machine and who else uses it:
they are listed and decide nothing. A smoke run has too little data for either.

long_tail: a day of 1,500 symbols whose activity falls off like Zipf's law with the head of the
recorded BTCUSDT; each symbol's trades are those of the recordings next to it in activity, gaps
stretched. tape_N: batches of N rows over 500 symbols. idle: a feed of one message a second.
"""

import argparse
import gzip
import json
import pathlib
import struct
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "peers"))

import pyarrow  # noqa: E402
import pyarrow.parquet  # noqa: E402
import support  # noqa: E402

ENGINE = ROOT / "zig-out" / "bench" / "format_bench"
CHUNK = 8192
USDM = "captures/hftbacktest_usdm_btcusdt_20240808.gz"
SPOT8 = "captures/hftbacktest_spot_btcusdt_20240808.gz"
SPOT9 = "captures/hftbacktest_spot_btcusdt_20240809.gz"
ETH = "captures/hftbacktest_spot_ethusdt_20240808.gz"
NEXO24 = "captures/hbtplayground_spot_nexousdt_20240724.dat.gz"
NEXO25 = "captures/hbtplayground_spot_nexousdt_20240725.dat.gz"
TRX = "tables/bdp_trade_stream_spot_trxusdt_2025-03-04.csv.gz"
TRX_USDM = "tables/bdp_trade_stream_usdm_trxusdt_2025-03-04.csv.gz"
# Every recording with at least 8,192 rows of a symbol; most bits a row that a case may take.
CASES = {
    "usdm_trade": ("binance-usdm", "trade", "BTCUSDT", USDM, 24),
    "usdm_quote": ("binance-usdm", "quote", "BTCUSDT", USDM, 40),
    "spot_trade": ("binance", "trade", "BTCUSDT", SPOT9, 32),
    "spot_quote": ("binance", "quote", "BTCUSDT", SPOT9, 37),
    "depth": ("binance-usdm", "depth", "BTCUSDT", USDM, None),
    "spot_trade_0808": ("binance", "trade", "BTCUSDT", SPOT8, None),
    "spot_quote_0808": ("binance", "quote", "BTCUSDT", SPOT8, None),
    "spot_depth": ("binance", "depth", "BTCUSDT", SPOT9, None),
    "eth_quote": ("binance", "quote", "ETHUSDT", ETH, None),
    "eth_depth": ("binance", "depth", "ETHUSDT", ETH, None),
    "nexo_trade": ("binance", "trade", "NEXOUSDT", NEXO24, None),
    "nexo_quote": ("binance", "quote", "NEXOUSDT", NEXO24, None),
    "nexo_depth": ("binance", "depth", "NEXOUSDT", NEXO24, None),
    "trx_trade": ("binance", "trade", "TRXUSDT", TRX, None),
    "trx_usdm_trade": ("binance-usdm", "trade", "TRXUSDT", TRX_USDM, None),
}
TAIL = [("binance", "BTCUSDT", SPOT8), ("binance", "BTCUSDT", SPOT9), ("binance", "ETHUSDT", ETH),
        ("binance", "NEXOUSDT", NEXO24), ("binance", "NEXOUSDT", NEXO25)]  # fmt: skip
DIFFERENCES = {
    "event_time": ("trade_time", "transaction_time"),
    "receive_time": ("event_time",),
    "ask_price": ("bid_price",),
}


def peers():
    """numpy and pcodec, in a folder of their own."""
    folder = ROOT / ".deps" / "bench-peers"
    wanted = ROOT / "bench" / "peers" / "requirements.txt"
    done = folder / "requirements.txt"
    if not done.exists() or done.read_text() != wanted.read_text():
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "-q", "--upgrade", "--target", folder, "-r",
             wanted], check=True,
        )  # fmt: skip
        done.write_text(wanted.read_text())
    sys.path.insert(0, str(folder))
    import numpy
    import pcodec.standalone

    return numpy, pcodec


# ---- recordings ----


def csv_message(line):
    """A row of the TRX tables as the message it was."""
    receive, _, _, event, trade, symbol, number, price, quantity, maker, last = line.split(",")
    message = {"e": "trade", "E": int(event), "s": symbol, "t": int(number), "p": price,
               "q": quantity, "T": int(trade), "m": maker in ("1", "True")}  # fmt: skip
    # Of the last key the spot table has M; that of the futures has X in its place.
    message |= {"M": True} if last == "True" else {"X": last or "MARKET"}
    return receive, json.dumps(message).encode()


def messages(path):
    with gzip.open(path, "rt") as file:
        for line in file:
            if path.name.endswith(".csv.gz"):
                if line[0].isdigit():
                    yield csv_message(line.strip())
                continue
            receive, _, message = line.strip().partition(" ")
            if receive.isdigit() and message.startswith("{"):
                yield receive, message.encode()


def frames(name, folder):
    """A recording in the form that format_bench reads; None where it is absent."""
    source = support.REAL_DATA / name
    out = folder / source.name
    if not source.exists():
        return None
    if not out.exists():
        with open(out, "wb") as file:
            for receive, message in messages(source):
                nanoseconds = int(receive) * 10 ** (19 - len(receive))
                file.write(struct.pack("<qI", nanoseconds, len(message)) + message)
    return out


def engine(*arguments):
    done = subprocess.run([ENGINE, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"bench format: format_bench {arguments[0]} failed:\n{done.stderr}")
    return json.loads(done.stdout)


# ---- peers ----


def chunks(columns, levels):
    """Equal pieces of all columns: 8,192 rows, and the levels of those rows."""
    rows = len(next(iter(columns.values())))
    first = 0
    for at in range(0, rows, CHUNK):
        part = {name: values[at : at + CHUNK] for name, values in columns.items()}
        if levels:
            end = first + int(part["level_count"].sum())
            part |= {name: values[first:end] for name, values in levels.items()}
            first = end
        yield part


def pcodec_bytes(pcodec, columns, levels):
    coded = 0
    seconds = 0
    config = pcodec.ChunkConfig(compression_level=8)
    for part in chunks(columns, levels):
        for name, values in part.items():
            ways = [values]
            ways += [values - part[of] for of in DIFFERENCES.get(name, ()) if of in part]
            sizes = []
            for way in ways:
                start = time.process_time()
                sizes.append(len(pcodec.standalone.simple_compress(way, config)))
                took = time.process_time() - start
            seconds += took
            coded += min(sizes)
    return coded, seconds


def parquet_bytes(columns, folder):
    arrays = {}
    for name, values in columns.items():
        buffers = [None, pyarrow.py_buffer(values)]
        arrays[name] = pyarrow.Array.from_buffers(pyarrow.int64(), len(values), buffers)
    table = pyarrow.table(arrays)
    path = folder / "peer.parquet"
    sizes = []
    for encoding in (None, "DELTA_BINARY_PACKED"):
        pyarrow.parquet.write_table(
            table, path, compression="zstd", use_dictionary=encoding is None,
            column_encoding=encoding,
        )  # fmt: skip
        sizes.append(path.stat().st_size)
    return min(sizes)


def dumped(numpy, folder):
    columns, levels = {}, {}
    for path in sorted(folder.iterdir()):
        values = numpy.fromfile(path, dtype="<i8")
        of_levels = path.name.startswith("level_") and path.name != "level_count"
        (levels if of_levels else columns)[path.name] = values
    return columns, levels


# ---- figures ----

FIGURES = []  # (name, limit, measured, unit, "<=" or ">=", decides)
SPEEDS = {"light_encode": 20, "light_decode": 60, "dense_encode": 3, "dense_decode": 15}


def figure(name, value, relation, limit, unit, decides=True):
    """Notes a figure; whether it is met."""
    FIGURES.append((name, value, relation, limit, unit, decides))
    return value <= limit if relation == "<=" else value >= limit


def figures():
    """Lists all of them; whether those that decide are met."""
    good = True
    print(f"\n{'figure':<34} {'measured':>10} {'limit':>11} unit", file=sys.stderr)
    for name, value, relation, limit, unit, decides in FIGURES:
        met = value <= limit if relation == "<=" else value >= limit
        good = good and (met or not decides)
        word = "met" if met else "MISSED"
        shown = f"{value:,.3f}" if value < 10 else f"{value:,.1f}"
        print(f"{name:<34} {shown:>10} {relation:>3} {limit:>7,g} {unit:<12} {word}"
              f"{'' if decides else ' (a speed: does not decide)'}", file=sys.stderr)  # fmt: skip
        print(json.dumps({"bench": "format", "case": name, "metric": "figure", "value": value,
                          "unit": unit, "relation": relation, "limit": limit, "met": met,
                          "decides": decides}), flush=True)  # fmt: skip
    missed = [each[0] for each in FIGURES
              if not (each[1] <= each[3] if each[2] == "<=" else each[1] >= each[3])]
    print(f"{len(FIGURES) - len(missed)} of {len(FIGURES)} figures met", file=sys.stderr)
    return good


# ---- report ----


def emit(case, metric, value, unit, spread=None, peer=None):
    line = {"bench": "format", "case": case, "metric": metric, "value": value, "unit": unit,
            "spread": spread, "peer": peer}  # fmt: skip
    print(json.dumps(line), flush=True)


def table(*cells):
    print("{:<16} {:>9} {:>9} {:>7} {:>7} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}".format(*cells),
          file=sys.stderr, flush=True)  # fmt: skip


def report(case, own, pcodec, parquet):
    numbers = own["levels"] or own["rows"]
    bits = {name: own[f"{name}_bytes"] * 8 / numbers for name in ("light", "dense")}
    pcodec, parquet = pcodec * 8 / numbers, parquet * 8 / numbers
    emit(case, "bits_per_row", round(pcodec, 2), "bit", peer="pcodec")
    emit(case, "bits_per_row", round(parquet, 2), "bit", peer="parquet_zstd")
    for name in ("light", "dense"):
        emit(case, f"{name}_bits_per_row", round(bits[name], 2), "bit", 0)
        emit(case, f"{name}_ratio_to_pcodec", round(bits[name] / pcodec, 3), "ratio", 0)
        emit(case, f"{name}_ratio_to_parquet_zstd", round(bits[name] / parquet, 3), "ratio", 0)
        for what in ("encode", "decode"):
            speed = 1e9 / own[f"{name}_{what}_ns"]
            emit(case, f"{name}_{what}_rows_per_second", round(speed), "1/s",
                 own[f"{name}_{what}_spread"])  # fmt: skip
    speeds = [f"{1e3 / own[f'{name}_{what}_ns']:.1f}" for name in ("light", "dense")
              for what in ("encode", "decode")]  # fmt: skip
    table(case, f"{own['rows']:,}", f"{own['levels']:,}", f"{bits['light']:.2f}",
          f"{bits['dense']:.2f}", f"{pcodec:.2f}", f"{parquet:.2f}", *speeds)  # fmt: skip
    return bits, pcodec


def run_rows(case, folder, *arguments):
    numpy, pcodec = peers()
    dump = pathlib.Path(tempfile.mkdtemp(dir=folder))
    own = engine(*arguments, dump)
    columns, levels = dumped(numpy, dump)
    coded, seconds = pcodec_bytes(pcodec, columns, levels)
    emit(case, "dense_encode_rows_per_second", round(own["rows"] / seconds), "1/s", peer="pcodec")
    parquet = parquet_bytes(columns, dump)
    if levels:
        parquet += parquet_bytes(levels, dump)
    for way, least in SPEEDS.items() if arguments[0] == "recording" else ():
        numbers = "M levels/s" if own["levels"] else "M rows/s"
        figure(f"{case}: {way}", 1e3 / own[f"{way}_ns"], ">=", least, numbers, decides=False)
    return report(case, own, coded, parquet)


def run_recording(case, folder):
    exchange, channel, symbol, name, most = CASES[case]
    source = frames(name, folder)
    if source is None:
        print(f"bench format: {name} is missing, case {case} is left out", file=sys.stderr)
        return True
    bits, pcodec = run_rows(case, folder, "recording", exchange, channel, symbol, source)
    if most is not None:
        figure(f"{case}: dense", bits["dense"], "<=", most, "bit a row")
    figure(f"{case}: dense to pcodec", bits["dense"] / pcodec, "<=", 0.95, "ratio")
    figure(f"{case}: light to dense", bits["light"] / bits["dense"], "<=", 1.5, "ratio")
    return True


def run_tail(folder, trades):
    sources = [(exchange, symbol, frames(name, folder)) for exchange, symbol, name in TAIL]
    present = [part for source in sources if source[2] for part in source]
    if not present:
        print("bench format: no recordings, long_tail is made up", file=sys.stderr)
    own = engine("long_tail", 1500, trades, *present)
    per_trade = own["bytes"] / own["rows"]
    emit("long_tail", "bytes_per_trade", round(per_trade, 3), "byte", 0)
    print(f"long_tail: {own['rows']:,} trades, {per_trade:.3f} bytes each", file=sys.stderr)
    if present and trades >= 10**7:
        figure("long_tail", per_trade, "<=", 4.0, "byte a trade")
    return True


def run_tape(smoke):
    program = ROOT / "zig-out" / "bench" / "tape_bench"
    arguments = ["--smoke"] if smoke else []
    done = subprocess.run([program, *arguments], capture_output=True, text=True)
    for line in map(json.loads, done.stdout.splitlines()):
        if line.get("case") and line["metric"] in ("bytes_per_row", "rows_per_second"):
            print(json.dumps(line | {"bench": "format"}), flush=True)
            print(f"{line['case']}: {line['metric']} {line['value']:,.2f}", file=sys.stderr)
    return done.returncode == 0


POINTS = {"point_read_us": "one row, time and price", "point_read_row_us": "one row, all columns"}


def run_point(smoke):
    """One random row by symbol and time: the library's own program says what it takes."""
    program = ROOT / "zig-out" / "bench" / "point_read_bench"
    done = subprocess.run([program, *(["--smoke"] if smoke else [])], capture_output=True,
                          text=True)  # fmt: skip
    for line in map(json.loads, done.stdout.splitlines()):
        if line.get("metric") in POINTS and not smoke:
            figure(POINTS[line["metric"]], line["value"], "<=", 200, "us", decides=False)
        if line.get("case"):
            print(json.dumps(line | {"bench": "format"}), flush=True)
            print(f"{line['case']}: {line['metric']} {line['value']}", file=sys.stderr)
    return done.returncode == 0


def written_bytes(pid):
    text = pathlib.Path(f"/proc/{pid}/io").read_text()
    return int(text.split("write_bytes:")[1].split()[0])


def tape_bytes(store):
    listing = json.loads(support.ringtape("ls", "--store", store, "--json"))
    return sum(tape["bytes"] for tape in listing["tapes"])


def run_idle(folder, seconds):
    """ringtaped on a feed of one message a second: what it leaves and what it writes."""
    certificates = folder / "certificates"
    support.make_certificates(certificates)
    with support.Simulator("--symbols=binance:20", "--rate=1", f"--seconds={seconds + 30}",
                           certificates=certificates) as sim:  # fmt: skip
        feed = support.feed(sim, "binance", ["trade", "quote"], "all")
        daemon = support.Ringtaped(folder / "idle.yaml", folder / "idle", [feed], "1s")
        with daemon:
            sim.event("begun", 60)
            time.sleep(2)
            written = written_bytes(daemon.child.pid)
            before = tape_bytes(folder / "idle")
            time.sleep(seconds)
            written = written_bytes(daemon.child.pid) - written
            kept = tape_bytes(folder / "idle") - before
            daemon.terminate()
    day = 86400 / seconds / 1e6
    emit("idle", "megabytes_per_day", round(kept * day, 1), "MB")
    emit("idle", "written_megabytes_per_day", round(written * day, 1), "MB")
    print(f"idle: {kept * day:.1f} MB kept, {written * day:.1f} MB written a day", file=sys.stderr)
    figure("idle: kept on tape", kept * day, "<=", 100, "MB a day")
    return True


def main():
    parser = argparse.ArgumentParser(prog="tools/dev bench format")
    parser.add_argument("--smoke", action="store_true", help="little data, in seconds")
    parser.add_argument("--only", action="append", help="this case only; may be repeated")
    options = parser.parse_args()
    good = True
    with tempfile.TemporaryDirectory(prefix="format-", dir=ROOT / "zig-out") as name:
        folder = pathlib.Path(name)
        steps = {} if options.smoke else {case: lambda c=case: run_recording(c, folder)
                                          for case in CASES}  # fmt: skip
        rows = 20000 if options.smoke else 400000
        steps["synthetic_trade"] = lambda: bool(
            run_rows("synthetic_trade", folder, "synthetic", rows)
        )
        steps["long_tail"] = lambda: run_tail(folder, 300000 if options.smoke else 54000000)
        steps["tape"] = lambda: run_tape(options.smoke)
        steps["point"] = lambda: run_point(options.smoke)
        steps["idle"] = lambda: run_idle(folder, 5 if options.smoke else 60)
        table("case", "rows", "levels", "light", "dense", "pcodec", "parquet", "l.enc M/s",
              "l.dec", "d.enc", "d.dec")  # fmt: skip
        unknown = set(options.only or ()) - set(steps)
        if unknown:
            parser.error(f"no case {', '.join(sorted(unknown))}; there are {', '.join(steps)}")
        for case, step in steps.items():
            if not options.only or case in options.only:
                good = step() and good
    good = figures() and good
    print(json.dumps({"bench": "format", "metric": "ok", "value": good}))
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
