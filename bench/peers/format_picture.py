# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/images/format.svg from the JSON lines of `tools/dev bench format`.

    .deps/venv/bin/python bench/peers/format_picture.py LINES OUT.svg
"""

import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
CASES = {
    "usdm_trade": "USD-M BTC trade",
    "spot_trade": "spot BTC trade",
    "nexo_trade": "spot NEXO trade",
    "usdm_quote": "USD-M BTC quote",
    "spot_quote": "spot BTC quote",
    "nexo_quote": "spot NEXO quote",
    "depth": "USD-M BTC depth level",
    "spot_depth": "spot BTC depth level",
}
BARS = [
    ("parquet_zstd", "bits_per_row", "Parquet, zstd", "#b9bec6"),
    ("pcodec", "bits_per_row", "pcodec", "#7d8694"),
    (None, "light_bits_per_row", "ringtape light", "#8fc1e3"),
    (None, "dense_bits_per_row", "ringtape dense", "#1f6fb2"),
]


def pyplot():
    folder = ROOT / ".deps" / "bench-picture"
    if not folder.exists():
        wanted = ROOT / "bench" / "peers" / "picture.txt"
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "-q", "--target", folder, "-r", wanted],
            check=True,
        )
    sys.path.insert(0, str(folder))
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "ringtape"  # the same bytes for the same figures
    import matplotlib.pyplot

    return matplotlib.pyplot


def main():
    lines, out = sys.argv[1:3]
    found = {}
    for line in map(json.loads, pathlib.Path(lines).read_text().splitlines()):
        if line.get("case") in CASES:
            found[line["case"], line["peer"], line["metric"]] = line["value"]
    plot = pyplot()
    figure, axes = plot.subplots(figsize=(9, 5.6))
    height = 0.2
    for b, (peer, metric, label, colour) in enumerate(BARS):
        values = [found[case, peer, metric] for case in CASES]
        places = [c + (b - 1.5) * height for c in range(len(CASES))]
        drawn = axes.barh(places, values, height, label=label, color=colour)
        axes.bar_label(drawn, fmt="%.0f", padding=2, fontsize=7)
    axes.set_yticks(range(len(CASES)), list(CASES.values()))
    axes.invert_yaxis()
    axes.set_xlabel("bits a row on disk, all fields (less is better)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right")
    figure.tight_layout()
    figure.savefig(out, metadata={"Date": None})


if __name__ == "__main__":
    main()
