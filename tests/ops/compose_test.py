# SPDX-License-Identifier: GPL-3.0-or-later
"""deploy/compose: the files by the tools' own checks, and all of it on a real Docker engine: data
of a simulated exchange is recorded, mirrored to Kafka and scraped by Prometheus; a kill loses no
trade; `down` keeps what was recorded."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import time

import engines
import pytest
import support

COMPOSE = support.ROOT / "deploy" / "compose"
PLUGIN = engines.OPS / "compose" / "bin" / "docker-compose"
HADOLINT = engines.OPS / "hadolint" / "bin" / "hadolint"
FILES = ["-f", COMPOSE / "compose.yaml", "-f", engines.HERE / "compose.override.yaml"]
SECONDS = 1800  # of the simulator, at most
SYMBOLS = 5
MISSING = engines.missing() or (None if engines.package() else "no package: `tools/dev package`")
needs_compose = pytest.mark.skipif(not PLUGIN.exists(), reason="no Docker Compose was built")


# ---- the files ----


@pytest.mark.skipif(not HADOLINT.exists(), reason="no hadolint")
def test_dockerfiles_are_clean():
    files = [COMPOSE / "Dockerfile", *(engines.HERE / "images").glob("*/Dockerfile")]
    assert len(files) == 4
    done = subprocess.run([HADOLINT, "--failure-threshold", "style", *files], capture_output=True)
    assert (done.returncode, done.stdout) == (0, b""), done


def config(*options, file=COMPOSE / "compose.yaml", status=0):
    """What Compose makes of its file."""
    done = subprocess.run(
        [PLUGIN, "-f", file, *options],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == status, done.stderr
    return done


@needs_compose
def test_the_file_is_one_by_compose_and_every_service_is_locked_up(tmp_path):
    assert config("config", "-q").stderr == ""
    broken = (COMPOSE / "compose.yaml").read_text().replace("read_only:", "readonly:", 1)
    (tmp_path / "compose.yaml").write_text(broken)
    found = config("config", "-q", file=tmp_path / "compose.yaml", status=1)
    assert "readonly" in found.stderr
    everything = json.loads(config("--profile", "*", "config", "--format", "json").stdout)
    assert set(everything["services"]) == {"ringtaped", "lake", "kafka", "prometheus", "grafana"}
    for name, service in everything["services"].items():
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert service["restart"] == "always", name
        assert "healthcheck" in service or name == "lake", name  # the image has one
        for port in service.get("ports", []):
            assert port["host_ip"] == "127.0.0.1", name
        for mount in service["volumes"]:
            assert mount["type"] == "volume" or pathlib.Path(mount["source"]).exists(), mount
            assert mount["type"] == "volume" or mount["read_only"], mount
    ringtaped = everything["services"]["ringtaped"]
    assert ringtaped["read_only"] and "ports" not in ringtaped
    assert ringtaped["depends_on"]["kafka"]["condition"] == "service_healthy"


def test_the_profile_admits_the_rings_and_nothing_privileged():
    profile = json.loads((COMPOSE / "seccomp.json").read_text())
    assert profile["defaultAction"] == "SCMP_ACT_ERRNO"
    allowed = {
        name
        for rule in profile["syscalls"]
        for name in rule["names"]
        if rule["action"] == "SCMP_ACT_ALLOW"
    }
    assert {"io_uring_setup", "io_uring_enter", "io_uring_register"} <= allowed
    privileged = {"mount", "bpf", "ptrace", "unshare", "setns", "keyctl", "init_module", "reboot",
                  "kexec_load", "perf_event_open", "open_by_handle_at", "swapon"}  # fmt: skip
    assert not privileged & allowed


def test_grafana_finds_datasource_and_dashboard_where_they_are_mounted():
    """Grafana itself is in no package registry: at least every path and name fits."""
    text = (COMPOSE / "compose.yaml").read_text()
    provider = (COMPOSE / "grafana/dashboards/ringtape.yaml").read_text()
    folder = re.search(r"path: (\S+)", provider).group(1)
    assert f"- ../grafana:{folder}:ro" in text
    assert f"{folder}/ringtape.json" in text
    assert (support.ROOT / "deploy/grafana/ringtape.json").exists()
    source = (COMPOSE / "grafana/datasources/prometheus.yaml").read_text()
    host, port = re.search(r"url: http://(\w+):(\d+)", source).groups()
    assert re.search(rf"^  {host}:$", text, re.M) and f":{port}" in text
    # The dashboard asks for a data source of this kind, whatever its name.
    dashboard = json.loads((support.ROOT / "deploy/grafana/ringtape.json").read_text())
    variable = dashboard["templating"]["list"][0]
    assert (variable["type"], variable["query"]) == ("datasource", "prometheus")
    assert "type: prometheus" in source


def test_prometheus_takes_its_file(tmp_path):
    promtool = shutil.which("promtool", path=os.environ.get("RINGTAPE_PROMETHEUS"))
    if promtool is None:
        pytest.skip("no promtool: see tools/dev.d/prometheus.sh")
    shutil.copy(COMPOSE / "prometheus.yml", tmp_path)
    shutil.copy(support.ROOT / "deploy/prometheus/ringtape.rules.yml", tmp_path)
    engines.finished([promtool, "check", "config", tmp_path / "prometheus.yml"], 0, 60)


# ---- on an engine ----


class Docker:
    """The project on an engine of its own. `folder` is the same inside."""

    def __init__(self, machine, folder):
        self.machine, self.folder = machine, folder
        self.daemon = machine.start("dockerd", "--exec-opt", "native.cgroupdriver=cgroupfs")
        plugins = folder / "docker" / "cli-plugins"
        plugins.mkdir(parents=True)
        shutil.copy(PLUGIN, plugins)
        support.wait_for(self.is_up, 60, lambda: f"dockerd: {self.daemon.errors[-5:]}")

    def is_up(self):
        assert self.daemon.alive(), self.daemon.errors[-20:]
        done = subprocess.run([str(w) for w in self.command("version")], capture_output=True)
        return done.returncode == 0

    def command(self, *words):
        return self.machine.command("docker", "--config", self.folder / "docker", *words)

    def run(self, *words, **options):
        return engines.finished(self.command(*words), 0, 600, **options)

    def compose(self, *words):
        settings = {
            "TEST_FOLDER": self.folder / "test", "TEST_PROGRAMS": support.BIN,
            "TEST_SECONDS": SECONDS, "KAFKA_HEAP": "-Xmx192m -Xms192m",
        }  # fmt: skip
        environment = {**os.environ, **{name: str(value) for name, value in settings.items()}}
        return self.run("compose", *FILES, *words, env=environment)

    def inside(self, *words):
        """A program in the recorder's container."""
        return self.compose("exec", "-T", "ringtaped", *words)

    def status(self):
        return json.loads(self.inside("ringtape", "status", "--json"))

    def store(self):
        """The volume, as this machine sees it."""
        return self.machine.state / "docker" / "volumes" / "ringtape_store" / "_data"


