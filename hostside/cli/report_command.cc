#include "hostside/cli/report_command.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cmath>
#include <format>
#include <memory>

#include "hostside/base/exit_code.h"
#include "hostside/base/printable.h"
#include "hostside/cli/reporter.h"
#include "hostside/host/guest_files.h"
#include "hostside/host/last_run.h"
#include "hostside/host/run_directory.h"
#include "hostside/report/boot_report.h"
#include "hostside/report/path_report.h"
#include "hostside/report/report_picture.h"
#include "hostside/report/report_text.h"
#include "mounts/base/at.h"

namespace hostside {

namespace {

using base::Result;

struct Wish {
    std::string what, output;
    std::vector<std::string> pair, phases;
    bool json = false, svg = false, html = false, paths = false, processor = false;
    double limit_percent = -1;  // negative: none
};

Result<std::string> file(const std::string &path) {
    auto fd = base::open_at(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (!fd) return base::fail(fd.error().code, "read report", path);
    struct stat st{};
    if (::fstat(fd->get(), &st) < 0 || !S_ISREG(st.st_mode))
        return base::fail(0, "read report", path, "it is not a regular file");
    return base::read_all(fd->get(), path, report_limit_bytes);
}

// Takes a machine's name, or a file with a slash or ending in .json. Empty: the run that ended last.
Result<std::string> text_of(std::string &what) {
    if (what.contains('/') || what.ends_with(".json")) return file(what);
    auto machines = running_machines();
    if (!machines) return std::unexpected(machines.error());
    for (const auto &m : *machines)
        if (m.name == what) return guest_report(m.path, m.path + "/xchg", report_limit_bytes);
    if (what.empty()) {
        const auto runs = last_runs();
        if (runs.empty()) return base::fail(0, "find report", "", "no run was kept; name a machine or a file");
        what = runs.front().name;
    }
    keep_if_abandoned(what);
    return last_report(what);
}

Result<BootReport> read(std::string &what) {
    auto text = text_of(what);
    if (!text) return std::unexpected(text.error());
    return boot_report(*text, what);
}

size_t columns() {
    winsize size{};
    constexpr size_t usual = 100;
    const bool known = ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return known ? size.ws_col - 1 : usual;
}

int put(const Wish &wish, const std::string &text) {
    auto done = wish.output.empty() ? base::write_all(STDOUT_FILENO, text, "stdout") : base::replace_file(wish.output, text);
    return done ? 0 : refuse(done.error());
}

// A phase that is in neither report would pass every limit.
Result<> keep_named(const Wish &wish, BootReport &a, BootReport &b) {
    for (const auto &name : wish.phases)
        for (const auto &[report, file] : {std::pair{&a, &wish.pair.front()}, std::pair{&b, &wish.pair.back()}})
            if (std::ranges::find(report->steps, name, &ReportStep::phase) == report->steps.end())
                return base::fail(0, "compare", *file, std::format("it has no phase '{}'", name));
    if (wish.phases.empty()) return {};
    keep_phases(a, wish.phases);
    keep_phases(b, wish.phases);
    return {};
}

int compare(const Wish &wish) {
    std::string first = wish.pair.front(), second = wish.pair.back();
    auto a = read(first);
    if (!a) return refuse(a.error());
    auto b = read(second);
    if (!b) return refuse(b.error());
    if (auto kept = keep_named(wish, *a, *b); !kept) return refuse(kept.error());
    const int64_t cpu_a = processor_ns(*a), cpu_b = processor_ns(*b);
    if (wish.processor && (cpu_a < 0 || cpu_b < 0))
        return refuse({"compare", cpu_a < 0 ? first : second, 0, "it has no processor times, because an older stage 1 wrote it"});
    if (const int failed = put(
            wish, wish.processor ? processor_comparison(*a, *b, wish.phases.empty() ? "all of stage 1" : "all of these phases")
                                 : comparison(*a, *b));
        failed != 0)
        return failed;
    const double slower = wish.processor
                              ? 100.0 * static_cast<double>(cpu_b - cpu_a) / static_cast<double>(std::max<int64_t>(cpu_a, 1))
                              : slower_percent(*a, *b);
    if (wish.limit_percent < 0 || slower <= wish.limit_percent) return 0;
    say(std::format("{} is slower than {} by {:.1f} %, more than {} %", second, first, slower, wish.limit_percent));
    return 1;
}

// The paths of a running machine, of a name's last run, or of the run that ended last.
Result<TracedPaths> paths_of(std::string &what) {
    auto machines = running_machines();
    if (!machines) return std::unexpected(machines.error());
    for (const auto &m : *machines)
        if (m.name == what) return traced_paths(m.path, m.path + "/xchg");
    if (what.empty()) {
        const auto runs = last_runs();
        if (runs.empty()) return base::fail(0, "find used paths", "", "no run was kept; name a machine");
        what = runs.front().name;
    }
    keep_if_abandoned(what);
    return last_paths(what);
}

int paths(Wish wish) {
    auto traced = paths_of(wish.what);
    if (!traced) return refuse(traced.error());
    const PathReport report = path_report(traced->used, traced->closure);
    return put(wish, wish.json ? as_json(report) : as_text(report, printable(wish.what)));
}

int report(Wish wish) {
    if (wish.paths) return paths(std::move(wish));
    if (!wish.pair.empty()) return compare(wish);
    auto read_one = read(wish.what);
    if (!read_one) return refuse(read_one.error());
    const std::string name = printable(wish.what);
    if (wish.json) return put(wish, as_json(*read_one));
    if (wish.svg) return put(wish, as_svg(*read_one, name));
    if (wish.html) return put(wish, as_html(*read_one, name));
    return put(wish, as_text(*read_one, name, columns()));
}

}  // namespace

void add_report_command(CLI::App &app, int &status) {
    auto wish = std::make_shared<Wish>();
    CLI::App *command = app.add_subcommand("report", "show where the time of a boot went, and what failed in it");
    command->add_option("name", wish->what, "a machine, or a file of run --report; default: the run that ended last");
    auto *json = command->add_flag("--json", wish->json, "as JSON, for programs");
    auto *svg = command->add_flag("--svg", wish->svg, "as an SVG picture")->excludes(json);
    auto *html = command->add_flag("--html", wish->html, "as a self-contained HTML page")->excludes(json)->excludes(svg);
    command
        ->add_flag("--paths", wish->paths,
                   "show store paths: those that the machine used, and those of its closure that it did not use")
        ->excludes(svg)
        ->excludes(html);
    command->add_option("-o,--output", wish->output, "write to this file instead of standard output")->type_name("FILE");
    auto *pair =
        command->add_option("--compare", wish->pair, "compare two of these: what got slower from the first to the second")
            ->expected(2)
            ->type_name("FILE")
            ->excludes(json)
            ->excludes(svg)
            ->excludes(html);
    auto *processor = command
                          ->add_flag("--cpu", wish->processor,
                                     "compare stage 1's processor time instead of elapsed time; with run --icount, instructions")
                          ->needs(pair);
    command->add_option("--phase", wish->phases, "with --cpu: compare only this phase (repeat it for several)")
        ->type_name("NAME")
        ->expected(1)
        ->allow_extra_args(false)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->needs(processor);
    command->add_option("--limit", wish->limit_percent, "exit with status 1 if the second is slower by more than this")
        ->type_name("PERCENT")
        ->check(CLI::Range(0.0, 1e6).description(""))
        ->needs(pair);
    command->callback([&status, wish] { status = report(*wish); });
}

}  // namespace hostside
