# SPDX-License-Identifier: GPL-3.0-or-later
"""Alerts to a webhook and a command: every alert once, as Kafka would get it; whatever sinks do,
capture goes on; SIGHUP changes them; what fails or finds no room is counted."""

import http.server
import json
import os
import signal
import ssl
import threading
import time

import pytest
import support
from candles_test import rows

# Ordinary trading of a made-up market breaks it all the time.
NERVOUS = [
    {"kind": "surge", "window": "1s", "threshold": "0.02%", "scaled": "0x", "cooldown": "0s"},
    {"kind": "crash", "window": "1s", "threshold": "0.02%", "scaled": "0x", "cooldown": "0s"},
]  # fmt: skip
FEW = [{**NERVOUS[0], "threshold": "0.05%"}]  # several a second


class Hook:
    """An HTTP server that remembers what it was sent; `behave` is ok, fail, hang or slow."""

    def __init__(self, certificates=None):
        hook = self
        self.got, self.headers, self.behave = [], [], "ok"
        self.release = threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.got.append(json.loads(body))
                hook.headers.append((self.path, dict(self.headers)))
                if hook.behave == "hang":
                    hook.release.wait(30)
                if hook.behave == "slow":
                    hook.release.wait(0.3)
                self.send_response({"fail": 503, "redirect": 302}.get(hook.behave, 204))
                self.send_header("Connection", "close")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.scheme = "http"
        if certificates is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            stem = f"{certificates}/localhost"
            context.load_cert_chain(f"{stem}.pem", f"{stem}.key")
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
            self.scheme = "https"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, path="/hook"):
        return f"{self.scheme}://localhost:{self.server.server_address[1]}{path}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.release.set()
        self.server.shutdown()
        self.server.server_close()


def program(folder, name, text):
    path = folder / name
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return str(path)


class World:
    """A market, a daemon, a store."""

    def __init__(self, folder, rules, sinks, rate=3000, symbols=40):
        self.folder, self.store = folder, folder / "store"
        self.simulator = support.Simulator(
            f"--symbols=binance:{symbols}", f"--rate={rate}", "--seed=4"
        )
        self.feed = support.feed(self.simulator, "binance", ["trade"], "all")
        self.top = {"alerts": rules, "alert_sinks": sinks}
        self.daemon = support.Ringtaped(
            folder / "c.yaml", self.store, [self.feed], top=self.top
        )

    def reload(self, **top):
        self.top.update(top)
        support.write_config(self.folder / "c.yaml", self.store, [self.feed], **self.top)
        before = len(self.daemon.errors)
        self.daemon.child.send_signal(signal.SIGHUP)
        support.wait_for(
            lambda: any(
                "read again" in line or "is not used" in line
                for line in self.daemon.errors[before:]
            ),
            what="the reload",
        )
        return self.daemon.errors[before:]

    def stored(self):
        return {r["id"] for r in rows(support.ringtape("cat", "--store", self.store, "--channel",
                                                       "alert"))}  # fmt: skip

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.daemon.kill()
        self.simulator.kill()


def settled(world, name):
    """Counters, once the sink has nothing to do any more; the rules are taken away before."""
    world.reload(alerts=[])
    seen = len(world.daemon.lines)
    support.wait_for(lambda: len(world.daemon.lines) >= seen + 3, what="further counters")
    return world.daemon.wait_counters(
        lambda c: c[f"{name}_sent"] + c[f"{name}_failed"] + c[f"{name}_dropped"] >= c["alerts"]
    )


@pytest.mark.parametrize("tls", [False, True])
def test_a_webhook_gets_every_alert_once(tls, tmp_path, certificates):
    secret = tmp_path / "secret"
    secret.write_text("Authorization: Bearer s3cret\n")
    with Hook(certificates if tls else None) as hook:
        sink = {"url": hook.url(), "header_file": str(secret)}
        if tls:
            sink["ca_file"] = f"{certificates}/ca.pem"
        with World(tmp_path, FEW, {"webhook": sink}) as world:
            world.daemon.wait_counters(lambda c: c["webhook_sent"] >= 5)
            counters = settled(world, "webhook")
            assert world.daemon.terminate() == 0, world.daemon.errors
            assert counters["webhook_sent"] == counters["alerts"] >= 5
            assert counters["webhook_failed"] == counters["webhook_dropped"] == 0
            assert counters["command_sent"] == 0
            sent = [str(alert["id"]) for alert in hook.got]
            assert len(sent) == len(set(sent)) and set(sent) == world.stored()
            assert not any("s3cret" in line for line in world.daemon.errors)
        path, headers = hook.headers[0]
        assert path == "/hook" and headers["Authorization"] == "Bearer s3cret"
        assert headers["Content-Type"] == "application/json"
        alert = hook.got[0]
        assert alert["kind"] == "surge" and alert["symbol"].endswith("USDT")
        assert {"rule", "from_price", "to_price", "measure", "threshold"} <= set(alert)


