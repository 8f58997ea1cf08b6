// SPDX-License-Identifier: GPL-3.0-or-later

//! Build of ringtape: a pure C17 tree, system libraries, one pinned Zig.
//!
//! Sources are found by listing folders, so adding a file needs no edit here. What a file becomes
//! follows from its name; docs/dependencies.md says which library is for what.
//! Three variants are compiled: `product` (optimised) for programs and benchmarks, `checked`
//! (debug, undefined behaviour is fatal) for tests, `fuzzed` (as checked, counting what was
//! reached) for fuzzers. Run it by `tools/dev zig build`, which knows the options of the machine.
const std = @import("std");
const builtin = @import("builtin");
const library = @import("format/install.zig");
const sources = @import("tools/sources.zig");
const list = sources.list;
const present = sources.present;
const matching = sources.matching;
const without = sources.without;
const ends = sources.ends;
const Compile = std.Build.Step.Compile;

// The build API changes in every Zig release, so exactly one is supported.
const zig_version = "0.17.1";
comptime {
    if (!std.mem.eql(u8, builtin.zig_version_string, zig_version))
        @compileError("need zig " ++ zig_version ++ ", found " ++ builtin.zig_version_string);
}

const c_flags = [_][]const u8{
    "-std=c17",                  "-D_GNU_SOURCE",       "-Wall",
    "-Wextra",                   "-Wshadow",            "-Wconversion",
    "-Wvla",                     "-Wstrict-prototypes", "-Wmissing-prototypes",
    "-Werror",                   "-fvisibility=hidden",
    // ensure(!"what cannot be") is the idiom for a place that is never reached.
    "-Wno-string-conversion",
    // Otherwise Zig loses the place of an error inside Criterion's macros.
    "-fmacro-backtrace-limit=0",
};
// Fragments that tools/dev joins into compile_commands.json for clangd.
const cdb_flags = [_][]const u8{ "-gen-cdb-fragment-path", ".zig-cache/cdb" };
// Zig's `fast` means -O2 and defines NDEBUG; later flags win. What Debian hardens by is in all that
// is optimised, so that what is measured is what is shipped.
const fast_flags = [_][]const u8{
    "-O3",                 "-UNDEBUG",                 "-U_FORTIFY_SOURCE",
    "-D_FORTIFY_SOURCE=2", "-fstack-protector-strong", "-fstack-clash-protection",
};
// Of what is tested: 25 simulated hours take 46 s instead of 115 s, compiling a fifth longer.
const checked_flags = [_][]const u8{"-O1"};
// Of the tests themselves: a third of the time to compile, and nothing there takes long.
const plain_flags = [_][]const u8{ "-O0", "-U_FORTIFY_SOURCE" };
// What the driver of the fuzzers is guided by.
const fuzz_flags = [_][]const u8{"-fsanitize-coverage=inline-8bit-counters"};
const wolfssl_flags = [_][]const u8{"-DRINGTAPE_WOLFSSL_BUNDLED=1"};
const asan_flags = [_][]const u8{"-fsanitize=address"};
// gcc's runtime sees memcpy() and its kin by itself, not by clang's names for them.
const tsan_flags = [_][]const u8{
    "-fsanitize=thread", "-mllvm", "-tsan-instrument-memintrinsics=0",
};
// Criterion declares tests without prototypes and compares with plain literals.
const test_flags = [_][]const u8{ "-Wno-missing-prototypes", "-Wno-sign-compare" };

const format_libs = [_][]const u8{ "zstd", "xxhash" };
// wolfssl comes on its own: static from -Dwolfssl, else the system's.
const src_libs = [_][]const u8{ "rdkafka", "yaml", "microhttpd", "pthread", "m" };
/// Of `ringtape top`.
const screen_libs = [_][]const u8{ "ncursesw", "tinfo" };
/// malloc() of the daemon, for librdkafka's sake; a sanitizer has its own.
const malloc_libs = [_][]const u8{"jemalloc"};

