# SPDX-License-Identifier: GPL-3.0-or-later
"""deploy/k8s on a real node (containerd, kubelet), recording a simulated exchange outside of it: a
pod that is killed records again within seconds and repairs its hole, jobs find the store, and an
update of a pair leaves no hole in what the two have together."""

import datetime
import json
import os
import shutil
import time

import cluster
import duckdb
import engines
import pytest
import support

MISSING = (
    engines.missing()
    or cluster.missing("kube-controller-manager", "kube-scheduler", "kubelet")
    or (None if engines.package() else "no package: `tools/dev package`")
)
RESUME_SECONDS = 5
SYMBOLS = 5
HOST = "sim.exchange.test"
SMALL = """apiVersion: apps/v1
kind: StatefulSet
metadata: {name: ringtape, namespace: ringtape}
spec:
  template:
    spec:
      affinity: null
      hostAliases: [{ip: %s, hostnames: [%s]}]
      containers:
        - name: ringtaped
          resources:
            requests: {cpu: 500m, memory: 512Mi}
            limits: {cpu: 500m, memory: 512Mi}
"""
VOLUME = """apiVersion: v1
kind: PersistentVolume
metadata: {name: %(name)s}
spec:
  capacity: {storage: 200Gi}
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Retain
  claimRef: {namespace: ringtape, name: %(name)s}
  local: {path: %(path)s}
  nodeAffinity:
    required:
      nodeSelectorTerms:
        - matchExpressions:
            - {key: kubernetes.io/hostname, operator: In, values: [node-0]}
"""


class Cluster:
    """The node, the simulated exchange beside it, and our manifests made small."""

    def __init__(self, node, folder):
        self.node, self.plane, self.folder = node, node.plane, folder
        self.simulator = None

    def exchange(self, seconds, *more):
        """A new one, at the outer end of the cable."""
        if self.simulator is not None:
            self.simulator.kill()
        self.truth = self.folder / f"sent-{time.monotonic_ns()}"
        self.simulator = support.Simulator(
            f"--host={engines.OUTSIDE}", f"--symbols=binance:{SYMBOLS}", "--rate=400",
            f"--seconds={seconds}", "--whole-market", "--channels=trade,bookTicker",
            f"--truth={self.truth}", *more, certificates=self.folder / "certificates",
        )  # fmt: skip
        return self.simulator

    def config(self):
        url = f"{HOST}:{self.simulator.ports['binance']}"
        feed = {
            "exchange": "binance", "channels": ["trade", "quote"], "symbols": "all",
            "url": f"wss://{url}", "rest_url": f"https://{url}", "ca_file": "/etc/ringtape/ca.pem",
        }  # fmt: skip
        return {"store": "/var/lib/ringtape", "http": {"listen": "0.0.0.0:9464"}, "feeds": [feed]}

    def overlay(self, name):
        """Our overlay, for one small node: our volumes, our exchange."""
        folder = self.folder / f"overlay-{name}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        shutil.copy(self.folder / "certificates" / "ca.pem", folder)
        names = ["ringtaped", "ringtape-0", "ringtape-1"][: 1 if name == "single" else 3]
        for each in names:
            (folder / f"{each}.yaml").write_text(json.dumps(self.config()))
        (folder / "small.yaml").write_text(SMALL % (engines.OUTSIDE, HOST))
        ours = os.path.relpath(support.ROOT / "deploy" / "k8s" / "overlays" / name, folder)
        files = ["ca.pem", *(f"{each}.yaml" for each in names)]
        (folder / "kustomization.yaml").write_text(json.dumps({
            "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
            "namespace": "ringtape", "resources": [ours],
            "configMapGenerator": [{"name": "ringtaped", "behavior": "merge", "files": files}],
            "generatorOptions": {"disableNameSuffixHash": True},
            "patches": [{"path": "small.yaml"}],
        }))  # fmt: skip
        return folder

    def volumes(self, *names):
        for name in names:
            path = self.folder / "volumes" / name
            # As a new file system has it.
            (path / "lost+found").mkdir(parents=True)
            text = VOLUME % {"name": name, "path": path}
            self.plane.kubectl("apply", "--filename", "-", input=text)

    def store(self, number):
        return self.folder / "volumes" / f"store-ringtape-{number}"

    def apply(self, name, *more):
        self.plane.kubectl("apply", "--kustomize", self.overlay(name), *more)

    def pod(self, number=0):
        return self.plane.get("-n", "ringtape", "pod", f"ringtape-{number}")

    def is_ready(self, number=0, unlike=None):
        """Ready, and another pod than `unlike`."""
        done = self.plane.try_kubectl("get", "-n", "ringtape", "pod", f"ringtape-{number}",
                                      "-o", "json")  # fmt: skip
        if done.returncode != 0:
            return False
        pod = json.loads(done.stdout)
        states = {c["type"]: c["status"] for c in pod["status"].get("conditions", [])}
        return states.get("Ready") == "True" and pod["metadata"]["uid"] != unlike

    def wait_ready(self, number=0, unlike=None):
        support.wait_for(lambda: self.is_ready(number, unlike), 180, self.last_words)

    def last_words(self):
        words = [self.plane.try_kubectl("-n", "ringtape", *w).stdout[-3000:] for w in (
            ("get", "pods"), ("describe", "pods"), ("get", "events"),
            ("logs", "--tail=20", "ringtape-0"))]  # fmt: skip
        return "\n".join([*words, *self.node.last_words()])

    def inside(self, number, *words):
        return self.plane.kubectl("-n", "ringtape", "exec", f"ringtape-{number}", "--", *words)

    def durable(self, number=0):
        done = self.plane.try_kubectl("-n", "ringtape", "exec", f"ringtape-{number}", "--",
                                      "ringtape", "status", "--json")  # fmt: skip
        try:
            return json.loads(done.stdout)["durable"]
        except ValueError:
            return 0

    def trades(self, number):
        """What is known of their completeness, a symbol."""
        found = support.ringtape_any("coverage", "--store", self.store(number), "--json",
                                     "--channel", "trade")  # fmt: skip
        return json.loads(found)["coverage"]

    def holes(self, number):
        keys = self.trades(number)
        return len(keys) != SYMBOLS or any(key["percent"] != "100.000000" for key in keys)

    def repaired(self, number):
        return sum(key["repaired"] for key in self.trades(number))


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    if MISSING:
        pytest.skip(MISSING)
    folder = tmp_path_factory.mktemp("node")
    support.make_certificates(folder / "certificates")
    images = engines.Images(folder)
    pause = engines.HERE / "images" / "pause"
    wanted = {"ringtape:latest": engines.wanted_images(folder)["ringtape:latest"],
              "pause:test": (pause / "Dockerfile", pause)}  # fmt: skip
    binds = [folder, engines.ENGINES]
    with engines.alone(), engines.Machine(folder / "machine", binds) as machine:
        images.build(wanted)
        with cluster.Node(machine, folder, images.archives.values()) as node:
            yield Cluster(node, folder)


