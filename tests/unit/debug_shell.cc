#include "hostside/boot/debug_shell.h"

#include <elf.h>

#include <catch_amalgamated.hpp>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "hostside/boot/initrd.h"
#include "mounts/base/at.h"
#include "tests/support/disk.h"

namespace {

namespace fs = std::filesystem;
using Catch::Matchers::ContainsSubstring;

// stage1 is static; a loader's name in it would make it dynamic.
std::string with_loader(std::string program) {
    Elf64_Ehdr header;
    std::memcpy(&header, program.data(), sizeof header);
    Elf64_Phdr part;
    std::memcpy(&part, program.data() + header.e_phoff, sizeof part);
    part.p_type = PT_INTERP;
    std::memcpy(program.data() + header.e_phoff, &part, sizeof part);
    return program;
}

void write_program(const fs::path &path, const std::string &bytes) {
    fs::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << bytes;
    fs::permissions(path, fs::perms::owner_all);
}

TEST_CASE("the first static busybox of PATH is the debug shell, one with a loader is not") {
    const support::ScratchDirectory scratch;
    const std::string program =
        base::read_file(fs::read_symlink("/proc/self/exe").parent_path().parent_path() / "stage1").value();
    write_program(scratch.path("a/busybox"), with_loader(program));
    write_program(scratch.path("b/busybox"), program);
    const std::string before = std::getenv("PATH");
    (void)::setenv("PATH", (scratch.path("a") + ":" + scratch.path("b")).c_str(), 1);
    const auto found = hostside::find_debug_shell("auto");
    (void)::setenv("PATH", before.c_str(), 1);
    CHECK(found.value_or("") == scratch.path("b/busybox"));
    CHECK_THAT(
        base::message(hostside::find_debug_shell(scratch.path("a/busybox")).error()),
        ContainsSubstring("it is not static, and an initrd has no libraries; install a static one (Debian: busybox-static"));
}

TEST_CASE("what is no program at all is no debug shell") {
    const support::ScratchDirectory scratch;
    std::ofstream(scratch.path("text")) << "#!/bin/sh\n";
    const auto why = [](const std::string &path) { return base::message(hostside::find_debug_shell(path).error()); };
    CHECK_THAT(why(scratch.path("text")), ContainsSubstring("it is not an x86_64 program"));
    CHECK_THAT(why(scratch.path()), ContainsSubstring("it is not a regular file"));
    CHECK_THAT(why("/none"), ContainsSubstring("No such file"));
}

TEST_CASE("an initrd with a shell has it under the names of its commands, and modprobe is still stage1's") {
    const support::ScratchDirectory scratch;
    std::ofstream(scratch.path("program")) << "program";
    const std::string bytes =
        hostside::build_initrd({.stage1 = scratch.path("program"), .shell = scratch.path("program")}).value();
    for (const char *name : {"bin/busybox", "bin/sh", "bin/ash", "bin/vi", "sbin/modprobe"})
        CHECK_THAT(bytes, ContainsSubstring(name));
}

}  // namespace
