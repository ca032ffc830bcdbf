#include "mounts/devices/device.h"

#include <catch_amalgamated.hpp>
#include <cstdlib>
#include <format>

#include "mounts/base/process.h"
#include "mounts/devices/find_device.h"
#include "tests/support/disk.h"

namespace {

using mounts::DeviceSpec;
using Kind = DeviceSpec::Kind;

void make_ext4(const std::string &image, const std::string &label, const std::string &uuid) {
    ::setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
    const auto made = base::run({.argv = {"mke2fs", "-q", "-F", "-t", "ext4", "-L", label, "-U", uuid, image}});
    REQUIRE(made);
    REQUIRE(made->status == 0);
}

std::string error_of(std::string_view text) {
    const auto device = mounts::find_device(text);
    return device ? "found " + *device : base::message(device.error());
}

}  // namespace

TEST_CASE("sizes read as people write them", "[device]") {
    CHECK(mounts::size_text(0) == "0 bytes");
    CHECK(mounts::size_text(1023) == "1023 bytes");
    CHECK(mounts::size_text(uint64_t{512} << 20) == "512 MiB");
    CHECK(mounts::size_text(1536) == "1.5 KiB");
    CHECK(mounts::size_text(uint64_t{1} << 60) == "1 EiB");
}

TEST_CASE("a device is named by path, label, UUID, partition or serial", "[device]") {
    const auto [text, kind, value] =
        GENERATE(table<std::string, Kind, std::string>({{"/dev/vda", Kind::path, "/dev/vda"},
                                                        {"LABEL=nixos", Kind::label, "nixos"},
                                                        {"UUID=ab-cd", Kind::uuid, "ab-cd"},
                                                        {"PARTUUID=1", Kind::part_uuid, "1"},
                                                        {"PARTLABEL=root", Kind::part_label, "root"},
                                                        {"LABEL=\"my nixos\"", Kind::label, "my nixos"},
                                                        {"label=nixos", Kind::label, "nixos"},
                                                        {"PartUUID='1'", Kind::part_uuid, "1"},
                                                        {"SERIAL=root", Kind::serial, "root"},
                                                        {"serial=root", Kind::serial, "root"},
                                                        {"/dev/disk/by-label/my\\x20disk", Kind::label, "my disk"},
                                                        {"/dev/disk/by-uuid/ab", Kind::uuid, "ab"},
                                                        {"/dev/disk/by-id/virtio-root", Kind::serial, "root"}}));
    const auto spec = mounts::parse_device_spec(text);
    REQUIRE(spec);
    CHECK(spec->kind == kind);
    CHECK(spec->value == value);
}

TEST_CASE("what names no device is an error that says what would", "[device]") {
    CHECK(error_of("vda") ==
          "read device name 'vda': Invalid argument; give a path below /dev, LABEL=, UUID=, PARTLABEL=, PARTUUID= or serial=");
    CHECK(error_of("LABEL=") == "read device name 'LABEL=': Invalid argument; the name in it is empty");
    CHECK(error_of("LABEL=\"\"") == "read device name 'LABEL=\"\"': Invalid argument; the name in it is empty");
    CHECK(error_of("PARTUUID=1/2") ==
          "read device name 'PARTUUID=1/2': Invalid argument; after the slash only PARTNROFF= and a number");
    CHECK(mounts::parse_device_spec("PARTUUID=1/PARTNROFF=-2")->partition_offset == -2);
    CHECK(error_of("/dev/null") == "find device '/dev/null': Block device required");
}

TEST_CASE("a device is found by its label and its UUID, and a doubled one is an error that names both", "[device]") {
    if (const std::string missing = support::loop_devices_missing(); !missing.empty()) SKIP(missing);
    const support::ScratchDirectory scratch;
    const std::string uuid = "7f3f8a86-5b3d-4a1e-9d3f-0123456789ab";
    for (const char *name : {"one", "two"}) {
        support::make_sparse_file(scratch.path(name), uint64_t{16} << 20);
        make_ext4(scratch.path(name), "find-me-test", uuid);
    }
    const support::LoopDevice one(scratch.path("one"));
    CHECK(mounts::find_device("LABEL=find-me-test") == one.path());
    CHECK(mounts::find_device("UUID=7F3F8A86-5B3D-4A1E-9D3F-0123456789AB") == one.path());
    CHECK(mounts::find_device("/dev/disk/by-label/find-me-test") == one.path());
    CHECK(mounts::find_device(one.path()) == one.path());
    const std::string listed = std::format("{} (16 MiB, ext4 UUID={} LABEL=find-me-test)", one.path().substr(5), uuid);
    CHECK_THAT(error_of("LABEL=not-there"), Catch::Matchers::StartsWith("find device 'LABEL=not-there': No such device; "
                                                                        "block devices: "));
    CHECK_THAT(error_of("serial=not-there"), Catch::Matchers::ContainsSubstring(listed));

    const support::LoopDevice two(scratch.path("two"));
    CHECK_THAT(error_of("LABEL=find-me-test"),
               Catch::Matchers::StartsWith("find device 'LABEL=find-me-test': File exists; /dev/loop") &&
                   Catch::Matchers::EndsWith("both match; name one by its path or serial"));
}
