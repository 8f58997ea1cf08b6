// SPDX-License-Identifier: Apache-2.0

//! libringtape as others use it: shared and static, one header, a pkg-config file.
const std = @import("std");

/// Raised when programs linked with an older one would no longer work.
const soname: std.SemanticVersion = .{ .major = 1, .minor = 0, .patch = 0 };

const version = found: {
    @setEvalBranchQuota(10_000);
    const header = @embedFile("version.h");
    const name = "#define RINGTAPE_VERSION \"";
    const start = std.mem.indexOf(u8, header, name).? + name.len;
    break :found header[start..std.mem.indexOfScalarPos(u8, header, start, '"').?];
};

/// Found relative to the file itself, so that the installed tree may be moved.
const pkg_config = std.fmt.comptimePrint(
    \\prefix=${{pcfiledir}}/../..
    \\libdir=${{prefix}}/lib
    \\includedir=${{prefix}}/include
    \\
    \\Name: ringtape
    \\Description: Reader of recordings of crypto exchanges
    \\Version: {s}
    \\Libs: -L${{libdir}} -lringtape
    \\Libs.private: -lzstd -lxxhash
    \\Cflags: -I${{includedir}}
    \\
, .{version});

/// `module` has the sources and their libraries, `objects` the same sources as an archive.
pub fn install(
    b: *std.Build,
    module: *std.Build.Module,
    objects: *std.Build.Step.Compile,
) void {
    const shared = b.addLibrary(.{
        .name = "ringtape",
        .root_module = module,
        .linkage = .dynamic,
        .version = soname,
    });
    shared.build_id = .sha1;
    b.installArtifact(shared);
    place(b, static(b, objects), .lib, "libringtape.a");
    const text = b.addWriteFiles().add("ringtape.pc", pkg_config);
    place(b, text, .lib, "pkgconfig/ringtape.pc");
    place(b, b.path("format/ringtape.h"), .header, "ringtape/ringtape.h");
}

/// What is hidden in the shared library must not clash with a program's own names in the static
/// one: its objects become one whose other symbols are local.
fn static(b: *std.Build, objects: *std.Build.Step.Compile) std.Build.LazyPath {
    const join = b.addSystemCommand(&.{ "ld", "-r", "-o" });
    const joined = join.addOutputFileArg("joined.o");
    join.addArg("--whole-archive");
    join.addArtifactArg(objects);
    const hide = b.addSystemCommand(&.{ "objcopy", "--localize-hidden" });
    hide.addFileArg(joined);
    const object = hide.addOutputFileArg("ringtape.o");
    const pack = b.addSystemCommand(&.{ "ar", "rcsD" });
    const archive = pack.addOutputFileArg("libringtape.a");
    pack.addFileArg(object);
    return archive;
}

fn place(
    b: *std.Build,
    file: std.Build.LazyPath,
    dir: std.Build.InstallDir,
    name: []const u8,
) void {
    b.getInstallStep().dependOn(&b.addInstallFileWithDir(file, dir, name).step);
}
