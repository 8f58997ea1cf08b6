# SPDX-License-Identifier: GPL-3.0-or-later
"""The packages on a bare Debian: installed by apt with what they depend on, a recording made with
what was installed, upgraded, removed, purged."""

import json
import re
import subprocess

import machine
import pytest
import support

ARCHIVE = f"{machine.SUITE}.tar"
REASON = machine.needs_root(ARCHIVE)
pytestmark = pytest.mark.skipif(REASON is not None, reason=str(REASON))

CONFIG = "/etc/ringtape/ringtaped.yaml"
# As a person who keeps the own configuration when asked, the default.
KEEP = ["-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold"]
APT = ["apt-get", "-q", "-y", "-o", "APT::Sandbox::User=root", "--no-install-recommends", *KEEP]

# Records for some seconds, as the user of the service; the simulator ends by itself.
RECORD = """
exchange-sim --no-tls --listen=binance:7001 --symbols=binance:10 --rate=2000 --seconds=4 \
    --at-end=hold >/srv/sim.log &
sim=$!
setpriv --reuid ringtape --regid ringtape --init-groups ringtaped --config /srv/sim.yaml &
daemon=$!
timeout 90 sh -c 'until grep -q ended /srv/sim.log; do sleep 0.2; done'
kill $daemon; wait $daemon; code=$?
kill $sim
exit $code
"""


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    made = machine.Machine(ARCHIVE, "bare")
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def installed(bare):
    """As docs/installing.md says, and nothing else."""
    bare.bring(*machine.PACKAGES.glob("*.deb"))
    bare.run(*APT, "update", network=True)
    debs = [f"/debs/{machine.package(name).name}" for name in ("ringtape", "ringtape-sim")]
    bare.run(*APT, "install", *debs, network=True)
    bare.path("/srv/sim.yaml").write_text(
        machine.SIMULATED.format(store="/var/lib/ringtape", http="off", port=7001, symbols="all")
    )
    return bare


def trades(root):
    done = root.run("ringtape", "cat", "--store", "/var/lib/ringtape", "--channel", "trade")
    return done.splitlines()


def test_a_processor_that_is_too_old_is_refused_before_anything_is_unpacked(bare):
    """First, on what is bare: nothing of the package may be there afterwards."""
    with open("/proc/cpuinfo") as real:
        bare.path("/srv/cpuinfo").write_text(re.sub(r" (avx2|bmi2)\b", "", real.read()))
    bare.bring(machine.package("ringtape"))
    deb = f"/debs/{machine.package('ringtape').name}"
    seen = "mount --bind /srv/cpuinfo /proc/cpuinfo && exec dpkg --force-depends -i " + deb
    code, said = bare.run("sh", "-c", seen, check=False)
    assert code != 0
    assert "this processor lacks avx2 bmi2; ringtape needs x86-64-v3" in said
    assert not bare.path("/usr/bin/ringtaped").exists()


def test_apt_installs_it_on_a_bare_system_without_a_service_manager(installed):
    assert "running" not in installed.run("ps", "-e", check=False)[1]
    assert not installed.path("/usr/bin/systemctl").exists(), "systemd came along"
    assert "uid=" in installed.run("id", "ringtape")
    assert installed.run("stat", "-c", "%U %a", "/var/lib/ringtape").strip() == "ringtape 750"
    assert "good, 2 feeds" in installed.run("ringtaped", "--check", "--config", CONFIG)
    assert "bundled" in installed.run("ringtaped", "--version")
    links = list(installed.path("/etc/systemd/system").glob("*/ringtape*"))
    assert links == [], "something starts by itself"


def test_a_recording_with_what_was_installed_is_whole(installed):
    installed.run("sh", "-c", RECORD)
    assert len(trades(installed)) > 1000
    assert installed.run("ringtape", "verify", "--store", "/var/lib/ringtape").startswith("whole")


def test_an_upgrade_brings_the_new_configuration_only_where_nobody_changed_it(installed, tmp_path):
    def edit(tree):
        with open(tree / CONFIG.lstrip("/"), "a") as file:
            file.write(f"# of version {tree.name}\n")

    rows = trades(installed)
    first, second = (machine.newer(tmp_path, version, edit) for version in ("9.1", "9.2"))
    installed.bring(first, second)
    installed.run(*APT, "install", f"/debs/{first.name}")
    assert "of version tree-9.1" in installed.path(CONFIG).read_text()

    own = "# mine\n" + installed.path(CONFIG).read_text()
    installed.path(CONFIG).write_text(own)
    installed.run(*APT, "install", f"/debs/{second.name}")
    assert installed.path(CONFIG).read_text() == own
    assert "9.2" in installed.run("dpkg-query", "-W", "-f", "${Version}\\n", "ringtape")
    assert trades(installed) == rows


