#include "hostside/kvm.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <format>

#include "hostside/cache.h"
#include "mounts/base/at.h"
#include "mounts/base/process.h"

namespace hostside {

namespace {

using Clock = std::chrono::steady_clock;

// stage1 without an init= says this on the console: user space ran.
constexpr std::string_view sign_of_life = "stage1:";

std::string boot_id() { return base::read_file("/proc/sys/kernel/random/boot_id", 128).value_or("unknown"); }

// Boots under KVM and looks for the sign; the machine is ended as soon as the answer is known.
bool guest_runs(const KvmProbe &probe) {
    auto child = base::start({.argv = {probe.qemu, "-accel", "kvm", "-cpu", "host", "-m", "256", "-display", "none",
                                       "-nodefaults", "-no-reboot", "-serial", "stdio", "-kernel", probe.kernel, "-initrd",
                                       probe.initrd, "-append", "console=ttyS0 quiet panic=-1 boot.panic_on_fail"},
                              .capture_output = true});
    if (!child) return false;
    std::string output;
    std::array<char, 4096> bytes;
    bool found = false;
    for (const auto end = Clock::now() + std::chrono::milliseconds(probe.timeout_ms); !found;) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count();
        pollfd poll{child->output.get(), POLLIN, 0};
        if (left <= 0 || ::poll(&poll, 1, static_cast<int>(left)) <= 0) break;
        const ssize_t n = ::read(child->output.get(), bytes.data(), bytes.size());
        if (n <= 0) break;
        output.append(bytes.data(), static_cast<size_t>(n));
        found = output.find(sign_of_life) != std::string::npos;
    }
    (void)::kill(child->pid, SIGKILL);
    (void)::waitpid(child->pid, nullptr, 0);
    return found;
}

KvmAnswer ask(const KvmProbe &probe) {
    const base::Fd kvm(::open("/dev/kvm", O_RDWR | O_CLOEXEC));
    if (!kvm && errno == ENOENT)
        return {false,
                "this host has no /dev/kvm: no virtualization in its CPU or firmware, or the module kvm_intel or kvm_amd is not "
                "loaded"};
    if (!kvm && errno == EACCES)
        return {false, "no permission to open /dev/kvm; add this user to the group 'kvm' and log in again"};
    if (!kvm) return {false, std::format("/dev/kvm cannot be opened: {}", base::errno_text(errno))};
    if (guest_runs(probe)) return {true, {}};
    return {false, std::format("/dev/kvm opens, but a guest did not start within {} s in it", probe.timeout_ms / 1000)};
}

}  // namespace

KvmAnswer probe_kvm(const KvmProbe &probe) {
    const auto directory = cache_directory();
    const auto key = cache_key({probe.kernel}, std::format("kvm 1\n{}\n{}", boot_id(), probe.qemu));
    const std::string path = directory && key ? std::format("{}/kvm-{}", *directory, *key) : "";
    if (!path.empty())
        if (const auto remembered = base::read_file(path, 4096))
            return {*remembered == "usable", *remembered == "usable" ? "" : *remembered};
    const KvmAnswer answer = ask(probe);
    // A permission can be given at any moment: only what was found out by booting is remembered.
    const bool booted = answer.usable || answer.why.starts_with("/dev/kvm opens");
    if (booted && !path.empty()) (void)base::replace_file(path, answer.usable ? "usable" : answer.why);
    return answer;
}

}  // namespace hostside
