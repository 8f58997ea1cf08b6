# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the lake share: stores, tables, a Spark session, jobs as processes, a broker. A
pytest plugin: its fixtures are there in every test."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import time

import kafka_broker
import pytest
import support

DAY_S = 86400
DAY_NS = DAY_S * 10**9
MINUTE_NS = 60 * 10**9
LAKE = support.ROOT / "tools" / "lake"
SPARK = pathlib.Path(os.environ.get("RINGTAPE_SPARK", support.ROOT / ".deps" / "spark"))
AIRFLOW = pathlib.Path(os.environ.get("RINGTAPE_AIRFLOW", support.ROOT / ".deps" / "airflow"))
SCHEMAS = support.ROOT / "docs" / "schema"


def shifted(folder, seconds):
    """The environment of programs whose clock is so many seconds ahead."""
    source, library = folder / "shift.c", folder / "shift.so"
    if not library.exists():
        source.write_text(support.SHIFT)
        compiler = [str(support.ROOT / "tools" / "dev"), "zig", "cc"]
        subprocess.run([*compiler, "-shared", "-fPIC", "-o", library, source], check=True)
    return {**os.environ, "LD_PRELOAD": str(library), "SHIFT_SECONDS": str(int(seconds))}


# ---- Spark ----


@pytest.fixture(scope="session")
def spark():
    """A session in this process, as the jobs make it."""
    from ringtape_lake import lake_session

    jars = ",".join(map(str, [*SPARK.glob("jars/*.jar"), *SPARK.glob("jars-delta/*.jar")]))
    os.environ.update(
        PYSPARK_PYTHON=str(SPARK / "venv" / "bin" / "python"), SPARK_LOCAL_IP="127.0.0.1",
        PYSPARK_SUBMIT_ARGS=f"--master local[2] --driver-memory 1500m --jars {jars} "
        "--driver-java-options '-XX:TieredStopAtLevel=1 -XX:+UseSerialGC' "
        "--conf spark.sql.shuffle.partitions=2 --conf spark.ui.enabled=false "
        "--conf spark.ui.showConsoleProgress=false "
        "--conf spark.databricks.delta.snapshotPartitions=1 pyspark-shell",
    )  # fmt: skip
    made = lake_session.session("lake-test")
    yield made
    made.stop()


