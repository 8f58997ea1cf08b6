# SPDX-License-Identifier: GPL-3.0-or-later
"""What the end-to-end tests share: programs, certificates, recordings, waiting."""

import contextlib
import ctypes
import http.server
import json
import os
import pathlib
import select
import signal
import ssl
import subprocess
import threading
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("RINGTAPE_BIN", ROOT / "zig-out" / "bin"))
REAL_DATA = pathlib.Path(os.environ.get("RINGTAPE_REAL_DATA", ROOT.parent / "shared" / "data"))
EXCHANGES = ("binance", "binance-usdm", "upbit")


def program(name):
    path = BIN / name
    assert path.exists(), f"{path} is missing: run 'tools/dev zig build install'"
    return str(path)


def recordings():
    """All captures; None where the machine has none."""
    folder = REAL_DATA / "captures"
    return sorted(folder.glob("*.gz")) if folder.is_dir() else None


def make_certificates(folder):
    """Throw-away certificates; see tests/certificates.sh for their names."""
    subprocess.run(["bash", str(ROOT / "tests" / "certificates.sh"), str(folder)], check=True)
    return pathlib.Path(folder)


def trust(folder):
    return ssl.create_default_context(cafile=str(pathlib.Path(folder) / "ca.pem"))


# A library that puts the clock of a program SHIFT_SECONDS ahead.
SHIFT = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
int clock_gettime(clockid_t id, struct timespec *now)
{
    static int (*real)(clockid_t, struct timespec *);
    if (real == NULL) real = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(id, now);
    if (id == CLOCK_REALTIME) now->tv_sec += atol(getenv("SHIFT_SECONDS"));
    return result;
}
"""


def wait_for(condition, seconds=20, what="the condition"):
    """The condition's value as soon as it is true; it is asked again every few milliseconds.
    `what`: text, or a function that makes it when it is too late."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert (
            time.monotonic() < end
        ), f"waited {seconds} s in vain for {what() if callable(what) else what}"
        time.sleep(0.01)


def die_with_parent():
    """In the child: it is killed when its parent ends in whatever way (PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Process:
    """A program, its output read line by line as it comes; killed at the latest on leaving."""

    def __init__(self, arguments, **options):
        self.arguments = [str(a) for a in arguments]
        self.lines = []
        self.errors = []
        self.usage = None  # of resources, once finished
        self.child = subprocess.Popen(
            self.arguments,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=die_with_parent,
            **options,
        )
        self.readers = [
            threading.Thread(target=self._read, args=(self.child.stdout, self.lines), daemon=True),
            threading.Thread(target=self._read, args=(self.child.stderr, self.errors), daemon=True),
        ]
        for reader in self.readers:
            reader.start()

    @staticmethod
    def _read(stream, lines):
        for line in stream:
            lines.append(line.rstrip("\n"))

    def alive(self):
        return self.child.poll() is None

    def terminate(self, seconds=20):
        """SIGTERM, and the exit status."""
        if self.alive():
            self.child.send_signal(signal.SIGTERM)
        return self.finish(seconds)

    def kill(self):
        if self.alive():
            self.child.kill()
        self.child.wait()

    def finish(self, seconds=60):
        """The exit status once the program has ended by itself."""
        end = time.monotonic() + seconds
        while self.child.returncode is None:
            pid, status, usage = os.wait4(self.child.pid, os.WNOHANG)
            if pid != 0:
                self.usage = usage
                self.child.returncode = os.waitstatus_to_exitcode(status)
            elif time.monotonic() > end:
                self.kill()
                raise AssertionError(f"{self.arguments[0]} did not end in {seconds} s")
            else:
                time.sleep(0.01)
        status = self.child.returncode
        for reader in self.readers:
            reader.join(5)
        return status

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()


class Simulator(Process):
    """exchange-sim. Give certificates (a folder) for TLS, None for plain."""

    def __init__(self, *arguments, certificates=None, leaf="localhost", **options):
        command = [program("exchange-sim"), *arguments]
        self.certificates = certificates
        if certificates is None:
            command.append("--no-tls")
        else:
            command += [
                f"--certificate={certificates}/{leaf}.pem",
                f"--key={certificates}/{leaf}.key",
            ]
        super().__init__(command, **options)
        self.ports = self.event("listening")["ports"]

    def events(self, name):
        parsed = [json.loads(line) for line in self.lines if line.startswith("{")]
        return [event for event in parsed if event["event"] == name]

    def event(self, name, seconds=20):
        def found():
            assert self.alive() or self.events(name), f"exchange-sim ended: {self.errors}"
            return self.events(name)

        return wait_for(found, seconds, f"exchange-sim's event {name!r}")[-1]

    def url(self, exchange, path=""):
        scheme = "ws" if self.certificates is None else "wss"
        return f"{scheme}://localhost:{self.ports[exchange]}{path}"

    def rest_url(self, exchange, path=""):
        scheme = "http" if self.certificates is None else "https"
        return f"{scheme}://localhost:{self.ports[exchange]}{path}"

    def get(self, exchange, path, headers=None):
        """Parsed JSON reply and its headers."""
        request = urllib.request.Request(self.rest_url(exchange, path), headers=headers or {})
        context = None if self.certificates is None else trust(self.certificates)
        with urllib.request.urlopen(request, context=context, timeout=10) as reply:
            return json.load(reply), dict(reply.headers)


class Door:
    """In front of the simulator's REST (without TLS): remembers what is asked, and refuses paths
    with a certain word in them."""

    def __init__(self, simulator, exchange, refused=None):
        door = self
        self.refused = refused
        self.asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                door.asked.append(self.path)
                if door.refused is not None and door.refused in self.path:
                    self.send_error(503)
                    return
                url = simulator.rest_url(exchange, self.path)
                with urllib.request.urlopen(url, timeout=10) as reply:
                    body = reply.read()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self):
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def read_truth(path):
    """Lines of exchange-sim's truth file: (due ns, exchange, stream, payload text)."""
    with open(path, encoding="utf-8") as file:
        for line in file:
            due, exchange, stream, payload = line.rstrip("\n").split(" ", 3)
            yield int(due), exchange, stream, payload