def test_a_command_gets_every_alert_once(tmp_path):
    out = tmp_path / "out"
    path = program(tmp_path, "run", f'read -r line; echo "$line" >> {out}; echo noise; exit 0\n')
    with World(tmp_path, FEW, {"command": {"program": path}}) as world:
        world.daemon.wait_counters(lambda c: c["command_sent"] >= 5)
        counters = settled(world, "command")
        assert world.daemon.terminate() == 0, world.daemon.errors
        assert counters["command_sent"] == counters["alerts"] >= 5
        got = [str(json.loads(line)["id"]) for line in out.read_text().splitlines()]
        assert len(got) == len(set(got)) and set(got) == world.stored()
        assert not any("noise" in line for line in world.daemon.lines + world.daemon.errors)


@pytest.mark.parametrize("behave, reason", [
    ("fail", "the answer is 503"), ("redirect", "the answer is 302"),
    ("hang", "no whole answer in time; check alert_sinks.webhook.url"),
])  # fmt: skip
def test_a_webhook_that_fails_is_counted_and_told(behave, reason, tmp_path):
    with Hook() as hook:
        hook.behave = behave
        sink = {"url": hook.url(""), "timeout": "200ms"}
        with World(tmp_path, FEW, {"webhook": sink}) as world:
            counters = world.daemon.wait_counters(lambda c: c["webhook_failed"] >= 3)
            assert counters["webhook_sent"] == 0
            told = [line for line in world.daemon.errors if "an alert was not delivered" in line]
            assert len(told) == 1 and reason in told[0], "once a minute"
            hook.behave = "ok"
            world.daemon.wait_counters(lambda c: c["webhook_sent"] >= 2)
            assert hook.headers[0][0] == "/"
            assert world.daemon.terminate() == 0, world.daemon.errors


def test_nobody_listens(tmp_path):
    with Hook() as hook:
        url = hook.url()
    with World(tmp_path, FEW, {"webhook": {"url": url}}) as world:
        world.daemon.wait_counters(lambda c: c["webhook_failed"] >= 2)
        assert any("cannot connect" in line for line in world.daemon.errors)
        assert world.daemon.terminate() == 0, world.daemon.errors


@pytest.mark.parametrize("text, reason", [
    ("exit 3\n", "its exit status is 3"), ("kill -9 $$\n", "it was ended by signal 9"),
    ("sleep 60\n", "it did not end in time and was killed"),
    ("sleep 60 & echo $! > FILE; wait\n", "it did not end in time and was killed"),
])  # fmt: skip
def test_a_command_that_fails_is_counted_and_told(text, reason, tmp_path):
    left = tmp_path / "left"
    path = program(tmp_path, "run", text.replace("FILE", str(left)))
    with World(tmp_path, FEW, {"command": {"program": path, "timeout": "200ms"}}) as world:
        counters = world.daemon.wait_counters(lambda c: c["command_failed"] >= 2)
        assert counters["command_sent"] == 0
        told = [line for line in world.daemon.errors if "an alert was not delivered" in line]
        assert len(told) == 1 and reason in told[0]
        assert world.daemon.terminate() == 0, world.daemon.errors
    if left.exists():
        child = int(left.read_text())
        support.wait_for(lambda: not alive(child), what="the command's own child to be killed")


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_hanging_sinks_never_hold_up_capture(tmp_path):
    """Hundreds of alerts, both sinks stand still: queues fill, then drop; every event is durable
    and the daemon ends in time."""
    path = program(tmp_path, "run", "exec sleep 600\n")
    with Hook() as hook:
        hook.behave = "hang"
        sinks = {
            "webhook": {"url": hook.url(), "timeout": "1m"},
            "command": {"program": path, "timeout": "1h"},
        }
        with World(tmp_path, NERVOUS, sinks, rate=20000, symbols=100) as world:
            counters = world.daemon.wait_counters(
                lambda c: c["webhook_dropped"] > 100 and c["command_dropped"] > 100
            )
            assert counters["webhook_sent"] == counters["command_sent"] == 0
            before = world.daemon.counters()["events"]
            counters = world.daemon.wait_counters(lambda c: c["events"] > before + 20000, 10)
            assert counters["refused"] == 0
            assert counters["rss_bytes"] < 200 << 20
            begun = time.monotonic()
            assert world.daemon.terminate(5) == 0, world.daemon.errors
            assert time.monotonic() - begun < 3.5
            alerts = world.daemon.counters()["alerts"]
        assert len(world.stored()) == alerts


