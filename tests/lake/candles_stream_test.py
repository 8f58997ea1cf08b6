# SPDX-License-Identifier: GPL-3.0-or-later
"""candles_stream on a real Kafka and a real Spark: against candles made by another way of messages
made here, and against `ringtape candles --as-of first` while broker and job are killed."""

import collections
import io
import json
import random
import time
from decimal import Decimal

import fastavro
import kafka_broker
import lake_truth
import lake_world
import pytest
import support
from candles_test import nanoseconds, rows, value
from lake_world import Job

SECOND = 10**9
MINUTE = 60 * SECOND
BEGIN = 1795780800 * SECOND  # 2026-11-27 12:00 UTC
INTERVALS = {"1m": 1, "5m": 5, "15m": 15}
SYMBOLS = {"binance:BTCUSDT": 40, "binance:币安USDT": 6, "binance-usdm:ETHUSDT": 12,
           "upbit:KRW-BTC": 10, "binance:RAREUSDT": 1}  # fmt: skip
MINUTES = 13


# ---- messages made here ----


def trade(dice, symbol, number, time_ns, receive_ns):
    row = {
        "symbol": symbol, "time": time_ns, "receive_time": receive_ns, "link": 0, "flags": 0,
        "event_time": time_ns, "trade_time": time_ns, "id": number,
        "price": str(Decimal(dice.randrange(1, 10**9)).scaleb(-dice.choice((0, 2, 8))).normalize()),
        "quantity": str(Decimal(dice.randrange(0, 10**10)).scaleb(-dice.choice((0, 3, 8)))),
        "side": dice.choice(("buy", "sell")),
    }  # fmt: skip
    row["price"] = f"{Decimal(row['price']):f}"
    if symbol.startswith("binance-usdm"):
        row["kind"] = dice.choice(("MARKET",) * 9 + ("INSURANCE_FUND",))
    return row


def lateness_ns(dice, symbol):
    """Most come at once, some behind the grace; all of a rare symbol may be behind it."""
    if symbol == "binance:RAREUSDT":
        return dice.choice((10**8, 5 * SECOND, 12 * SECOND))
    return dice.choice((10**7,) * 30 + (int(1.9 * SECOND), 4 * SECOND, 15 * SECOND))


def made_up(seed):
    """(trades by arrival, those that came much too late)."""
    dice = random.Random(seed)
    trades, numbers = [], collections.Counter()
    for symbol, a_minute in SYMBOLS.items():
        for _ in range(a_minute * MINUTES):
            time_ns = BEGIN + dice.randrange(MINUTES * MINUTE)
            numbers[symbol] += dice.choice((1, 1, 2))
            arrival = time_ns + lateness_ns(dice, symbol) + dice.randrange(10**8)
            trades.append(trade(dice, symbol, numbers[symbol], time_ns, arrival))
    # On the border of the grace to the nanosecond, and with the same time.
    edge = BEGIN + 3 * MINUTE - 1
    for receive in (edge + 1 + 2 * SECOND - 1, edge + 1 + 2 * SECOND, edge + 1 + 3 * SECOND):
        numbers["binance:BTCUSDT"] += 1
        trades.append(trade(dice, "binance:BTCUSDT", numbers["binance:BTCUSDT"], edge, receive))
    trades.sort(key=lambda row: row["receive_time"])
    too_late = []
    for number in range(25):
        time_ns = BEGIN + dice.randrange(2 * MINUTE)
        arrival = BEGIN + (MINUTES + 2) * MINUTE + number
        too_late.append(trade(dice, "binance:BTCUSDT", 10**6 + number, time_ns, arrival))
    return trades, too_late


def beats():
    """As each exchange's shard writes them, for half an hour more than there are trades."""
    for minute in range(1, MINUTES + 30):
        close = BEGIN + minute * MINUTE
        for exchange, grace in (("binance", 2), ("upbit", 3)):
            yield {"symbol": None, "time": close + grace * SECOND + 5 * 10**7,
                   "receive_time": close + grace * SECOND + 5 * 10**7, "flags": 0,
                   "kind": "interval_closed", "from_time": close - MINUTE, "to_time": close,
                   "about_channel": "candle", "detail": f"{exchange} 1m", "tape": 1,
                   "tape_row": minute}  # fmt: skip


