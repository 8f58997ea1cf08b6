# SPDX-License-Identifier: GPL-3.0-or-later
"""What a running daemon tells of itself, over HTTP and in its statistics page, against its own
counters and what the simulator says it sent; and what is left to read after its end."""

import contextlib
import json
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

import pytest
import support

PROMTOOL = shutil.which("promtool", path=os.environ.get("RINGTAPE_PROMETHEUS")) or shutil.which(
    "promtool"
)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def get(port, path, method="GET"):
    """Status and text."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def scrape(port):
    """{(name, frozenset of labels): value}"""
    status, text = get(port, "/metrics")
    assert status == 200
    return parsed(text)


def parsed(text):
    found = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        name, labels, value = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line).groups()
        pairs = re.findall(r'(\w+)="([^"]*)"', labels or "")
        key = (name, frozenset(pairs))
        assert key not in found, f"twice: {line}"
        found[key] = float(value)
    return found


def total(metrics, name, **labels):
    wanted = set(labels.items())
    return sum(v for (n, has), v in metrics.items() if n == f"ringtape_{name}" and wanted <= has)


def status(store, code=0):
    said = support.ringtape("status", "--store", store, "--json", status=code)
    return json.loads(said, object_pairs_hook=once)


def once(pairs):
    """An object, no key of which is there twice."""
    keys = [key for key, _ in pairs]
    assert [key for key in set(keys) if keys.count(key) > 1] == []
    return dict(pairs)


@pytest.fixture
def world(tmp_path, certificates):
    """A simulator that ends after 12,000 messages, and a daemon in front of it with two copies of
    Binance, its port, its store."""
    port, store = free_port(), tmp_path / "store"
    with support.Simulator(
        "--symbols=binance:20", "--symbols=upbit:10", "--rate=6000", "--messages=12000",
        "--begin-streams=140", f"--truth={tmp_path}/truth", certificates=certificates,
    ) as simulator:  # fmt: skip
        feeds = [
            support.feed(simulator, "binance", ["trade", "quote", "depth"], "all", redundancy=2),
            support.feed(simulator, "upbit", ["trade", "book"], "all"),
        ]
        http = {"listen": f"127.0.0.1:{port}", "symbols": ["upbit:KRW-BTC", "upbit:KRW-NOTHING"]}
        with support.Ringtaped(
            tmp_path / "config.yaml", store, feeds, top={"shards": 2, "http": http}
        ) as daemon:
            yield simulator, daemon, port, store


def sent(folder):
    """Events by exchange and stream, from the simulator's own account."""
    found = {}
    for _, exchange, stream, _ in support.read_truth(folder / "truth"):
        kind = stream.split("@")[-1] if "@" in stream else stream.split(".")[0]
        found[exchange, kind] = found.get((exchange, kind), 0) + 1
    return found


def at_rest(daemon, port):
    """The daemon's counters and its metrics of a time in which nothing came: audits go on, and at
    the end of a minute there are candles."""
    for _ in range(20):
        before = dict(daemon.counters())
        time.sleep(1.2)  # what is told once a second
        metrics, seen = scrape(port), len(daemon.lines)
        support.wait_for(lambda: len(daemon.lines) > seen + 1, 10, "counters")
        after = daemon.counters()
        if all(before[name] == after[name] for name in ("events", "messages", "copies", "raw")):
            return after, metrics
    raise AssertionError("it does not come to rest")