def test_a_reload_changes_switches_off_and_on(tmp_path):
    with Hook() as one, Hook() as other:
        with World(tmp_path, FEW, {}) as world:
            world.daemon.wait_counters(lambda c: c["alerts"] >= 2)
            assert world.daemon.counters()["webhook_sent"] == 0
            world.reload(alert_sinks={"webhook": {"url": one.url()}})
            world.daemon.wait_counters(lambda c: c["webhook_sent"] >= 2)
            world.reload(alert_sinks={"webhook": {"url": other.url("/x")}})
            support.wait_for(lambda: len(other.got) >= 2, what="the other webhook")
            quiet = len(one.got)
            world.reload(alert_sinks={})
            alerts = world.daemon.wait_counters(lambda c: c["alerts"] > 0)["alerts"]
            gone = len(other.got)
            world.daemon.wait_counters(lambda c: c["alerts"] >= alerts + 3)
            assert len(other.got) <= gone + 1 and len(one.got) == quiet
            path = program(tmp_path, "run", "exit 0\n")
            world.reload(alert_sinks={"command": {"program": path},
                                      "webhook": {"url": one.url()}})  # fmt: skip
            support.wait_for(lambda: len(one.got) > quiet, what="the first webhook again")
            world.daemon.wait_counters(lambda c: c["command_sent"] >= 1)
            assert world.daemon.terminate() == 0, world.daemon.errors
        both = [alert["id"] for alert in one.got + other.got]
        assert len(both) == len(set(both)), "none twice"


def test_a_hanging_sink_is_replaced_behind_its_timeout(tmp_path):
    with Hook() as one, Hook() as other:
        one.behave = "hang"
        with World(tmp_path, FEW, {"webhook": {"url": one.url(), "timeout": "500ms"}}) as world:
            support.wait_for(lambda: one.got, what="the first alert")
            world.reload(alert_sinks={"webhook": {"url": other.url()}})
            support.wait_for(lambda: len(other.got) >= 2, what="the other webhook")
            world.daemon.wait_counters(lambda c: c["webhook_failed"] >= 1)
            assert world.daemon.terminate() == 0, world.daemon.errors


WRONG = [
    ({"webhook": {}}, 'the key "url" is missing'),
    ({"webhook": {"url": "ftp://x"}},
     "alert_sinks.webhook.url: expected a URL beginning with https:// or http://"),
    ({"webhook": {"url": "http://x", "ca_file": "/etc/hostname"}}, "ca_file needs an https:// URL"),
    ({"webhook": {"url": "https://x", "ca_file": "/no/where"}}, "/no/where: No such file"),
    ({"webhook": {"url": "http://x", "header_file": "/no/where"}}, "/no/where: No such file"),
    ({"webhook": {"url": "http://x", "header_file": "BAD"}}, "expected one line like"),
    ({"webhook": {"url": "http://x", "timeout": "99ms"}}, "expected a duration from 100ms to 1m"),
    ({"webhook": {"url": "http://x", "timeout": "61s"}}, "expected a duration from 100ms to 1m"),
    ({"webhook": {"url": "http://x", "token": "s"}}, 'unknown key "token"; there are url'),
    ({"command": {}}, 'the key "program" is missing'),
    ({"command": {"program": "run"}}, 'expected a path from /, found "run"'),
    ({"command": {"program": "/no/where"}}, "/no/where: No such file"),
    ({"command": {"program": "FILE"}}, "header: expected a program"),
    ({"command": {"program": "/usr"}}, "/usr: expected a program"),
    ({"command": {"program": "/bin/true", "timeout": "61m"}}, "from 100ms to 1h"),
    ({"mail": {}}, 'unknown key "mail"; there are webhook, command'),
    ([], "expected a mapping"),
]  # fmt: skip
BAD_HEADERS = [b"", b"no colon\n", b": empty\n", b"A: b\nC: d\n", b"A: \x00b\n", b"A b: c\n",
               b"A: " + b"x" * 1100]  # fmt: skip


@pytest.mark.parametrize("sinks, message", WRONG)
def test_wrong_settings_are_refused(sinks, message, tmp_path):
    feed = {"exchange": "binance", "channels": ["trade"], "symbols": ["BTCUSDT"]}
    bad = tmp_path / "header"
    for content in BAD_HEADERS if "BAD" in str(sinks) else [b""]:
        bad.write_bytes(content)
        mine = json.loads(json.dumps(sinks).replace("BAD", str(bad)).replace("FILE", str(bad)))
        config = support.write_config(tmp_path / "c.yaml", tmp_path / "store", [feed],
                                      alert_sinks=mine)  # fmt: skip
        check = support.Process([support.program("ringtaped"), "--check", "--config", config])
        assert check.finish() == 78, check.lines
        assert message in "\n".join(check.errors + check.lines), check.errors


def test_a_wrong_reload_changes_nothing(tmp_path):
    with Hook() as hook:
        with World(tmp_path, FEW, {"webhook": {"url": hook.url()}}) as world:
            world.daemon.wait_counters(lambda c: c["webhook_sent"] >= 1)
            told = world.reload(alert_sinks={"webhook": {"url": "http://x", "header_file": "/no"}})
            assert any("is not used" in line and "/no" in line for line in told)
            sent = world.daemon.counters()["webhook_sent"]
            world.daemon.wait_counters(lambda c: c["webhook_sent"] >= sent + 2)
            os.kill(world.daemon.child.pid, 0)
            assert world.daemon.terminate() == 0, world.daemon.errors
