#include "hostside/qemu/accelerator.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <format>

#include "mounts/base/at.h"
#include "mounts/base/process.h"

namespace hostside {

namespace {

using Clock = std::chrono::steady_clock;
constexpr auto probe_limit = std::chrono::seconds(10);  // an ordinary kernel needs up to 2 s on KVM
constexpr const char *kvm_device = "/dev/kvm";

std::string why_not_opened(int code) {
    if (code == ENOENT)
        return std::format(
            "{} does not exist: load kvm_intel or kvm_amd, enable virtualisation in the firmware, or pass the device into the "
            "container",
            kvm_device);
    if (code != EACCES && code != EPERM) return std::format("{}: {}", kvm_device, base::errno_text(code));
    struct stat st{};
    if (::stat(kvm_device, &st) < 0) return std::format("{}: {}", kvm_device, base::errno_text(errno));
    // no group can open it, or only root's, which nobody should join
    if ((st.st_mode & 0060) != 0060 || st.st_gid == 0)
        return std::format(
            "{} has mode {:04o}, so only {} can open it: run `chgrp kvm {} && chmod 0660 {}` as root to open it to the group "
            "kvm; a udev rule makes that permanent (KERNEL==\"kvm\", GROUP=\"kvm\", MODE=\"0660\")",
            kvm_device, st.st_mode & 07777, (st.st_mode & 0060) != 0060 ? "its owner" : "root", kvm_device, kvm_device);
    const struct group *group = ::getgrgid(st.st_gid);
    const std::string name = group != nullptr ? group->gr_name : std::to_string(st.st_gid);
    return std::format(
        "{} has mode {:04o} and is reserved for the group {}: join that group (usermod -aG {} USER) and log in again", kvm_device,
        st.st_mode & 07777, name, name);
}

// Runs a guest until its kernel has started. Returns why it did not; empty: it did.
std::string run_guest(const std::string &qemu, const std::string &kernel) {
    const base::Command command{.argv = {qemu,
                                         "-nodefaults",
                                         "-no-user-config",
                                         "-no-reboot",
                                         "-machine",
                                         "pc",
                                         "-accel",
                                         "kvm",
                                         "-cpu",
                                         "host",
                                         "-m",
                                         "256M",
                                         "-display",
                                         "none",
                                         "-serial",
                                         "stdio",
                                         "-kernel",
                                         kernel,
                                         "-append",
                                         "console=ttyS0 quiet panic=-1"},
                                .capture_output = true,
                                .dies_with_parent = true};
    auto child = base::start(command);
    if (!child) return base::message(child.error());
    std::string output;
    const auto end = Clock::now() + probe_limit;
    bool alive = false;
    bool closed = false;
    while (!alive && !closed) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count();
        pollfd wait{child->output.get(), POLLIN, 0};
        if (left <= 0 || ::poll(&wait, 1, static_cast<int>(left)) == 0) break;
        std::array<char, 4096> chunk;
        const ssize_t n = ::read(child->output.get(), chunk.data(), chunk.size());
        if (n < 0 && errno == EINTR) continue;
        closed = n <= 0;
        if (n > 0) output.append(chunk.data(), static_cast<size_t>(n));
        alive = output.find("Kernel panic - not syncing: VFS") != std::string::npos ||
                output.find("No working init") != std::string::npos;
    }
    ::kill(child->pid, SIGKILL);
    int status = 0;
    while (::waitpid(child->pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (alive) return {};
    if (closed)
        return std::format("{} opens, but QEMU ended: {}; is another hypervisor using it, or is nested virtualisation off?",
                           kvm_device, output.substr(0, output.find('\n')));
    return std::format("{} opens, but a guest kernel did not start on it within {} s", kvm_device, probe_limit.count());
}

}  // namespace

base::Result<Accelerator> choose_accelerator(const std::string &wanted, const std::string &qemu, const std::string &kernel,
                                             const std::function<void(const std::string &)> &progress,
                                             std::vector<Remembered> &learned) {
    if (wanted == "tcg") return Accelerator{false, "emulation was requested"};
    if (auto fd = base::open_at(AT_FDCWD, kvm_device, O_RDWR); !fd) {
        const std::string reason = why_not_opened(fd.error().code);
        if (wanted == "kvm") return base::fail(0, "use KVM", "", reason + "; --accel tcg uses emulation");
        return Accelerator{false, reason};
    }
    if (wanted == "kvm") return Accelerator{true, ""};
    if (kernel.empty()) return Accelerator{false, "there is no kernel to test KVM with; --accel kvm uses it untested"};
    const std::string boot = base::read_file("/proc/sys/kernel/random/boot_id").value_or(std::string{});
    const std::string path = cache_path("kvm-" + short_hash(boot + file_identity(qemu) + file_identity(kernel)));
    if (auto known = cached(path)) return Accelerator{known->empty(), *known};
    progress(std::format("testing KVM with a guest (once, for up to {} s)", probe_limit.count()));
    const std::string reason = run_guest(qemu, kernel);
    learned.push_back({path, reason});
    return Accelerator{reason.empty(), reason};
}

}  // namespace hostside
