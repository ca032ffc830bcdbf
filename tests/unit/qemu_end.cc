// What QEMU's end means when nothing before it decided the run.
#include "hostside/run/qemu_end.h"

#include <catch_amalgamated.hpp>
#include <csignal>

#include "hostside/base/exit_code.h"

using hostside::QemuEvent;
using hostside::RunEvent;
using hostside::verdict_of;

TEST_CASE("a QEMU that ends in order is a success, whatever it printed") {
    const auto verdict = verdict_of({.request = QemuEvent::power_off, .output = "qemu: warning\n"});
    CHECK(verdict.code == 0);
    CHECK(verdict.events.empty());
}

TEST_CASE("panic words on the console count unless the guest powered off in order") {
    CHECK(verdict_of({.console_ends_in_panic = true, .request = QemuEvent::reset}).code == hostside::guest_panic);
    CHECK(verdict_of({.console_ends_in_panic = true, .request = QemuEvent::power_off}).code == 0);
    CHECK(verdict_of({.panicked = true, .request = QemuEvent::power_off}).code == hostside::guest_panic);
}

TEST_CASE("a guest that reboots or powers off in stage 1 has failed there") {
    const auto verdict = verdict_of({.request = QemuEvent::reset, .stage1_phase = "mounts"});
    CHECK(verdict.code == hostside::stage1_failed);
    REQUIRE(verdict.events.size() == 1);
    CHECK(verdict.events[0].text == "the guest rebooted in its phase 'mounts', before stage 2");
}

TEST_CASE("a firmware that found nothing to boot is QEMU's failure only if it reset the machine") {
    CHECK(verdict_of({.nothing_to_boot = true, .request = QemuEvent::reset}).code == hostside::qemu_failed);
    CHECK(verdict_of({.nothing_to_boot = true, .request = QemuEvent::power_off}).code == 0);
}

TEST_CASE("a killed QEMU is explained by its signal, a lost companion and its own output, in that order") {
    const auto verdict = verdict_of({.status = hostside::signal_base + SIGKILL,
                                     .out_of_memory = true,
                                     .lost_companion = RunEvent{RunEvent::store_lost, "virtiofsd has ended"},
                                     .output = "one\x1b\ntwo\n"});
    CHECK(verdict.code == hostside::qemu_failed);
    std::string kinds;
    for (const auto &event : verdict.events) kinds += std::string(name(event.kind)) + " ";
    CHECK(kinds == "store-lost qemu-killed qemu-out-of-memory qemu-said qemu-said ");
    CHECK(verdict.events[1].number == SIGKILL);
    CHECK(verdict.events[3].text == "one?");  // printable
}
