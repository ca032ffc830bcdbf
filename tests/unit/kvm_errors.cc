// Whether KVM is used, and what the launcher says if it is not, word for word.
#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <filesystem>
#include <format>
#include <fstream>

#include "mounts/base/at.h"
#include "tests/support/launcher_scene.h"

namespace {

using support::Scene;
using support::script;
using support::version_10;

// Runs the launcher with a private /dev that has only the requested device.
std::vector<std::string> with_dev(const std::string &make_kvm, const std::string &user = "0") {
    return {"/usr/bin/unshare", "--mount", "/bin/sh", "-ec",
            "mount -t tmpfs -o mode=755 dev /dev; mknod -m 666 /dev/null c 1 3; mknod -m 666 /dev/zero c 1 5; " + make_kvm +
                "; exec setpriv --reuid=" + user + " --regid=" + user + " --clear-groups \"$0\" \"$@\""};
}

void needs_root() {
    if (::geteuid() != 0) SKIP("needs root, for a /dev of its own");
}

}  // namespace

TEST_CASE("why KVM is not used, and what to do about it") {
    needs_root();
    Scene scene;
    scene.before = with_dev("true");
    CHECK(scene.said({"--accel", "auto"}, 0) ==
          "runvm: using emulation (TCG), which is much slower than KVM: /dev/kvm does not exist: load kvm_intel or kvm_amd, "
          "enable virtualisation in the firmware, or pass the device into the container\n");
    CHECK(scene.said({"--accel", "kvm"}) ==
          "runvm: use KVM: /dev/kvm does not exist: load kvm_intel or kvm_amd, enable virtualisation in the firmware, or pass "
          "the device into the container; --accel tcg uses emulation\n");
    scene.before = with_dev("mknod -m 660 /dev/kvm c 1 3; chgrp 5 /dev/kvm", "65534");
    scene.environment[1] = "XDG_RUNTIME_DIR=" + scene.at("run-of-nobody");
    scene.environment[2] = "XDG_CACHE_HOME=" + scene.at("run-of-nobody");
    std::filesystem::create_directory(scene.at("run-of-nobody"));
    REQUIRE(::chown(scene.at("run-of-nobody").c_str(), 65534, 65534) == 0);
    CHECK(scene.said({"--accel", "auto"}, 0) ==
          "runvm: using emulation (TCG), which is much slower than KVM: /dev/kvm has mode 0660 and is reserved for the group "
          "tty: join that group (usermod -aG tty USER) and log in again\n");
    // A group is named only if it can open the device and a user may join it.
    for (const auto &[made, whose] : {std::pair{"mknod -m 600 /dev/kvm c 1 3; chgrp 5 /dev/kvm", "0600, so only its owner"},
                                      {"mknod -m 640 /dev/kvm c 1 3; chgrp 5 /dev/kvm", "0640, so only its owner"},
                                      {"mknod -m 660 /dev/kvm c 1 3", "0660, so only root"}}) {
        scene.before = with_dev(made, "65534");
        CHECK(scene.said({"--accel", "auto"}, 0) ==
              std::format("runvm: using emulation (TCG), which is much slower than KVM: /dev/kvm has mode {} can open it: run "
                          "`chgrp kvm /dev/kvm && chmod 0660 /dev/kvm` as root to open it to the group kvm; a udev rule makes "
                          "that permanent (KERNEL==\"kvm\", GROUP=\"kvm\", MODE=\"0660\")\n",
                          whose));
    }
}

TEST_CASE("KVM that opens but runs no guest is not used, and QEMU's word on it is told") {
    needs_root();
    Scene scene;
    scene.before = with_dev("mknod -m 666 /dev/kvm c 1 3");
    script(
        scene.at("bin/qemu-system-x86_64"),
        version_10 +
            "case \"$*\" in *'-accel kvm'*) echo 'qemu: ioctl(KVM_CREATE_VM) failed: 16 Device or resource busy'; exit 1;; esac");
    CHECK(
        scene.said({"--accel", "auto"}, 0) ==
        "runvm: testing KVM with a guest (once, for up to 10 s)\n"
        "runvm: using emulation (TCG), which is much slower than KVM: /dev/kvm opens, but QEMU ended: qemu: ioctl(KVM_CREATE_VM) "
        "failed: 16 Device or resource busy; is another hypervisor using it, or is nested virtualisation off?\n");
}

TEST_CASE("check --kvm says kvm where a guest comes up, once for a boot of the host, and elsewhere why not") {
    needs_root();
    Scene scene;
    const auto checked = [&](const std::string &kernel, int status) {
        return scene.said({"check", "--kvm", scene.at(kernel)}, status, false);
    };
    scene.before = with_dev("true");
    CHECK(checked("kernel", 1) ==
          "runvm: no KVM: /dev/kvm does not exist: load kvm_intel or kvm_amd, enable virtualisation in the firmware, or pass the "
          "device into the container\n");
    scene.before = with_dev("mknod -m 666 /dev/kvm c 1 3");
    CHECK(checked("none", 124) == "runvm: read 'S/none': No such file or directory\n");
    // The words of a Debian kernel (6.12) without a root; a guest that runs does not end by itself.
    script(
        scene.at("bin/qemu-system-x86_64"),
        version_10 + "case \"$*\" in *'-accel kvm'*'-kernel " + scene.at("kernel") + "'*) echo run >>" + scene.at("runs") +
            "; echo '[    1.2] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)'; exec sleep 60;; "
            "*'-accel kvm'*) echo 'KVM: entry failed, hardware error 0x0'; exit 1;; esac");
    CHECK(checked("kernel", 0) == "kvm\n");
    CHECK(checked("kernel", 0) == "kvm\n");
    CHECK(base::read_file(scene.at("runs")).value_or("") == "run\n");
    // Another kernel has a verdict of its own, which is remembered too.
    std::ofstream(scene.at("other")) << "\x7f" << "ELF other";
    constexpr auto failed =
        "runvm: no KVM: /dev/kvm opens, but QEMU ended: KVM: entry failed, hardware error 0x0; is another hypervisor using it, "
        "or is "
        "nested virtualisation off?\n";
    CHECK(checked("other", 1) == failed);
    CHECK(checked("other", 1) == failed);
}