@pytest.fixture(scope="module")
def docker(tmp_path_factory):
    if MISSING or not PLUGIN.exists():
        pytest.skip(MISSING or "no Docker Compose was built")
    folder = tmp_path_factory.mktemp("compose")
    images = engines.Images(folder)
    wanted = engines.wanted_images(folder)
    if "apache/kafka:4.3.1" not in wanted:
        pytest.skip("no Kafka: `tools/dev setup` fetches its jars")
    prepare(folder / "test")
    binds = [folder, support.BIN.parent, engines.ENGINES]
    with engines.alone(), engines.Machine(folder / "machine", binds) as machine:
        images.build(wanted)
        project = Docker(machine, folder)
        with project.daemon:
            for file in images.archives.values():
                project.run("load", "--input", file)
            yield project
            project.compose("down", "--timeout", "15", "--volumes")


def prepare(folder):
    """Certificates, the recorder's configuration, a place for what was sent."""
    (folder / "truth").mkdir(parents=True)
    (folder / "ringtape").mkdir()
    support.make_certificates(folder / "certificates")
    shutil.copy(folder / "certificates" / "ca.pem", folder / "ringtape")
    (folder / "ringtape" / "ca.pem").chmod(0o644)
    feed = {
        "exchange": "binance", "channels": ["trade", "quote"], "symbols": "all",
        "url": "wss://sim.exchange.test:7443", "rest_url": "https://sim.exchange.test:7443",
        "ca_file": "/etc/ringtape/ca.pem",
    }  # fmt: skip
    top = {
        "http": {"listen": "0.0.0.0:9464"},
        "kafka": {"brokers": "kafka:9092", "topics": ["trades", "status"]},
    }
    support.write_config(folder / "ringtape/ringtaped.yaml", "/var/lib/ringtape", [feed], **top)


