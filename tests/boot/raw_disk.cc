// Root disks other than qcow2 images: raw files and block devices.

#include <catch_amalgamated.hpp>
#include <filesystem>
#include <format>
#include <fstream>

#include "mounts/base/process.h"
#include "tests/boot/machine.h"

namespace {

using boot_test::Boot;
using boot_test::Machine;
using Catch::Matchers::ContainsSubstring;
namespace fs = std::filesystem;

// A block device over a file; skips the test if none is available.
class LoopDevice {
  public:
    LoopDevice(const std::string &file, const char *size) {
        boot_test::must_run({"truncate", "-s", size, file});
        const auto made = base::run({.argv = {"losetup", "--find", "--show", file}, .capture_output = true});
        if (!made || made->status != 0) SKIP("a block device needs root");
        path_ = made->output.substr(0, made->output.find('\n'));
    }
    LoopDevice(const LoopDevice &) = delete;
    LoopDevice &operator=(const LoopDevice &) = delete;
    ~LoopDevice() { (void)base::run({.argv = {"losetup", "--detach", path_}}); }
    [[nodiscard]] const std::string &path() const { return path_; }

  private:
    std::string path_;
};

std::string kind_of(const std::string &file) {
    return boot_test::must_run({"/sbin/blkid", "-p", "-o", "value", "-s", "TYPE", "-s", "LABEL", file});
}

TEST_CASE("a raw root disk is refused in words until it is asked for; one is made, and an existing one is used as it is") {
    Machine machine;
    (void)boot_test::fixture();
    const std::string image = machine.xchg() + ".raw";
    const std::vector<std::string> unsaid{"--disk-image", image};
    const std::vector<std::string> raw{"--disk-image", image, "--disk-image-format", "raw", "--disk-size", "300"};
    const Boot first = machine.boot({.script = "echo kept >/file", .arguments = raw});
    CHECK(first.exit_code == 0);
    CHECK_THAT(first.console, ContainsSubstring("created " + image + ", 300 MiB"));
    CHECK(fs::file_size(image) == uintmax_t{300} << 20);
    CHECK(kind_of(image) == "nixos\next4\n");
    const Boot second = machine.boot({.script = "grep -x kept /file", .arguments = raw});
    CHECK(second.exit_code == 0);
    CHECK_THAT(second.console, !ContainsSubstring("created"));
    const Boot refused = machine.boot({.arguments = unsaid});
    CHECK(refused.exit_code == 124);
    CHECK_THAT(refused.console, ContainsSubstring("use image '" + image +
                                                  "': it is not a qcow2 image; if it is raw, pass --disk-image-format raw"));
    std::vector<std::string> ephemeral = raw;
    ephemeral.emplace_back("--ephemeral");
    CHECK(machine.boot({.script = "grep -x kept /file && rm /file", .arguments = ephemeral}).exit_code == 0);
    CHECK(machine.boot({.script = "grep -x kept /file", .arguments = raw}).exit_code == 0);
}

TEST_CASE("a raw image of 2 TiB of holes is a root disk without being read to its end") {
    Machine machine;
    (void)boot_test::fixture();
    const std::string image = machine.xchg() + ".raw";
    boot_test::must_run({"truncate", "-s", "2T", image});
    const Boot b = machine.boot({.script = R"sh(echo "sectors read: $(awk '$3 == "vda" { print $6 }' /proc/diskstats)")sh",
                                 .arguments = {"--disk-image", image, "--disk-image-format", "raw"}});
    CHECK(b.exit_code == 0);
    const size_t at = b.console.find("sectors read: ");
    REQUIRE(at != std::string::npos);
    CHECK(std::stoi(b.console.substr(at + 14)) < 100'000);  // of 4,294,967,296
}

TEST_CASE("a block device whose holes nobody knows is read to its end, and how far is told while it goes on") {
    Machine machine;
    (void)boot_test::fixture();
    const LoopDevice device(machine.xchg() + ".device", "2G");
    // Zeros that were written are no holes.
    boot_test::must_run({"dd", "if=/dev/zero", "of=" + device.path(), "bs=1M", "count=32", "conv=fsync", "status=none"});
    const Boot b = machine.boot({.parameters = {"stage1.union=off"},
                                 .arguments = {"--disk-image", device.path(), "--disk-image-format", "raw", "--json"}});
    CHECK(b.exit_code == 0);
    const size_t at = b.console.find("read /dev/vda to its end, is it empty? 1.");
    REQUIRE(at != std::string::npos);
    CHECK_THAT(b.console.substr(at, b.console.find('\n', at) - at), ContainsSubstring(" GiB of 2 GiB"));
}

TEST_CASE("a guest that writes a qcow2 header onto its raw disk is given nothing else by it") {
    Machine machine;
    (void)boot_test::fixture();
    const std::string image = machine.xchg() + ".raw", secret = machine.xchg() + ".secret";
    std::ofstream(secret) << "the host's own words\n";
    boot_test::must_run({"qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", secret, machine.xchg() + "/header"});
    const std::vector<std::string> raw{"--disk-image", image, "--disk-image-format", "raw", "--disk-size", "64"};
    CHECK(machine
              .boot({.script = "dd if=/tmp/xchg/header of=/dev/vda bs=64k count=4 conv=fsync 2>/dev/null",
                     .arguments = raw,
                     .registration = false})
              .exit_code == 0);
    const Boot after = machine.boot({.script = "cat /dev/vda", .arguments = raw});
    CHECK(after.exit_code == 124);
    CHECK_THAT(after.console, ContainsSubstring("it is a qcow2 image, and a guest would see its raw bytes"));
    CHECK_THAT(after.console, !ContainsSubstring("the host's own words"));
}

TEST_CASE("a block device is a root disk when it is asked for, formatted once, claimed while the machine runs, never put aside") {
    Machine machine;
    (void)boot_test::fixture();
    const LoopDevice device(machine.xchg() + ".device", "200M");
    const std::string &path = device.path();
    const Boot unsaid = machine.boot({.arguments = {"--disk-image", path}});
    CHECK(unsaid.exit_code == 124);
    CHECK_THAT(unsaid.console, ContainsSubstring("pass --disk-image-format raw") && !ContainsSubstring("--fresh"));
    const std::vector<std::string> raw{"--disk-image", path, "--disk-image-format", "raw", "--disk-size", "4096"};
    const Boot first = machine.boot({.script = "echo kept >/file", .arguments = raw});
    CHECK(first.exit_code == 0);
    CHECK_THAT(first.console, ContainsSubstring(path + " has 200 MiB, and a device keeps its size: diskSize 4096 is ignored"));
    CHECK_FALSE(fs::exists(path + ".runvm"));
    CHECK(kind_of(path) == "nixos\next4\n");
    CHECK(machine.boot({.script = "grep -x kept /file", .arguments = raw}).exit_code == 0);
    std::vector<std::string> fresh = raw;
    fresh.emplace_back("--fresh");
    const Boot aside = machine.boot({.arguments = fresh});
    CHECK(aside.exit_code == 124);
    CHECK_THAT(aside.console, ContainsSubstring("put aside '" + path + "': a block device can't be"));
    const Boot absent = machine.boot({.arguments = {"--disk-image", "/dev/no/volume", "--disk-image-format", "raw"}});
    CHECK(absent.exit_code == 124);
    CHECK_THAT(absent.console, ContainsSubstring("there is no such device"));
}

}  // namespace
