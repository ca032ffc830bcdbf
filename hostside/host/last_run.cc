#include "hostside/host/last_run.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <optional>

#include "hostside/base/printable.h"
#include "hostside/base/run_names.h"
#include "hostside/host/guest_files.h"
#include "hostside/host/run_directory.h"
#include "mounts/base/at.h"
#include "mounts/path_trace.h"

namespace hostside {

namespace {

using base::Fd;
using base::Result;
namespace fs = std::filesystem;

constexpr size_t most_names = 32, part_limit_bytes = size_t{1} << 20, paths_limit_bytes = size_t{16} << 20;
using mounts::protocol::paths_file;
constexpr std::string_view report_name = "report.json";

// Empty: none. Makes nothing in a home that does not exist or belongs to another user (sudo does not change HOME).
std::string state_home() {
    const char *state = std::getenv("XDG_STATE_HOME");
    const char *home = std::getenv("HOME");
    struct stat st{};
    if (state != nullptr && *state == '/')
        return ::stat(fs::path(state).parent_path().c_str(), &st) == 0 ? std::string(state) : std::string();
    if (home == nullptr || *home != '/' || ::stat(home, &st) < 0 || st.st_uid != ::geteuid()) return {};
    return std::string(home) + "/.local/state";
}

// The name may come from a user's command line.
Result<Fd> directory_of(const std::string &name) {
    const std::string home = state_home();
    if (home.empty() || name.empty() || name.starts_with('.') || name.contains('/'))
        return base::fail(ENOENT, "find last run", name, "no run of this name was kept");
    auto all = base::open_at(AT_FDCWD, home + "/runvm", O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    auto one = all ? base::open_beneath(all->get(), name, O_RDONLY | O_DIRECTORY) : std::move(all);
    if (!one && one.error().code == ENOENT) return base::fail(ENOENT, "find last run", name, "no run of this name was kept");
    return one;
}

Result<std::string> read_kept(const Fd &directory, std::string_view name, size_t limit_bytes = part_limit_bytes) {
    auto file = base::open_beneath(directory.get(), std::string(name), O_RDONLY | O_NONBLOCK);
    if (!file) return std::unexpected(file.error());
    return base::read_all(file->get(), name, limit_bytes);
}

base::Error no_trace(base::Error error) {
    if (error.code == ENOENT)
        error = {"find used paths", "", 0, "the machine reported none; start it with --append stage1.union.trace=paths"};
    return error;
}

// Does not flush, because the text is only for later questions and a flush would make the user wait.
void put(const Fd &directory, std::string_view name, const Result<std::string> &text) {
    const std::string path(name), fresh = path + ".new";
    (void)::unlinkat(directory.get(), path.c_str(), 0);
    if (!text || text->empty()) return;
    (void)::unlinkat(directory.get(), fresh.c_str(), 0);
    auto file = base::open_at(directory.get(), fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    if (!file) return;
    const bool whole = base::write_all(file->get(), *text, fresh) &&
                       ::renameat(directory.get(), fresh.c_str(), directory.get(), path.c_str()) == 0;
    if (!whole) (void)::unlinkat(directory.get(), fresh.c_str(), 0);
}

// Removes the runs that ended longest ago.
void trim(const std::string &all) {
    auto runs = last_runs();
    for (size_t i = most_names; i < runs.size(); ++i) (void)remove_guest_directory(all + "/" + runs[i].name);
}

}  // namespace

bool keep_run(const std::string &run_directory, const std::string &xchg, const RunRecord &record) {
    const std::string home = state_home();
    if (home.empty() || !base::make_directories_at(AT_FDCWD, home)) return false;
    const auto all = own_directory(home, "runvm");
    if (!all) return false;
    const auto path = own_directory(*all, fs::path(run_directory).filename());
    if (!path) return false;
    const auto directory = base::open_at(AT_FDCWD, *path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!directory) return false;
    put(*directory, run_record, std::string());  // incomplete copies have no record
    for (const std::string_view part : {console_log_before, console_log})
        put(*directory, part, base::read_file(run_directory + "/" + std::string(part), part_limit_bytes));
    put(*directory, report_name, guest_report(run_directory, xchg, part_limit_bytes));
    if (const auto paths = traced_paths(run_directory, xchg)) {
        put(*directory, closure_names, paths->closure);
        put(*directory, paths_file, paths->used);
    } else {
        put(*directory, paths_file, std::string());
    }
    put(*directory, run_record, text_of(record));
    const bool kept = ::faccessat(directory->get(), std::string(run_record).c_str(), R_OK, 0) == 0;
    trim(*all);
    return kept;
}

void keep_abandoned_run(const std::string &run_directory) {
    auto record = noted_run(run_directory);
    if (!record) return;
    struct stat st{};
    for (const std::string_view sign : {run_record, console_log})
        if (::stat((run_directory + "/" + std::string(sign)).c_str(), &st) == 0)
            record->ended_s = std::max<int64_t>(record->ended_s, st.st_mtim.tv_sec);
    record->exit_code = -1;
    record->cause = "its launcher was killed; it had reached: " + record->state;
    (void)keep_run(run_directory, run_directory + "/xchg", *record);
}

Result<RunRecord> last_run(const std::string &name) {
    auto directory = directory_of(name);
    if (!directory) return std::unexpected(directory.error());
    auto text = read_kept(*directory, run_record);
    if (!text) return base::fail(text.error().code, "find last run", name, "no run of this name was kept");
    return record_from(*text);
}

std::vector<LastRun> last_runs() {
    std::vector<LastRun> runs;
    std::error_code error;
    const std::string home = state_home();
    if (home.empty()) return runs;
    for (const auto &entry : fs::directory_iterator(home + "/runvm", error)) {
        const std::string name = entry.path().filename();
        runs.push_back({name, last_run(name).value_or(RunRecord{})});
    }
    std::ranges::sort(runs, std::ranges::greater{}, [](const LastRun &run) { return run.record.ended_s; });
    return runs;
}

Result<std::string> last_console(const std::string &name) {
    auto directory = directory_of(name);
    if (!directory) return std::unexpected(directory.error());
    std::string all;
    for (const std::string_view part : {console_log_before, console_log}) {
        auto text = read_kept(*directory, part);
        if (!text && text.error().code != ENOENT) return text;  // nothing was printed, or too little for two files
        all += text.value_or("");
    }
    return all;
}

Result<std::string> last_report(const std::string &name) {
    auto directory = directory_of(name);
    if (!directory) return std::unexpected(directory.error());
    auto text = read_kept(*directory, report_name);
    if (!text && text.error().code == ENOENT)
        return base::fail(ENOENT, "find report", name, "the last run of this name left none: stage 1 did not get that far");
    return text;
}

Result<TracedPaths> traced_paths(const std::string &run_directory, const std::string &xchg) {
    auto used = read_from_guest(xchg, std::string(paths_file), paths_limit_bytes);
    if (!used) return std::unexpected(no_trace(used.error()));
    return TracedPaths{std::move(*used),
                       base::read_file(run_directory + "/" + std::string(closure_names), paths_limit_bytes).value_or("")};
}

Result<TracedPaths> last_paths(const std::string &name) {
    auto directory = directory_of(name);
    if (!directory) return std::unexpected(directory.error());
    auto used = read_kept(*directory, paths_file, paths_limit_bytes);
    if (!used) return std::unexpected(no_trace(used.error()));
    return TracedPaths{std::move(*used), read_kept(*directory, closure_names, paths_limit_bytes).value_or("")};
}

std::string last_console_path(const std::string &name) {
    const std::string home = state_home();
    return home.empty() ? "" : home + "/runvm/" + name + "/" + std::string(console_log);
}

}  // namespace hostside
