// A real Nix that builds in machines, in its own sandbox: no network, no KVM, HOME=/homeless-shelter. Uses the wrappers of
// hostside/nixos.

#include <catch_amalgamated.hpp>
#include <cstdlib>
#include <filesystem>
#include <format>
#include <fstream>

#include "mounts/base/at.h"
#include "mounts/base/process.h"
#include "tests/boot/machine.h"
#include "tests/boot/place.h"

namespace {

namespace fs = std::filesystem;
using namespace boot_test;
using Catch::Matchers::ContainsSubstring;

std::string store_path_of(const std::string &path) { return path.substr(0, path.find('/', std::string("/nix/store/").size())); }

// A Nix with its own store that contains the fixture and the dependencies of the wrappers.
class Nix {
  public:
    Nix() {
        const std::string store = fixture() + "/root/nix/store";
        const auto sandbox =
            base::run({.argv = {"unshare", "--user", "--map-root-user", "--mount", "true"}, .capture_output = true});
        if (!sandbox || sandbox->status != 0) SKIP("no user namespaces here, so Nix has no sandbox");
        copy_fixture(path("root"));
        for (const char *name : {"programs", "qemu"}) fs::create_directories(path(name) + "/bin");
        for (const char *name : {"runvm", "stage1"}) fs::copy(build_directory() / name, path("programs/bin"));
        std::string qemu = must_run({"sh", "-c", "command -v qemu-system-x86_64"});
        qemu = fs::path(qemu.substr(0, qemu.find('\n'))).parent_path();
        // Debian's QEMU is in no store, so the sandbox gets its directories.
        for (const char *name : {"qemu-system-x86_64", "qemu-img"}) {
            std::ofstream(path("qemu/bin/") + name)
                << std::format("#!/bin/sh\nPATH=/usr/bin:/bin exec {}/{} \"$@\"\n", qemu, name);
            fs::permissions(path("qemu/bin/") + name, fs::perms(0755));
        }
        fs::create_directory(path("stay"));
        std::ofstream(path("stay/cmd")) << "sleep 1000\n";
        fs::create_directory(path("conf"));
        std::ofstream(path("conf/nix.conf")) << std::format(
            "build-users-group =\nsubstituters =\nsandbox = true\nsandbox-paths = /bin=/bin /usr=/usr /lib=/lib /lib64=/lib64 "
            "{}\n",
            fs::path(qemu).parent_path().string());
        const std::string system = store + fixture_toplevel().substr(std::string("/nix/store").size());
        arguments_ = {"--store", path("root"), "--no-out-link", "tests/boot/nix-build/builds.nix"};
        for (const auto &[name, value] : {std::pair<std::string, std::string>{"programs", path("programs")},
                                          {"qemu", path("qemu")},
                                          {"stay", path("stay")},
                                          {"bash", store_path_of(fs::read_symlink(system + "/sw/bin/bash"))},
                                          {"tools", store_path_of(fs::read_symlink(system + "/sw/bin/cat"))},
                                          {"kernel", store_path_of(fs::read_symlink(system + "/kernel"))},
                                          {"system", fixture_toplevel()}})
            arguments_.insert(arguments_.end(), {"--argstr", name, value});
    }

    struct Built {
        int status = -1;
        std::vector<std::string> outputs;  // their paths
        std::string log;
    };
    [[nodiscard]] Built build(const std::string &attribute) const {
        std::vector<std::string> argv{"/usr/bin/env",
                                      "-u",
                                      "TMPDIR",
                                      "-u",
                                      "XDG_RUNTIME_DIR",
                                      "HOME=" + place_.directory(),
                                      "NIX_REMOTE=",
                                      "NIX_CONF_DIR=" + path("conf"),
                                      "/bin/sh",
                                      "-c",
                                      "exec \"$@\" 2>\"$0\"",
                                      path("log"),
                                      "nix-build",
                                      "-A",
                                      attribute};
        argv.insert(argv.end(), arguments_.begin(), arguments_.end());
        const auto exit = base::run({.argv = argv, .capture_output = true});
        REQUIRE(exit);
        Built built{.status = exit->status, .log = base::read_file(path("log")).value_or("")};
        for (size_t at = 0, end = 0; (end = exit->output.find('\n', at)) != std::string::npos; at = end + 1)
            built.outputs.push_back(path("root") + exit->output.substr(at, end - at));
        return built;
    }

  private:
    [[nodiscard]] std::string path(const std::string &name) const { return place_.directory() + "/" + name; }

    Place place_;
    std::vector<std::string> arguments_;
};

TEST_CASE("Nix builds derivations in machines, within its sandbox, through the wrappers") {
    const Nix nix;
    const auto disk = nix.build("disk");
    INFO(disk.log);
    REQUIRE(disk.status == 0);
    CHECK(base::read_file(disk.outputs.at(0) + "/a file").value_or("") == "kept\n");
    CHECK_THAT(disk.log, ContainsSubstring("after it: noted, 0\n"));
    const auto log = nix.build("disk.log");
    CHECK(base::read_file(log.outputs.at(0)).value_or("") == "user 0 in /build, beside init\n");

    const auto image = nix.build("image");
    INFO(image.log);
    REQUIRE(image.status == 0);
    must_run({"qemu-img", "convert", "-O", "raw", image.outputs.at(0) + "/disk.qcow2", image.outputs.at(0) + ".raw"});
    CHECK_THAT(must_run({"blkid", "-p", image.outputs.at(0) + ".raw"}), ContainsSubstring("LABEL=\"made\""));

    const auto structured = nix.build("structured");
    INFO(structured.log);
    REQUIRE(structured.status == 0);
    CHECK(base::read_file(structured.outputs.at(0)).value_or("") == "a b\nc\nuser 30001 in /build, home /homeless-shelter\n");

    const auto failing = nix.build("failing");
    INFO(failing.log);
    CHECK(failing.status == 100);
    CHECK_THAT(failing.log, ContainsSubstring("told\n") && ContainsSubstring("failed with exit code 3"));
    CHECK_FALSE(fs::exists("/homeless-shelter"));
}

}  // namespace