def gap_seconds(store, since):
    """The longest silence in what links (not REST) brought since then."""
    rows = support.ringtape_any("cat", "--store", store, "--channel", "quote", "--json",
                                "--from", since.isoformat())  # fmt: skip
    times = sorted(
        datetime.datetime.fromisoformat(json.loads(row)["receive_time"][:26] + "+00:00")
        for row in rows.splitlines()
    )
    return max((b - a).total_seconds() for a, b in zip(times, times[1:]))


def wait_rows(running, number, more=2000):
    before = running.durable(number)
    support.wait_for(lambda: running.durable(number) > before + more, 120, running.last_words)


def test_a_pod_records_as_the_manifests_want_it(running):
    running.exchange(900)
    running.volumes("store-ringtape-0", "lake")
    began = time.monotonic()
    running.apply("single")
    running.wait_ready()
    print(f"applied to ready: {time.monotonic() - began:.1f} s")
    pod = running.pod()
    assert pod["status"]["qosClass"] == "Guaranteed"
    user, root, *filters = running.inside(
        0, "sh", "-c", "id -u; touch /x 2>/dev/null || echo read-only; "
        # The daemon, and the process that starts reports for it.
        "for each in $(pidof ringtaped); do grep ^Seccomp: /proc/$each/status; done",
    ).splitlines()  # fmt: skip
    assert (user, root) == ("10001", "read-only")
    assert [line.split()[1] for line in filters] == ["2", "2"]
    wait_rows(running, 0)


@pytest.mark.parametrize("how", ["process", "pod"])
def test_what_is_killed_records_again_and_repairs_its_hole(running, how):
    """The process killed: the kubelet starts it again. The pod deleted without any grace: the
    StatefulSet makes another."""
    pod, since = running.pod(), datetime.datetime.now(datetime.timezone.utc)
    wait_rows(running, 0, 500)
    repaired = running.repaired(0)
    if how == "process":
        running.inside(0, "sh", "-c", "kill -9 $(pidof ringtaped)")
        support.wait_for(lambda: restarts(running) > restarts_of(pod), 60, running.last_words)
    else:
        running.plane.kubectl("-n", "ringtape", "delete", "pod", "ringtape-0", "--grace-period=0",
                              "--force", "--wait=false")  # fmt: skip
        running.wait_ready(unlike=pod["metadata"]["uid"])
    running.wait_ready()
    wait_rows(running, 0, 500)
    gap = gap_seconds(running.store(0), since)
    print(f"{how} killed: nothing came for {gap:.2f} s")
    assert 0.05 < gap <= RESUME_SECONDS * slack()
    support.wait_for(
        lambda: running.repaired(0) > repaired and not running.holes(0), 120, running.last_words
    )


