# SPDX-License-Identifier: GPL-3.0-or-later
"""The dashboard and the rules on a real Prometheus that scrapes a live recorder, with alerts, Kafka
(librdkafka's own mock cluster) and two copies of a feed: every query of every panel has data, and
no alert of the operator's fires."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import time
import urllib.parse
import urllib.request

import pytest
import support

GRAFANA = support.ROOT / ".deps" / "grafana" / "node_modules"
GRAFATUI = support.ROOT / ".deps" / "ops" / "grafatui" / "bin" / "grafatui"
FOLDER = os.environ.get("RINGTAPE_PROMETHEUS")
PROMETHEUS = shutil.which("prometheus", path=FOLDER) or shutil.which("prometheus")
DASHBOARD = support.ROOT / "deploy" / "grafana" / "ringtape.json"
SECONDS = 40


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return support.make_certificates(tmp_path_factory.mktemp("certificates"))


def panels():
    return json.loads(DASHBOARD.read_text())["panels"]


@pytest.mark.skipif(not GRAFANA.is_dir(), reason="no @grafana/schema: tools/dev ops-test gets it")
def test_the_dashboard_is_one_by_the_types_of_grafana(tmp_path):
    """tsc tells some mistakes a run, so one that is known must be told, too."""
    text = DASHBOARD.read_text()
    assert compiled(tmp_path, text) == ""
    assert "gridPos" in compiled(tmp_path, text.replace('"gridPos"', '"gridPosition"', 1))


def compiled(folder, text):
    (folder / "node_modules").unlink(missing_ok=True)
    (folder / "node_modules").symlink_to(GRAFANA)
    # In TypeScript a value of an enumeration has to be named, in JSON it is a text.
    named = text.replace('"mode": "absolute"', '"mode": ThresholdsMode.Absolute')
    (folder / "dashboard.ts").write_text(
        "import {type Dashboard, ThresholdsMode} from '@grafana/schema';\n"
        f"export const dashboard: Dashboard = {named};\n"
    )
    done = subprocess.run(
        [GRAFANA / ".bin" / "tsc", "--noEmit", "--strict", "--skipLibCheck", "--moduleResolution",
         "bundler", "--module", "esnext", "--target", "es2022", folder / "dashboard.ts"],
        capture_output=True, text=True,
    )  # fmt: skip
    return done.stdout + done.stderr


def test_panels_do_not_overlap_and_say_what_they_show():
    taken = set()
    for panel in panels():
        place = panel["gridPos"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in taken, panel["title"]
                taken.add((x, y))
        assert panel["type"] == "row" or panel["description"], panel["title"]
    assert len({panel["id"] for panel in panels()}) == len(panels())
    titles = [panel["title"] for panel in panels() if panel["type"] == "row"]
    assert titles == ["Overview", "Links", "Completeness", "Latency", "Storage", "Kafka", "Alerts"]


class Prometheus(support.Process):
    def __init__(self, folder, target):
        from metrics_test import free_port

        self.port = free_port()
        rules = support.ROOT / "deploy" / "prometheus"
        config = (rules / "prometheus.yml").read_text().replace("127.0.0.1:9464", target)
        config = config.replace("15s", "1s").replace("5s", "1s")
        (folder / "prometheus.yml").write_text(config)
        text = (rules / "ringtape.rules.yml").read_text().replace("interval: 15s", "interval: 1s")
        (folder / "ringtape.rules.yml").write_text(text)
        super().__init__(
            [PROMETHEUS, f"--config.file={folder}/prometheus.yml",
             f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{self.port}"]
        )  # fmt: skip

    def query(self, expression, path="query", **more):
        parameters = urllib.parse.urlencode({"query": expression, **more})
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{parameters}"
        with urllib.request.urlopen(url, timeout=10) as reply:
            found = json.load(reply)
        assert found["status"] == "success", found
        return found["data"]["result"] if path == "query" else found["data"]


def queries():
    for panel in panels():
        for target in panel.get("targets", []):
            expression = target["expr"].replace("$__rate_interval", "30s")
            expression = re.sub(r"\$(instance|exchange)\b", ".*", expression)
            yield f"{panel['title']} {target['refId']}", expression


@pytest.mark.skipif(PROMETHEUS is None, reason="no Prometheus: see tools/dev.d/prometheus.sh")
def test_every_query_has_data_and_nothing_fires(tmp_path, certificates):
    from metrics_test import free_port

    port = free_port()
    program = tmp_path / "take"
    program.write_text("#!/bin/sh\ncat >/dev/null\n")
    program.chmod(0o755)
    jumps = [f"--inject=kind=surge,symbol=upbit:{{}},at={s}s,size=8%,over=1s" for s in (6, 12, 20)]
    with support.Simulator(
        "--symbols=binance:30", "--symbols=upbit:20", "--rate=3000", f"--seconds={SECONDS + 60}",
        *(jump.format(name) for jump, name in zip(jumps, names())), certificates=certificates,
    ) as simulator:  # fmt: skip
        feeds = [
            support.feed(simulator, "binance", ["trade", "quote", "depth"], "all", redundancy=2),
            support.feed(simulator, "upbit", ["trade", "book"], "all"),
        ]
        top = {
            "http": {"listen": f"127.0.0.1:{port}"},
            "seal_after": {"size": "1MiB", "time": "4s"},
            "alert_sinks": {"command": {"program": str(program)}},
            "kafka": {
                "brokers": "mock:1",
                "topics": ["trades", "alerts", "status"],
                "properties": {"test.mock.num.brokers": 1},
            },
        }
        with support.Ringtaped(tmp_path / "c.yaml", tmp_path / "s", feeds, top=top) as daemon:
            daemon.wait_counters(lambda c: c["durable"] > 1000)
            with Prometheus(tmp_path, f"127.0.0.1:{port}") as prometheus:
                missing = wait_for_data(prometheus, daemon)
                assert missing == [], missing
                firing = prometheus.query('ALERTS{alertstate="firing"}')
                assert firing == [], firing
                rules = prometheus.query("", "rules")["groups"]
                health = {r["name"]: r["health"] for group in rules for r in group["rules"]}
                assert set(health.values()) == {"ok"}, health


def names():
    """Three of the simulator's symbols at Upbit."""
    with support.Simulator("--symbols=upbit:20") as simulator:
        return [each["market"] for each in simulator.get("upbit", "/v1/market/all")[0]][:3]


