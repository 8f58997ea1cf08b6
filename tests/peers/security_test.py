# SPDX-License-Identifier: GPL-3.0-or-later
"""The daemon locks itself in, and records, mirrors, reloads, reports and stops all the same; what
is secret is in no place where anybody looks."""

import json
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import urllib.error
import urllib.request

import pytest
import support
from alert_sinks_test import FEW, Hook, program

FILTERED, UNFILTERED = "2", "0"


def status_of(pid, thread=None):
    name = f"/proc/{pid}/status" if thread is None else f"/proc/{pid}/task/{thread}/status"
    lines = pathlib.Path(name).read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def children(pid):
    return [
        int(each.name)
        for each in pathlib.Path("/proc").iterdir()
        if each.name.isdigit() and status_of_or_none(each.name).get("PPid") == str(pid)
    ]


def status_of_or_none(pid):
    try:
        return status_of(pid)
    except OSError:
        return {}


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def said(daemon, *words):
    return any(all(word in line for word in words) for line in daemon.errors)


@pytest.fixture
def market():
    with support.Simulator("--symbols=binance:20", "--rate=2000", "--seed=4") as simulator:
        yield simulator


def daemon_for(simulator, folder, **top):
    feed = support.feed(simulator, "binance", ["trade"], "all")
    return support.Ringtaped(folder / "c.yaml", folder / "store", [feed], top=top)


# ---- the filter ----


def test_every_thread_is_filtered_and_a_life_goes_on(market, tmp_path):
    """Names are resolved, threads made at SIGHUP, a program started, a tape sealed."""
    page = program(tmp_path, "page", f"cat >> {tmp_path}/paged\n")
    with daemon_for(market, tmp_path, alerts=FEW, http="off") as daemon:
        daemon.wait_counters(lambda c: c["durable"] > 1000)
        support.write_config(
            tmp_path / "c.yaml", tmp_path / "store",
            [support.feed(market, "binance", ["trade", "quote"], "all")],
            alerts=FEW, alert_sinks={"command": {"program": page}},
        )  # fmt: skip
        daemon.child.send_signal(signal.SIGHUP)
        daemon.wait_counters(lambda c: c["command_sent"] > 2 and c["command_failed"] == 0)
        daemon.child.send_signal(signal.SIGUSR1)
        daemon.wait_counters(lambda c: c["tapes_sealed"] > 0)
        pid = daemon.child.pid
        threads = os.listdir(f"/proc/{pid}/task")
        assert len(threads) > 5
        for thread in threads:
            status = status_of(pid, thread)
            assert (status["Seccomp"], status["NoNewPrivs"]) == (FILTERED, "1"), status["Name"]
        helpers = [c for c in children(pid) if status_of(c)["Name"] == "ringtaped-child"]
        assert len(helpers) == 1 and status_of(helpers[0])["Seccomp"] == UNFILTERED
        assert daemon.terminate() == 0
    assert len((tmp_path / "paged").read_text().splitlines()) > 2
    support.wait_for(lambda: not status_of_or_none(helpers[0]), 5, "the end of the helper")
    support.ringtape("verify", "--store", tmp_path / "store")


def test_the_filter_can_be_switched_off(market, tmp_path):
    with daemon_for(market, tmp_path, security={"seccomp": "off", "landlock": "off"}) as daemon:
        daemon.wait_counters(lambda c: c["durable"] > 100)
        assert status_of(daemon.child.pid)["Seccomp"] == UNFILTERED
        done = subprocess.run(
            [support.program("ringtape"), "doctor", "--store", tmp_path / "store", "--json"],
            capture_output=True, text=True,
        )  # fmt: skip
        assert "security.seccomp: strict in the configuration" in done.stdout, done.stdout
        assert daemon.terminate() == 0


