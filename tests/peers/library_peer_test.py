# SPDX-License-Identifier: GPL-3.0-or-later
"""libringtape as a stranger meets it: installed, found by pkg-config, compiled by the system's
compilers; its examples agree with the reader written from the document."""

import collections
import decimal
import os
import shutil
import subprocess
import threading

import pytest
import support
from ringtape_reader import Store

EXAMPLES = support.ROOT / "docs" / "examples"
INSTALLED = support.BIN.parent
MAKER = support.ROOT / "zig-out" / "test" / "sample_store"
STRICT = ["-std=c17", "-Wall", "-Wextra", "-Werror", "-O1"]


def run(*command, **options):
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def pkg_config(*arguments):
    environment = {**os.environ, "PKG_CONFIG_PATH": str(INSTALLED / "lib" / "pkgconfig")}
    return run("pkg-config", *arguments, env=environment).split()


def compiled(folder, name, *libraries):
    program = folder / name
    source = EXAMPLES / f"{name}.c"
    run("cc", *STRICT, source, *pkg_config("--cflags", "--libs", "ringtape", *libraries),
        f"-Wl,-rpath,{INSTALLED / 'lib'}", "-o", program)  # fmt: skip
    return program


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sample") / "store"
    subprocess.run([MAKER, folder], check=True)
    return folder


def exported(path, *options):
    lines = run("nm", "--defined-only", *options, path).splitlines()
    return {line.split()[2] for line in lines if len(line.split()) == 3}


def declared():
    header = (INSTALLED / "include" / "ringtape" / "ringtape.h").read_text()
    text = header.replace("\n", " ").split("RINGTAPE_API ")[1:]
    return {part.split("(")[0].split()[-1].lstrip("*") for part in text if "(" in part} - {
        "__attribute__"
    }


def test_what_is_declared_is_exported_and_nothing_else():
    names = declared()
    assert len(names) > 20 and all(name.startswith("ringtape_") for name in names)
    assert exported(INSTALLED / "lib" / "libringtape.so", "-D") == names
    assert exported(INSTALLED / "lib" / "libringtape.a", "-g") == names


def test_soname_and_dependencies():
    text = run("readelf", "-d", INSTALLED / "lib" / "libringtape.so")
    found = {kind: [] for kind in ("SONAME", "NEEDED")}
    for line in text.splitlines():
        for kind in found:
            if f"({kind})" in line:
                found[kind].append(line.split("[")[1].rstrip("]"))
    assert found["SONAME"] == ["libringtape.so.1"]
    wanted = {"libzstd.so.1", "libxxhash.so.0", "libc.so.6"}
    assert set(found["NEEDED"]) <= wanted | {"ld-linux-x86-64.so.2", "libm.so.6"}


def test_header_stands_alone_in_c_and_cpp(tmp_path):
    header = "#include <ringtape/ringtape.h>\n"
    header += "int main(void) { return ringtape_query_of(0).tapes; }\n"
    for compiler, name in (("cc", "a.c"), ("c++", "a.cpp")):
        if shutil.which(compiler) is None:
            continue
        (tmp_path / name).write_text(header)
        flags = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"]
        run(compiler, *flags, *pkg_config("--cflags", "ringtape"), tmp_path / name)


def test_static_library_links(tmp_path):
    program = tmp_path / "vwap"
    libraries = [INSTALLED / "lib" / "libringtape.a", "-lzstd", "-lxxhash"]
    flags = pkg_config("--cflags", "ringtape")
    run("cc", *STRICT, EXAMPLES / "vwap.c", *flags, *libraries, "-o", program)
    assert "libringtape" not in run("ldd", program)


def vwap_of_reader(store, symbol, day_ns):
    sums = collections.defaultdict(lambda: [decimal.Decimal(0), decimal.Decimal(0), 0])
    for row in Store(store).rows("trade"):
        price, kind = row.values["price"], row.values["kind"]
        if row.symbol != symbol or not 0 <= row.time - day_ns < 86_400 * 10**9:
            continue
        if price[0] == 0 or kind not in (None, b"MARKET"):
            continue
        pair = (price, row.values["quantity"])
        price, quantity = [decimal.Decimal(value).scaleb(-scale) for value, scale in pair]
        minute = sums[(row.time - day_ns) // (60 * 10**9)]
        minute[0] += price * quantity
        minute[1] += quantity
        minute[2] += 1
    for minute, (turnover, volume, trades) in sorted(sums.items()):
        if volume > 0:
            rounded = (turnover / volume).quantize(
                decimal.Decimal("1e-12"), decimal.ROUND_HALF_EVEN
            )
            yield f"{minute // 60:02}:{minute % 60:02} {rounded:f} {volume:.8f} {trades}"


def test_vwap_is_exact(tmp_path, sample):
    decimal.getcontext().prec = 60
    program = compiled(tmp_path, "vwap")
    day_ns = 1_723_075_200 * 10**9
    for symbol in ("binance:BTCUSDT", "upbit:KRW-BTC"):
        found = run(program, sample, symbol, "2024-08-08").splitlines()
        assert len(found) >= 2
        assert found == list(vwap_of_reader(sample, symbol.encode(), day_ns))
    assert run(program, sample, "binance:NONE", "2024-08-08") == ""


def test_errors_say_what_is_wrong(tmp_path, sample):
    program = compiled(tmp_path, "vwap")
    done = subprocess.run([program, tmp_path, "a:B", "2024-08-08"], capture_output=True, text=True)
    assert done.returncode == 1 and "no store here" in done.stderr


def keys_of_store(store, channel):
    found = collections.Counter()
    for row in Store(store).rows(channel):
        name = row.symbol.decode() if row.symbol else "-"
        key = row.values["id"] if channel in ("trade", "quote") else f"{row.tape}:{row.tape_row}"
        found[f"{name} {row.time} {key}"] += 1
    return found


def test_following_a_recording_daemon(tmp_path, certificates):
    """Every row once, over commits, rolls, seals and merges; from another process."""
    program, store = compiled(tmp_path, "follow"), tmp_path / "store"
    channels = ["trade", "quote", "ticker", "status"]
    with support.Simulator(
        "--symbols=binance:20", "--symbols=upbit:20", "--rate=2000", certificates=certificates
    ) as simulator:
        feeds = [
            support.feed(simulator, "binance", ["trade", "quote", "ticker"], "all"),
            support.feed(simulator, "upbit", ["trade", "ticker"], "all"),
        ]
        top = {"shards": 2, "seal_after": {"size": "1MiB", "time": "1s"}}
        with support.Ringtaped(tmp_path / "c.yaml", store, feeds, top=top) as daemon:
            support.wait_for(lambda: (store / "catalogue").exists())
            followers = {
                channel: subprocess.Popen(
                    [program, store, channel], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                    text=True, preexec_fn=support.die_with_parent,
                )
                for channel in channels
            }  # fmt: skip
            readers = {channel: Reader(each) for channel, each in followers.items()}
            daemon.wait_counters(lambda c: c["durable"] > 6000)
            support.wait_for(lambda: len(list(store.glob("segment/*/*.segment"))) > 6)
            support.wait_for(lambda: len(readers["trade"].lines) > 1000)
            daemon.terminate()
    for channel in channels:
        found = readers[channel].end()
        assert found == keys_of_store(store, channel), channel
        assert found.total() > 0


class Reader:
    """Lines of a follower as they come."""

    def __init__(self, process):
        self.process, self.lines = process, []
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def end(self):
        self.process.stdin.close()
        assert self.process.wait(30) == 0
        self.thread.join(10)
        return collections.Counter(self.lines)