/// In the order of dependency: a room uses only those before it.
const rooms = [_][]const u8{
    "base", "io", "protocol", "exchange", "derive", "keep", "capture", "publish", "control",
};
/// The rooms that the exchange simulator shares with the daemon.
const simulator_rooms = 4;
/// The room that the toolbox shares with the daemon.
const derive_room = 4;

const Options = struct {
    asan: bool,
    tsan: bool,
    static: bool,
    quick: bool,
    sanitizer_dir: []const u8,
    wolfssl: ?[]const u8,
    git_commit: []const u8,
    only_test: ?[]const u8,
    only_bench: ?[]const u8,
    only_fuzz: ?[]const u8,
};

/// One way of compiling everything: flags, and an archive a room.
const Variant = struct {
    b: *std.Build,
    options: *const Options,
    target: std.Build.ResolvedTarget,
    optimize: std.builtin.Optimize,
    prefix: []const u8,
    fuzzed: bool = false,
    format: ?*Compile = null,
    /// By room; `io` without io_uring*.c, `control` without main.c.
    room: [rooms.len]?*Compile = @splat(null),
    io_uring: ?*Compile = null,

    fn init(named: Variant) Variant {
        var v = named;
        const b = v.b;
        v.format = v.archive("format", list(b, "format", ".c"), &.{});
        for (rooms, 0..) |name, i| {
            const dir = b.fmt("src/{s}", .{name});
            const apart = [_][]const u8{
                "src/io/io_uring.c", "src/io/io_uring_probe.c", "src/control/main.c",
            };
            const own = without(b, list(b, dir, ".c"), &apart);
            v.room[i] = v.archive(name, own, &.{});
        }
        const ring = matching(b, list(b, "src/io", ".c"), "src/io/io_uring");
        v.io_uring = v.archive("io_uring", ring, &.{});
        return v;
    }

    /// The driver must not count itself.
    fn fuzzDriver(v: Variant) ?*Compile {
        var plain = v;
        plain.fuzzed = false;
        return plain.archive("fuzz_main", present(v.b, "tests/fuzz/fuzz_main.c"), &.{});
    }

    fn flags(v: Variant, extra: []const []const u8) []const []const u8 {
        const o = v.options;
        const none = [_][]const u8{};
        return std.mem.concat(v.b.allocator, []const u8, &.{
            &c_flags,
            &cdb_flags,
            if (v.optimize == .fast) &fast_flags else &none,
            if (v.optimize == .debug) &checked_flags else &none,
            if (o.quick) &plain_flags else &none,
            if (v.fuzzed) &fuzz_flags else &none,
            if (o.asan) &asan_flags else &none,
            if (o.tsan) &tsan_flags else &none,
            if (o.wolfssl != null) &wolfssl_flags else &none,
            extra,
        }) catch @panic("OOM");
    }

    fn module(v: Variant) *std.Build.Module {
        const m = v.b.createModule(.{
            .target = v.target,
            .optimize = v.optimize,
            .link_libc = true,
            .pic = true,
            // .full prints a report and aborts; .trap is a bare SIGILL, for its library and that of
            // the address sanitizer do not go together.
            .sanitize_c = if (v.optimize != .debug) .off else if (v.options.asan) .trap else .full,
            .omit_frame_pointer = false,
            .strip = false,
            .stack_protector = if (v.optimize == .fast) true else null,
        });
        for ([_][]const u8{ ".", "src", "tests" }) |dir| m.addIncludePath(v.b.path(dir));
        if (v.options.wolfssl) |dir|
            m.addIncludePath(.{ .cwd_relative = v.b.pathJoin(&.{ dir, "include" }) });
        return m;
    }

    /// Null without files: the linker refuses an empty archive.
    fn archive(
        v: Variant,
        name: []const u8,
        files: []const []const u8,
        extra: []const []const u8,
    ) ?*Compile {
        if (files.len == 0) return null;
        const m = v.module();
        m.addCSourceFiles(.{ .root = v.b.path(""), .files = files, .flags = v.flags(extra) });
        return v.b.addLibrary(.{
            .name = v.b.fmt("{s}_{s}", .{ v.prefix, name }),
            .root_module = m,
            .linkage = .static,
        });
    }

    const Program = struct {
        name: []const u8,
        files: []const []const u8,
        extra: []const []const u8 = &.{},
        archives: []const ?*Compile = &.{},
        libs: []const []const u8 = &.{},
        wolfssl: bool = false,
    };

    /// System libraries are named on programs only: on an archive they would be put into it.
    fn program(v: Variant, p: Program) *Compile {
        const m = v.module();
        if (v.options.asan or v.options.tsan) {
            // Zig ships no runtime for the one and compiles that for the other for two minutes;
            // those of Debian's gcc have the same ABI and must be the first library linked.
            m.addLibraryPath(.{ .cwd_relative = v.options.sanitizer_dir });
            const runtime = if (v.options.asan) "asan" else "tsan";
            m.linkSystemLibrary(runtime, .{ .use_pkg_config = .no });
        }
        m.addCSourceFiles(.{ .root = v.b.path(""), .files = p.files, .flags = v.flags(p.extra) });
        for (p.archives) |archived| if (archived) |a| m.linkLibrary(a);
        if (p.wolfssl) {
            if (v.options.wolfssl) |dir| {
                m.addObjectFile(.{ .cwd_relative = v.b.pathJoin(&.{ dir, "lib/libwolfssl.a" }) });
            } else m.linkSystemLibrary("wolfssl", v.mode("wolfssl"));
            if (v.target.result.cpu.arch == .x86_64)
                m.linkSystemLibrary("IPSec_MB", v.mode("IPSec_MB"));
        }
        for (p.libs) |lib| m.linkSystemLibrary(lib, v.mode(lib));
        const exe = v.b.addExecutable(.{ .name = p.name, .root_module = m });
        exe.pie = true;
        exe.build_id = .sha1;
        return exe;
    }

    /// librdkafka stays outside: its SASL loads modules, and its OpenSSL is the system's to mend;
    /// with it jemalloc, whose malloc() it has to take. So do libmicrohttpd, for its GnuTLS, and
    /// ncurses, for its descriptions of terminals; and what `ringtape backfill` uses.
    fn mode(v: Variant, lib: []const u8) std.Build.Module.LinkSystemLibraryOptions {
        var outside = false;
        for (sources.outside) |name|
            outside = outside or std.mem.eql(u8, lib, name);
        return if (v.options.static and !outside)
            .{ .preferred_link_mode = .static, .search_strategy = .mode_first }
        else
            .{};
    }

    fn commitFlag(v: Variant) []const []const u8 {
        const flag = v.b.fmt("-DRINGTAPE_COMMIT=\"{s}\"", .{v.options.git_commit});
        return v.b.allocator.dupe([]const u8, &.{flag}) catch @panic("OOM");
    }

    /// Everything a program may link, most dependent first; `last` provides the io seam.
    fn everything(v: Variant, first: []const ?*Compile, last: ?*Compile) []const ?*Compile {
        const b = v.b;
        var all: std.ArrayList(?*Compile) = .empty;
        all.appendSlice(b.allocator, first) catch @panic("OOM");
        var i = rooms.len;
        while (i > 0) : (i -= 1) all.append(b.allocator, v.room[i - 1]) catch @panic("OOM");
        all.append(b.allocator, last) catch @panic("OOM");
        all.append(b.allocator, v.format) catch @panic("OOM");
        return all.items;
    }

    /// Null where the program's main file is not in the tree.
    fn ringtaped(v: Variant) ?*Compile {
        const main = present(v.b, "src/control/main.c");
        if (main.len == 0) return null;
        return v.program(.{
            .name = "ringtaped",
            .files = main,
            .extra = v.commitFlag(),
            .archives = v.everything(&.{}, v.io_uring),
            .libs = std.mem.concat(v.b.allocator, []const u8, &.{
                if (v.options.asan or v.options.tsan) &.{} else &malloc_libs,
                &(format_libs ++ src_libs ++ [_][]const u8{"uring"}),
            }) catch @panic("OOM"),
            .wolfssl = true,
        });
    }

    fn ringtape(v: Variant) ?*Compile {
        if (present(v.b, "tools/ringtape.c").len == 0) return null;
        return v.program(.{
            .name = "ringtape",
            .files = matching(v.b, list(v.b, "tools", ".c"), "tools/ringtape"),
            .extra = v.commitFlag(),
            // What is made of rows is pure, so that the store gives what the daemon gave.
            .archives = &.{ v.room[derive_room], v.room[3], v.room[2], v.room[0], v.format },
            .libs = &(format_libs ++ screen_libs ++ sources.backfill_libs),
        });
    }

    /// `ringtape replay`: a program of its own, for the toolbox links neither TLS nor Kafka.
    fn replay(v: Variant) ?*Compile {
        if (present(v.b, "tools/replay.c").len == 0) return null;
        return v.program(.{
            .name = "ringtape-replay",
            .files = sources.replay(v.b),
            .extra = v.commitFlag(),
            .archives = v.everything(&.{}, v.io_uring),
            .libs = &(format_libs ++ [_][]const u8{ "rdkafka", "uring", "pthread", "m" }),
            .wolfssl = true,
        });
    }

    /// What is shipped, on the simulated io.
    fn simulation(v: Variant) *Compile {
        return v.program(.{
            .name = "simulation",
            .files = sources.simulation(v.b),
            .extra = &(test_flags ++ [_][]const u8{"-Itests/simulation/plain"}),
            .archives = v.everything(&.{}, null),
            .libs = &(format_libs ++ src_libs),
            .wolfssl = true,
        });
    }

    /// What speaks the protocols of the daemon and keeps nothing.
    fn speaker(v: Variant, name: []const u8, files: []const []const u8) ?*Compile {
        if (files.len == 0) return null;
        return v.program(.{
            .name = name,
            .files = files,
            .archives = std.mem.concat(v.b.allocator, ?*Compile, &.{
                v.room[0..simulator_rooms], &.{ v.io_uring, v.format },
            }) catch @panic("OOM"),
            .libs = &(format_libs ++ [_][]const u8{ "uring", "pthread", "m" }),
            .wolfssl = true,
        });
    }
};

