// Launches that are refused before QEMU starts, because the guest would certainly fail.

#include <catch_amalgamated.hpp>
#include <filesystem>
#include <fstream>

#include "hostside/boot/boot_files.h"
#include "hostside/launch/foresight.h"
#include "tests/support/disk.h"

namespace {

namespace fs = std::filesystem;

// A store with one system, and a kernel.
struct Host {
    support::ScratchDirectory scratch;
    hostside::Machine machine;
    hostside::Boot boot;
    Host() {
        fs::create_directories(scratch.path("store/system"));
        file("kernel", std::string("\x7f") + "ELF", 0644);
        machine.store = scratch.path("store");
        boot.kernel = scratch.path("kernel");
        file("store/system/init", "#! /nix/store/system/sh -e\n", 0755);
        file("store/system/sh", "", 0755);
        parameters("");
    }
    void file(const std::string &name, const std::string &text, int mode) const {
        std::ofstream(scratch.path(name)) << text;
        fs::permissions(scratch.path(name), static_cast<fs::perms>(mode));
    }
    void parameters(const std::string &more) { boot.command_line = "console=ttyS0 init=/nix/store/system/init " + more; }
    [[nodiscard]] std::string refused() const {
        const auto done = hostside::foresee(machine, boot);
        return done ? "" : base::message(done.error());
    }
};

}  // namespace

TEST_CASE("a machine whose init is there, with an interpreter of the store, is not refused") {
    Host host;
    CHECK(host.refused().empty());
    fs::create_symlink("/nix/store/system/init", host.scratch.path("store/system/linked"));
    host.parameters("init=/nix/store/system/linked");
    CHECK(host.refused().empty());
    host.file("store/system/init", "#!/bin/sh\n", 0755);  // its absolute path exists only in the guest
    CHECK(host.refused().empty());
}

TEST_CASE("an init that is not in the store, not executable or without its interpreter is refused") {
    Host host;
    host.parameters("init=/nix/store/none/init");
    CHECK(host.refused() == "find init '/nix/store/none/init': No such file or directory; the store " + host.machine.store +
                                " has no such file: is --toplevel from this store, and is init= in its closure?");
    host.parameters("");
    host.file("store/system/init", "#! /nix/store/gone/sh\n", 0755);
    CHECK(
        host.refused() ==
        "find init '/nix/store/system/init': No such file or directory; its interpreter /nix/store/gone/sh is not in the store " +
            host.machine.store);
    host.file("store/system/init", "", 0644);
    CHECK(host.refused() == "find init '/nix/store/system/init': Permission denied; the file is not executable");
    host.parameters("init=/nix/store/system");
    CHECK(host.refused() == "find init '/nix/store/system': it is not a regular file");
}

TEST_CASE("an init on the guest's own disk is the guest's to know") {
    Host host;
    host.parameters("init=/tmp/xchg/init");
    CHECK(host.refused().empty());
    host.parameters("init=/nix/store/none/init stage1.union=disk");
    CHECK(host.refused().empty());
    host.parameters("init=/nix/store/none/init");
    host.machine.initrd = "/some/initrd";
    CHECK(host.refused().empty());
}

TEST_CASE("a parameter of stage 1 that there is not is refused with the one that was meant") {
    Host host;
    const auto told = [&](const std::string &parameters) {
        host.parameters(parameters);
        return host.refused();
    };
    CHECK(told("stage1.unoin=disk") ==
          "kernel parameter 'stage1.unoin': stage1 has no parameter of this name; did you mean stage1.union?");
    CHECK(told("stage1.device_timeout=5") ==
          "kernel parameter 'stage1.device_timeout': stage1 has no parameter of this name; did you mean stage1.device-timeout?");
    CHECK(told("stage1.something-else=5") ==
          "kernel parameter 'stage1.something-else': stage1 has no parameter of this name; see stage1(8)");
    CHECK(told("stage1.union=dsik") == "kernel parameter 'stage1.union=dsik': expected off | tmpfs | disk");
    CHECK(told("stage1.share=x:/proc/x").contains("nothing can be shared at /proc/x"));
    CHECK(told("root=gpt-auto").contains("gpt-auto"));
    CHECK(told("-- stage1.unoin=disk").empty());  // after `--` these words belong to init
}

TEST_CASE("a kernel that is none is refused, whatever it is called") {
    const Host host;
    host.file("kernel", "#!/bin/sh\n", 0755);
    CHECK(host.refused() ==
          "read kernel '" + host.boot.kernel + "': it is not an x86 kernel (a bzImage or an ELF file); name one with --kernel");
    fs::remove(host.boot.kernel);
    fs::create_directory(host.boot.kernel);
    CHECK(host.refused() == "read kernel '" + host.boot.kernel + "': it is not a regular file");
}
