// SPDX-License-Identifier: GPL-3.0-or-later

//! The source files of the tree for build.zig, found by listing folders.
const std = @import("std");

/// Of `ringtape backfill`: downloads, zips, inflating, SHA-256; how archives read is a room of src.
pub const backfill_libs = [_][]const u8{ "curl", "zip", "isal", "crypto", "pthread", "m" };
/// System libraries that are never linked statically.
pub const outside = [_][]const u8{
    "rdkafka", "jemalloc", "microhttpd", "ncursesw", "tinfo", "curl", "zip", "crypto", "isal",
};

/// The files of one folder with this ending, sorted, as paths from the root; none without folder.
/// The configuration is cached, so each folder read is declared as something it depends on.
pub fn list(b: *std.Build, dir: []const u8, ending: []const u8) []const []const u8 {
    const io = b.graph.io;
    dependOnFolder(b, dir);
    var found: std.ArrayList([]const u8) = .empty;
    var folder = b.root.openDir(io, dir, .{ .iterate = true }) catch return found.items;
    defer folder.close(io);
    var each = folder.iterate();
    while (each.next(io) catch @panic("cannot list a folder")) |entry| {
        if (entry.kind == .directory or !ends(entry.name, ending)) continue;
        found.append(b.allocator, b.fmt("{s}/{s}", .{ dir, entry.name })) catch @panic("OOM");
    }
    std.mem.sort([]const u8, found.items, {}, earlier);
    return found.items;
}

/// A folder that does not exist yet appears in the nearest one above it that does.
fn dependOnFolder(b: *std.Build, dir: []const u8) void {
    var path = dir;
    while (true) {
        if (b.root.access(b.graph.io, if (path.len == 0) "." else path, .{})) |_| {
            b.dependOnDirectoryContents(b.path(path));
            return;
        } else |_| path = std.fs.path.dirname(path) orelse "";
    }
}

pub fn ends(file: []const u8, ending: []const u8) bool {
    return std.mem.endsWith(u8, file, ending);
}

fn earlier(_: void, a: []const u8, z: []const u8) bool {
    return std.mem.lessThan(u8, a, z);
}

/// The one file as a list, or an empty list where it does not exist.
pub fn present(b: *std.Build, file: []const u8) []const []const u8 {
    const dir = std.fs.path.dirname(file) orelse "";
    for (list(b, dir, ".c")) |each| {
        if (std.mem.eql(u8, each, file))
            return b.allocator.dupe([]const u8, &.{each}) catch @panic("OOM");
    }
    return &.{};
}

pub fn matching(b: *std.Build, files: []const []const u8, prefix: []const u8) []const []const u8 {
    var found: std.ArrayList([]const u8) = .empty;
    for (files) |file| {
        if (!std.mem.startsWith(u8, file, prefix)) continue;
        found.append(b.allocator, file) catch @panic("OOM");
    }
    return found.items;
}

pub fn without(
    b: *std.Build,
    files: []const []const u8,
    apart: []const []const u8,
) []const []const u8 {
    var found: std.ArrayList([]const u8) = .empty;
    outer: for (files) |file| {
        for (apart) |name| if (std.mem.eql(u8, file, name)) continue :outer;
        found.append(b.allocator, file) catch @panic("OOM");
    }
    return found.items;
}

/// The echo that suites for WebSockets talk to, and the part of it that unit tests share.
pub fn wsEcho(b: *std.Build) []const []const u8 {
    return std.mem.concat(b.allocator, []const u8, &.{
        matching(b, list(b, "tests/peers", ".c"), "tests/peers/ws_echo"),
        present(b, "tests/ws_echo_endpoint.c"),
    }) catch @panic("OOM");
}

pub fn exchangeSim(b: *std.Build) []const []const u8 {
    return matching(b, list(b, "tools", ".c"), "tools/exchange_sim");
}

/// The exchange's side of the protocols, which `ringtape replay` shares with exchange-sim.
const served_parts = [_][]const u8{
    "binance", "connection", "hub", "name", "output", "server", "text", "upbit",
};
/// What it shares with the toolbox.
const toolbox_parts = [_][]const u8{
    "book_find", "book_levels", "command", "coverage", "files",    "json",
    "ledger",    "names",       "options", "progress", "query",    "table",
};

/// The files of `ringtape replay`, a program of its own: the toolbox links neither TLS nor Kafka.
pub fn replay(b: *std.Build) []const []const u8 {
    var files: std.ArrayList([]const u8) = .empty;
    files.appendSlice(b.allocator, matching(b, list(b, "tools", ".c"), "tools/replay")) catch
        @panic("OOM");
    for (served_parts) |part|
        files.append(b.allocator, b.fmt("tools/exchange_sim_{s}.c", .{part})) catch @panic("OOM");
    for (toolbox_parts) |part|
        files.append(b.allocator, b.fmt("tools/ringtape_{s}.c", .{part})) catch @panic("OOM");
    return files.items;
}

/// Is this the file that was asked for alone? All are where none was.
pub fn chosen(
    b: *std.Build,
    only: ?[]const u8,
    comptime pattern: []const u8,
    file: []const u8,
) bool {
    const name = only orelse return true;
    return std.mem.eql(u8, file, b.fmt(pattern, .{name}));
}

/// Never cached, output passed through: Criterion reports on stderr, which a checked Run step
/// would print as a failure.
pub fn runEachTime(b: *std.Build, exe: *std.Build.Step.Compile) *std.Build.Step.Run {
    const run = b.addRunArtifact(exe);
    run.stdio = .inherit;
    run.setCwd(b.path(""));
    return run;
}

/// The simulation, and of the tests what it is made of: the simulated io, exchange and life.
pub fn simulation(b: *std.Build) []const []const u8 {
    var files: std.ArrayList([]const u8) = .empty;
    files.appendSlice(b.allocator, list(b, "tests/simulation", ".c")) catch @panic("OOM");
    for ([_][]const u8{ "complete_life", "io_sim", "market_peer", "market_tls", "market_upbit",
        "sim_store", "scripted_producer" }) |stem|
        for (matching(b, list(b, "tests", ".c"), b.fmt("tests/{s}", .{stem}))) |file|
            if (!ends(file, "_test.c")) files.append(b.allocator, file) catch @panic("OOM");
    return files.items;
}
