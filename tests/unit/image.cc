#include "hostside/host/qcow2.h"

#include <sys/stat.h>
#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>

#include "hostside/host/root_disk.h"
#include "mounts/base/at.h"
#include "tests/support/disk.h"

namespace {

void put(std::string &bytes, size_t offset, uint64_t value, size_t size) {
    for (size_t i = 0; i < size; ++i) bytes[offset + i] = static_cast<char>(value >> 8 * (size - 1 - i));
}

// A qcow2 image like qemu-img's for 1 GiB: a header, and at 0x30000 a first-level table with two entries.
std::string image() {
    std::string bytes(0x40000, '\0');
    bytes.replace(0, 4, "QFI\xfb");
    put(bytes, 4, 3, 4);
    put(bytes, 20, 16, 4);
    put(bytes, 24, uint64_t{1} << 30, 8);
    put(bytes, 36, 2, 4);
    put(bytes, 40, 0x30000, 8);
    put(bytes, 100, 112, 4);
    return bytes;
}

bool is_empty(const std::function<void(std::string &)> &change) {
    const support::ScratchDirectory scratch;
    std::string bytes = image();
    change(bytes);
    REQUIRE(base::replace_file(scratch.path("image"), bytes));
    return hostside::is_empty_qcow2(scratch.path("image"));
}

// The refusal of that image; empty if it is accepted.
std::string refusal(const std::function<void(std::string &)> &change, const hostside::BackingFiles &backing_files = {}) {
    const support::ScratchDirectory scratch;
    std::string bytes = image();
    change(bytes);
    REQUIRE(base::replace_file(scratch.path("image"), bytes));
    const auto good = hostside::check_qcow2(scratch.path("image"), backing_files, "name another");
    return good ? "" : base::message(good.error());
}

std::string refusal_over(const std::string &backing, const hostside::BackingFiles &backing_files = {},
                         const std::string &format = "raw") {
    return refusal(
        [&](std::string &b) {
            put(b, 8, 0x200, 8);
            put(b, 16, backing.size(), 4);
            b.replace(0x200, backing.size(), backing);
            if (format.empty()) return;
            put(b, 112, 0xe2792aca, 4);
            put(b, 116, format.size(), 4);
            b.replace(120, format.size(), format);
        },
        backing_files);
}

}  // namespace

TEST_CASE("a qcow2 image to which nothing was written is known to be empty") {
    CHECK(is_empty([](std::string &) {}));
}

TEST_CASE("a qcow2 image that holds anything, or may, is not taken for empty") {
    CHECK_FALSE(is_empty([](std::string &b) { put(b, 0x30000, 0x8000000000050000, 8); }));  // a cluster
    CHECK_FALSE(is_empty([](std::string &b) { put(b, 0x30008, 1, 8); }));
    CHECK_FALSE(is_empty([](std::string &b) { put(b, 8, 200, 8); }));   // a backing file
    CHECK_FALSE(is_empty([](std::string &b) { put(b, 32, 2, 4); }));    // LUKS
    CHECK_FALSE(is_empty([](std::string &b) { put(b, 60, 1, 4); }));    // a snapshot
    CHECK_FALSE(is_empty([](std::string &b) { put(b, 72, 4, 8); }));    // the data is in another file
    CHECK_FALSE(is_empty([](std::string &b) { put(b, 36, 0, 4); }));    // no table
    CHECK_FALSE(is_empty([](std::string &b) { put(b, 36, ~0U, 4); }));  // a table larger than the file
    CHECK_FALSE(is_empty([](std::string &b) { b.resize(0x30008); }));   // truncated
    CHECK_FALSE(is_empty([](std::string &b) { b.resize(50); }));
    CHECK_FALSE(is_empty([](std::string &b) { b[0] = 'x'; }));
    CHECK_FALSE(hostside::is_empty_qcow2("/none"));
}

TEST_CASE("a qcow2 image whose data is in another file is refused: the guest would write that file") {
    CHECK(refusal([](std::string &) {}).empty());
    CHECK(refusal([](std::string &b) { put(b, 72, 4, 8); }).contains("another file"));
    CHECK(refusal([](std::string &b) {
              put(b, 4, 2, 4);  // version 2 has no such field
              put(b, 72, 4, 8);
          }).empty());
}

TEST_CASE("a qcow2 image over something whose name can't be read is refused, and not taken for one over nothing") {
    for (const size_t size : {size_t{0}, size_t{1024}, size_t{0xffffffff}})
        CHECK(refusal([&](std::string &b) {
                  put(b, 8, 0x200, 8);
                  put(b, 16, size, 4);
                  b.replace(0x200, 6, "/a\0b/c", 6);
              }).contains("the name of its backing file can't be read"));
    CHECK(refusal_over(std::string("/dev/null\0/x", 12)).contains("the name of its backing file can't be read"));
    CHECK(refusal([](std::string &b) {
              put(b, 8, 0x7fffffff, 8);  // past the end
              put(b, 16, 9, 4);
          }).contains("the name of its backing file can't be read"));
}

TEST_CASE("a qcow2 image over something that is no plain file name is refused") {
    for (const char *name :
         {R"(json:{"driver":"file","filename":"/etc/shadow"})", "nbd://host/x", "nbd:unix:/run/socket", "fat:rw:/home"})
        CHECK(refusal_over(name).contains("not a plain file name"));
}