def test_a_kernel_that_allows_no_filter_is_told(tmp_path):
    """As a service manager's own filter without seccomp(2) would have it."""
    script = tmp_path / "denied.py"
    script.write_text(
        "import ctypes, os, struct, sys\n"
        "code = b''.join(struct.pack('HBBI', *i) for i in (\n"
        "    (0x20, 0, 0, 0), (0x15, 0, 1, 317), (6, 0, 0, 0x50001), (6, 0, 0, 0x7fff0000)))\n"
        "hold = ctypes.create_string_buffer(code)\n"
        "libc = ctypes.CDLL(None)\n"
        "program = struct.pack('HxxxxxxQ', 4, ctypes.addressof(hold))\n"
        "assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program) == 0\n"
        "os.execv(sys.argv[1], sys.argv[1:])\n"
    )
    support.write_config(
        tmp_path / "c.yaml", tmp_path / "store",
        [{"exchange": "binance", "channels": ["trade"], "symbols": ["BTCUSDT"],
          "url": "ws://127.0.0.1:1"}],
    )  # fmt: skip
    done = subprocess.run(
        [os.environ.get("RINGTAPE_PYTHON", "python3"), script, support.program("ringtaped"),
         "--config", tmp_path / "c.yaml"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 71, done.stderr
    assert "cannot lock itself in" in done.stderr and "security.seccomp: off" in done.stderr


# ---- privileges ----


def test_root_is_warned_of_unless_it_is_meant(market, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("this is about root")
    for number, security in enumerate(({}, {"root": True})):
        folder = tmp_path / str(number)
        folder.mkdir()
        with daemon_for(market, folder, security=security) as daemon:
            daemon.wait_counters(lambda c: c["durable"] > 0)
            assert said(daemon, "runs as root", "User=ringtape") == (number == 0)
            assert daemon.terminate() == 0


def test_an_ordinary_user_is_enough(market):
    """A folder, a configuration, and no privilege: it records, and is not warned of anything."""
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    user = pwd.getpwnam("nobody")
    folder = pathlib.Path(f"/tmp/ringtape-unprivileged-{os.getpid()}")
    folder.mkdir()
    os.chown(folder, user.pw_uid, user.pw_gid)
    binary = shutil.copy(support.program("ringtaped"), folder / "ringtaped")
    feed = support.feed(market, "binance", ["trade"], "all")
    support.write_config(folder / "c.yaml", folder / "store", [feed])

    def become():
        support.die_with_parent()
        os.setgroups([])
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)

    child = subprocess.Popen(
        [binary, "--config", folder / "c.yaml", "--print-counters", "200ms"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=become,
    )  # fmt: skip
    try:
        while json.loads(child.stdout.readline())["durable"] < 1000:
            assert child.poll() is None
        status = status_of(child.pid)
        assert status["Uid"].split()[1] == str(user.pw_uid)
        assert (status["CapEff"], status["Seccomp"]) == ("0" * 16, FILTERED)
        child.send_signal(signal.SIGTERM)
        _, errors = child.communicate(timeout=20)
        assert child.returncode == 0
        assert "level=warning" not in errors and "level=error" not in errors, errors
    finally:
        child.kill()
        shutil.rmtree(folder)


def test_its_memory_is_private(market, tmp_path):
    with daemon_for(market, tmp_path) as daemon:
        daemon.wait_counters(lambda c: c["durable"] > 0)
        # Of a process that may not be dumped, /proc belongs to root, whoever runs it.
        entry = pathlib.Path(f"/proc/{daemon.child.pid}/mem").stat()
        assert entry.st_uid == 0
        if os.geteuid() == 0:
            daemon.child.send_signal(signal.SIGQUIT)
            daemon.child.wait(20)
            assert not list(tmp_path.glob("core*"))


# ---- secrets ----

SECRET = "Zm9yYmlkZGVuLWZydWl0"


def everything_of(daemon, port, store):
    """All that the daemon tells: (where, text)."""
    pid = daemon.child.pid
    for path in ("/metrics", "/healthz", "/readyz", "/status", "/"):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as reply:
                yield path, reply.read().decode()
        except urllib.error.HTTPError as error:
            yield path, error.read().decode()
    for name in ("cmdline", "environ", "comm", "maps"):
        yield name, pathlib.Path(f"/proc/{pid}/{name}").read_text(errors="replace")
    for command in (["status"], ["status", "--json"], ["doctor"], ["coverage"], ["ls"]):
        done = subprocess.run(
            [support.program("ringtape"), *command, "--store", store],
            capture_output=True, text=True,
        )  # fmt: skip
        yield " ".join(command), done.stdout + done.stderr


def test_secrets_are_seen_nowhere(market, tmp_path):
    """Kafka's password, a webhook's header and its URL, all with one word in them; the webhook
    fails at first, so that there is something to complain about."""
    folder = tmp_path / "credentials"
    folder.mkdir()
    port, store = free_port(), tmp_path / "store"
    with Hook() as hook:
        hook.behave = "fail"
        (folder / "url").write_text(hook.url(f"/services/{SECRET}") + "\n")
        (folder / "header").write_text(f"Authorization: Bearer {SECRET}\n")
        (folder / "password").write_text(SECRET)
        top = {
            "alerts": FEW,
            "http": {"listen": f"127.0.0.1:{port}"},
            "log": {"level": "debug"},
            "kafka": {
                "brokers": f"127.0.0.1:{free_port()}",
                "sasl": {
                    "mechanism": "PLAIN", "user": "me", "password_file": "%d/password",
                },
                "properties": {"debug": "security,broker"},
            },
            "alert_sinks": {"webhook": {"url_file": "%d/url", "header_file": "%d/header"}},
        }  # fmt: skip
        feed = support.feed(market, "binance", ["trade"], "all")
        os.environ["CREDENTIALS_DIRECTORY"] = str(folder)
        try:
            daemon = support.Ringtaped(tmp_path / "c.yaml", store, [feed], top=top)
        finally:
            del os.environ["CREDENTIALS_DIRECTORY"]
        with daemon:
            daemon.wait_counters(lambda c: c["webhook_failed"] > 0)
            told = list(everything_of(daemon, port, store))
            hook.behave = "ok"
            daemon.wait_counters(lambda c: c["webhook_sent"] > 0)
            told += everything_of(daemon, port, store)
            # A URL that is none, and a header that is none: told without what they are.
            for name in ("url", "header"):
                kept = (folder / name).read_text()
                (folder / name).write_text(f"no {SECRET}\n")
                before = len(daemon.errors)
                daemon.child.send_signal(signal.SIGHUP)
                support.wait_for(
                    lambda: any("is not used" in e for e in daemon.errors[before:]), 20, "no"
                )
                (folder / name).write_text(kept)
            assert daemon.terminate() == 0
        path, headers = hook.headers[-1]
        assert SECRET in path and headers["Authorization"] == f"Bearer {SECRET}"
    told.append(("output", "\n".join(daemon.lines + daemon.errors)))
    assert len(told) > 15
    assert [where for where, text in told if SECRET in text] == []
    for file in store.rglob("*"):
        assert not file.is_file() or SECRET.encode() not in file.read_bytes(), file


def test_url_and_url_file_are_one_too_many(tmp_path):
    secret = tmp_path / "url"
    secret.write_text(f"https://hooks.example/{SECRET}")

    def check(**webhook):
        feed = {"exchange": "binance", "channels": ["trade"], "symbols": ["BTCUSDT"]}
        support.write_config(
            tmp_path / "c.yaml", tmp_path / "store", [feed], alert_sinks={"webhook": webhook}
        )
        done = subprocess.run(
            [support.program("ringtaped"), "--config", tmp_path / "c.yaml", "--check"],
            capture_output=True, text=True,
        )  # fmt: skip
        assert SECRET not in done.stdout + done.stderr
        return done.returncode, done.stderr

    assert check(url_file=str(secret)) == (0, "")
    for webhook, words in (
        ({"url_file": str(secret), "url": "https://a.example"}, "found both"),
        ({"header_file": str(secret)}, 'the key "url" is missing'),
        ({"url_file": str(tmp_path / "none")}, "No such file"),
        ({"url_file": str(tmp_path)}, "expected one line"),
    ):
        code, told = check(**webhook)
        assert code == 78 and words in told, told
    for text in (f"gopher://{SECRET}", f"https://a/{SECRET}\nhttps://b", "x" * 400 + SECRET):
        secret.write_text(text)
        code, told = check(url_file=str(secret))
        assert code == 78 and "webhook.url_file" in told, told


# ---- metrics' port ----


def ask(port, request, body=b"", patience=5):
    """The whole answer; `body` is sent until the server has enough."""
    with socket.create_connection(("127.0.0.1", port), timeout=patience) as stream:
        stream.sendall(request)
        sent, answer = 0, b""
        try:
            while body and sent < 64 << 20:
                stream.sendall(body)
                sent += len(body)
        except OSError:
            pass
        try:
            while data := stream.recv(65536):
                answer += data
        except OSError:
            pass
        return answer, sent


def test_bodies_are_bounded(market, tmp_path):
    port = free_port()
    with daemon_for(market, tmp_path, http={"listen": f"127.0.0.1:{port}"}) as daemon:
        daemon.wait_counters(lambda c: c["durable"] > 0)
        head = b"%s /metrics HTTP/1.1\r\nHost: a\r\n"
        for method in (b"POST", b"GET", b"PUT"):
            for more in (b"Content-Length: 1000000000000\r\n\r\n",
                         b"Content-Length: 99999999999999999999999\r\n\r\n",
                         b"Transfer-Encoding: chunked\r\n\r\n"):  # fmt: skip
                answer, _ = ask(port, head % method + more)
                assert answer.startswith(b"HTTP/1.1 413 ") or (
                    b"9999999999" in more and answer.startswith(b"HTTP/1.1 4")
                ), (method, more, answer[:80])
        endless = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        _, sent = ask(port, head % b"POST" + b"Transfer-Encoding: chunked\r\n\r\n", endless)
        assert sent < 16 << 20, "it is not read for ever"
        small = b"Content-Length: 5\r\nConnection: close\r\n\r\nhello"
        assert ask(port, head % b"POST" + small)[0].startswith(b"HTTP/1.1 405 ")
        assert ask(port, head % b"GET" + small)[0].startswith(b"HTTP/1.1 200 ")
        assert daemon.terminate() == 0
