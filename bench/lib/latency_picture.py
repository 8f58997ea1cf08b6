# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/images/latency.svg: latency against load, both axes logarithmic. Written by hand, so that it
can have the reader's colours: light or dark as their page is."""

WIDTH, HEIGHT = 760, 430
LEFT, RIGHT, TOP, BOTTOM = 78, 190, 46, 58
LOADS = (1000, 500000)
TIMES = (1e-5, 100.0)  # s
TICKS = {1e-5: "10 µs", 1e-4: "100 µs", 1e-3: "1 ms", 1e-2: "10 ms", 1e-1: "100 ms", 1.0: "1 s",
         10.0: "10 s", 100.0: "100 s"}  # fmt: skip
# metric: words, factor to seconds, colours for light and dark
LINES = {
    "decoded_p99_us": ("due → decoded, p99", 1e-6, "#1f6fb2", "#6fb6ef"),
    "durable_p99_ms": ("due → durable, p99", 1e-3, "#2b8a3e", "#69c77c"),
    "consumer_p99_ms": ("due → Kafka consumer, p99", 1e-3, "#b35900", "#f0a04b"),
    "alert_p99_ms": ("trade → alert in Kafka", 1e-3, "#a61e4d", "#f06595"),
    "loopback_p99_us": ("loopback alone, p99", 1e-6, "#6e7781", "#8b949e"),
}
STYLE = """
svg{--ink:#24292f;--line:#d0d7de;--paper:#ffffff%s}
@media (prefers-color-scheme: dark){svg{--ink:#e6edf3;--line:#3d444d;--paper:#0d1117%s}}
text{font:13px system-ui,sans-serif;fill:var(--ink)} .title{font-weight:600;font-size:15px}
.grid{stroke:var(--line);stroke-width:1} .limit{stroke-dasharray:5 5;stroke-width:1.5;opacity:.75}
.curve{fill:none;stroke-width:2.5;stroke-linejoin:round}
"""


def place(value, ends, first, last):
    from math import log10

    value = min(max(value, ends[0]), ends[1])
    part = (log10(value) - log10(ends[0])) / (log10(ends[1]) - log10(ends[0]))
    return round(first + part * (last - first), 1)


def x_of(load):
    return place(load, LOADS, LEFT, WIDTH - RIGHT)


def y_of(seconds):
    return place(seconds, TIMES, HEIGHT - BOTTOM, TOP)


def grid(loads):
    for seconds, text in TICKS.items():
        y = y_of(seconds)
        yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>'
        yield f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{text}</text>'
    for load in loads:
        x = x_of(load)
        yield f'<line class="grid" x1="{x}" x2="{x}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
        yield f'<text x="{x}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{load:,}</text>'
    middle = (LEFT + WIDTH - RIGHT) / 2
    yield f'<text x="{middle}" y="{HEIGHT - 16}" text-anchor="middle">trades a second, due</text>'


def curve(number, points):
    stroke = f"stroke:var(--c{number})"
    path = " ".join(f"{x_of(load)},{y_of(seconds)}" for load, seconds in points)
    yield f'<polyline class="curve" style="{stroke}" points="{path}"/>'
    for load, seconds in points:
        yield (f'<circle cx="{x_of(load)}" cy="{y_of(seconds)}" r="4" '
               f'style="fill:var(--c{number})"/>')  # fmt: skip


def labels(ends):
    """Beside the last points, moved apart where they would touch."""
    last = None
    for y, number, text in sorted(ends):
        y = y if last is None else max(y, last + 17)
        last = y
        yield (f'<text x="{WIDTH - RIGHT + 12}" y="{y + 4}" '
               f'style="fill:var(--c{number})">{text}</text>')  # fmt: skip


def picture(figures, subtitle):
    """figures: {load: {metric: value}}."""
    body, ends = [], []
    for number, (metric, (words, factor, _, _)) in enumerate(LINES.items()):
        points = [(load, found[metric] * factor) for load, found in sorted(figures.items())
                  if found.get(metric) is not None]  # fmt: skip
        if points:
            body += curve(number, points)
            ends.append((y_of(points[-1][1]), number, words.replace(", p99", "")))
    limits = [(1e-4, 0), (15e-3, 1)]  # asked for, each in its curve's colour
    for seconds, number in limits:
        y = y_of(seconds)
        body.append(f'<line class="limit" style="stroke:var(--c{number})" x1="{x_of(10000)}" '
                    f'x2="{x_of(100000)}" y1="{y}" y2="{y}"/>')  # fmt: skip
    light, dark = (
        "".join(f";--c{n}:{colours[which]}" for n, (_, _, *colours) in enumerate(LINES.values()))
        for which in (0, 1)
    )
    return "\n".join(
        [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
         f'aria-label="Latency against load">', f"<style>{STYLE % (light, dark)}</style>",
         f'<rect width="{WIDTH}" height="{HEIGHT}" style="fill:var(--paper)"/>',
         f'<text class="title" x="{LEFT}" y="20">Latency against load, 99th percentile</text>',
         f'<text x="{LEFT}" y="37">{subtitle}; dashed: asked for</text>',
         *grid(sorted(figures)), *body, *labels(ends), "</svg>", ""]
    )  # fmt: skip