def test_up_records_mirrors_and_is_scraped(docker):
    began = time.monotonic()
    docker.compose("up", "--detach", "--wait", "--wait-timeout", "300", "--no-build")
    print(f"up --wait: {time.monotonic() - began:.1f} s")
    states = docker.compose("ps", "--format", "{{.Service}} {{.Health}}").split("\n")
    assert {"ringtaped healthy", "kafka healthy", "prometheus healthy"} <= set(states), states
    processes = docker.run("inspect", "ringtape-ringtaped-1", "--format",
                           "{{.Config.User}} {{.HostConfig.ReadonlyRootfs}}")  # fmt: skip
    assert processes.split() == ["10001:10001", "true"]
    support.wait_for(lambda: mirrored(docker) > 1000, 120, lambda: docker.compose("logs"))
    up = support.wait_for(
        lambda: engines.prometheus_query(docker.machine, 9090, 'up{job="ringtape"} == 1'),
        60, "a scrape",
    )  # fmt: skip
    assert up[0]["metric"]["instance"] == "ringtaped:9464"
    assert engines.prometheus_query(docker.machine, 9090, "ringtape_rows_durable_total > 1000")


def mirrored(docker):
    """Messages in Kafka, by its own count, asked from outside its network."""
    script = (
        "import sys\n"
        "from kafka import KafkaConsumer, TopicPartition as T\n"
        "c = KafkaConsumer(bootstrap_servers='localhost:19092')\n"
        "t = [T('ringtape.trades', p) for p in c.partitions_for_topic('ringtape.trades') or []]\n"
        "print(sum(c.end_offsets(t).values()))\n"
    )
    python = os.environ.get("RINGTAPE_PYTHON", "python3")
    return int(docker.machine.in_network(python, "-c", script))


def stored_trades(docker):
    rows = docker.inside("ringtape", "ls", "--store", "/var/lib/ringtape", "--symbols", "--json")
    return sum(entry["rows"] for entry in json.loads(rows) if entry["channel"] == "trade")


def test_killed_and_restarted_it_loses_no_trade(docker):
    before = stored_trades(docker)
    began = time.monotonic()
    docker.compose("kill", "--signal", "KILL", "ringtaped")
    # An engine does not restart what it was told to kill.
    docker.compose("up", "--detach", "--wait", "--no-recreate", "--no-build", "ringtaped")
    print(f"kill to healthy: {time.monotonic() - began:.1f} s")
    support.wait_for(lambda: stored_trades(docker) > before, 60, "rows after the kill")
    began = time.monotonic()
    docker.compose("restart", "ringtaped")
    docker.compose("up", "--detach", "--wait", "--no-recreate", "--no-build", "ringtaped")
    print(f"restart to healthy: {time.monotonic() - began:.1f} s")
    support.wait_for(lambda: holes(docker) == 0, 120, lambda: docker.compose("logs", "ringtaped"))