TEST_CASE("what lies beneath a qcow2 image is read only if it was named, and its format is not guessed") {
    const support::ScratchDirectory scratch;
    const std::string secret = scratch.path("secret");
    REQUIRE(base::replace_file(secret, std::string(4096, 's')));
    CHECK(refusal_over(secret).contains("the guest could read; allow that with --backing-file " + secret));
    CHECK(refusal_over(secret, {scratch.path("other")}).contains("--backing-file"));
    CHECK(refusal_over(secret, {secret}).empty());
    CHECK(refusal_over(secret, {scratch.path("../") + scratch.path().substr(5) + "/secret"}).empty());  // another path to it
    CHECK(refusal_over(secret, {secret}, "").contains("runvm does not guess"));
    CHECK(refusal_over(secret, {secret}, "vmdk").contains("runvm does not guess"));
    CHECK(refusal_over(secret, {secret}, "qcow2").contains("not a qcow2 image"));
    // The same check applies to the backing file's own backing file.
    const std::string middle = scratch.path("middle");
    std::string bytes = image();
    put(bytes, 8, 0x200, 8);
    put(bytes, 16, secret.size(), 4);
    bytes.replace(0x200, secret.size(), secret);
    REQUIRE(base::replace_file(middle, bytes));
    CHECK(refusal_over(middle, {middle}, "qcow2").contains("its backing file is " + secret + ", which the guest could read"));
    CHECK(refusal_over(middle, {middle, secret}, "qcow2").contains("whether its backing file " + secret + " is raw or qcow2"));
}

TEST_CASE("a qcow2 image that states the format of what lies beneath twice is refused: QEMU takes the last") {
    const support::ScratchDirectory scratch;
    const std::string secret = scratch.path("secret");
    REQUIRE(base::replace_file(secret, std::string(4096, 's')));
    const auto twice = [&](uint64_t second_at) {
        return refusal(
            [&](std::string &b) {
                const uint64_t name_at = second_at + 0x100;
                put(b, 8, name_at, 8);
                put(b, 16, secret.size(), 4);
                b.replace(name_at, secret.size(), secret);
                put(b, 112, 0xe2792aca, 4);
                put(b, 116, 3, 4);
                b.replace(120, 3, "raw");
                put(b, 128, 0x12345678, 4);  // something else up to the second
                put(b, 132, second_at - 136, 4);
                put(b, second_at, 0xe2792aca, 4);
                put(b, second_at + 4, 5, 4);
                b.replace(second_at + 8, 5, "qcow2");
            },
            {secret});
    };
    CHECK(twice(0x400).contains("runvm does not guess"));
    CHECK(twice(0x18000).contains("runvm does not guess"));  // with large clusters, far behind
}

TEST_CASE("what lies beneath a qcow2 image is what QEMU would open, behind links too") {
    const support::ScratchDirectory scratch;
    for (const char *directory : {"/images", "/elsewhere", "/elsewhere/below"})
        std::filesystem::create_directory(scratch.path() + directory);
    std::filesystem::create_directory_symlink("../elsewhere/below", scratch.path("images/link"));
    for (const char *file : {"/images/base", "/elsewhere/base"})
        REQUIRE(base::replace_file(scratch.path() + file, std::string(4096, 's')));
    std::string bytes = image();
    const std::string name = "link/../base";  // QEMU opens elsewhere/base
    put(bytes, 8, 0x200, 8);
    put(bytes, 16, name.size(), 4);
    bytes.replace(0x200, name.size(), name);
    put(bytes, 112, 0xe2792aca, 4);
    put(bytes, 116, 3, 4);
    bytes.replace(120, 3, "raw");
    REQUIRE(base::replace_file(scratch.path("images/over"), bytes));
    CHECK_FALSE(hostside::check_qcow2(scratch.path("images/over"), {scratch.path("images/base")}, "name another"));
    CHECK(hostside::check_qcow2(scratch.path("images/over"), {scratch.path("elsewhere/base")}, "name another"));
}

TEST_CASE("a FIFO in an image's place, or in its stamp's, is not waited for") {
    const support::ScratchDirectory scratch;
    hostside::Machine machine;
    machine.disk_image = scratch.path("disk.qcow2");
    REQUIRE(::mkfifo(machine.disk_image.c_str(), 0666) == 0);
    ::setenv("XDG_RUNTIME_DIR", scratch.path().c_str(), 1);
    constexpr unsigned patience_s = 20;  // ends the test
    (void)::alarm(patience_s);
    const auto facts = hostside::look_at_root_image(machine, false);
    REQUIRE_FALSE(facts);
    CHECK(base::message(facts.error()) == "use image '" + machine.disk_image + "': it is neither a file nor a block device");
    CHECK(base::message(hostside::check_qcow2(machine.disk_image, {}, "").error()).contains("neither a file nor"));
    REQUIRE(::unlink(machine.disk_image.c_str()) == 0);
    REQUIRE(base::replace_file(machine.disk_image, image()));
    REQUIRE(::mkfifo(hostside::stamp_of(machine.disk_image).c_str(), 0666) == 0);
    const auto stamped = hostside::look_at_root_image(machine, false);
    REQUIRE(stamped);
    CHECK(stamped->made_for.empty());
    (void)::alarm(0);
    ::unsetenv("XDG_RUNTIME_DIR");
}

TEST_CASE("an image that lies over itself is refused") {
    const support::ScratchDirectory scratch;
    const std::string path = scratch.path("image");
    std::string bytes = image();
    put(bytes, 8, 0x200, 8);
    put(bytes, 16, path.size(), 4);
    bytes.replace(0x200, path.size(), path);
    put(bytes, 112, 0xe2792aca, 4);
    put(bytes, 116, 5, 4);
    bytes.replace(120, 5, "qcow2");
    REQUIRE(base::replace_file(path, bytes));
    const auto good = hostside::check_qcow2(path, {path}, "name another");
    REQUIRE_FALSE(good);
    CHECK(base::message(good.error()).contains("more than 64 backing files"));
}
