// Directories where other users can plant files: a shared TMPDIR, a directory of images.
#include <sys/stat.h>
#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <filesystem>
#include <fstream>

#include "hostside/host/image.h"
#include "hostside/host/run_directory.h"
#include "hostside/launch/prepare.h"
#include "mounts/base/at.h"
#include "mounts/base/process.h"
#include "tests/support/disk.h"

namespace {

namespace fs = std::filesystem;

std::string refusal(const std::string &parent) {
    const auto directory = hostside::own_directory(parent, "xchg");
    return directory ? "taken" : base::message(directory.error());
}

// A qemu-img that lists the names in the images' directory while it works, into `seen`.
std::string qemu_beside(const support::ScratchDirectory &scratch, const std::string &body) {
    std::ofstream(scratch.path("qemu-img")) << "#!/bin/sh\n" << body;
    fs::permissions(scratch.path("qemu-img"), fs::perms::owner_all);
    return scratch.path("qemu-system-x86_64");
}

}  // namespace

TEST_CASE("a directory for a guest's files is ours, no link, and where nobody can exchange it") {
    if (::geteuid() != 0) SKIP("needs root, for directories of another user");
    const support::ScratchDirectory scratch;
    const std::string parent = scratch.path("tmp");
    fs::create_directory(parent);
    REQUIRE(::chmod(parent.c_str(), 01777) == 0);
    REQUIRE(hostside::own_directory(parent, "xchg"));
    CHECK((fs::status(parent + "/xchg").permissions() & fs::perms::mask) == fs::perms::owner_all);
    CHECK(refusal(parent) == "taken");  // again, through a link to the directory above
    fs::create_symlink("tmp", scratch.path("link"));
    CHECK(hostside::own_directory(scratch.path("link"), "xchg") == fs::canonical(parent).string() + "/xchg");

    constexpr uid_t somebody = 2001;
    REQUIRE(::chown((parent + "/xchg").c_str(), somebody, somebody) == 0);
    CHECK(refusal(parent).contains("it belongs to another user"));
    fs::remove(parent + "/xchg");
    fs::create_directory(scratch.path("victim"));
    fs::create_symlink(scratch.path("victim"), parent + "/xchg");
    CHECK(refusal(parent).contains("it must be a directory"));
    fs::remove(parent + "/xchg");
    REQUIRE(::chmod(parent.c_str(), 0777) == 0);
    CHECK(refusal(parent).contains("others can change"));
    REQUIRE(::chmod(parent.c_str(), 0700) == 0);
    REQUIRE(::chown(parent.c_str(), somebody, somebody) == 0);
    CHECK(refusal(parent).contains("others can change"));
    CHECK(fs::is_empty(scratch.path("victim")));
}

TEST_CASE("an image is made where nobody can know or plant its name, and is its owner's alone") {
    const support::ScratchDirectory scratch, images;
    const std::string image = images.path("disk.qcow2"), victim = scratch.path("victim");
    std::ofstream(victim) << "precious";
    fs::create_symlink(victim, std::format("{}.new-{}", image, ::getpid()));
    const std::string qemu =
        qemu_beside(scratch, "ls -A " + images.path() + " >" + scratch.path("seen") +
                                 "\nfor target; do :; done\nwhile [ $# -gt 2 ]; do shift; done\nprintf made >\"$1\"\n");
    const auto made = hostside::ensure_image(qemu, image, 64);
    if (!made) FAIL(base::message(made.error()));
    CHECK(*made);
    CHECK(base::read_file(image) == "made");
    CHECK(base::read_file(victim) == "precious");
    CHECK((fs::status(image).permissions() & fs::perms::mask) == (fs::perms::owner_read | fs::perms::owner_write));
    CHECK_FALSE(base::read_file(scratch.path("seen"))->contains("disk.qcow2\n"));
    CHECK(std::distance(fs::directory_iterator(images.path()), {}) == 2);  // the image and the planted link
    CHECK(hostside::ensure_image(qemu, image, 64) == false);
}

TEST_CASE("what was planted under the name that a file has until it is whole is left as it is, and not waited for") {
    const support::ScratchDirectory scratch;
    const std::string file = scratch.path("stamp"), victim = scratch.path("victim");
    std::ofstream(victim) << "precious";
    for (const char *end : {"", "-0"}) fs::create_hard_link(victim, std::format("{}.new-{}{}", file, ::getpid(), end));
    REQUIRE(::mkfifo(std::format("{}.new-{}-1", file, ::getpid()).c_str(), 0600) == 0);
    REQUIRE(base::replace_file(file, "whole"));
    CHECK(base::read_file(file) == "whole");
    CHECK(base::read_file(victim) == "precious");
    CHECK(fs::hard_link_count(victim) == 3);
}

TEST_CASE("an image that could not be made leaves nothing, and a link to nowhere is said") {
    const support::ScratchDirectory scratch, images;
    const std::string image = images.path("disk.qcow2");
    const std::string failing = qemu_beside(scratch, "echo 'qemu-img: no' >&2; exit 1\n");
    REQUIRE_FALSE(hostside::ensure_image(failing, image, 64));
    CHECK(fs::is_empty(images.path()));
    fs::create_symlink("gone", image);
    const auto made = hostside::ensure_image(qemu_beside(scratch, "exit 0\n"), image, 64);
    REQUIRE_FALSE(made);
    CHECK(base::message(made.error()).contains("it is a symlink to nothing"));
}

TEST_CASE(
    "a link to the root disk's image stands for what it names, there or not; in a directory of everybody's only its owner's") {
    const support::ScratchDirectory scratch;
    const auto resolved = [](const std::string &path) {
        hostside::Machine machine;
        machine.disk_image = path;
        hostside::make_paths_absolute(machine);
        return machine.disk_image;
    };
    fs::create_directory(scratch.path("images"));
    fs::create_symlink("images/later.qcow2", scratch.path("disk"));
    fs::create_symlink("disk", scratch.path("other"));
    CHECK(resolved(scratch.path("other")) == scratch.path("images/later.qcow2"));
    CHECK(resolved(scratch.path("images/plain")) == scratch.path("images/plain"));
    fs::create_symlink("loop", scratch.path("loop"));
    CHECK(resolved(scratch.path("loop")) == scratch.path("loop"));
    if (::geteuid() != 0) SKIP("needs root, for a link of another user's");
    REQUIRE(::chmod(scratch.path().c_str(), 01777) == 0);
    REQUIRE(::lchown(scratch.path("disk").c_str(), 1234, 1234) == 0);
    CHECK(resolved(scratch.path("disk")) == scratch.path("disk"));
}
