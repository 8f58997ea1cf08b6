# SPDX-License-Identifier: GPL-3.0-or-later
"""deploy/k8s without a node, without root: the schemas of Kubernetes, and what a real API server
says of each object when it is asked to try it."""

import json
import re
import subprocess

import cluster
import engines
import pytest
import support

K8S = support.ROOT / "deploy" / "k8s"
KUBECONFORM = engines.OPS / "kubeconform"
OVERLAYS = ["single", "pair"]
KINDS = {"Namespace", "ServiceAccount", "ConfigMap", "Service", "PersistentVolumeClaim",
         "PodDisruptionBudget", "StatefulSet", "CronJob", "NetworkPolicy"}  # fmt: skip

MISSING = cluster.missing("kubectl", "kube-apiserver")
needs_kubernetes = pytest.mark.skipif(bool(MISSING), reason=MISSING or "")


def rendered(overlay):
    """What kustomize makes of an overlay."""
    folder = K8S / "overlays" / overlay
    return engines.finished([cluster.BIN / "kubectl", "kustomize", folder], 0, 60)


@needs_kubernetes
@pytest.mark.skipif(not (KUBECONFORM / "done").exists(), reason="no kubeconform was built")
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_field_is_known_to_the_schemas(overlay):
    text = rendered(overlay)
    assert set(re.findall(r"^kind: (\w+)", text, re.M)) == KINDS
    assert conform(text)["invalid"] == 0
    found = conform(text.replace("minReadySeconds", "minReadySecond", 1), status=1)
    assert found["invalid"] == 1


def conform(text, status=0):
    location = f"{KUBECONFORM}/schemas/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json"
    done = subprocess.run(
        [KUBECONFORM / "bin" / "kubeconform", "-strict", "-summary", "-output", "json",
         "-schema-location", location],
        input=text, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == status, done.stdout + done.stderr
    summary = json.loads(done.stdout)["summary"]
    assert summary["errors"] == summary["skipped"] == 0, done.stdout
    return summary


@pytest.fixture(scope="module")
def plane(tmp_path_factory):
    if MISSING:
        pytest.skip(MISSING)
    with cluster.ControlPlane(tmp_path_factory.mktemp("plane")) as running:
        for definition in KUBECONFORM.glob("*.yaml"):
            running.kubectl("create", "--filename", definition)
        # An object can only be tried in a namespace that is there.
        running.kubectl("apply", "--filename", K8S / "base" / "namespace.yaml")
        yield running


def tried(plane, text):
    return plane.try_kubectl("apply", "--dry-run=server", "--validate=strict", "--filename", "-",
                             input=text)  # fmt: skip


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_api_server_takes_every_object_without_a_warning(plane, overlay):
    text = rendered(overlay)
    done = tried(plane, text)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == text.count("\nkind: ")
    # The namespace asks for warnings about pods that Pod Security "restricted" would not admit.
    assert done.stderr == ""


@pytest.mark.parametrize(
    "good, bad",
    [
        ("schedule: 7 * * * *", "schedule: 0 42 * * *"),
        ("replicas: 1", "replicas: -2"),
        ("serviceName: ringtape", "serviceNames: ringtape"),
        ("runAsNonRoot: true", "runAsNonRoot: false"),
    ],
)
def test_it_would_have_told_a_mistake(plane, good, bad):
    text = rendered("single")
    assert good in text
    done = tried(plane, text.replace(good, bad))
    assert done.returncode != 0 or "restricted" in done.stderr, done


def test_the_operator_for_prometheus_takes_monitor_and_rules(plane):
    monitor = (K8S / "components/service-monitor/servicemonitor.yaml").read_text()
    assert tried(plane, monitor).returncode == 0
    assert tried(plane, monitor.replace("jobLabel", "jobLabels")).returncode != 0
    # As docs/deploying.md makes the rules into an object of it.
    document = (support.ROOT / "docs" / "deploying.md").read_text()
    recipe = re.search(r"\{ cat <<'END'.*?\| kubectl apply", document, re.S).group(0)
    made = subprocess.run(["bash", "-c", recipe.replace("| kubectl apply", "")],
                          cwd=support.ROOT, capture_output=True, text=True)  # fmt: skip
    done = tried(plane, made.stdout)
    assert (done.returncode, done.stdout.split()[0]) == (
        0,
        "prometheusrule.monitoring.coreos.com/ringtape",
    ), done.stderr


@needs_kubernetes
def test_one_and_two_recorders_are_told_apart_by_their_files():
    """Each of a pair mirrors into topics of its own, and its jobs use its own volumes."""
    text = rendered("pair")
    assert "--config\n        - /etc/ringtape/$(POD_NAME).yaml" in text
    for number in (0, 1):
        config = (K8S / f"overlays/pair/ringtape-{number}.yaml").read_text()
        assert f"prefix: ringtape-{number}" in config
        engines.finished([support.program("ringtaped"), "--check", "--config", "-"], 0, 20,
                         input=config)  # fmt: skip
        assert text.count(f"claimName: store-ringtape-{number}") == 4
        assert text.count(f"statefulset.kubernetes.io/pod-name: ringtape-{number}") == 4
