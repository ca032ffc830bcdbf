#include "hostside/host/raw_image.h"

#include <sys/mount.h>
#include <sys/stat.h>

#include <catch_amalgamated.hpp>
#include <cerrno>
#include <filesystem>
#include <format>
#include <fstream>

#include "mounts/base/at.h"
#include "mounts/base/process.h"
#include "tests/support/disk.h"

namespace {

namespace fs = std::filesystem;

// A file with data and a hole of the given size.
std::string sparse(const support::ScratchDirectory &scratch, uintmax_t size_bytes) {
    std::string path = scratch.path("image");
    std::ofstream(path).flush();
    fs::resize_file(path, size_bytes);
    return path;
}

void put_at(const std::string &path, std::streamoff at, const std::string &bytes) {
    std::fstream(path, std::ios::in | std::ios::out | std::ios::binary).seekp(at).write(bytes.data(), std::ssize(bytes));
}

std::string refusal_of(const std::string &path) {
    const auto size = hostside::check_raw(path, true);
    return size ? "" : base::message(size.error());
}

std::string said_by(const std::vector<std::string> &argv) {
    auto exit = base::run({.argv = argv, .capture_output = true});
    return exit && exit->status == 0 ? exit->output.substr(0, exit->output.find('\n')) : "";
}

}  // namespace

TEST_CASE(
    "a raw image of nothing but a hole, or of zeros, is known to be empty, one of 2 TiB too; any byte tells that it is not") {
    const support::ScratchDirectory scratch;
    constexpr uintmax_t mib = uintmax_t{1} << 20;
    for (const uintmax_t size : {mib, 2 * mib * mib}) {
        const std::string path = sparse(scratch, size);
        CHECK(hostside::is_empty_raw(path));
        CHECK(hostside::check_raw(path, true) == size);
        put_at(path, 0, std::string(4096, '\0'));  // like qemu-img
        CHECK(hostside::is_empty_raw(path));
        put_at(path, static_cast<std::streamoff>(size / 2), "x");
        CHECK_FALSE(hostside::is_empty_raw(path));
        fs::remove(path);
    }
    const std::string path = sparse(scratch, mib);
    put_at(path, mib - 1, "x");
    CHECK_FALSE(hostside::is_empty_raw(path));
    // More zeros than the check reads.
    const std::string large = sparse(scratch, 32 * mib);
    for (uintmax_t at = 0; at < 32; ++at)
        put_at(large, static_cast<std::streamoff>(at) * static_cast<std::streamoff>(mib), std::string(mib, '\0'));
    CHECK_FALSE(hostside::is_empty_raw(large));
    CHECK_FALSE(hostside::is_empty_raw(scratch.path("none")));
    CHECK_FALSE(hostside::is_empty_raw("/dev/null"));
}

TEST_CASE("a loop device is known to be empty by the holes of its file, its own part of it alone, with what its cache holds") {
    const support::ScratchDirectory scratch;
    constexpr std::streamoff mib = std::streamoff{1} << 20;
    const std::string file = sparse(scratch, 2 * mib * mib);
    put_at(file, mib - 1, "x");
    const std::string device = said_by({"losetup", "--find", "--show", "--offset", std::to_string(mib), file});
    if (device.empty()) SKIP("a loop device needs root");
    CHECK(hostside::is_empty_raw(device));
    // Under its new name, and not what is at the old one.
    fs::rename(file, scratch.path("moved"));
    put_at(sparse(scratch, 2 * mib * mib), 2 * mib, "x");
    CHECK(hostside::is_empty_raw(device));
    put_at(device, mib * mib, "x");
    CHECK_FALSE(hostside::is_empty_raw(device));
    CHECK(base::run({.argv = {"losetup", "--detach", device}})->status == 0);
}

TEST_CASE("a part of a loop device, or one whose file is cut, is not known to be empty") {
    const support::ScratchDirectory scratch;
    constexpr uintmax_t mib = uintmax_t{1} << 20;
    const std::string file = sparse(scratch, 64 * mib);
    const std::string limited = said_by({"losetup", "--find", "--show", "--sizelimit", std::to_string(32 * mib), file});
    if (limited.empty()) SKIP("a loop device needs root");
    put_at(file, 40 * mib, "x");  // behind the device's end
    CHECK(hostside::is_empty_raw(limited));
    fs::resize_file(file, 16 * mib);
    CHECK_FALSE(hostside::is_empty_raw(limited));
    CHECK(base::run({.argv = {"losetup", "--detach", limited}})->status == 0);
}

TEST_CASE("what is no raw image is refused: a qcow2 one, a FIFO, a directory, a device that is none of blocks") {
    const support::ScratchDirectory scratch;
    const std::string qcow2 = sparse(scratch, 65536), fifo = scratch.path("fifo");
    put_at(qcow2, 0, "QFI\xfb");
    CHECK(
        refusal_of(qcow2).ends_with("it is a qcow2 image, and a guest would see its raw bytes; pass --disk-image-format qcow2"));
    REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
    for (const std::string &path : {fifo, scratch.path(), std::string("/dev/null")})
        CHECK(refusal_of(path) == std::format("use image '{}': it is neither a file nor a block device", path));
    CHECK(refusal_of(scratch.path("none")).contains("No such file or directory"));
}

TEST_CASE("a block device that the host has mounted is refused, and while it is claimed nobody mounts it") {
    const support::ScratchDirectory scratch;
    const std::string file = sparse(scratch, uintmax_t{16} << 20);
    REQUIRE(base::run({.argv = {"/sbin/mke2fs", "-q", "-t", "ext4", file}})->status == 0);
    const std::string device = said_by({"losetup", "--find", "--show", file});
    if (device.empty()) SKIP("a loop device needs root");
    const std::string place = scratch.path("mounted");
    fs::create_directory(place);
    CHECK(hostside::check_raw(device, true) == uint64_t{16} << 20);
    {
        const auto claim = hostside::claim_device(device);
        CHECK(claim);
        CHECK((::mount(device.c_str(), place.c_str(), "ext4", 0, nullptr) < 0 && errno == EBUSY));
    }
    REQUIRE(::mount(device.c_str(), place.c_str(), "ext4", 0, nullptr) == 0);
    CHECK(refusal_of(device).contains("the host itself is using it (lsblk shows how); unmount it, or name another"));
    CHECK(::umount(place.c_str()) == 0);
    CHECK(base::run({.argv = {"losetup", "--detach", device}})->status == 0);
}