pub fn build(b: *std.Build) void {
    const steps = .{
        .run = b.step("run", "Run ringtaped (-- --config FILE)"),
        .check = b.step("check", "Compile and link everything once, run nothing"),
        .aarch64 = b.step("check-aarch64", "Compile format, daemon and tools for aarch64"),
        .@"test" = b.step("test", "Run tests and benchmark smokes (-- --filter 'segment/*')"),
        .fuzz = b.step("fuzz", "Run the fuzzers (-- --seconds N --seed N)"),
        .bench = b.step("bench", "Run the benchmarks (-- --smoke)"),
        .stage_test = b.step("stage-test", "Install the tests into zig-out/test"),
        .stage_fuzz = b.step("stage-fuzz", "Install the fuzzers into zig-out/fuzz"),
        .stage_bench = b.step("stage-bench", "Install the benchmarks into zig-out/bench"),
    };
    const o = b.allocator.create(Options) catch @panic("OOM");
    o.* = .{
        .asan = b.option(bool, "asan", "Address sanitizer") orelse false,
        .tsan = b.option(bool, "tsan", "Thread sanitizer") orelse false,
        .static = b.option(bool, "static", "Libraries inside, but for three") orelse false,
        .quick = b.option(bool, "quick", "Compile quickly: nothing optimised") orelse false,
        .sanitizer_dir = b.option([]const u8, "sanitizer-dir", "Of libasan.so, libtsan.so") orelse
            "/usr/lib",
        .wolfssl = b.option([]const u8, "wolfssl", "Prefix of a static wolfSSL, or the system's"),
        .git_commit = b.option([]const u8, "git-commit", "Shown by --version") orelse "unknown",
        .only_test = b.option([]const u8, "test", "Only tests/NAME_test.c"),
        .only_bench = b.option([]const u8, "bench", "Only bench/NAME_bench.c"),
        .only_fuzz = b.option([]const u8, "fuzz", "Only tests/fuzz/NAME_fuzz.c"),
    };
    // Without this the host's CPU is the baseline, and the binary dies on an older machine.
    // Architecture, OS and ABI stay native: only then are Debian's library paths searched.
    const target = b.standardTargetOptions(.{ .default_target = if (builtin.cpu.arch == .x86_64) .{
        .cpu_model = .{ .explicit = &std.Target.x86.cpu.x86_64_v3 },
    } else .{} });
    const optimize = b.option(std.builtin.Optimize, "product", "Of the programs") orelse .fast;

    const plain: Variant = .{
        .b = b,
        .options = o,
        .target = target,
        .optimize = .debug,
        .prefix = "checked",
    };
    var named = plain;
    const checked = named.init();
    named.prefix = "fuzzed";
    named.fuzzed = true;
    const fuzzed = named.init();
    named = plain;
    named.prefix = "product";
    named.optimize = optimize;
    const product = named.init();

    const programs = [_]?*Compile{
        product.ringtaped(), product.ringtape(), product.replay(),
        product.speaker("exchange-sim", sources.exchangeSim(b)),
    };
    for (programs) |program| if (program) |exe| {
        const install = b.addInstallArtifact(exe, .{});
        b.getInstallStep().dependOn(&install.step);
    };
    installLibrary(product);
    for ([_]?*Compile{
        checked.speaker("exchange-sim", sources.exchangeSim(b)),
        checked.speaker("ws_echo", sources.wsEcho(b)),
        checked.ringtaped(), checked.ringtape(), checked.replay(),
    }) |program| if (program) |exe| steps.check.dependOn(&exe.step);
    if (programs[0]) |exe| {
        const run = b.addRunArtifact(exe);
        run.addPassthruArgs();
        steps.run.dependOn(&run.step);
    }

    const tests = Tests.init(checked);
    for ([_]?*Compile{ tests.unit(), tests.uring() }) |program| if (program) |exe| {
        const run = sources.runEachTime(b, exe);
        run.addPassthruArgs();
        steps.@"test".dependOn(&run.step);
        steps.check.dependOn(&exe.step);
        stage(b, steps.stage_test, exe, "test");
    };
    const lives = product.simulation();
    for ([_]*std.Build.Step{ steps.stage_test, steps.stage_bench }) |s| stage(b, s, lives, "test");
    steps.check.dependOn(&checked.simulation().step);
    for (tests.mains()) |exe| {
        steps.check.dependOn(&exe.step);
        stage(b, steps.stage_test, exe, "test");
    }
    if (product.speaker("ws_echo", sources.wsEcho(b))) |exe|
        stage(b, steps.stage_test, exe, "peers");
    // Checked without the counters, so that `check` compiles each file once.
    for (tests.fuzzers()) |exe| steps.check.dependOn(&exe.step);
    for (Tests.init(fuzzed).fuzzers()) |exe| {
        const run = sources.runEachTime(b, exe);
        run.addPassthruArgs();
        steps.fuzz.dependOn(&run.step);
        stage(b, steps.stage_fuzz, exe, "fuzz");
    }

    for (benches(product)) |exe| {
        const run = sources.runEachTime(b, exe);
        run.addPassthruArgs();
        steps.bench.dependOn(&run.step);
        // A smoke run keeps benchmarks from rotting.
        const smoke = sources.runEachTime(b, exe);
        smoke.addArg("--smoke");
        steps.@"test".dependOn(&smoke.step);
        stage(b, steps.stage_bench, exe, "bench");
    }
    for (benches(checked)) |exe| steps.check.dependOn(&exe.step);
    for (portable(b, o)) |archive| steps.aarch64.dependOn(&archive.step);
}

