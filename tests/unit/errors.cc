// The messages for runs that can't start, word for word: the real launcher, in an environment with one thing wrong. QEMU is a
// fake, because none of these runs reaches a guest.

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <format>
#include <fstream>
#include <sstream>
#include <thread>

#include "hostside/boot/kernel_config.h"
#include "mounts/base/at.h"
#include "mounts/base/process.h"
#include "tests/support/launcher_scene.h"

namespace {

namespace fs = std::filesystem;

using support::Scene;
using support::script;
using support::version_10;

void needs_root() {
    if (::geteuid() != 0) SKIP("needs root, to mount a file system");
}

}  // namespace

TEST_CASE("the scene is whole: without a fault the launcher runs") { CHECK(Scene().said({}, 0).empty()); }

TEST_CASE("a program that reads a run's events also gets the reason why there is no run, and the exit status") {
    const Scene scene;
    for (const auto &[words, why] : {std::pair{std::vector<std::string>{"--qemu", "/nowhere/qemu"}, "find QEMU '/nowhere/qemu'"},
                                     {{"--memory", "much"}, "--memory-size: must be a whole number of MiB"}}) {
        std::vector<std::string> all{"--json"};
        all.insert(all.end(), words.begin(), words.end());
        std::istringstream lines(scene.said(all));
        std::string line, last;
        for (; std::getline(lines, line); last = line) {
            INFO(line);
            CHECK(line.starts_with(last.empty() ? R"({"event":"cause","seconds":)" : R"({"event":"exit","seconds":)"));
            if (last.empty()) CHECK(line.contains(why));
        }
        CHECK(last.ends_with(R"("detail":"124"})"));
    }
}

TEST_CASE("QEMU that is not there, is none, or is too old, and where to get one") {
    Scene scene;
    CHECK(scene.said({"--qemu", "/nowhere/qemu"}) ==
          "runvm: find QEMU '/nowhere/qemu': No such file or directory; name another with --qemu\n");
    script(scene.at("bin/old"), "echo 'QEMU emulator version 5.2.0 (Debian)'");
    CHECK(scene.said({"--qemu", "old"}) ==
          "runvm: use QEMU 'S/bin/old': version 5 is too old, and 6 or newer is needed; name a newer one with --qemu\n");
    script(scene.at("bin/other"), "echo 'other: no such option'; exit 1");
    CHECK(scene.said({"--qemu", "other"}) ==
          "runvm: ask version of 'S/bin/other': it printed no version, but: other: no such option; is it a QEMU? Name another "
          "with --qemu\n");
    scene.environment[0] = "PATH=" + scene.at("empty");
    CHECK(scene.said({}) ==
          "runvm: find QEMU 'qemu-system-x86_64': it is not in PATH; install it (Debian: qemu-system-x86, NixOS: qemu), or name "
          "it with --qemu\n");
    fs::rename(scene.at("bin/qemu-system-x86_64"), scene.at("qemu"));
    CHECK(scene.said({"--qemu", scene.at("qemu"), "--disk-image", scene.at("disk.qcow2")}) ==
          "runvm: find 'qemu-img': it is neither beside S/qemu nor in PATH; install it (Debian: qemu-utils, NixOS: qemu)\n");
}

TEST_CASE("a port that is taken, and by whom") {
    const base::Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    socklen_t size = sizeof address;
    REQUIRE(::bind(socket.get(), reinterpret_cast<const sockaddr *>(&address), size) == 0);
    REQUIRE(::listen(socket.get(), 1) == 0);
    REQUIRE(::getsockname(socket.get(), reinterpret_cast<sockaddr *>(&address), &size) == 0);
    const int port = ntohs(address.sin_port);
    CHECK(Scene().said({"--forward-ports", std::format("{}:22", port)}) ==
          std::format("runvm: forward port '{}': it is taken by unit, pid {}; choose another host port\n", port, ::getpid()));
}

TEST_CASE("a port that is taken by a listener of IPv6, and by whom") {
    const base::Fd socket(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!socket) SKIP("needs a kernel with IPv6");
    const int both = 0;  // regardless of net.ipv6.bindv6only
    REQUIRE(::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &both, sizeof both) == 0);
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    socklen_t size = sizeof address;
    REQUIRE(::bind(socket.get(), reinterpret_cast<const sockaddr *>(&address), size) == 0);
    REQUIRE(::listen(socket.get(), 1) == 0);
    REQUIRE(::getsockname(socket.get(), reinterpret_cast<sockaddr *>(&address), &size) == 0);
    const int port = ntohs(address.sin6_port);
    CHECK(Scene().said({"--forward-ports", std::format("{}:22", port)}) ==
          std::format("runvm: forward port '{}': it is taken by unit, pid {}; choose another host port\n", port, ::getpid()));
}