def wait_for_data(prometheus, daemon):
    """Queries that have none within SECONDS."""
    end, missing = time.monotonic() + SECONDS, list(queries())
    while missing and time.monotonic() < end:
        time.sleep(1)
        assert daemon.alive(), daemon.errors
        try:
            missing = [one for one in missing if not has_data(prometheus, one[1])]
        except OSError:
            continue  # it is still starting
    return missing


def has_data(prometheus, expression):
    return any(each["value"][1] != "NaN" for each in prometheus.query(expression))


@pytest.mark.skipif(not GRAFATUI.exists(), reason="no grafatui: tools/dev ops-test builds it")
def test_another_reader_finds_every_panel(tmp_path):
    """grafatui, strictly: it tells what it does not know, and a field of a wrong type."""
    good = grafatui(DASHBOARD)
    assert good.returncode == 0, good.stdout + good.stderr
    broken = tmp_path / "broken.json"
    broken.write_text(DASHBOARD.read_text().replace('"gridPos": {', '"gridPos": 7, "was": {', 1))
    bad = grafatui(broken)
    assert bad.returncode == 1, bad.stdout + bad.stderr


def grafatui(file):
    return subprocess.run(
        [GRAFATUI, "--validate", "--strict", "--format", "json", "--grafana-json", file],
        capture_output=True, text=True,
    )  # fmt: skip
