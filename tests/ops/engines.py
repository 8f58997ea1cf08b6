# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine of its own for container engines: Debian's dockerd, containerd and buildah in
namespaces of mounts, network and processes. What they need is fetched by `tools/dev ops-test`."""

import contextlib
import fcntl
import json
import os
import pathlib
import shutil
import subprocess
import urllib.parse

import support

# Worktrees may share .deps by a link, which would lead nowhere inside.
OPS = (support.ROOT / ".deps").resolve() / "ops"
ENGINES = OPS / "engines"
HERE = support.ROOT / "tests" / "ops"
# The two ends of the cable between this machine and the one of the engines.
OUTSIDE, INSIDE = "10.199.7.1", "10.199.7.2"


def missing():
    """Why engines cannot be run here, or None."""
    if os.geteuid() != 0:
        return "container engines in namespaces of their own need root"
    if not (ENGINES / "done").exists():
        return "no container engines: `tools/dev ops-test` gets them, see its output"
    return None


@contextlib.contextmanager
def alone():
    """One at a time: addresses, control groups and what is below .deps/ops are shared."""
    OPS.mkdir(parents=True, exist_ok=True)
    with open(OPS / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class Machine(support.Process):
    """`state`: a folder for what is written; `binds`: folders that it shares with this one.
    `network`: it has one of its own, without a way outside but to OUTSIDE."""

    def __init__(self, state, binds=(), network=True):
        self.state, self.cable = pathlib.Path(state), None
        namespaces = ["--mount", "--pid", *(["--net", "--uts"] if network else [])]
        super().__init__(
            ["unshare", *namespaces, "--fork", "--kill-child", "bash", HERE / "namespace.sh",
             ENGINES / "root", state, support.ROOT, *binds]
        )  # fmt: skip
        support.wait_for(self.is_ready, 60, lambda: f"a machine: {self.errors}")
        children = f"/proc/{self.child.pid}/task/{self.child.pid}/children"
        self.pid = int(pathlib.Path(children).read_text().split()[0])

    def is_ready(self):
        assert self.alive(), self.errors
        return "ready" in self.lines

    def command(self, *command):
        return ["nsenter", "-t", self.pid, "-m", "-n", "-p", "-r", "-w", *command]

    def run(self, *command, status=0, timeout=300, **options):
        return finished(self.command(*command), status, timeout, **options)

    def in_network(self, *command, **options):
        """A program of this machine, with the network of that one."""
        return finished(["nsenter", "-t", self.pid, "-n", *command], 0, 60, **options)

    def get(self, url):
        return self.in_network("curl", "-sS", "--fail", "--max-time", "10", url)

    def start(self, *command, **options):
        return support.Process(self.command(*command), **options)

    def connect(self):
        """A cable to this machine, and the default route through it."""
        self.cable = f"rtops{self.pid}"[:15]
        for line in (
            f"ip link add {self.cable} type veth peer name eth0 netns {self.pid}",
            f"ip addr add {OUTSIDE}/30 dev {self.cable}",
            f"ip link set {self.cable} up",
        ):
            finished(line.split(), 0, 10)
        for line in (
            f"ip addr add {INSIDE}/30 dev eth0",
            "ip link set eth0 up",
            f"ip route add default via {OUTSIDE}",
        ):
            self.run(*line.split())

    def __exit__(self, *_):
        self.kill()
        support.wait_for(lambda: not pathlib.Path(f"/proc/{self.pid}").exists(), 20, "its end")
        shutil.rmtree(self.state, ignore_errors=True)


def finished(command, status, timeout, **options):
    """Standard output of a program that ends with this status."""
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, timeout=timeout, **options
    )
    shown = f"{command}: {done.returncode}\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
    assert done.returncode == status, shown
    return done.stdout


def prometheus_query(machine, port, expression):
    parameters = urllib.parse.urlencode({"query": expression})
    found = json.loads(machine.get(f"http://127.0.0.1:{port}/api/v1/query?{parameters}"))
    assert found["status"] == "success", found
    return found["data"]["result"]


# ---- images ----


class Images:
    """Built by buildah, whose store below .deps/ops keeps layers and archives from run to run."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.archives = {}  # name -> file for `docker load`

    def build(self, wanted):
        """`wanted`: name -> (Dockerfile, context)."""
        with Machine(self.folder / "state", [self.folder, ENGINES], network=False) as machine:
            self.base(machine)
            for name, (dockerfile, context) in wanted.items():
                # A layer that is made of our package does not look whether that is another one.
                cached = "--no-cache" if name.startswith("ringtape") else "--layers"
                buildah(machine, "bud", "--isolation", "chroot", "--network", "host", cached,
                        "--format", "docker", "--ulimit", "nofile=1024:1024", "--tag", name,
                        "--file", dockerfile, context)  # fmt: skip
                self.archives[name] = archive(machine, name)

    @staticmethod
    def base(machine):
        name = "docker.io/library/debian:bookworm-slim"
        if name in buildah(machine, "images", "--format", "{{.Name}}:{{.Tag}}"):
            return
        container = buildah(machine, "from", "scratch").strip()
        buildah(machine, "add", container, ENGINES / "base.tar", "/")
        buildah(machine, "config", "--cmd", "bash", container)
        buildah(machine, "commit", "--rm", "--format", "docker", container, name)


def archive(machine, name):
    """Named after the image: one that stayed the same is not written again."""
    number = buildah(machine, "images", "--quiet", "--no-trunc", name).split()[0][-16:]
    stem = name.replace("/", "-").replace(":", "-")
    file = ENGINES / "archives" / f"{stem}-{number}.tar"
    if not file.exists():
        for old in file.parent.glob(f"{stem}-*"):
            old.unlink()
        file.parent.mkdir(exist_ok=True)
        full = name if "/" in name else f"docker.io/library/{name}"
        part = file.with_suffix(".part")
        buildah(machine, "push", name, f"docker-archive:{part}:{full}")
        part.rename(file)
    return file


def buildah(machine, verb, *words):
    command = ["buildah", "--root", ENGINES / "images", verb, *words]
    return machine.run(*command, timeout=900, env={**os.environ, "TMPDIR": "/tmp"})


def package():
    """The folder with our Debian package, or None."""
    folder = support.ROOT / "zig-out" / "package"
    return folder if list(folder.glob("ringtape_*_amd64.deb")) else None


def wanted_images(folder):
    """What compose.yaml names, less Grafana, which no package registry has."""
    jars = support.ROOT / ".deps" / "kafka" / "libs"
    found = {"ringtape:latest": (support.ROOT / "deploy/compose/Dockerfile", package())}
    if jars.is_dir():
        context = stage(folder / "kafka", HERE / "images" / "kafka" / "launch")
        shutil.copytree(jars, context / "libs", dirs_exist_ok=True)
        found["apache/kafka:4.3.1"] = (HERE / "images/kafka/Dockerfile", context)
    programs = pathlib.Path(os.environ.get("RINGTAPE_PROMETHEUS", "/usr/bin"))
    context = stage(folder / "prom", programs / "prometheus", programs / "promtool")
    found["prom/prometheus:v3.5.0"] = (HERE / "images/prometheus/Dockerfile", context)
    return found


def stage(folder, *files):
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        shutil.copy2(file, folder)
    return folder
