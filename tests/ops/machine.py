# SPDX-License-Identifier: GPL-3.0-or-later
"""Root file systems of Debian to install the packages on: run in a container of systemd-nspawn, one
command at a time or booted. Needs root."""

import os
import pathlib
import shutil
import subprocess

import pytest
import support

DEPS = support.ROOT / ".deps"
PACKAGES = support.ROOT / "zig-out" / "package"
SUITE = "bookworm"
NSPAWN = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit"]

SIMULATED = """\
store: {store}
http: {http}
feeds:
  - exchange: binance
    url: ws://127.0.0.1:{port}
    rest_url: http://127.0.0.1:{port}
    channels: [trade, quote]
    symbols: {symbols}
"""


def needs_root(archive):
    """The reason to leave a test out, or None."""
    if os.geteuid() != 0:
        return "needs root: containers of systemd-nspawn"
    if not (DEPS / "roots" / archive).exists():
        return f"no .deps/roots/{archive}: tools/dev ops-test makes it"
    return None


def package(name):
    found = sorted(PACKAGES.glob(f"{name}_*.deb"))
    if len(found) != 1:
        pytest.fail(f"{PACKAGES} has {len(found)} {name}_*.deb: tools/dev package makes them")
    return found[0]


def newer(folder, version, edit):
    """The package ringtape as of a later version, its files changed by `edit(tree)`."""
    tree = folder / f"tree-{version}"
    subprocess.run(["dpkg-deb", "-R", package("ringtape"), tree], check=True)
    control = tree / "DEBIAN" / "control"
    lines = [
        f"Version: {version}" if line.startswith("Version:") else line
        for line in control.read_text().splitlines()
    ]
    control.write_text("\n".join(lines) + "\n")
    (tree / "DEBIAN" / "md5sums").unlink()
    edit(tree)
    out = folder / f"ringtape_{version}_amd64.deb"
    subprocess.run(["dpkg-deb", "-Zgzip", "-b", tree, out], check=True, capture_output=True)
    return out


class Machine:
    """A root file system unpacked below .deps/roots, thrown away at the end."""

    def __init__(self, archive, name):
        self.root = DEPS / "roots" / f"run-{os.getpid()}-{name}"
        self.name = name
        self.leader = None
        self.nspawn = None
        shutil.rmtree(self.root, ignore_errors=True)
        self.root.mkdir()
        subprocess.run(["tar", "xf", DEPS / "roots" / archive, "-C", self.root], check=True)
        (self.root / "etc" / "hostname").write_text(name + "\n")
        (self.root / "debs").mkdir()

    def bring(self, *files):
        for each in files:
            shutil.copy(each, self.root / "debs")

    def path(self, absolute):
        return self.root / str(absolute).lstrip("/")

    def run(self, *command, check=True, network=False, given=None, options=(), timeout=300):
        """One command in the root file system that is not booted; standard output and error."""
        resolv = ["--resolv-conf=copy-host"] if network else ["--resolv-conf=off"]
        done = subprocess.run(
            [*NSPAWN, "--as-pid2", "--pipe", *resolv, *options, "-D", self.root,
             "--setenv=DEBIAN_FRONTEND=noninteractive", *command],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout,
            **({"input": given} if given is not None else {"stdin": subprocess.DEVNULL}),
        )  # fmt: skip
        # nspawn's own, where the root is not on a tmpfs.
        lines = done.stdout.splitlines(keepends=True)
        said = "".join(line for line in lines if "we can't allow that" not in line)
        assert not check or done.returncode == 0, said
        return said if check else (done.returncode, said)

    # ---- booted ----

    def boot(self, log):
        shutil.rmtree(self.root / "run" / "systemd", ignore_errors=True)
        with open(log, "wb") as out:
            self.nspawn = subprocess.Popen(
                [*NSPAWN, "--private-network", "--resolv-conf=off", "-D", self.root, "--boot",
                 "--console=pipe"],
                stdout=out, stderr=out, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        support.wait_for(self.has_leader, 30, "the container's init")
        state = self("systemctl", "is-system-running", "--wait", check=False)[1].strip()
        assert state == "running", self("systemctl", "--failed", check=False)[1]

    def has_leader(self):
        children = pathlib.Path(f"/proc/{self.nspawn.pid}/task/{self.nspawn.pid}/children")
        for each in children.read_text().split():
            if b"systemd" in pathlib.Path(f"/proc/{each}/cmdline").read_bytes():
                self.leader = int(each)
                return self.answers()
        return False

    def answers(self):
        return self("systemctl", "list-units", check=False)[0] == 0

    def __call__(self, *command, check=True, timeout=120):
        """A command in the booted container, seen from within."""
        done = subprocess.run(
            ["nsenter", "-t", str(self.leader), "-a", *command],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout,
            stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        if check and done.returncode != 0:
            last = ["journalctl", "-n", "25", "--no-pager", "-o", "cat"]
            told = "" if command[0] == "journalctl" else self(*last)
            pytest.fail(f"{command}: {done.stdout}\n{told}")
        return done.stdout if check else (done.returncode, done.stdout)

    def shows(self, unit, key):
        return self("systemctl", "show", unit, "-p", key, "--value").strip()

    def process(self, unit="ringtaped"):
        """Never 0, which to kill(1) is everything."""
        number = self.shows(unit, "MainPID")
        assert int(number) > 1, f"{unit} does not run: {self.journal(unit)[-2000:]}"
        return number

    def journal(self, unit):
        return self("journalctl", "-u", unit, "--no-pager", "-o", "cat")

    def close(self):
        if self.nspawn is not None:
            self("systemctl", "poweroff", check=False)
            try:
                self.nspawn.wait(30)
            except subprocess.TimeoutExpired:
                self.nspawn.kill()
                self.nspawn.wait()
        # Never through what may still be mounted there.
        subprocess.run(["rm", "-rf", "--one-file-system", self.root], check=False)

