# SPDX-License-Identifier: GPL-3.0-or-later
"""The units of the package in a Debian that is really booted: ready when it says so, restarted when
a shard hangs, stopped in time, with credentials, several instances and timers."""

import ctypes
import os
import pathlib
import re
import time

import machine
import pytest
import support

ARCHIVE = f"{machine.SUITE}-systemd.tar"
REASON = machine.needs_root(ARCHIVE)
pytestmark = pytest.mark.skipif(REASON is not None, reason=str(REASON))

STORE = "/var/lib/ringtape"
PTRACE_SEIZE, PTRACE_INTERRUPT, WALL = 0x4206, 0x4207, 0x40000000


def write_config(booted, name="ringtaped", store=STORE, http="{listen: 127.0.0.1:9464}", more=""):
    text = machine.SIMULATED.format(store=store, http=http, port=7001, symbols="all")
    booted.path(f"/etc/ringtape/{name}.yaml").write_text(text + more)


@pytest.fixture(scope="module")
def booted(tmp_path_factory):
    """Booted with the packages installed, an exchange beside it, and nothing enabled."""
    made = machine.Machine(ARCHIVE, "booted")
    try:
        made.bring(machine.package("ringtape"), machine.package("ringtape-sim"))
        made.run("sh", "-c", "dpkg -i /debs/*.deb")
        made.boot(tmp_path_factory.mktemp("boot") / "console.log")
        write_config(made)
        made("systemd-run", "--unit=sim", "exchange-sim", "--no-tls", "--listen=binance:7001",
             "--symbols=binance:10", "--rate=1000", "--begin-streams=1")  # fmt: skip
        yield made
    finally:
        made.close()


def restarts(booted, unit="ringtaped"):
    return int(booted.shows(unit, "NRestarts"))


def rows(booted):
    said = booted("ringtape", "status", check=False)[1]
    found = re.search(r"^rows +([\d,]+)", said, re.M)
    return int(found.group(1).replace(",", "")) if found else 0


def recording(booted):
    """Ready, too: the page that status reads is still there when a daemon has gone."""
    support.wait_for(lambda: booted.shows("ringtaped", "ActiveState") == "active", 30, "life")
    support.wait_for(lambda: rows(booted) > 100, 30, "rows")


def test_nothing_runs_because_it_was_installed(booted):
    assert booted.shows("ringtaped", "ActiveState") == "inactive"
    assert booted("systemctl", "list-timers", "--all", "--no-legend", "ringtape*") == ""
    assert booted("systemctl", "is-enabled", "ringtaped", check=False)[1].strip() == "disabled"


def test_it_has_started_when_it_is_ready(booted):
    booted("systemctl", "start", "ringtaped")
    assert booted("ringtape", "status", "--json", check=False)[1].startswith("{")
    recording(booted)
    journal = booted.journal("ringtaped")
    assert journal.index("coverage is known") < journal.index("Started ringtaped.service")
    assert booted("stat", "-c", "%U %a", STORE).strip() == "ringtape 750"


def test_systemd_has_nothing_to_say_about_the_units(booted):
    units = [f"/lib/systemd/system/{each.name}" for each in
             booted.path("/lib/systemd/system").glob("ringtape*")]  # fmt: skip
    assert len(units) == 9
    named = [each.replace("@.service", "@second.service") for each in units]
    assert booted("systemd-analyze", "verify", "--man=no", *named) == ""
    said = booted("systemd-analyze", "security", "ringtaped.service")
    exposure = re.search(r"Overall exposure level for ringtaped.service: ([\d.]+)", said)
    assert float(exposure.group(1)) <= 2.0


def test_a_reload_is_taken_without_a_restart(booted):
    process = booted.process()
    write_config(booted, more="log: {level: debug}\n")
    try:
        booted("systemctl", "reload", "ringtaped")
        support.wait_for(lambda: "configuration read again" in booted.journal("ringtaped"), 20)
        assert booted.process() == process
    finally:
        write_config(booted)


def test_it_ends_in_time_with_everything_durable(booted):
    recording(booted)
    begun = time.monotonic()
    booted("systemctl", "stop", "ringtaped")
    assert time.monotonic() - begun < 10
    assert booted.shows("ringtaped", "Result") == "success"
    assert booted.shows("ringtaped", "ExecMainStatus") == "0"
    assert booted("ringtape", "verify", "--store", STORE).startswith("whole")


def test_one_that_was_killed_is_back_at_once(booted):
    booted("systemctl", "start", "ringtaped")
    before = restarts(booted)
    booted("kill", "-KILL", booted.process())
    support.wait_for(lambda: restarts(booted) > before, 20, "a restart")
    support.wait_for(lambda: booted.shows("ringtaped", "ActiveState") == "active", 20, "life")


def thread_of(booted, name):
    """As the host numbers it."""
    group = booted.shows("ringtaped", "ControlGroup").split("/")[-1]
    for each in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            mine = (each / "exe").readlink().name == "ringtaped"
            if not mine or group not in (each / "cgroup").read_text():
                continue
            for task in (each / "task").iterdir():
                if (task / "comm").read_text().strip() == name:
                    return int(task.name)
        except OSError:
            continue
    return None