def holes(docker):
    """Keys that are not whole; all, until the first ledger is written."""
    found = docker.inside("sh", "-c", "ringtape coverage --store /var/lib/ringtape --channel trade"
                          " --json || test $? = 1")  # fmt: skip
    keys = json.loads(found)["coverage"]
    return SYMBOLS - sum(key["percent"] == "100.000000" for key in keys)


def test_an_abort_ends_it_and_the_engine_starts_it_again(docker):
    """As process 1 it would not: behind an init the default action of a signal is taken."""
    started = "{{.RestartCount}}"
    before = int(docker.run("inspect", "ringtape-ringtaped-1", "--format", started))
    docker.inside("sh", "-c", "kill -ABRT $(pidof ringtaped)")
    support.wait_for(
        lambda: int(docker.run("inspect", "ringtape-ringtaped-1", "--format", started)) > before,
        30, "a restart",
    )  # fmt: skip


def test_tables_beside_it_are_current(docker):
    """It sees the recorder's process, and has it sealed."""
    docker.compose("--profile", "lake", "up", "--detach", "--wait", "--no-recreate", "--no-build",
                   "lake")  # fmt: skip
    volume = docker.machine.state / "docker" / "volumes" / "ringtape_lake" / "_data"
    before = stored_trades(docker)
    support.wait_for(lambda: rows_of(volume / "trade") > before, 150,
                     lambda: docker.compose("--profile", "lake", "logs", "lake"))  # fmt: skip
    docker.compose("--profile", "lake", "stop", "lake")


def rows_of(table):
    import deltalake

    try:
        return deltalake.DeltaTable(str(table)).to_pyarrow_table(columns=["id"]).num_rows
    except deltalake.exceptions.TableNotFoundError:
        return 0


def test_down_keeps_what_was_recorded_and_it_is_all_there(docker):
    docker.compose("up", "--detach", "--wait", "--no-recreate", "--no-build", "ringtaped")
    support.wait_for(lambda: holes(docker) == 0, 120, "repair")
    docker.compose("stop", "ringtaped")
    docker.compose("down")
    assert "ringtape_store" in docker.run("volume", "ls", "--format", "{{.Name}}").split()
    assert docker.compose("ps", "--quiet") == ""
    compare_with_truth(docker)
    docker.compose("up", "--detach", "--wait", "--wait-timeout", "300", "--no-build")
    assert stored_trades(docker) > 1000


def compare_with_truth(docker):
    """Every trade from the first stored one to the last is there, once."""
    store, folder = docker.folder / "copy", docker.folder / "parquet"
    shutil.copytree(docker.store(), store)
    support.ringtape("seal", "--store", store)
    support.ringtape("verify", "--store", store)
    support.ringtape("export", "--store", store, "--parquet", folder, "--channel", "trade")
    import duckdb

    sent = {}
    for _, _, stream, payload in support.read_truth(docker.folder / "test" / "truth" / "sent"):
        if stream.endswith("@trade"):
            message = json.loads(payload)
            message = message.get("data", message)
            sent.setdefault(message["s"], {})[message["t"]] = (message["p"], message["q"])
    rows = duckdb.sql(
        f"SELECT symbol, id, price::VARCHAR, quantity::VARCHAR FROM '{folder}/**/*.parquet'"
    ).fetchall()
    assert len(rows) > 1000 and len({row[:2] for row in rows}) == len(rows)
    stored = {}
    for symbol, number, *_ in rows:
        stored.setdefault(symbol, set()).add(number)
    for symbol, numbers in stored.items():
        missing = {n for n in sent[symbol] if min(numbers) <= n <= max(numbers)} - numbers
        assert missing == set(), (symbol, sorted(missing)[:5])
    print(f"{len(rows)} trades stored, none missing")