def logs(name):
    folder = pathlib.Path(os.environ.get("RINGTAPE_LAKE_LOGS", "zig-out/log/lake"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}.log"


class Job:
    """A job run by tools/lake/submit, with its output in a log; what it told of its stream is
    parsed."""

    def __init__(self, name, *arguments, log=None):
        self.path = logs(log or name)
        self.file = open(self.path, "w", encoding="utf-8")
        self.child = subprocess.Popen(
            [str(LAKE / "submit"), name, *map(str, arguments)], stdout=self.file,
            stderr=subprocess.STDOUT, env={**os.environ, "RINGTAPE_SPARK": str(SPARK)},
            preexec_fn=support.die_with_parent, start_new_session=True,
        )  # fmt: skip

    def told(self, what):
        found = []
        for line in self.path.read_text(encoding="utf-8", errors="replace").splitlines():
            # Java writes into the same log, now and then into the same line.
            begin = line.find('{"stream"')
            if begin >= 0 and "}" in line[begin:]:
                event = json.JSONDecoder().raw_decode(line, begin)[0]
                if event["stream"] == what:
                    found.append(event)
        return found

    def kill(self):
        """As a machine that fails: nothing is ended in order, the Java below neither."""
        if self.child.poll() is None:
            os.killpg(self.child.pid, signal.SIGKILL)
        self.child.wait()
        self.file.close()

    def finish(self, seconds=300, status=0):
        assert self.child.wait(seconds) == status, self.path.read_text()[-4000:]
        self.file.close()
        return self.path.read_text()

    def terminate(self, seconds=60):
        self.child.terminate()
        return self.finish(seconds)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()


# ---- Kafka ----


@pytest.fixture(scope="session")
def broker(tmp_path_factory):
    if kafka_broker.MISSING is not None:
        pytest.skip(kafka_broker.MISSING)
    with kafka_broker.Broker(tmp_path_factory.mktemp("kafka")) as running:
        yield running


TOPICS = ("trades", "agg_trades", "quotes", "depth", "books", "tickers", "klines", "status", "raw",
          "instruments", "candles", "alerts", "alerts_stream")  # fmt: skip


def make_topics(broker, prefix):
    broker.topics(*(f"{prefix}.{name}" for name in TOPICS), retention_ms=-1)


# ---- stores ----


OFFLINE_BEGIN_NS = 1735689600 * 10**9  # of a market that exchange-sim makes offline


def offline(folder, exchange, symbols, rate, seconds, channels, seed=5):
    """A made-up market as a recording: (path, names of its symbols)."""
    truth, capture = folder / f"truth-{exchange}", folder / f"capture-{exchange}"
    subprocess.run(
        [support.program("exchange-sim"), "--offline", f"--symbols={exchange}:{symbols}",
         f"--seed={seed}", f"--rate={rate}", f"--seconds={seconds}", f"--truth={truth}",
         f"--channels={','.join(channels)}"],
        check=True, capture_output=True,
    )  # fmt: skip
    names = set()
    with open(capture, "w", encoding="utf-8") as out:
        for due, _, stream, payload in support.read_truth(truth):
            out.write(f'{due} {{"stream":"{stream}","data":{payload}}}\n')
            names.add(stream.split("@")[0].upper())
    truth.unlink()
    return capture, sorted(names)


def play(store, folder, exchange, capture, symbols, channels):
    """Records a recording of some channels; the store is left by its daemon."""
    streams = len(symbols) * len(channels)
    with support.Simulator(
        f"--capture={exchange}:{capture}", "--rate=60000", f"--begin-streams={streams}"
    ) as simulator:
        feed = support.feed(simulator, exchange, channels, symbols)
        with support.Ringtaped(folder / "config.yaml", store, [feed]) as daemon:
            sent = simulator.event("ended", 300)["sent"]
            daemon.settle(sent, 300)
            assert daemon.terminate() == 0, daemon.errors


@pytest.fixture(scope="session")
def two_days(tmp_path_factory):
    """A store with a market that goes on over midnight: spot with trades and aggregate trades of
    four symbols, and aggregate trades alone of one; futures with trades and quotes of two (only
    their quotes have a time of their own)."""
    folder = tmp_path_factory.mktemp("two_days")
    store, seconds = folder / "store", 30 * 3600
    channels = ["trade", "agg_trade"]
    capture, names = offline(folder, "binance", 5, 1, seconds, ["trade", "aggTrade"])
    only_aggregates = names[-1]
    lines = capture.read_text().splitlines(True)
    skip = f'"stream":"{only_aggregates.lower()}@trade"'
    capture.write_text("".join(line for line in lines if skip not in line))
    play(store, folder, "binance", capture, names, channels)
    capture, names = offline(folder, "binance-usdm", 2, 1, seconds, ["trade", "bookTicker"])
    play(store, folder, "binance-usdm", capture, names, ["trade", "quote"])
    support.ringtape("seal", "--store", store)
    return store


def record_yesterday(folder, symbols=3, seconds=6):
    """A store of a day that is over and closed: simulator and recorder with a clock that is a day
    behind, then a recorder of today whose audit proves the rest. (store, day)."""
    store, past = folder / "store", shifted(folder, -DAY_S)
    day = time.strftime("%Y-%m-%d", time.gmtime(time.time() - DAY_S))
    with support.Simulator(
        f"--symbols=binance:{symbols}", "--rate=1500", f"--seconds={seconds}",
        "--channels=trade,bookTicker", f"--begin-streams={2 * symbols}", "--at-end=hold", env=past,
    ) as simulator:  # fmt: skip
        info = simulator.get("binance", "/api/v3/exchangeInfo")[0]
        names = [entry["symbol"] for entry in info["symbols"]]
        feed = support.feed(simulator, "binance", ["trade", "quote"], names)
        with support.Ringtaped(folder / "config.yaml", store, [feed], env=past) as daemon:
            simulator.event("ended", 60)
            time.sleep(1)
            assert daemon.terminate() == 0, daemon.errors
        with support.Ringtaped(folder / "config.yaml", store, [feed]) as daemon:
            daemon.wait_counters(lambda c: c["audits"] > 0, 60, "an audit")
            time.sleep(4)  # judged 3 s later
            assert daemon.terminate() == 0, daemon.errors
    support.ringtape("seal", "--store", store)
    return store, day


# ---- tables ----


def exports_delta():
    help_text = subprocess.run([support.program("ringtape"), "export", "--help"],
                               capture_output=True, text=True).stdout  # fmt: skip
    return "--delta" in help_text


def export_lake(store, lake):
    """The Delta tables of a sealed store, by `ringtape export --delta`; where this ringtape has no
    such option, tables of the same layout made from its Parquet files."""
    if exports_delta():
        support.ringtape("export", "--store", store, "--delta", lake)
        return lake
    import deltalake
    import pyarrow.dataset

    files = lake.parent / f"{lake.name}-parquet"
    support.ringtape("export", "--store", store, "--parquet", files)
    for channel in ("trade", "agg_trade", "quote", "status", "alert", "candle"):
        parts = sorted(files.glob(f"exchange=*/channel={channel}/date=*"))
        for part in parts:
            names = dict(pair.split("=") for pair in part.relative_to(files).parts)
            table = pyarrow.dataset.dataset(part).to_table()
            day = pyarrow.array([names["date"]] * len(table)).cast(pyarrow.date32())
            table = table.append_column("exchange", pyarrow.array([names["exchange"]] * len(table)))
            table = table.append_column("date", day)
            deltalake.write_deltalake(
                str(lake / channel), table, mode="append", partition_by=["exchange", "date"]
            )
    shutil.rmtree(files)
    return lake


@pytest.fixture(scope="session")
def lake(two_days, tmp_path_factory):
    return export_lake(two_days, tmp_path_factory.mktemp("lake") / "tables")


def rows_of(table, **filters):
    """Rows of a Delta table by delta-rs, which is nobody's that wrote it."""
    import deltalake

    found = deltalake.DeltaTable(str(table)).to_pyarrow_table()
    rows = found.to_pylist()
    return [row for row in rows if all(row[k] == v for k, v in filters.items())]


def stored(store, channel):
    """Rows of the store as `ringtape cat` tells them, times in ns."""
    from mirror_test import stored as of_mirror

    return of_mirror(store, channel)