def test_figures_equal_the_counters_and_the_truth(world, tmp_path):
    simulator, daemon, port, store = world
    simulator.event("ended", 60)
    daemon.settle(1000)
    counters, metrics = at_rest(daemon, port)
    # The daemon's own counters.
    for name, counter in {
        "messages_total": "messages", "message_bytes_total": "bytes", "rows_total": "events",
        "rows_durable_total": "durable", "rows_raw_total": "raw", "links": "links",
        "links_live": "links_live", "connects_total": "connects",
        "events_repaired_total": "repaired", "holes_opened_total": "holes_opened",
        "symbols": "symbols",
    }.items():  # fmt: skip
        assert total(metrics, name) == counters[counter], name
    # The counter has depth that is held, too, be it wanted in the end.
    assert counters["copies"] * 0.9 < total(metrics, "duplicates_total") <= counters["copies"]
    # Each row is of one exchange and channel; each message of one link.
    assert total(metrics, "events_total") == counters["events"]
    assert total(metrics, "link_messages_total") == counters["messages"]
    assert total(metrics, "link_message_bytes_total") == counters["bytes"]
    assert total(metrics, "link_live") == counters["links_live"] == 6, "three sets on two shards"
    assert total(metrics, "link_sets") == 4 and total(metrics, "link_sets_dark") == 0
    # The simulator's account of what it sent: each event is stored once, and was there twice.
    truth = sent(tmp_path)
    for exchange, channel, kind, copies in (
        ("binance", "trade", "trade", 1), ("binance", "quote", "bookTicker", 1),
        ("upbit", "trade", "trade", 0), ("upbit", "book", "orderbook", 0),
    ):  # fmt: skip
        has = {"exchange": exchange, "channel": channel}
        rows, repaired = (total(metrics, name, **has) for name in (
            "events_total", "events_repaired_total"))  # fmt: skip
        # What came by REST first, or was there before the beginning, is repaired.
        assert 100 < rows - repaired <= truth[exchange, kind] <= rows, (exchange, channel, truth)
        assert repaired < 100 and total(metrics, "duplicates_total", **has) >= rows * copies * 0.9
    sole = total(metrics, "symbol_events_total", symbol="upbit:KRW-BTC", channel="trade")
    assert sole > 0 and total(metrics, "symbol_events_total", symbol="upbit:KRW-NOTHING") == 0
    assert latencies(metrics, counters)
    # The page says the same, or has more by now.
    told = status(store)
    assert told["running"] and told["state"] == "running" and told["troubles"] == []
    assert told["events"] >= counters["events"] and told["durable"] >= counters["durable"]
    assert told["pid"] == daemon.child.pid
    assert sum(link["messages"] for link in told["link_list"]) == counters["messages"]
    text = support.ringtape("status", "--store", store)
    assert f"process {daemon.child.pid}: running" in text and "binance   quote" in text


def latencies(metrics, counters):
    for name in ("wire_latency_seconds", "decode_latency_seconds", "commit_latency_seconds"):
        count = total(metrics, f"{name}_count")
        assert 0 < count <= counters["messages"] * 2, name
        assert 0 < total(metrics, f"{name}_sum") < 60 * count, name
        infinite = total(metrics, f"{name}_bucket", le="+Inf")
        assert infinite == count, name
    rows = total(metrics, "rows_durable_total")
    return total(metrics, "commit_latency_seconds_count") == rows > 0