def restarts_of(pod):
    return pod["status"]["containerStatuses"][0]["restartCount"]


def restarts(running):
    return restarts_of(running.pod())


def slack():
    """A machine with more to do than it has cores takes longer for everything."""
    return max(1.0, os.getloadavg()[0] / os.cpu_count())


def test_the_jobs_find_the_recorder_s_store(running):
    # Their rows are those of sealed tapes: of another pod the daemon cannot be asked.
    running.inside(0, "ringtape", "seal", "--store", "/var/lib/ringtape")
    for job in ("export", "compact", "vacuum", "report"):
        kubectl = running.plane.kubectl
        kubectl("-n", "ringtape", "create", "job", f"try-{job}", f"--from=cronjob/{job}")
        support.wait_for(lambda job=job: finished(running, f"try-{job}"), 180, running.last_words)
    tables = running.folder / "volumes" / "lake" / "tables"
    import deltalake

    rows = deltalake.DeltaTable(str(tables / "trade")).to_pyarrow_table().num_rows
    assert rows > 1000
    reports = running.folder / "volumes" / "lake" / "reports"
    assert list(reports.glob("*-W*.html"))


def finished(running, job):
    status = running.plane.get("-n", "ringtape", "job", job)["status"]
    logs = running.plane.try_kubectl("-n", "ringtape", "logs", f"job/{job}")
    assert not status.get("failed"), logs.stdout + logs.stderr
    return status.get("succeeded") == 1


def test_a_configuration_is_read_without_a_restart(running):
    before = restarts(running)
    found = running.inside(0, "ringtape", "reload", "--store", "/var/lib/ringtape")
    print(found)
    assert restarts(running) == before
    wait_rows(running, 0, 500)


def test_an_update_of_a_pair_leaves_no_hole_in_what_both_have(running):
    running.plane.kubectl("-n", "ringtape", "delete", "statefulset,pod,cronjob,job", "--all",
                          "--grace-period=5")  # fmt: skip
    running.plane.kubectl("-n", "ringtape", "delete", "pvc", "--all")
    running.plane.kubectl("delete", "pv", "--all")
    shutil.rmtree(running.folder / "volumes", ignore_errors=True)
    simulator = running.exchange(600)
    running.volumes("store-ringtape-0", "store-ringtape-1", "lake", "lake-1")
    running.apply("pair")
    for number in (0, 1):
        running.wait_ready(number)
        wait_rows(running, number, 500)
    begin_ns = time.time_ns()
    first = [running.pod(number)["metadata"]["uid"] for number in (0, 1)]
    began = time.monotonic()
    running.plane.kubectl("-n", "ringtape", "rollout", "restart", "statefulset/ringtape")
    for number in (1, 0):
        running.wait_ready(number, unlike=first[number])
    print(f"rolling update: {time.monotonic() - began:.1f} s")
    for number in (0, 1):
        wait_rows(running, number, 500)
        support.wait_for(lambda n=number: not running.holes(n), 120, running.last_words)
    end_ns = time.time_ns()
    simulator.terminate()
    running.plane.kubectl("-n", "ringtape", "scale", "statefulset/ringtape", "--replicas=0")
    support.wait_for(lambda: not running.plane.get("-n", "ringtape", "pod")["items"], 60, "the end")
    check_union(running, begin_ns, end_ns)


def check_union(running, begin_ns, end_ns):
    """Quotes have no history: each sent in that time is in one store or the other, or lost. Each
    store has missed some: the update was one."""
    parts = []
    for number in (0, 1):
        store, folder = running.store(number), running.folder / f"parquet-{number}"
        support.ringtape("seal", "--store", store)
        support.ringtape("verify", "--store", store)
        support.ringtape("export", "--store", store, "--parquet", folder)
        parts.append({channel: stored(folder, channel) for channel in ("quote", "trade")})
    sent = {"quote": set(), "trade": set()}
    for due, _, stream, payload in support.read_truth(running.truth):
        if begin_ns < due < end_ns:
            message = json.loads(payload)
            message = message.get("data", message)
            kind = "trade" if stream.endswith("@trade") else "quote"
            sent[kind].add((message["s"], message["t" if kind == "trade" else "u"]))
    assert len(sent["quote"]) > 1000
    for number in (0, 1):
        missed = len(sent["quote"] - parts[number]["quote"])
        print(f"store {number} lacks {missed} of {len(sent['quote'])} quotes")
        assert missed > 0
        assert sent["trade"] <= parts[number]["trade"]
    assert sent["quote"] <= parts[0]["quote"] | parts[1]["quote"]


def stored(folder, channel):
    query = f"SELECT symbol, id FROM '{folder}/*/channel={channel}/*/*.parquet'"
    return set(duckdb.sql(query).fetchall())