TEST_CASE("a disk that is full, and what is left of the image is removed") {
    needs_root();
    Scene scene;
    fs::create_directory(scene.at("full"));
    REQUIRE(::mount("full", scene.at("full").c_str(), "tmpfs", 0, "size=8192") == 0);
    const std::string said = scene.said({"--disk-image", scene.at("full/disk.qcow2")});
    const bool left = fs::exists(scene.at("full/disk.qcow2"));
    REQUIRE(::umount(scene.at("full").c_str()) == 0);
    CHECK(said ==
          "runvm: create image 'S/full/disk.qcow2': No space left on device; make room in S/full, or name another place "
          "(diskImage)\n");
    CHECK_FALSE(left);
}

TEST_CASE("an image that another machine runs from, with that one's pid") {
    Scene scene;
    script(scene.at("bin/qemu-system-x86_64"), version_10 + ": >\"${0%/bin/*}/started\"; exec sleep 100");
    auto first = base::start({.argv = scene.command({"--disk-image", scene.at("disk.qcow2")}),
                              .environment = scene.environment,
                              .capture_output = true});
    REQUIRE(first);
    for (int i = 0; i < 1000 && !fs::exists(scene.at("started")); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    const std::string said = scene.said({"--name", "other", "--disk-image", scene.at("disk.qcow2")});
    REQUIRE(::kill(first->pid, SIGTERM) == 0);
    REQUIRE(::waitpid(first->pid, nullptr, 0) == first->pid);
    CHECK(said == std::format("runvm: lock 'S/disk.qcow2': in use by the runvm with pid {}; stop that one, or use another\n",
                              first->pid));
}

TEST_CASE("an image that is no qcow2 image, or that lies over one that is gone") {
    Scene scene;
    std::ofstream(scene.at("raw.img")) << std::string(4096, '\0');
    CHECK(scene.said({"--disk-image", scene.at("raw.img")}) ==
          "runvm: use image 'S/raw.img': it is not a qcow2 image; if it is raw, pass --disk-image-format raw; convert any other "
          "format (qemu-img convert -O qcow2), or start over with --fresh\n");
    CHECK(scene.said({"--disk-image", scene.at("raw.img"), "--disk-image-format", "raw"}, 0).empty());
    // docs/interop/qcow2.txt: magic, version, offset and size of the backing file's name.
    std::string header("QFI\xfb\0\0\0\3\0\0\0\0\0\0\0\x70\0\0\0\x0a", 20);
    header.resize(0x70, '\0');
    std::ofstream(scene.at("over.qcow2")) << header + "base.qcow2" + std::string(4096, '\0');
    CHECK(scene.said({"--disk-image", scene.at("over.qcow2")}) ==
          "runvm: use image 'S/over.qcow2': No such file or directory; its backing file S/base.qcow2 is gone (was it "
          "garbage-collected?); restore that file, or start over with --fresh\n");
    CHECK(scene.said({"--drives", scene.at("none.qcow2")}) ==
          "runvm: use image 'S/none.qcow2': No such file or directory; name another file\n");
    CHECK(scene.said({"--use-boot-loader", "--boot-disk", scene.at("none.img")}) ==
          "runvm: open boot disk 'S/none.img': No such file or directory; name one with --boot-disk\n");
    CHECK(scene.said({"--use-boot-loader"}) ==
          "runvm: find boot disk: useBootLoader needs bootDisk, the image that boots; name one with --boot-disk\n");
}

TEST_CASE("firmware, TPM and certificates that are not there, and what to do") {
    const Scene scene;
    CHECK(scene.said({"--tpm", "--tpm-program", "no-swtpm"}) ==
          "runvm: start TPM 'no-swtpm': it is not in PATH; install it (Debian: swtpm), or name it with --tpm-program\n");
    CHECK(scene.said({"--use-efi-boot", "--efi-firmware", "/code.fd"}) ==
          "runvm: use EFI firmware '/code.fd': firmware and variables belong together; pass both --efi-firmware and "
          "--efi-variables, or neither\n");
    CHECK(scene.said({"--use-efi-boot", "--efi-firmware", scene.at("none"), "--efi-variables", scene.at("kernel")}) ==
          "runvm: use EFI firmware 'S/none': No such file or directory\n");
    CHECK(scene.said({"--use-efi-boot", "--bios", scene.at("kernel")}) ==
          "runvm: use EFI firmware 'S/kernel': a bios is set as well; drop one of them\n");
    const std::vector<std::string> printed{"--print", "--tpm", "--tpm-program", scene.at("kernel")};
    const auto with = [&](std::vector<std::string> more) {
        more.insert(more.begin(), printed.begin(), printed.end());
        return scene.said(more);
    };
    fs::permissions(scene.at("kernel"), fs::perms::owner_all);
    CHECK(with({}) ==
          "runvm: print 'S/kernel': with a TPM or large tables, runvm boots a modified copy of this kernel, which is not in the "
          "cache yet; run the machine once, or print with --use-efi-boot\n");
    CHECK(with({"--use-efi-boot", "--efi-firmware", scene.at("kernel"), "--efi-variables", scene.at("kernel"),
                "--tpm-provisioning", "true"}) ==
          "runvm: print: runvm itself provisions a TPM, as its first client; print without --tpm-provisioning\n");
    Scene certificates;
    certificates.environment.emplace_back("NIX_SSL_CERT_FILE=" + certificates.at("none.crt"));
    CHECK(scene.said({"--use-host-certs"}) ==
          "runvm: give certificates: useHostCerts gives the guest the file that NIX_SSL_CERT_FILE names; set that variable\n");
    CHECK(certificates.said({"--use-host-certs"}) ==
          "runvm: give certificates 'S/none.crt': No such file or directory; NIX_SSL_CERT_FILE names it\n");
}

TEST_CASE("a kernel that was built without what this machine needs is refused before a boot, and what else won't work is noted") {
    Scene scene;
    fs::create_directories(scene.at("modules"));
    const auto said_with = [&](const std::string &left_out, std::vector<std::string> words) {
        std::string config;
        for (const auto &lack : hostside::lacks(""))
            config += left_out.contains(" " + lack.option + " ") ? "" : lack.option + "=y\n";
        std::ofstream(scene.at("config")) << config;
        words.insert(words.begin(), {"--initrd", "", "--init", "/x", "--modules", scene.at("modules")});
        return scene.said(words);
    };
    const std::vector<std::string> disk{"--disk-image", scene.at("disk.qcow2")};
    const std::string no_9p = said_with(" CONFIG_NET_9P CONFIG_9P_FS ", {});
    CHECK(no_9p ==
          "runvm: use kernel 'S/kernel': it was built without CONFIG_NET_9P, CONFIG_9P_FS: nothing can be shared over 9p, "
          "the default; use --share-kind virtiofs, and --store-kind erofs or virtiofs; name another with --kernel (runvm check "
          "FILE lists all)\n");
    CHECK(said_with(" CONFIG_VIRTIO_BLK ", disk).contains("built without CONFIG_VIRTIO_BLK: no root disk"));
    // Options that this machine does not need are no reason to refuse. The modules come next, and there are none.
    CHECK(said_with(" CONFIG_VIRTIO_BLK ", {"--disk-image", scene.at("disk.qcow2"), "--disk-interface", "scsi"})
              .starts_with("runvm: find modules"));
    CHECK(said_with(" CONFIG_VIRTIO_BLK ", {}).starts_with("runvm: find modules"));
    CHECK(said_with(" CONFIG_OVERLAY_FS ", {}).starts_with("runvm: find modules"));
    CHECK(said_with(" CONFIG_OVERLAY_FS CONFIG_FUSE_FS ", {}).contains("built without CONFIG_OVERLAY_FS: "));
    CHECK(said_with(" ", {}).starts_with("runvm: find modules"));
}

TEST_CASE("a kernel without 9p") {
    Scene scene;
    fs::create_directories(scene.at("modules/lib/modules/6.1-cloud"));
    std::ofstream(scene.at("modules/lib/modules/6.1-cloud/modules.dep")) << "";
    std::ofstream builtin(scene.at("modules/lib/modules/6.1-cloud/modules.builtin"));
    for (const char *name : {"virtio_pci", "virtio_console", "virtio_blk", "ext4", "overlay", "fuse"})
        builtin << "kernel/" << name << ".ko\n";
    builtin.close();
    CHECK(
        scene.said({"--initrd", "", "--init", "/x", "--modules", scene.at("modules"), "--stage1", scene.at("kernel")}) ==
        "runvm: making the initrd\n"
        "runvm: find module '9p': kernel 6.1-cloud has it neither as a module in S/modules/lib/modules/6.1-cloud nor built in; "
        "use a kernel that has it, or share nothing over 9p: --share-kind virtiofs, and --store-kind erofs or virtiofs (Debian's "
        "'cloud' flavour has these)\n");
}

TEST_CASE("files that a machine is made of and that are not there") {
    const Scene scene;
    CHECK(scene.said({"--toplevel", "/nix/store/none"}) ==
          "runvm: open toplevel 'S/store/none': No such file or directory; name a system with --toplevel, and its store with "
          "--store\n");
    CHECK(scene.said({"--toplevel", "./result-of-none"}) ==
          "runvm: open toplevel './result-of-none': No such file or directory; name a NixOS system in the store, or a link to "
          "one, with --toplevel\n");
    CHECK(scene.said({"--kernel", "/none"}) == "runvm: open kernel '/none': No such file or directory; name one with --kernel\n");
    CHECK(
        scene.said({"--initrd", "/none"}) ==
        "runvm: open initrd '/none': No such file or directory; name one with --initrd, or drop --initrd to let runvm make it\n");
    CHECK(scene.said({"--kernel", ""}) ==
          "runvm: find kernel: pass a NixOS system (it has a file 'kernel') with --toplevel, or --kernel FILE\n");
    CHECK(scene.said({"--initrd", ""}) == "runvm: find init: nothing says what the guest runs; pass --toplevel or --init PATH\n");
    CHECK(scene.said({"--initrd", "", "--init", "/x", "--stage1", "/none"}) ==
          "runvm: making the initrd\n"
          "runvm: open '/none': No such file or directory; the initrd needs the stage1 program; build it, or name it with "
          "--stage1\n");
    CHECK(scene.said({"--store", "/none"}) == "runvm: share '/none': store is not a directory; name an existing one\n");
    CHECK(scene.said({"--shared-directories", "src=/none:/src"}) ==
          "runvm: share '/none': the source of src is not a directory; name an existing one\n");
}

TEST_CASE("more memory than the host has") {
    struct sysinfo host{};
    REQUIRE(::sysinfo(&host) == 0);
    CHECK(Scene().said({"--memory", "16777216"}) ==
          std::format("runvm: give memory: memorySize is 16777216 MiB, but this host has only {} MiB; lower memorySize\n",
                      (uint64_t{host.totalram} + host.totalswap) * host.mem_unit >> 20));
}

TEST_CASE("a description that is wrong, or is not there") {
    const Scene scene;
    std::ofstream(scene.at("vm.json")) << R"({"memorySize": "2G"})";
    CHECK(scene.said({"--config", scene.at("vm.json")}) ==
          "runvm: S/vm.json '/memorySize': must be a whole number, not \"2G\"\n");
    CHECK(scene.said({"--config", scene.at("none.json")}) ==
          "runvm: read description 'S/none.json': No such file or directory\n");
    CHECK(scene.said({"--memry", "5"}) ==
          "runvm: The following argument was not expected: --memry; did you mean --memory?; see runvm run --help\n");
}

TEST_CASE("no place for sockets: a directory that can't be made, and a path that is too long") {
    Scene scene;
    scene.environment[1] = "XDG_RUNTIME_DIR=/proc/none";
    CHECK(
        scene.said({}) ==
        "runvm: mkdir '/proc/none/runvm': No such file or directory; set XDG_RUNTIME_DIR to a directory that you can write to\n");
    const std::string deep = scene.at(std::string(100, 'd'));
    fs::create_directory(deep);
    scene.environment[1] = "XDG_RUNTIME_DIR=" + deep;
    CHECK(scene.said({}) ==
          std::format("runvm: socket 'S/{}/runvm/nixos/status': it has {} bytes, and a socket's path can have "
                      "at most 107; give the machine a shorter name, or set XDG_RUNTIME_DIR to a shorter directory\n",
                      std::string(100, 'd'), deep.size() + std::string("/runvm/nixos/status").size()));
}
