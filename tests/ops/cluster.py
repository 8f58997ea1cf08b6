# SPDX-License-Identifier: GPL-3.0-or-later
"""Kubernetes for tests: etcd and an API server as plain processes (no root), and a node, that is
containerd and a kubelet, on a machine of its own (tests/ops/engines.py)."""

import json
import os
import pathlib
import shutil
import subprocess

import engines
import support

BIN = engines.OPS / "kubernetes" / "bin"
ETCD = engines.OPS / "etcd" / "bin" / "etcd"
TOKEN = "a-test"


def missing(*programs):
    """Why there is no Kubernetes here, or None."""
    there = ETCD.exists() and all((BIN / program).exists() for program in programs)
    return None if there else "no Kubernetes: `tools/dev ops-test` builds it"


class ControlPlane:
    """etcd and kube-apiserver, on the network of `machine` if there is one."""

    def __init__(self, folder, machine=None):
        from metrics_test import free_port

        self.folder, self.machine = pathlib.Path(folder), machine
        self.processes = []
        self.port, client, peer = free_port(), free_port(), free_port()
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "tokens.csv").write_text(f'{TOKEN},admin,admin,"system:masters"\n')
        self.kubeconfig = self.folder / "kubeconfig"
        self.kubeconfig.write_text(self.client_config())
        key = self.folder / "account.key"
        engines.finished(["openssl", "genrsa", "-out", key, "2048"], 0, 60)
        self.start(
            ETCD, f"--data-dir={self.folder}/etcd",
            f"--listen-client-urls=http://127.0.0.1:{client}",
            f"--advertise-client-urls=http://127.0.0.1:{client}",
            f"--listen-peer-urls=http://127.0.0.1:{peer}", "--unsafe-no-fsync",
            "--log-level=error",
        )  # fmt: skip
        self.start(
            BIN / "kube-apiserver", f"--etcd-servers=http://127.0.0.1:{client}",
            f"--secure-port={self.port}", "--bind-address=127.0.0.1",
            f"--advertise-address={engines.INSIDE}", "--endpoint-reconciler-type=none",
            f"--cert-dir={self.folder}/certificates", f"--token-auth-file={self.folder}/tokens.csv",
            "--authorization-mode=AlwaysAllow", "--service-cluster-ip-range=10.96.0.0/24",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={key}", f"--service-account-signing-key-file={key}",
            "--kubelet-preferred-address-types=InternalIP", "--v=0",
        )  # fmt: skip
        support.wait_for(self.is_ready, 120, lambda: f"the API server: {self.last_words()}")

    def start(self, *command):
        words = [str(word) for word in command]
        if self.machine is not None:
            words = ["nsenter", "-t", str(self.machine.pid), "-n", *words]
        self.processes.append(support.Process(words, cwd=self.folder))
        return self.processes[-1]

    def last_words(self):
        return [process.errors[-3:] for process in self.processes]

    def client_config(self):
        server = {"server": f"https://127.0.0.1:{self.port}", "insecure-skip-tls-verify": True}
        return json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": server}],
            "users": [{"name": "test", "user": {"token": TOKEN}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        })  # fmt: skip

    def is_ready(self):
        assert all(process.alive() for process in self.processes), self.last_words()
        return self.try_kubectl("get", "--raw", "/readyz").returncode == 0

    def try_kubectl(self, *words, **options):
        command = [BIN / "kubectl", "--kubeconfig", self.kubeconfig, *words]
        if self.machine is not None:
            command = ["nsenter", "-t", self.machine.pid, "-n", *command]
        environment = {**os.environ, "HOME": str(self.folder)}
        return subprocess.run([str(word) for word in command], capture_output=True, text=True,
                              env=environment, timeout=120, **options)  # fmt: skip

    def kubectl(self, *words, **options):
        done = self.try_kubectl(*words, **options)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def get(self, *words):
        return json.loads(self.kubectl("get", "-o", "json", *words))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            process.kill()