@pytest.mark.skipif(PROMTOOL is None, reason="no promtool: see tools/dev.d/prometheus.sh")
def test_promtool_finds_nothing_to_object_to(world):
    _, daemon, port, _ = world
    daemon.wait_counters(lambda c: c["durable"] > 1000)
    _, text = get(port, "/metrics")
    done = subprocess.run([PROMTOOL, "check", "metrics"], input=text, text=True,
                          capture_output=True)  # fmt: skip
    assert done.returncode == 0 and done.stderr == "", done.stderr
    rules = support.ROOT / "deploy" / "prometheus"
    for arguments in (["check", "config", rules / "prometheus.yml"],
                      ["test", "rules", rules / "ringtape.test.yml"]):  # fmt: skip
        done = subprocess.run([PROMTOOL, *arguments], text=True, capture_output=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_rule_has_its_test_and_its_paragraph_and_asks_for_what_there_is():
    folder = support.ROOT / "deploy" / "prometheus"
    rules = (folder / "ringtape.rules.yml").read_text()
    tests = (folder / "ringtape.test.yml").read_text()
    runbook = (support.ROOT / "docs" / "runbook.md").read_text()
    table = (support.ROOT / "src" / "control" / "metrics_table.c").read_text()
    known = set(re.findall(r'\{"(ringtape_\w+)"', table))
    alerts = re.findall(r"- alert: (\w+)", rules)
    assert len(alerts) == len(set(alerts)) > 25
    for alert in alerts:
        assert f"\n## {alert}\n" in runbook, alert
        assert f"- name: {alert}\n" in tests, alert
        assert f"eval_time: 50m, alertname: {alert}}}" in tests, "where all is well"
        assert f"docs/runbook.md#{alert.lower()}\n" in rules
    recorded = set(re.findall(r"- record: (\S+)", rules))
    used = set(re.findall(r"\bringtape[_:][\w:]+", rules)) - {"ringtape_alerts"}
    for name in used - recorded:
        base = re.sub(r"_(bucket|sum|count)$", "", name)
        assert name in known or base in known, name


def test_ready_once_links_are_live_and_healthy_before(tmp_path):
    """The exchange comes late: alive at once, ready then; and not ready while it is away again."""
    port, store, exchange_port = free_port(), tmp_path / "store", free_port()
    feed = {
        "exchange": "binance", "channels": ["trade"], "symbols": ["C00000USDT", "BTCUSDT"],
        "url": f"ws://127.0.0.1:{exchange_port}", "rest_url": f"http://127.0.0.1:{exchange_port}",
    }  # fmt: skip
    http = {"listen": f"127.0.0.1:{port}"}
    arguments = ["--symbols=binance:3", "--rate=300", "--seconds=60",
                 f"--listen=binance:{exchange_port}"]  # fmt: skip
    with support.Ringtaped(
        tmp_path / "c.yaml", store, [feed], top={"http": http}
    ) as daemon:
        support.wait_for(lambda: listens(port), 20, "the HTTP server")
        support.wait_for(lambda: get(port, "/healthz")[0] == 200, 5, "health")
        code, text = get(port, "/readyz")
        assert code == 503 and ("not live" in text or "no links yet" in text), text
        with support.Simulator(*arguments):
            support.wait_for(lambda: get(port, "/readyz") == (200, "ok\n"), 20, "readiness")
        support.wait_for(lambda: get(port, "/readyz")[0] == 503, 20, "no readiness")
        assert get(port, "/healthz") == (200, "ok\n")
        support.wait_for(lambda: any_status(store)["sets_dark"] == 1, 10, "the page")
        told = status(store, code=1)
        assert told["running"]
        assert any("sets of links are down" in line for line in told["troubles"])
        assert get(port, "/nothing")[0] == 404
        assert get(port, "/metrics", "DELETE")[0] == 405
        assert get(port, "/healthz", "HEAD") == (200, "")
        assert daemon.terminate() == 0


def test_one_address_does_not_keep_the_probes_out(tmp_path):
    """It begins as many requests as it can and ends none, a byte now and then."""
    port = free_port()
    feed = {"exchange": "binance", "channels": ["trade"], "symbols": ["BTCUSDT"],
            "url": "ws://127.0.0.1:1", "rest_url": "http://127.0.0.1:1"}  # fmt: skip
    with support.Ringtaped(
        tmp_path / "c.yaml", tmp_path / "store", [feed],
        top={"http": {"listen": f"127.0.0.1:{port}"}},
    ) as daemon:  # fmt: skip
        support.wait_for(lambda: listens(port), 20, "the HTTP server")
        hostile = []
        for _ in range(15):
            client = socket.create_connection(("127.0.0.1", port), 10, ("127.0.0.2", 0))
            hostile.append(client)
            with contextlib.suppress(ConnectionResetError, BrokenPipeError):
                client.sendall(b"GET /healthz HTTP/1.1\r\nX: ")
        with socket.create_connection(("127.0.0.1", port), 10, ("127.0.0.2", 0)) as more:
            more.settimeout(10)
            with contextlib.suppress(ConnectionResetError, BrokenPipeError):
                more.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                assert more.recv(100) == b""
        assert get(port, "/healthz")[0] in (200, 503), "an answer, whatever it is"
        for client in hostile:
            client.close()
        assert daemon.terminate() == 0


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_after_a_kill_the_page_says_so_and_after_an_end(world):
    _, daemon, port, store = world
    daemon.wait_counters(lambda c: c["durable"] > 2000)
    time.sleep(0.6)  # one more page
    os.kill(daemon.child.pid, signal.SIGKILL)
    daemon.child.wait()
    told = status(store, code=1)
    assert told["state"] == "died" and not told["running"] and told["events"] > 2000
    assert "not running; it did not end in order" in support.ringtape(
        "status", "--store", store, status=1
    )
    with support.Process(daemon.arguments) as again:
        support.wait_for(lambda: listens(port), 20, "the HTTP server")
        support.wait_for(lambda: status_or_none(store, again.child.pid), 20, "its page")
        assert again.terminate() == 0
    told = status(store, code=1)
    assert told["state"] == "ended" and told["durable"] == told["events"]


def any_status(store):
    return json.loads(support.ringtape_any("status", "--store", store, "--json"))


def status_or_none(store, pid):
    told = any_status(store)
    return told if told["pid"] == pid and told["state"] == "running" else None


def test_a_port_that_is_taken_and_none_at_all(tmp_path):
    feed = {"exchange": "binance", "channels": ["trade"], "symbols": ["BTCUSDT"],
            "url": "ws://127.0.0.1:1", "rest_url": "http://127.0.0.1:1"}  # fmt: skip
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        http = {"listen": f"127.0.0.1:{port}"}
        daemon = support.Ringtaped(tmp_path / "c.yaml", tmp_path / "s", [feed], top={"http": http})
        assert daemon.finish(20) == 71
        assert any(
            f"http.listen: 127.0.0.1:{port}: Address already in use" in line
            and "another port" in line for line in daemon.errors
        ), daemon.errors  # fmt: skip
    with support.Ringtaped(tmp_path / "c.yaml", tmp_path / "s", [feed]) as daemon:  # http: off
        daemon.wait_counters(lambda c: c["links"] == 1)
        sockets = list(pathlib.Path(f"/proc/{daemon.child.pid}/task").glob("*/comm"))
        names = {path.read_text().strip() for path in sockets}
        assert "statistics" in names and not any(name.startswith("MHD") for name in names)
        support.wait_for(lambda: status_or_none(tmp_path / "s", daemon.child.pid), 10, "its page")
        assert daemon.terminate() == 0


def test_pages_that_cannot_be_read(tmp_path):
    store = tmp_path / "store"
    (store / "run").mkdir(parents=True)

    def said(words):
        done = subprocess.run([support.program("ringtape"), "status", "--store", store],
                              capture_output=True, text=True)  # fmt: skip
        assert done.returncode == 74 and words in done.stderr, done

    said("not there; no ringtaped has run with this store")
    page = store / "run" / "statistics"
    page.write_bytes(b"RTSTAT\r\n" + (7).to_bytes(4, "little") + bytes(4000))
    said("layout 7, this ringtape reads layout 1; use the ringtape that came with the daemon")
    page.write_bytes(b"something else" * 300)
    said("not a statistics page")
    page.write_bytes(bytes(4096))
    said("no whole page")


# ---- top ----


class Terminal:
    """A program on a pseudo-terminal of a size; what it draws, with the escapes taken out."""

    def __init__(self, arguments, lines=40, columns=140):
        import fcntl
        import struct
        import termios

        self.pid, self.handle = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
            environment = {k: v for k, v in os.environ.items() if k not in ("LINES", "COLUMNS")}
            environment.update(TERM="xterm", LC_ALL="C.UTF-8")
            os.execvpe(str(arguments[0]), [str(a) for a in arguments], environment)
        self.text = ""

    def read(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if not select.select([self.handle], [], [], 0.05)[0]:
                continue
            try:
                piece = os.read(self.handle, 65536)
            except OSError:
                break
            self.text += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]|\x1b[=>]", " ",
                                piece.decode(errors="replace"))  # fmt: skip
        return self.text

    def until(self, words, seconds=10):
        end = time.monotonic() + seconds
        while words not in self.read(0.1):
            assert time.monotonic() < end, f"{words!r} in vain: {self.text[-2000:]}"

    def send(self, keys):
        self.text = ""
        os.write(self.handle, keys.encode())

    def resize(self, lines, columns):
        import fcntl
        import struct
        import termios

        fcntl.ioctl(self.handle, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        os.kill(self.pid, signal.SIGWINCH)

    def ended(self, seconds=10):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.read(0.05)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid != 0:
                return os.waitstatus_to_exitcode(status)
        os.kill(self.pid, signal.SIGKILL)
        raise AssertionError("it did not end")


def test_top_on_a_terminal_and_without(world):
    _, daemon, _, store = world
    daemon.wait_counters(lambda c: c["durable"] > 1000)
    command = [support.program("ringtape"), "top", "--store", store]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 2 and "ringtape status --store" in done.stderr
    terminal = Terminal(command)
    terminal.until("q quit  s sort: number")
    for words in ("running", "upbit", "quote", "decoded to durable", "127.0.0.1"):
        terminal.until(words)
    terminal.send("s")
    terminal.until("messages/s")
    terminal.send("/")
    terminal.until("filter:")
    terminal.send("upbit\n")
    terminal.until("upbit")
    terminal.resize(12, 60)
    terminal.read(0.3)
    terminal.resize(2, 10)
    terminal.read(0.3)
    terminal.send("q")
    assert terminal.ended() == 0