@contextlib.contextmanager
def limited(kind, size):
    """Resource limit of this process and its children, for the duration."""
    import resource

    before = resource.getrlimit(kind)
    resource.setrlimit(kind, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(kind, before)


def readable(stream, seconds):
    return bool(select.select([stream], [], [], seconds)[0])


# ---- ringtape ----


def feed(simulator, exchange, channels, symbols, **more):
    """A feed of the configuration, pointed at a simulator."""
    found = {
        "exchange": exchange,
        "channels": list(channels),
        "symbols": symbols if symbols == "all" else list(symbols),
        "url": simulator.url(exchange),
        "rest_url": simulator.rest_url(exchange),
    }
    if simulator.certificates is not None:
        found["ca_file"] = f"{simulator.certificates}/ca.pem"
    return {**found, **more}


def write_config(path, store, feeds, **top):
    """YAML enough: JSON is a part of it."""
    # Daemons run side by side, so none has the port of the default unless it is given one.
    config = {"store": str(store), "shards": 1, "http": "off", **top, "feeds": feeds}
    pathlib.Path(path).write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n")
    return path


class Ringtaped(Process):
    """The daemon with a configuration written for it."""

    def __init__(self, config, store, feeds, counters="200ms", top=None, **options):
        write_config(config, store, feeds, **(top or {}))
        arguments = [program("ringtaped"), "--config", config, "--print-counters", counters]
        super().__init__(arguments, **options)

    def counters(self):
        """The newest line of counters, or None."""
        for line in reversed(self.lines):
            if line.startswith("{"):
                return json.loads(line)
        return None

    def wait_counters(self, condition, seconds=30, what="counters"):
        def found():
            assert self.alive(), f"ringtaped ended: {self.errors}"
            counters = self.counters()
            return counters if counters is not None and condition(counters) else None

        return wait_for(
            found, seconds, lambda: f"{what}; now {self.counters()}; {self.errors[-5:]}"
        )

    def settle(self, rows, seconds=60):
        """Until at least `rows` events are durable and nothing has come for a few reports."""
        self.wait_counters(lambda c: c["durable"] >= rows, seconds, f"{rows} durable rows")
        seen = len(self.lines)
        while True:
            before = self.counters()["events"]
            wait_for(lambda: len(self.lines) >= seen + 3, seconds, "further counters")
            seen = len(self.lines)
            counters = self.counters()
            if counters["events"] == before and counters["durable"] >= counters["events"]:
                return counters


def ringtape(*arguments, status=0):
    """Standard output of the toolbox; the exit status must be the one given."""
    done = subprocess.run(
        [program("ringtape"), *map(str, arguments)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == status, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def ringtape_any(*arguments):
    """Standard output whether what was asked for is whole or not."""
    command = [program("ringtape"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode in (0, 1), f"{arguments}: {done.returncode}\n{done.stderr}"
    return done.stdout


def export(store, folder):
    """Seals, verifies and exports a store whose daemon has ended."""
    ringtape("seal", "--store", store)
    ringtape("verify", "--store", store)
    ringtape("export", "--store", store, "--parquet", folder)
    return folder


def entries(listing):
    """All objects anywhere in parsed JSON."""
    if isinstance(listing, dict):
        yield listing
        listing = list(listing.values())
    if isinstance(listing, list):
        for each in listing:
            yield from entries(each)