def test_a_shard_that_hangs_is_seen_and_ended_by_the_watchdog(booted):
    """One thread is stopped as a debugger does; all others go on, and HTTP answers."""
    recording(booted)
    before = restarts(booted)
    libc = ctypes.CDLL(None, use_errno=True)
    task = thread_of(booted, "shard-0")
    assert task is not None
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    assert libc.ptrace(PTRACE_SEIZE, task, None, None) == 0, os.strerror(ctypes.get_errno())
    assert libc.ptrace(PTRACE_INTERRUPT, task, None, None) == 0

    def restarted():
        # Until who traces it has heard of its end, the process is still there.
        try:
            os.waitpid(task, os.WNOHANG | WALL)
        except ChildProcessError:
            pass
        return restarts(booted) > before

    support.wait_for(restarted, 90, "a restart by the watchdog")
    journal = booted.journal("ringtaped")
    assert "a shard does not move" in journal
    assert "Watchdog timeout" in journal
    recording(booted)


def test_a_process_that_stands_still_is_ended_by_the_watchdog(booted):
    before = restarts(booted)
    booted("kill", "-STOP", booted.process())
    support.wait_for(lambda: restarts(booted) > before, 90, "a restart by the watchdog")
    recording(booted)


def test_a_wrong_configuration_is_not_tried_again_and_again(booted):
    write_config(booted, more="shards: many\n")
    code, _ = booted("systemctl", "restart", "ringtaped", check=False)
    assert code != 0
    assert booted.shows("ringtaped", "ActiveState") == "failed"
    assert booted.shows("ringtaped", "ExecMainStatus") == "78"
    assert "shards" in booted.journal("ringtaped")


HOOK = """\
alert_sinks:
  webhook:
    url: http://127.0.0.1:7999/
    header_file: "%d/ringtape.webhook-header"
"""


def test_a_secret_is_a_credential_that_the_daemon_alone_reads(booted):
    """Its file belongs to root; the daemon, which does not, reads the unit's copy."""
    write_config(booted, more=HOOK)
    assert booted("systemctl", "restart", "ringtaped", check=False)[0] != 0
    assert "webhook.header_file" in booted.journal("ringtaped")
    booted("mkdir", "-p", "-m", "700", "/etc/credstore")
    secret = booted.path("/etc/credstore/ringtape.webhook-header")
    secret.write_text("Authorization: Bearer secret\n")
    secret.chmod(0o600)
    booted("systemctl", "restart", "ringtaped")
    assert "secret" not in booted.journal("ringtaped")
    folder = "/run/credentials/ringtaped.service"
    assert booted("cat", f"{folder}/ringtape.webhook-header").endswith("secret\n")
    code, _ = booted("setpriv", "--reuid", "nobody", "cat", f"{folder}/ringtape.webhook-header",
                     check=False)  # fmt: skip
    assert code != 0
    write_config(booted)
    booted("systemctl", "restart", "ringtaped")


def test_a_second_instance_has_a_store_of_its_own(booted):
    store = "/var/lib/ringtape-instances/second"
    write_config(booted, "second", store, "{listen: 127.0.0.1:9465}")
    booted("systemctl", "start", "ringtaped@second")
    assert booted.shows("ringtaped", "ActiveState") == "active"
    said = "ringtape status --store " + store
    support.wait_for(lambda: "1 of 1 live" in booted("sh", "-c", said, check=False)[1], 30)
    booted("systemctl", "stop", "ringtaped@second")
    assert booted.shows("ringtaped@second", "Result") == "success"


def test_timers_export_report_and_tidy(booted):
    names = ("export", "report", "vacuum")
    booted("systemctl", "enable", "--now", *(f"ringtape-{name}.timer" for name in names))
    listed = booted("systemctl", "list-timers", "--no-legend", "ringtape*")
    assert len(listed.splitlines()) == 3
    booted("ringtape", "seal", "--store", STORE)
    for name in names:
        booted("systemctl", "start", f"ringtape-{name}.service")
        assert booted.shows(f"ringtape-{name}.service", "Result") == "success"
    assert booted.path("/var/lib/ringtape-lake/trade/_delta_log").is_dir()
    weeks = list(booted.path(f"{STORE}/reports").glob("*-W*.html"))
    assert 1 <= len(weeks) <= 2


def test_tables_follow_and_the_timer_gives_way(booted):
    booted("systemctl", "start", "ringtape-follow")
    support.wait_for(lambda: booted.shows("ringtape-follow", "SubState") == "running", 20)
    follower = booted.shows("ringtape-follow", "MainPID")
    booted("systemctl", "start", "ringtape-export.timer")
    booted("systemctl", "start", "ringtape-export.service")
    assert booted.shows("ringtape-export", "Result") == "exec-condition"
    assert booted.shows("ringtape-follow", "MainPID") == follower
    booted("systemctl", "stop", "ringtape-follow", "ringtape-export.timer")
    assert booted.shows("ringtape-follow", "Result") == "success"


def test_an_upgrade_restarts_what_runs_and_starts_nothing_else(booted, tmp_path):
    recording(booted)
    process = booted.process()
    deb = machine.newer(tmp_path, "9.1", lambda tree: None)
    booted.bring(deb)
    booted("dpkg", "-i", f"/debs/{deb.name}")
    assert booted.shows("ringtaped", "ActiveState") == "active"
    assert booted.process() != process
    assert booted.shows("ringtape-follow", "ActiveState") == "inactive"
    recording(booted)


def test_removal_stops_it_and_leaves_the_data(booted):
    booted("systemctl", "start", "ringtaped@second")
    booted("dpkg", "--remove", "ringtape")
    for unit in ("ringtaped", "ringtaped@second", "ringtape-export.timer"):
        assert booted.shows(unit, "ActiveState") == "inactive"
    assert booted.path(f"{STORE}/identity").exists()
    assert booted("systemctl", "--failed", "--no-legend") == ""