/// Of format/ all but the writer of Parquet: libringtape reads.
fn installLibrary(v: Variant) void {
    const every = list(v.b, "format", ".c");
    const files = without(v.b, without(v.b, every, matching(v.b, every, "format/parquet")),
        matching(v.b, every, "format/delta"));
    const m = v.module();
    m.addCSourceFiles(.{ .root = v.b.path(""), .files = files, .flags = v.flags(&.{}) });
    // Debian's archives are not position-independent: a shared library takes the shared ones.
    for (format_libs) |lib| m.linkSystemLibrary(lib, .{});
    library.install(v.b, m, v.archive("library", files, &.{}) orelse return);
}

/// What the files in tests/ become: *_test.c and everything beside them is one unit_test on the
/// simulated io; *_main.c is a program of its own; the rest is an archive for all of these.
const Tests = struct {
    v: Variant,
    files: []const []const u8,
    support: ?*Compile,
    ringtape: ?*Compile,
    exchange_sim: ?*Compile,
    replay: ?*Compile,

    fn init(v: Variant) Tests {
        const b = v.b;
        const all = list(b, "tests", ".c");
        var support: std.ArrayList([]const u8) = .empty;
        for (all) |file| {
            if (ends(file, "_test.c") or ends(file, "_main.c")) continue;
            support.append(b.allocator, file) catch @panic("OOM");
        }
        const tools = list(b, "tools", ".c");
        return .{
            .v = v,
            .files = all,
            .support = v.archive("support", support.items, &test_flags),
            .ringtape = v.archive("tools_ringtape", matching(b, tools, "tools/ringtape_"), &.{}),
            .exchange_sim = v.archive("tools_sim", matching(b, tools, "tools/exchange_sim_"), &.{}),
            .replay = v.archive("tools_replay", matching(b, tools, "tools/replay_"), &.{}),
        };
    }

    /// The archive of support files holds the simulated io.
    fn archives(t: Tests) []const ?*Compile {
        return t.v.everything(&.{ t.replay, t.ringtape, t.exchange_sim }, t.support);
    }

    fn unit(t: Tests) ?*Compile {
        const b = t.v.b;
        var files: std.ArrayList([]const u8) = .empty;
        for (t.files) |file| {
            if (!ends(file, "_test.c")) continue;
            if (!sources.chosen(b, t.v.options.only_test, "tests/{s}_test.c", file)) continue;
            files.append(b.allocator, file) catch @panic("OOM");
        }
        if (files.items.len == 0) return null;
        return t.v.program(.{
            .name = "unit_test",
            .files = files.items,
            .extra = &(test_flags ++ plain_flags),
            .archives = t.archives(),
            .libs = &(format_libs ++ src_libs ++ screen_libs ++ [_][]const u8{"criterion"}),
            .wolfssl = true,
        });
    }

    /// The contract of io.h against the kernel: the simulation must behave as it does.
    fn uring(t: Tests) ?*Compile {
        const b = t.v.b;
        const contract = "tests/io_contract_test.c";
        if (present(b, contract).len == 0 or present(b, "src/io/io_uring.c").len == 0) return null;
        if (!sources.chosen(b, t.v.options.only_test, "tests/{s}_test.c", contract)) return null;
        const files = matching(b, t.files, "tests/io_contract_");
        return t.v.program(.{
            .name = "uring_test",
            .files = files,
            .extra = &(test_flags ++ [_][]const u8{"-DRINGTAPE_IO_URING=1"}),
            .archives = t.v.everything(&.{}, t.v.io_uring),
            .libs = &(format_libs ++ src_libs ++ [_][]const u8{ "uring", "criterion" }),
            .wolfssl = true,
        });
    }

    fn mains(t: Tests) []const *Compile {
        const b = t.v.b;
        var all: std.ArrayList(*Compile) = .empty;
        for (t.files) |file| {
            if (!ends(file, "_main.c")) continue;
            const name = file["tests/".len .. file.len - "_main.c".len];
            all.append(b.allocator, t.v.program(.{
                .name = name,
                .files = present(b, file),
                .archives = t.archives(),
                .libs = &(format_libs ++ src_libs ++ screen_libs),
                .wolfssl = true,
            })) catch @panic("OOM");
        }
        return all.items;
    }

    fn fuzzers(t: Tests) []const *Compile {
        const b = t.v.b;
        const driver = t.v.fuzzDriver();
        var all: std.ArrayList(*Compile) = .empty;
        for (list(b, "tests/fuzz", ".c")) |file| {
            if (!ends(file, "_fuzz.c")) continue;
            if (!sources.chosen(b, t.v.options.only_fuzz, "tests/fuzz/{s}_fuzz.c", file)) continue;
            const name = file["tests/fuzz/".len .. file.len - ".c".len];
            all.append(b.allocator, t.v.program(.{
                .name = name,
                .files = present(b, file),
                .extra = &test_flags,
                .archives = t.v.everything(&.{ driver, t.ringtape, t.exchange_sim }, t.support),
                .libs = &(format_libs ++ src_libs ++ screen_libs),
                .wolfssl = true,
            })) catch @panic("OOM");
        }
        return all.items;
    }
};

