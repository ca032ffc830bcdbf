#include "hostside/run/qemu_end.h"

#include <csignal>
#include <format>

#include "hostside/base/exit_code.h"
#include "hostside/base/line_reader.h"
#include "hostside/base/printable.h"

namespace hostside {

namespace {

constexpr size_t output_line_limit_bytes = 4096;

Verdict qemu_failure(const QemuEnd &end) {
    Verdict verdict{.code = qemu_failed};
    if (end.lost_companion) verdict.events.push_back(*end.lost_companion);
    if (end.status > signal_base) verdict.events.push_back({.kind = RunEvent::qemu_killed, .number = end.status - signal_base});
    if (end.out_of_memory) verdict.events.push_back({RunEvent::qemu_out_of_memory});
    for (const auto &line : LineReader(output_line_limit_bytes).take(end.output))
        verdict.events.push_back({RunEvent::qemu_said, printable(line)});
    return verdict;
}

}  // namespace

RunEvent nothing_to_boot_event() {
    return {RunEvent::qemu_said, "the firmware found nothing to boot: the boot disk has no boot loader, or none that it trusts"};
}

Verdict verdict_of(const QemuEnd &end) {
    // A panicking kernel resets the machine. After a power-off, the panic words may be ordinary output.
    if (end.panicked || (end.console_ends_in_panic && end.request != QemuEvent::power_off))
        return {guest_panic, {{RunEvent::panic}}};
    if (end.request != QemuEvent::other && !end.stage1_phase.empty()) {
        const char *const did = end.request == QemuEvent::reset ? "rebooted" : "powered off";
        return {
            stage1_failed,
            {{RunEvent::stage1_failure, std::format("the guest {} in its phase '{}', before stage 2", did, end.stage1_phase)}}};
    }
    if (end.request == QemuEvent::reset && end.nothing_to_boot) return {qemu_failed, {nothing_to_boot_event()}};
    return end.status == 0 ? Verdict{} : qemu_failure(end);
}

}  // namespace hostside
