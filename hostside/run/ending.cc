#include "hostside/run/ending.h"

#include <csignal>
#include <format>
#include <string>

#include "hostside/base/exit_code.h"
#include "hostside/run/console_words.h"
#include "mounts/base/shell_words.h"
#include "mounts/protocol.h"

namespace hostside {

namespace {

using mounts::protocol::BootPhase;

constexpr std::string_view last_phase = name(BootPhase::switch_root);
constexpr std::string_view emergency_words = "systemd in the guest is in emergency mode and waits for a person";

std::string signal_name(int signal) {
    switch (signal) {
    case SIGHUP: return "SIGHUP";
    case SIGINT: return "SIGINT";
    case SIGQUIT: return "SIGQUIT";
    case SIGILL: return "SIGILL";
    case SIGABRT: return "SIGABRT";
    case SIGBUS: return "SIGBUS";
    case SIGKILL: return "SIGKILL";
    case SIGSEGV: return "SIGSEGV";
    case SIGSYS: return "SIGSYS";
    case SIGTERM: return "SIGTERM";
    default: return "";
    }
}

std::string told_signal(int signal) {
    const std::string name = signal_name(signal);
    return name.empty() ? std::format("signal {}", signal) : std::format("signal {} ({})", signal, name);
}

std::string in_phase(const Heard &heard) {
    if (heard.phase.empty()) return "";
    return heard.phase == last_phase ? " on its way to stage 2" : std::format(" in its phase '{}'", heard.phase);
}

std::string more_memory(const Circumstances &m) {
    return std::format("the machine has {} MiB of memory; give it more with --memory", m.memory_mib);
}

// The guest went on after its kernel killed processes, and may have failed because of that. The kernel's message has scrolled
// by, and a status such as 137 explains nothing.
void add_killed(Ending &ending, const ConsoleWords &words, const Circumstances &m) {
    if (!words.out_of_memory || words.killed.empty() || !ending.why.empty()) return;
    ending.why = "the guest ran out of memory, and its kernel killed processes:";
    for (const auto &name : words.killed) ending.why += (&name == words.killed.data() ? " " : ", ") + name;
    ending.remedy = more_memory(m);
}

Ending of_initrd(const ConsoleWords &words, const Circumstances &m, std::string what) {
    // The kernel unpacks into memory and prints only this when none is left (Linux, init/initramfs.c).
    const bool full = words.initrd_failure.contains("write error");
    return {std::move(what), std::format("the kernel could not unpack the initrd {}: {}", m.initrd, words.initrd_failure),
            full ? more_memory(m)
                 : "the file is damaged, or this kernel doesn't know its compression; name another with --initrd, or drop "
                   "--initrd to let runvm make one"};
}

Ending of_panic(const Heard &heard, const Circumstances &m) {
    const ConsoleWords words = console_words(m.console);
    Ending ending{"the guest's kernel panicked", words.panic, ""};
    if (words.panic.empty()) ending.why = "the pvpanic device reported it; the console says nothing about it";
    if (words.init_ended) {
        const std::string who = heard.phase == last_phase ? "stage 2" : m.exit_code == stage1_failed ? "stage 1" : "process 1";
        ending.why =
            std::format("{} ended with {}, and a kernel can't run without process 1", who, how_init_ended(*words.init_ended));
        ending.remedy = "see its last output on the console, before the panic";
    }
    if (!words.initrd_failure.empty()) return of_initrd(words, m, ending.what);
    if (words.panic.contains("Unable to mount root fs") || words.panic.contains("No working init found"))
        ending.remedy =
            std::format("the kernel found no /init in the initrd {}, or it supports no initrd (CONFIG_BLK_DEV_INITRD)", m.initrd);
    if (words.panic.contains("IO-APIC + timer doesn't work"))
        ending.remedy = "a busy host delayed an emulated timer; run it again, or pass --append no_timer_check";
    if (words.out_of_memory) ending.remedy = more_memory(m);
    return ending;
}

std::string emergency_remedy(const ConsoleWords &words, const Circumstances &m) {
    constexpr std::string_view mend = "fix that unit, or its line in the fstab (nofail), in the guest's configuration";
    if (words.failed_unit.empty())
        return std::string("with --append systemd.show_status=yes systemd names it there") +
               (m.fstab_ignored ? "" : "; pass --fstab no if a device in the fstab does not exist here");
    const bool absent = words.failed_unit.starts_with("Timed out waiting for device") && !m.fstab_ignored;
    return (absent ? "pass --fstab no so that systemd ignores the system's fstab, or " : "") + std::string(mend);
}

// The unit that failed, and the first one that waited for it.
std::string failed_units(const ConsoleWords &words) {
    return words.failed_unit + (words.dependent_unit.empty() ? "" : " " + words.dependent_unit);
}

Ending of_timeout(const Heard &heard, const Circumstances &m) {
    const ConsoleWords words = console_words(m.console);
    Ending ending{
        std::format("the time limit of {} s (--timeout) was reached; the guest was in: {}", m.timeout_s, how_far(heard)), "",
        "raise --timeout if the guest was still working"};
    if (words.emergency) {
        ending.why = std::string(emergency_words);
        if (!words.failed_unit.empty()) ending.why += ": " + failed_units(words);
        ending.remedy = emergency_remedy(words, m);
    } else if (words.last_line.empty()) {
        ending.why = "the console is empty";
        // A kernel that does not fit stops before it has a console. Debian's 6.12 needs some 75 MiB.
        constexpr int small_mib = 128;
        const bool small = m.memory_mib > 0 && m.memory_mib < small_mib;
        ending.remedy =
            (small ? more_memory(m) : std::string("raise --timeout if the guest needs longer")) +
            "; a guest that boots prints something there: is console=ttyS0 among its parameters, and is its kernel really "
            "a kernel?";
    } else {
        ending.why = "the console's last line: " + words.last_line;
    }
    return ending;
}

// The root file system is damaged (the texts are from error.cc).
bool is_damage(std::string_view failure) {
    return failure.contains("mnt-root': ") && (failure.contains("(EUCLEAN)") || failure.contains("(EBADMSG)"));
}

// e2fsck can't read qcow2.
std::string check_of(const std::string &image, bool is_raw) {
    if (is_raw) return "check it: e2fsck -f " + base::quote_word(image);
    const std::string name = base::quote_word(image), raw = base::quote_word(image + ".raw");
    return std::format("check it: qemu-img convert -O raw {0} {1} && e2fsck -f {1}; then qemu-img convert -O qcow2 {1} {0}", name,
                       raw);
}

Ending of_emergency(const Circumstances &m) {
    const ConsoleWords words = console_words(m.console);
    return {std::string(emergency_words), words.failed_unit.empty() ? "the console names no failed unit" : failed_units(words),
            emergency_remedy(words, m)};
}

Ending of_qemu(const Heard &heard) {
    Ending ending{"QEMU failed", "", ""};
    for (const auto &line : heard.qemu_said) ending.why += (ending.why.empty() ? "" : "; ") + line;
    if (heard.qemu_signal != 0) {
        ending.what = std::format("QEMU was killed by {}", told_signal(heard.qemu_signal));
        if (heard.out_of_memory) {
            ending.why = "the host ran out of memory, and its kernel killed QEMU (OOM killer)";
            ending.remedy = "give the machine less memory with --memory, or the host more";
        } else if (heard.qemu_signal == SIGKILL) {
            ending.remedy = "if nobody killed it, the host may have run out of memory: dmesg | grep -i 'killed process'";
        } else if (heard.qemu_signal == SIGSYS) {
            ending.remedy = "QEMU's own sandbox killed it; --sandbox off disables the sandbox";
        }
    } else if (ending.why.empty()) {
        ending.remedy = "read QEMU's own messages above";
    }
    return ending;
}

}  // namespace

void Heard::event(const RunEvent &event) {
    switch (event.kind) {
    case RunEvent::started: started = true; break;
    case RunEvent::phase:
        phase = event.text;
        step.clear();
        break;
    case RunEvent::step: step = event.text; break;
    case RunEvent::waits: step = "wait for " + event.text; break;
    case RunEvent::ready: ready = true; break;
    case RunEvent::fork_point: at_fork_point = true; break;
    case RunEvent::stage1_failure:
        if (stage1_failure.empty()) stage1_failure = event.text;
        break;
    case RunEvent::emergency: emergency = true; break;
    case RunEvent::qemu_killed: qemu_signal = event.number; break;
    case RunEvent::qemu_out_of_memory: out_of_memory = true; break;
    case RunEvent::store_lost:
    case RunEvent::share_lost:
    case RunEvent::tpm_lost:
    case RunEvent::qemu_said: qemu_said.push_back(event.text); break;
    case RunEvent::disk_full: full_disks.push_back(event.text); break;
    case RunEvent::disk_error: failed_disks.push_back(event.text); break;
    default: break;
    }
}

std::string how_far(const Heard &heard) {
    if (heard.ready) return "ready";
    if (heard.phase == last_phase) return heard.emergency ? "stage 2: emergency mode" : "stage 2";
    if (!heard.phase.empty()) return "stage 1: " + heard.phase + (heard.step.empty() ? "" : ", " + heard.step);
    return heard.started ? "kernel" : "disk";
}

Ending ending_of(const Heard &heard, const Circumstances &m) {
    Ending ending;
    switch (m.exit_code) {
    case 0: return ending;
    case stage1_failed: {
        ending = {"stage 1 failed" + in_phase(heard), heard.stage1_failure, ""};
        const ConsoleWords words = console_words(m.console);
        if (!words.initrd_failure.empty()) ending = of_initrd(words, m, ending.what);
        if (is_damage(heard.stage1_failure) && !m.root_image.empty()) ending.remedy = check_of(m.root_image, m.root_image_raw);
        break;
    }
    case guest_panic: ending = of_panic(heard, m); break;
    case timed_out: ending = of_timeout(heard, m); break;
    case in_emergency: ending = of_emergency(m); break;
    case qemu_failed: ending = of_qemu(heard); break;
    case launcher_error: ending.what = "runvm failed"; break;
    default:
        ending.what = m.exit_code > signal_base
                          ? std::format("ended by {}; it had reached: {}", told_signal(m.exit_code - signal_base), how_far(heard))
                          : std::format("the guest failed with status {}", m.exit_code);
        if (m.exit_code <= guest_status_limit) add_killed(ending, console_words(m.console), m);
    }
    if (!heard.full_disks.empty())
        ending.remedy = std::format("the host had no space for the guest's disk '{}'; free some", heard.full_disks.front());
    else if (!heard.failed_disks.empty())
        ending.remedy = std::format("the host could not read or write the guest's disk '{}'", heard.failed_disks.front());
    return ending;
}

std::string cause(const Ending &ending) { return ending.why.empty() ? ending.what : ending.what + ": " + ending.why; }

std::vector<std::string> last_words(const Ending &ending, int exit_code, double seconds, std::string_view look) {
    std::vector<std::string> lines;
    if (ending.what.empty()) return lines;
    lines.push_back(std::format("{:.1f} s: {}", seconds, ending.what));
    if (!ending.why.empty()) lines.push_back("  why: " + ending.why);
    if (!ending.remedy.empty()) lines.push_back("  do: " + ending.remedy);
    // A guest's own status is a regular result, and a signal was sent on purpose.
    const bool ours = exit_code > guest_status_limit && exit_code < signal_base;
    if (ours && !look.empty()) lines.push_back(std::format("  look: {}; exit status {}", look, exit_code));
    return lines;
}

}  // namespace hostside
