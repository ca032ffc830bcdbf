#include "stage1/init/init.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <exception>
#include <format>

#include "mounts/base/at.h"
#include "mounts/base/log.h"
#include "mounts/protocol.h"
#include "stage1/base/boot_input.h"
#include "stage1/base/status_port.h"
#include "stage1/init/crash.h"
#include "stage1/init/early.h"
#include "stage1/init/report.h"
#include "stage1/init/rescue.h"
#include "stage1/steps/run_step.h"

namespace stage1 {

namespace {

using base::log;
using base::Priority;
using mounts::protocol::BootPhase;

constexpr std::string_view report_path = "/run/stage1/report.json";

// Not made durable: a flush over 9p costs the host's disk, for a text that is of use only when the boot went on.
// Beneath `root`, whose links are the guest's; a FIFO without a reader is an error and no wait.
void write_text(const std::string &root, const std::string &path, std::string_view text) {
    const auto folder = base::open_at(AT_FDCWD, root, O_PATH | O_DIRECTORY);
    auto file = folder ? base::open_in_root(folder->get(), path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK, 0644)
                       : base::Result<base::Fd>(std::unexpected(folder.error()));
    const auto written = file ? base::write_all(file->get(), text, path) : std::unexpected(file.error());
    // A report that cannot be written costs the report, not the boot.
    if (!written) log(Priority::warning, message(written.error()) + ", ignoring");
}

void write_report(const Report &report, const std::string &target_root) {
    log(Priority::notice, report.summary());
    const std::string text = report.json();
    (void)::mkdir("/run/stage1", 0755);
    write_text("/", std::string(report_path), text);
    const auto root = base::open_at(AT_FDCWD, target_root, O_PATH | O_DIRECTORY);
    if (root && base::open_in_root(root->get(), std::string(mounts::protocol::xchg_dir), O_PATH | O_DIRECTORY))
        write_text(target_root, std::format("{}/{}", mounts::protocol::xchg_dir, mounts::protocol::report_file), text);
}

bool breaks_before(const mounts::Phase &phase, const mounts::BootParameters &parameters) {
    return (parameters.stop_at_devices && phase.phase == BootPhase::devices) ||
           (parameters.stop_at_mounts && phase.phase == BootPhase::mounts) ||
           std::ranges::contains(parameters.break_before, phase.phase);
}

// An exception is a bug, or no memory is left: the step failed, and the person decides, as with any other failure.
base::Result<std::string> run_guarded(const mounts::Step &step, FoundDevices &devices) {
    try {
        return run_step(step, devices);
    } catch (const std::exception &error) {
        return base::fail(0, kind(step), "", std::string("a bug in stage1, please report it: ") + error.what());
    }
}

// Orphans of whatever a step started are ours. None of our own children is awaited between steps.
void reap() {
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
}

void run_phase(const mounts::Phase &phase, const mounts::PlanInput &input, FoundDevices &devices, Report &report) {
    if (breaks_before(phase, input.parameters)) stop_at(std::string(phase.name()), input.parameters);
    mention_to_host(std::format("phase {}", phase.name()));
    for (const mounts::Step &step : phase.steps) {
        const std::string text = describe(step);
        // Before it starts, so that a hang has an address.
        log(Priority::debug, text);
        // `quiet` or not: who asked for a trace is at the console.
        if (input.parameters.trace) (void)base::write_all(STDERR_FILENO, "stage1: " + text + "\n", "console");
        report.begin(std::string(phase.name()), std::string(kind(step)), text);
        if (phase.phase == BootPhase::switch_root) write_report(report, input.target_root);
        note_step(text);
        const auto done = run_guarded(step, devices);
        reap();
        report.end(done.value_or(""), done ? "" : message(done.error()));
        if (!done)
            fail_boot(done.error(), input.parameters);
        else if (!done->empty())
            log(Priority::info, *done);
    }
}

// Reads what is to be done; a failure here leaves nothing to go on with, whatever the person presses.
std::pair<mounts::PlanInput, std::vector<mounts::Phase>> plan() {
    for (;;) {
        auto sources = read_boot_sources();
        auto input = sources ? boot_input(*sources, std::string(mounts::protocol::default_target_root))
                             : base::Result<mounts::PlanInput>(std::unexpected(sources.error()));
        auto phases = input ? plan_boot(*input) : base::Result<std::vector<mounts::Phase>>(std::unexpected(input.error()));
        if (phases) return {std::move(*input), std::move(*phases)};
        fail_boot(phases.error(), failure_policy());
    }
}

}  // namespace

void init() {
    Report report;
    constexpr std::string_view early_mounts = "the kernel's own file systems";
    note_step(early_mounts);
    report.begin("early", "mount", std::string(early_mounts));
    if (auto early = mount_early(); !early) fail_boot(early.error(), failure_policy());
    if (auto kmsg = base::log_to_kmsg(); !kmsg) log(kmsg.error());
    // The kernel drops all but ten lines in five seconds of what user space logs, unless told otherwise.
    if (auto limit = base::open_at(AT_FDCWD, "/proc/sys/kernel/printk_devkmsg", O_WRONLY))
        (void)base::write_all(limit->get(), "on\n", "printk_devkmsg");
    report.end();

    note_step("what is to be done");
    const auto [input, phases] = plan();
    log(Priority::notice, std::format("stage1 {}: {}", STAGE1_VERSION, input.parameters.init));
    if (input.parameters.stop_at_start) stop_at("the first step", input.parameters);
    FoundDevices devices;
    for (const mounts::Phase &phase : phases) run_phase(phase, input, devices, report);
    // The last phase executes stage 2; past it there is only a failure that the person chose to ignore.
    for (;;)
        fail_boot({"switch_root", input.parameters.init, 0, "stage 2 did not start and nothing is left to try"},
                  input.parameters);
}

}  // namespace stage1