def test_removal_keeps_configuration_and_data(installed):
    before = trades(installed)
    installed.run(*APT, "remove", "ringtape")
    assert not installed.path("/usr/bin/ringtaped").exists()
    assert "# mine" in installed.path(CONFIG).read_text()
    installed.run(*APT, "install", f"/debs/{machine.package('ringtape').name}",
                  "--allow-downgrades")  # fmt: skip
    assert trades(installed) == before


def purge(root, answer):
    """By a person at a terminal who is asked and types `answer`."""
    return root.run(
        "sh", "-c", f"(sleep 2; echo {answer}; sleep 2) | DEBIAN_FRONTEND=readline TERM=dumb "
        "script -qec 'dpkg --purge ringtape' /dev/null",
    )  # fmt: skip


def test_purge_asks_before_data_goes_and_without_anybody_to_ask_it_stays(installed):
    deb = f"/debs/{machine.package('ringtape').name}"
    said = installed.run(*APT, "purge", "ringtape")
    assert "what was recorded stays: /var/lib/ringtape" in said
    assert not installed.path(CONFIG).exists()
    assert (installed.path("/var/lib/ringtape") / "identity").exists()

    installed.run("dpkg", "-i", deb)
    said = purge(installed, "no")
    assert "Delete what was recorded?" in said and "cannot be had again" in said
    assert (installed.path("/var/lib/ringtape") / "identity").exists()

    installed.run("dpkg", "-i", deb)
    assert len(trades(installed)) > 1000, "kept, and there again"
    purge(installed, "yes")
    assert not installed.path("/var/lib/ringtape").exists()


def test_a_program_is_compiled_with_the_development_package(installed):
    """Header, pkg-config file and both libraries, by what pkg-config says."""
    debs = [f"/debs/{machine.package(name).name}" for name in ("libringtape1", "libringtape-dev")]
    installed.run(*APT, "install", "gcc", "libc6-dev", "pkg-config", *debs, network=True)
    example = "/usr/share/doc/libringtape-dev/examples/vwap.c"
    flags = "$(pkg-config --cflags --libs ringtape)"
    installed.run("sh", "-c", f"gcc -O1 -o /srv/vwap {example} {flags}")
    assert "libringtape.so.1" in installed.run("ldd", "/srv/vwap")
    installed.run(
        "sh", "-c",
        f"gcc -O1 -o /srv/vwap {example} $(pkg-config --cflags ringtape) -l:libringtape.a "
        "$(pkg-config --static --libs-only-l ringtape | sed 's/-lringtape//')",
    )  # fmt: skip
    assert "libringtape" not in installed.run("ldd", "/srv/vwap")


def test_what_is_shipped_is_hardened_and_finds_its_libraries():
    """Position-independent, relocations read-only from the start, stack and copies guarded."""
    for name in ("ringtaped", "ringtape", "exchange-sim"):
        program = support.program(name)
        header = subprocess.run(["readelf", "-hldW", program], capture_output=True, text=True)
        assert re.search(r"Type: +DYN", header.stdout) and "GNU_RELRO" in header.stdout
        assert "BIND_NOW" in header.stdout and not re.search(r"R(UN)?PATH", header.stdout)
        assert re.search(r"GNU_STACK.* RW +0", header.stdout), "the stack can be executed"
        code = subprocess.run(["objdump", "-d", program], capture_output=True, text=True).stdout
        assert code.count("%fs:0x28") > 300, "no canaries"
        names = subprocess.run(["nm", "-D", program], capture_output=True, text=True).stdout
        assert "__snprintf_chk" in names or "__vsnprintf_chk" in names
    needed = subprocess.run(["objdump", "-p", support.program("ringtaped")], capture_output=True)
    assert b"wolfssl" not in needed.stdout, "TLS is to be inside"


def test_what_went_into_the_packages_is_told():
    listed = subprocess.run(
        ["dpkg-deb", "-f", machine.package("ringtape"), "Built-Using", "Depends"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert "wolfssl (= " in listed and "librdkafka1" in listed and "liburing2" in listed
    assert json.dumps(listed).count("systemd-standalone-sysusers") == 1