def in_parts(rows, count):
    """By arrival: what had come until each of so many moments, and the rest."""
    for part in range(count + 1):
        low = BEGIN + part * MINUTES * MINUTE // count if part else 0
        high = BEGIN + (part + 1) * MINUTES * MINUTE // count if part < count else 2**63
        yield [row for row in rows if low <= row["receive_time"] < high]


def encoder(form, channel):
    if form == "json":
        return lambda row: json.dumps(row, ensure_ascii=False).encode()
    import avro_values

    fingerprint = next(f for f, (c, _) in avro_values.SCHEMAS.items() if c == channel)
    schema = avro_values.SCHEMAS[fingerprint][1]

    def encode(row):
        out = io.BytesIO(avro_values.MAGIC + fingerprint)
        out.seek(0, io.SEEK_END)
        fastavro.schemaless_writer(out, schema, avro_values.of_json(channel, row))
        return out.getvalue()

    return encode


JUNK = [b"", b"{", b'{"symbol":"binance:X","time":1,"id":2,"price":"0.123456789"}']


class Mirror:
    """Writes into Kafka as the mirror does; one trade of five comes again a little later."""

    def __init__(self, broker, prefix, form):
        from confluent_kafka import Producer

        self.prefix, self.sent, self.dice = prefix, 0, random.Random(1)
        self.producer = Producer({"bootstrap.servers": broker.address, "linger.ms": 20})
        self.encode = {c: encoder(form, c) for c in ("trade", "status")}

    def send(self, topic, row, payload=None):
        payload = self.encode[{"trades": "trade"}.get(topic, topic)](row) if row else payload
        key, time_ns = (row["symbol"] or "", row["time"]) if row else ("binance:X", BEGIN)
        self.producer.produce(f"{self.prefix}.{topic}", payload, key, timestamp=time_ns // 10**6)
        self.producer.poll(0)
        self.sent += 1

    def write(self, trades, status, junk=()):
        again = []
        for place, row in enumerate(trades):
            self.send("trades", row)
            if self.dice.random() < 0.2:
                again.append(row)
            if place % 40 == 39 or place == len(trades) - 1:
                for other in again:
                    self.send("trades", other)
                again = []
        for payload in junk:
            self.send("trades", None, payload)
        for row in status:
            self.send("status", row)
        assert self.producer.flush(60) == 0


def by_identity(lake):
    """{(interval, symbol, open): candle} of the table; no identity may be there twice."""
    found = {}
    for row in lake_world.rows_of(lake / "candles_stream"):
        key = row["interval"], f"{row['exchange']}:{row['symbol']}", row["open_time_ns"]
        assert key not in found, "a candle twice"
        assert row["date"].isoformat() == lake_truth.day_of(row["open_time_ns"])
        found[key] = {name: lake_truth.rounded(row[name]) for name in FIELDS}
    return found


FIELDS = ["open", "high", "low", "close", "volume", "quote_volume", "taker_buy_volume", "trades",
          "vwap", "first_id", "last_id", "late_trades"]  # fmt: skip


def expected(trades):
    usual = [t for t in map(lake_truth.trade_row, trades) if lake_truth.counts(t)]
    grace_s = lambda symbol: 3 if symbol.startswith("upbit:") else 2  # noqa: E731
    found = {}
    for interval, minutes in INTERVALS.items():
        for (symbol, opened), candle in lake_truth.at_first(usual, minutes, grace_s).items():
            found[interval, symbol, opened] = {
                name: lake_truth.rounded(candle[name]) for name in FIELDS
            }
    return found


def job_of(broker, prefix, form, lake, *more, checkpoints="checkpoints", log="stream"):
    return Job(
        "candles_stream", "--brokers", broker.address, "--prefix", prefix, "--value", form,
        "--schemas", lake_world.SCHEMAS, "--lake", lake, "--checkpoints",
        lake.parent / checkpoints, "--alert", "none", *more, log=f"{log}-{form}",
    )  # fmt: skip


def wait_for_rows(job, count):
    """Until each query has told of batches with so many messages."""

    def read():
        assert job.child.poll() is None, job.path.read_text()[-3000:]
        rows_read = collections.Counter()
        for batch in job.told("batch"):
            rows_read[batch["query"]] += batch["rows"]
        return len(rows_read) == len(INTERVALS) and min(rows_read.values()) >= count

    support.wait_for(read, 120, lambda: f"{count} messages read; {job.path}")


def feed(job, mirror, trades, too_late):
    """Part by part, each read before the next is written."""
    parts = 3
    for number, (some, status) in enumerate(
        zip(in_parts(trades, parts), in_parts(list(beats()), parts))
    ):
        if number == parts:  # all trades are there, and the watermark is behind the last minutes
            mirror.write(some, [])
            wait_for_rows(job, mirror.sent)
            mirror.write(too_late, [])
            wait_for_rows(job, mirror.sent)
            mirror.write([], status)
        else:
            mirror.write(some, status, JUNK if number == 0 else ())
        wait_for_rows(job, mirror.sent)


@pytest.mark.parametrize("form", ["json", "avro"])
def test_candles_are_those_of_revision_zero(broker, tmp_path, form):
    """Late trades, trades behind the watermark, what comes twice, what nobody can read, a lost
    checkpoint."""
    prefix, lake = f"made{form}", tmp_path / "lake"
    lake_world.make_topics(broker, prefix)
    trades, too_late = made_up(seed=3)
    want = expected(trades)
    assert any(c["late_trades"] > 0 for c in want.values())
    mirror = Mirror(broker, prefix, form)
    with job_of(broker, prefix, form, lake, "--trigger", "1 second") as job:
        feed(job, mirror, trades, too_late)
        support.wait_for(lambda: len(by_identity(lake)) >= len(want), 240, "all candles")
        job.terminate()
    assert by_identity(lake) == want
    assert {(e["query"], e["messages"]) for e in job.told("unreadable")} >= {("1m", len(JUNK))}
    # Every message behind the watermark is counted, whichever of the queries met it.
    late = collections.Counter()
    for row in lake_world.rows_of(lake / "stream_late"):
        late[row["query"]] += row["late_rows"]
    assert set(late) == {"candles_1m", "candles_5m", "candles_15m"}
    assert all(count >= len(too_late) for count in late.values()), late
    # Everything once more, by queries that know nothing of the first ones: no row is added.
    job_of(broker, prefix, form, lake, "--available-now", checkpoints="others",
           log="again").finish()  # fmt: skip
    assert by_identity(lake) == want, "what is there is not touched"


# ---- the recorder, a broker that is killed ten times, a job that is killed twice ----

RULES = [{"kind": "surge", "rule": "up", "window": "20s", "threshold": "2%", "scaled": "0x",
          "cooldown": "30s"},
         {"kind": "crash", "rule": "down", "window": "20s", "threshold": "2%", "scaled": "0x",
          "cooldown": "30s"}]  # fmt: skip
INJECTS = [("surge", "BTCUSDT", 10, "4%", 2), ("crash", "ETHUSDT", 35, "5%", 3),
           ("surge", "XRPUSDT", 70, "3%", 1), ("crash", "BTCUSDT", 100, "6%", 2)]  # fmt: skip
WATERMARK_S = 40


def rule_text(rule):
    return " ".join([rule["kind"], *(f"{k}={v}" for k, v in rule.items() if k != "kind")])


def live_job(broker, lake, number):
    rules = [part for rule in RULES for part in ("--alert", rule_text(rule))]
    return Job("candles_stream", "--brokers", broker.address, "--prefix", "live", "--lake", lake,
               "--watermark", f"{WATERMARK_S} seconds", "--trigger", "3 seconds", *rules,
               log=f"live-{number}")  # fmt: skip


def told_by(jobs, what):
    return [event for job in jobs for event in job.told(what)]


def disturb(broker, lake, jobs):
    """Ten kills of the broker, two of the job, all while trades come."""
    for kill in range(10):
        time.sleep(6)
        broker.kill()
        time.sleep(0.5)
        broker.start()
        if kill in (3, 7):
            jobs[-1].kill()
            jobs.append(live_job(broker, lake, len(jobs)))


def watermark_ns(jobs, query):
    found = [e["watermark"] for e in told_by(jobs, "batch") if e["query"] == query]
    return max((nanoseconds(text) for text in found if text), default=0)


def compare_live(store, lake, jobs):
    """Every candle of `--as-of first` whose window the watermark has passed, and no other. How
    many of one minute."""
    found = by_identity(lake)
    for interval in ("1m", "5m"):
        text = support.ringtape("candles", "--store", store, "--interval", interval, "--as-of",
                                "first")  # fmt: skip
        passed, want = watermark_ns(jobs, f"candles_{interval}"), {}
        for row in rows(text):
            if nanoseconds(row["close_time"]) <= passed:
                candle = value(row)
                want[interval, row["symbol"], nanoseconds(row["open_time"])] = {
                    name: lake_truth.rounded(candle[name]) for name in FIELDS[:-1]
                }
        mine = {key: {name: candle[name] for name in FIELDS[:-1]}
                for key, candle in found.items() if key[0] == interval}  # fmt: skip
        assert mine == want, interval
    return sum(key[0] == "1m" for key in found)


def compare_alerts(broker, store, lake):
    stored = {int(row["id"]) for row in lake_world.stored(store, "alert")}
    in_table = [row["id"] for row in lake_world.rows_of(lake / "alerts_stream")]
    assert sorted(in_table) == sorted(stored) and len(stored) >= len(INJECTS)
    sent = kafka_broker.read_topic(broker.address, "live.alerts_stream")
    assert {json.loads(m.value())["id"] for m in sent} == stored
    mirrored = {}
    for message in kafka_broker.read_topic(broker.address, "live.alerts"):
        row = json.loads(message.value())
        mirrored[row["id"]] = row
    for message in sent:  # as the recorder's own says it, but for where and when it came from
        row, own = json.loads(message.value()), mirrored[json.loads(message.value())["id"]]
        assert row == {name: own[name] for name in row}
        assert dict(message.headers())["identity"] == str(row["id"]).encode()


def live_feeds(simulator):
    return [support.feed(simulator, "binance", ["trade"], "all"),
            support.feed(simulator, "upbit", ["trade"], "all")]  # fmt: skip


def test_broker_and_job_are_killed(tmp_path):
    """Ends when the last minute of trades has been closed by heartbeats alone."""
    lake, store = tmp_path / "lake", tmp_path / "store"
    injects = [f"--inject=kind={kind},symbol=binance:{symbol},at={at}s,size={size},over={over}s"
               for kind, symbol, at, size, over in INJECTS]  # fmt: skip
    with kafka_broker.Broker(tmp_path / "kafka") as broker, support.Simulator(
        "--symbols=binance:8", "--symbols=upbit:4", "--rate=600", "--seconds=160", "--calm",
        "--channels=trade", "--begin-streams=12", "--at-end=hold", *injects,
    ) as simulator:  # fmt: skip
        lake_world.make_topics(broker, "live")
        top = {"kafka": {"brokers": broker.address, "prefix": "live"}, "alerts": RULES}
        with support.Ringtaped(
            tmp_path / "c.yaml", store, live_feeds(simulator), top=top
        ) as daemon:
            daemon.wait_counters(lambda c: c["mirrored"] > 0, 60, "the first messages")
            jobs = [live_job(broker, lake, 0)]
            disturb(broker, lake, jobs)
            simulator.event("ended", 200)
            newest = max(row["time"] for row in lake_world.stored(store, "trade"))
            last_close = (newest // MINUTE + 1) * MINUTE

            def closed():
                assert jobs[-1].child.poll() is None, jobs[-1].path.read_text()[-3000:]
                return min(watermark_ns(jobs, f"candles_{i}") for i in ("1m", "5m")) >= last_close

            support.wait_for(closed, 480, lambda: f"a watermark at {last_close}")
            time.sleep(8)  # the batch that the watermark has let out
            raised = {int(row["id"]) for row in lake_world.stored(store, "alert")}
            support.wait_for(lambda: {row["id"] for row in lake_world.rows_of(
                lake / "alerts_stream")} >= raised, 240, "all alerts")  # fmt: skip
            jobs[-1].terminate()
            assert daemon.terminate() == 0, daemon.errors
        assert compare_live(store, lake, jobs) >= 30
        compare_alerts(broker, store, lake)
        assert lake_world.rows_of(lake / "stream_late") == [], "nothing was behind the watermark"


def test_what_is_asked_wrongly(tmp_path):
    for arguments, why in (
        (["--brokers", "x:1", "--lake", "y", "--intervals", "2m"], "1m, 5m, 15m are expected"),
        (["--brokers", "x:1", "--lake", "y", "--value", "avro"], "needs --schemas"),
        (["--brokers", "x:1", "--lake", "y", "--alert", "boom"], "surge or crash is expected"),
    ):
        assert why in Job("candles_stream", *arguments, log="usage").finish(status=2)
