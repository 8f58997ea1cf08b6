# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of `ringtape report` in a real browser: at the widths of a phone and a desk nothing
sticks out, letters can be read, and it can be printed. Chromium (Debian: chromium), without its
window; screenshots are left in RINGTAPE_SCREENSHOTS, where that is set."""

import html
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "peers"))

import support  # noqa: E402

CHROMIUM = os.environ.get("RINGTAPE_CHROMIUM") or shutil.which("chromium")
MAKER = ROOT / "zig-out" / "test" / "market_store"
WIDTHS = (390, 768, 1440)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium; apt-get install chromium")

# What the page looks like from outside: it stands in a frame of the given width, whose media
# queries see that width, and the answer is written where --dump-dom shows it.
PROBE = """<!DOCTYPE html><meta charset="utf-8"><body style="margin:0">
<iframe id="page" srcdoc="%s" style="border:0;width:%dpx;height:3000px"></iframe>
<pre id="answer"></pre><script>
document.getElementById("page").addEventListener("load", function () {
  const page = this.contentDocument, width = %d, out = [], small = [];
  for (const each of page.body.querySelectorAll("*:not(svg *)")) {
    const box = each.getBoundingClientRect();
    if (box.width > 0 && (box.right > width + 0.5 || box.left < -0.5))
      out.push(each.tagName + "." + each.className + " " + box.left + " to " + box.right);
  }
  for (const each of page.querySelectorAll(".t"))
    if (each.scrollWidth > each.clientWidth) out.push("table " + each.textContent.slice(0, 40));
  for (const each of page.querySelectorAll("svg text")) {
    const box = each.getBoundingClientRect();
    if (box.width > 0 && box.right > width + 0.5) out.push("svg text " + each.textContent);
    if (box.width > 0 && box.height < 10) small.push(each.textContent + " " + box.height);
  }
  document.getElementById("answer").textContent = JSON.stringify({
    scroll: page.documentElement.scrollWidth, out: out, small: small});
});</script></body>"""


def chromium(folder, *arguments):
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
               "--disable-dev-shm-usage", f"--user-data-dir={folder / 'profile'}"]  # fmt: skip
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def probe(folder, text, width):
    path = folder / f"probe-{width}.html"
    path.write_text(PROBE % (html.escape(text, quote=True), width, width), encoding="utf-8")
    window = f"--window-size={width + 40},3000"
    dom = chromium(folder, window, "--virtual-time-budget=5000", "--dump-dom", path.as_uri())
    answer = re.search(r'<pre id="answer">(.*?)</pre>', dom, re.S)
    assert answer and answer.group(1), "the page did not load"
    return json.loads(html.unescape(answer.group(1)))


def screenshot(folder, path, width, height, scheme):
    """As it is, where somebody wants to look at it."""
    target = os.environ.get("RINGTAPE_SCREENSHOTS")
    target = pathlib.Path(target) if target else folder
    name = target / f"{path.stem}-{width}-{scheme}.png"
    dark = "--blink-settings=preferredColorScheme=" + ("0" if scheme == "dark" else "1")
    chromium(folder, f"--window-size={width},{height}", dark, f"--screenshot={name}",
             path.as_uri())  # fmt: skip
    assert name.read_bytes()[:4] == b"\x89PNG"


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A full day, a week in which everything is that rarely is, and a day without data."""
    folder = tmp_path_factory.mktemp("pages")
    day, odd = folder / "day", folder / "odd"
    arguments = ["day", "2024-08-08", "300", "200000", "100000"]
    subprocess.run([MAKER, day, *arguments], check=True)
    subprocess.run([MAKER, odd, "odd", "2024-08-05"], check=True)
    made = {}
    for name, store, *what in (("full", day, "--day", "2024-08-08"),
                               ("week", odd, "--week", "2024-W32"),
                               ("odd", odd, "--day", "2024-08-05"),
                               ("empty", odd, "--day", "2024-08-07")):  # fmt: skip
        made[name] = folder / f"{name}.html"
        support.ringtape("report", "--store", store, "--html", made[name], *what)
    return folder, made


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["full", "week", "odd", "empty"])
def test_nothing_sticks_out(pages, name, width):
    folder, made = pages
    found = probe(folder, made[name].read_text(encoding="utf-8"), width)
    assert found["scroll"] <= width and found["small"] == []
    # Names that no exchange would list may push a table sideways within the page.
    assert found["out"] == [] or name in ("odd", "week"), found["out"]


@pytest.mark.parametrize("width, height", [(390, 4000), (1440, 3200)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_screenshots(pages, width, height, scheme):
    folder, made = pages
    screenshot(folder, made["full"], width, height, scheme)


def test_print(pages):
    folder, made = pages
    paper = folder / "full.pdf"
    chromium(folder, f"--print-to-pdf={paper}", "--no-pdf-header-footer", made["full"].as_uri())
    content = paper.read_bytes()
    assert content.startswith(b"%PDF-") and content.count(b"/Type /Page\n") <= 8
