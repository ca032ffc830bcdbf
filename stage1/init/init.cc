#include "stage1/init/init.h"

#include <format>

#include "mounts/base/at.h"
#include "mounts/base/log.h"
#include "mounts/protocol.h"
#include "stage1/base/boot_input.h"
#include "stage1/base/tell_host.h"
#include "stage1/init/boot.h"
#include "stage1/init/crash.h"
#include "stage1/init/early.h"
#include "stage1/init/report.h"
#include "stage1/init/report_files.h"
#include "stage1/init/rescue.h"

namespace stage1 {

namespace {

using base::log;
using base::Priority;

// Reads the configuration and plans the boot. After a failure there is nothing to continue with, whatever the person chooses.
std::pair<mounts::PlanInput, std::vector<mounts::Phase>> plan(Report &report, ReportFiles &files) {
    constexpr std::string_view what = "plan the boot";
    note_step(what);
    for (;;) {
        report.begin("early", "plan", std::string(what));
        auto input = boot_input(std::string(mounts::protocol::default_target_root));
        auto phases = input ? plan_boot(*input) : base::Result<std::vector<mounts::Phase>>(std::unexpected(input.error()));
        report.end({}, phases ? "" : message(phases.error()));
        if (phases) return {std::move(*input), std::move(*phases)};
        files.write(report.json());
        send_report(report.lines(report_line_bytes));
        (void)fail_boot(phases.error(), failure_policy(), {.plan = "there is none yet\n", .report = report.json()});
    }
}

}  // namespace

void init() {
    Report report;
    constexpr std::string_view early_mounts = "the kernel's own file systems";
    note_step(early_mounts);
    report.begin("early", "mount", std::string(early_mounts));
    if (auto early = mount_early(); !early) (void)fail_boot(early.error(), failure_policy());
    if (auto kmsg = base::log_to_kmsg(); !kmsg) log(kmsg.error());
    // By default the kernel keeps only ten lines of user space's log messages per five seconds.
    if (auto limit = base::open_at(AT_FDCWD, "/proc/sys/kernel/printk_devkmsg", O_WRONLY))
        (void)base::write_all(limit->get(), "on\n", "printk_devkmsg");
    report.end();

    ReportFiles files;
    files.open();
    const auto [input, phases] = plan(report, files);
    log(Priority::notice, std::format("stage1 {}: {}", STAGE1_VERSION, input.parameters.init));
    Boot(input, phases, report, files).run();
    // The last phase executes stage 2. Code after it runs only if the person chose to ignore a failure.
    for (;;)
        (void)fail_boot({"switch_root", input.parameters.init, 0, "stage 2 did not start and nothing is left to try"},
                        input.parameters);
}

}  // namespace stage1