CONTAINERD = """version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "docker.io/library/pause:test"
  restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "/etc/cni/net.d"
"""
NETWORK = {
    "cniVersion": "0.4.0", "name": "pods",
    "plugins": [
        {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": True, "ipam": {
            "type": "host-local", "ranges": [[{"subnet": "10.244.0.0/24"}]],
            "routes": [{"dst": "0.0.0.0/0"}]}},
    ],
}  # fmt: skip
CGROUP = "ringtape-ops"
# What a run that was killed left is taken away; a set of cores begins as that above it.
CGROUPS = f"""
cd /sys/fs/cgroup
find . -depth -type d -path '*/{CGROUP}*' -exec rmdir {{}} + 2>/dev/null
for each in */; do mkdir -p "${{each}}{CGROUP}"; done
if [ -e cpuset/cpuset.cpus ]; then
    for each in cpus mems; do cat cpuset/cpuset.$each >cpuset/{CGROUP}/cpuset.$each; done
fi
"""
KUBELET = {
    "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
    "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
    "authorization": {"mode": "AlwaysAllow"},
    "cgroupDriver": "cgroupfs", "cgroupRoot": f"/{CGROUP}", "enforceNodeAllocatable": ["none"],
    "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
    "failSwapOn": False, "failCgroupV1": False, "oomScoreAdj": 0,
    "localStorageCapacityIsolation": False,
    "featureGates": {"KubeletInUserNamespace": True}, "resolvConf": "/etc/resolv.conf",
    "evictionHard": {"nodefs.available": "0%", "imagefs.available": "0%"},
    "address": "0.0.0.0", "syncFrequency": "10s",
}  # fmt: skip


class Node:
    """One node with its control plane, on a machine of its own."""

    def __init__(self, machine, folder, archives):
        self.machine, self.folder = machine, folder
        machine.connect()
        self.write("/etc/containerd/config.toml", CONTAINERD)
        self.write("/etc/cni/net.d/10-pods.conflist", json.dumps(NETWORK))
        self.write("/var/lib/kubelet.yaml", json.dumps(KUBELET))
        profile = (support.ROOT / "deploy" / "compose" / "seccomp.json").read_text()
        machine.run("mkdir", "-p", "/var/lib/kubelet/seccomp/profiles")
        self.write("/var/lib/kubelet/seccomp/profiles/ringtape.json", profile)
        machine.run("sh", "-c", CGROUPS)
        self.runtime = machine.start("containerd")
        support.wait_for(lambda: self.ctr("version"), 60, lambda: f"{self.runtime.errors[-3:]}")
        for archive in archives:
            machine.run("ctr", "-n", "k8s.io", "images", "import", archive)
        self.plane = ControlPlane(folder / "plane", machine)
        for name in ("kube-controller-manager", "kube-scheduler"):
            more = []
            if name == "kube-controller-manager":
                more = [f"--service-account-private-key-file={folder}/plane/account.key",
                        "--controllers=*,-nodeipam"]  # fmt: skip
            self.plane.start(BIN / name, f"--kubeconfig={self.plane.kubeconfig}",
                             "--leader-elect=false", *more)  # fmt: skip
        shutil.copy(BIN / "kubelet", folder / "kubelet")
        self.kubelet = machine.start(
            folder / "kubelet", "--config=/var/lib/kubelet.yaml", f"--node-ip={engines.INSIDE}",
            f"--kubeconfig={self.plane.kubeconfig}", "--hostname-override=node-0", "--v=1",
        )  # fmt: skip
        support.wait_for(self.is_ready, 120, self.last_words)

    def write(self, path, text):
        self.machine.run("sh", "-c", f"mkdir -p $(dirname {path}) && cat >{path}", input=text)

    def ctr(self, *words):
        command = [str(word) for word in self.machine.command("ctr", *words)]
        return subprocess.run(command, capture_output=True).returncode == 0

    def last_words(self):
        """Of the kubelet, less what is no mistake."""
        return [line for line in self.kubelet.errors if line[:1] != "I"][-8:]

    def is_ready(self):
        assert self.kubelet.alive(), self.last_words()
        nodes = self.plane.get("nodes")["items"]
        states = [c for node in nodes for c in node["status"].get("conditions", [])]
        return any(c["type"] == "Ready" and c["status"] == "True" for c in states)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kubelet.kill()
        self.plane.__exit__()
        self.runtime.kill()