fn benches(v: Variant) []const *Compile {
    const b = v.b;
    var support: std.ArrayList([]const u8) = .empty;
    const files = list(b, "bench", ".c");
    for (files) |file| {
        if (ends(file, "_bench.c")) continue;
        support.append(b.allocator, file) catch @panic("OOM");
    }
    const shared = v.archive("bench", support.items, &.{});
    var all: std.ArrayList(*Compile) = .empty;
    for (files) |file| {
        if (!ends(file, "_bench.c")) continue;
        if (!sources.chosen(b, v.options.only_bench, "bench/{s}_bench.c", file)) continue;
        all.append(b.allocator, v.program(.{
            .name = file["bench/".len .. file.len - ".c".len],
            .files = present(b, file),
            .archives = v.everything(&.{shared}, v.io_uring),
            .libs = &(format_libs ++ src_libs ++ [_][]const u8{"uring"}),
            .wolfssl = true,
        })) catch @panic("OOM");
    }
    return all.items;
}

/// Format, daemon and tools by their scalar paths for another architecture. Nothing is linked, so
/// headers alone are needed, and those of the libraries used do not depend on the architecture.
fn portable(b: *std.Build, o: *const Options) []const *Compile {
    const v: Variant = .{
        .b = b,
        .options = o,
        .target = b.resolveTargetQuery(.{ .cpu_arch = .aarch64, .os_tag = .linux, .abi = .gnu }),
        .optimize = .safe,
        .prefix = "aarch64",
    };
    const extra = std.mem.concat(b.allocator, []const u8, &.{ v.commitFlag(), &plain_flags }) catch
        @panic("OOM");
    var all: std.ArrayList(*Compile) = .empty;
    const folders = [_][]const u8{ "format", "tools" };
    for (folders) |name| {
        if (v.archive(name, list(b, name, ".c"), extra)) |a|
            all.append(b.allocator, a) catch @panic("OOM");
    }
    for (rooms) |name| {
        if (v.archive(name, list(b, b.fmt("src/{s}", .{name}), ".c"), extra)) |a|
            all.append(b.allocator, a) catch @panic("OOM");
    }
    for (all.items) |each|
        for ([_][]const u8{ "/usr/include", "/usr/include/x86_64-linux-gnu" }) |dir|
            each.root_module.addAfterIncludePath(.{ .cwd_relative = dir });
    return all.items;
}

fn stage(b: *std.Build, step: *std.Build.Step, exe: *Compile, dir: []const u8) void {
    const install = b.addInstallArtifact(exe, .{ .dest_dir = .{ .override = .{ .custom = dir } } });
    step.dependOn(&install.step);
}
