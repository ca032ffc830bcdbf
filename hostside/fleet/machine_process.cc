#include "hostside/fleet/machine_process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <format>
#include <vector>

#include "hostside/base/exit_code.h"
#include "hostside/base/last_line.h"
#include "hostside/base/line_reader.h"
#include "hostside/base/printable.h"
#include "hostside/base/run_names.h"
#include "hostside/fleet/fleet_place.h"
#include "hostside/host/guest_files.h"
#include "hostside/host/run_record.h"
#include "mounts/base/at.h"
#include "mounts/base/process.h"
#include "mounts/protocol.h"

namespace hostside {

namespace {

using base::Result;

constexpr size_t most_output_bytes = size_t{16} << 20, most_part_bytes = size_t{2} << 20;
// Time for QEMU to flush its disks and for its launcher to clean up.
constexpr auto grace = std::chrono::seconds(15);

// Our environment without the variables that would give all machines one disk or one xchg.
std::vector<std::string> environment_for(const MachineProcess::Place &place) {
    std::vector<std::string> result{"XDG_RUNTIME_DIR=" + place.runtime, "XDG_STATE_HOME=" + place.directory + "/kept",
                                    std::string(kept_in) + "=" + place.directory};
    for (char **variable = environ; *variable != nullptr; ++variable) {
        const std::string_view text = *variable;
        const std::string_view name = text.substr(0, text.find('='));
        if (name != "XDG_RUNTIME_DIR" && name != "XDG_STATE_HOME" && name != kept_in && name != "NIX_DISK_IMAGE" &&
            name != "USE_TMPDIR")
            result.emplace_back(text);
    }
    return result;
}

std::vector<std::string> words_for(const Node &node, const std::string &runvm, const std::string &description) {
    if (!node.saves.empty()) {
        std::vector<std::string> words{runvm, "snapshot", "--config=" + description, "--output=" + node.saves, "--reuse"};
        if (node.after) words.push_back("--after=" + *node.after);
        return words;
    }
    std::vector<std::string> words{runvm, node.command.empty() ? "run" : "exec", "--config=" + description};
    if (!node.from.empty()) words.push_back("--from=" + node.from);
    if (node.command.empty()) return words;
    words.emplace_back("--tty=off");
    if (node.after) words.push_back("--after=" + *node.after);
    if (!node.user.empty()) words.push_back("--user=" + node.user);
    words.emplace_back("--");
    words.insert(words.end(), node.command.begin(), node.command.end());
    return words;
}

}  // namespace

Result<MachineProcess> MachineProcess::start(const Node &node, Place place) {
    const std::string description = place.directory + "/" + std::string(machine_description),
                      output = place.directory + "/output";
    if (auto written = base::replace_file(description, node.description); !written) return std::unexpected(written.error());
    auto file = base::open_at(AT_FDCWD, output, O_WRONLY | O_CREAT | O_EXCL | O_APPEND, 0644);
    if (!file) return std::unexpected(file.error());
    // For `XDG_RUNTIME_DIR=DIR/NAME/run runvm shell NAME`; the machine runs without it too.
    (void)::symlink(place.runtime.c_str(), (place.directory + "/run").c_str());
    auto child = base::start({.argv = words_for(node, place.runvm, description),
                              .environment = environment_for(place),
                              .capture_output = true,
                              .dies_with_parent = true});
    if (!child) return std::unexpected(child.error());
    return MachineProcess(std::move(place), node, child->pid, std::move(child->output), std::move(*file));
}

void MachineProcess::take_output() {
    std::array<char, 65536> chunk;
    for (pollfd wait{output_.get(), POLLIN, 0}; output_ && ::poll(&wait, 1, 0) == 1;) {
        const ssize_t n = ::read(output_.get(), chunk.data(), chunk.size());
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            output_.reset();
            return;
        }
        const size_t room = std::min(static_cast<size_t>(n), most_output_bytes - written_bytes_);
        (void)base::write_all(file_.get(), {chunk.data(), room}, "output");  // a full disk loses only output
        written_bytes_ += room;
        if (room > 0 && written_bytes_ == most_output_bytes)
            (void)base::write_all(file_.get(), "\nrunvm: output after these 16 MiB is left out\n", "output");
        if (n < static_cast<ssize_t>(chunk.size())) return;
    }
}

void MachineProcess::exited(int code) {
    exit_code_ = code;
    exited_at_ = Clock::now();
}

bool MachineProcess::over() const { return exited_at_ && (!output_ || Clock::now() > *exited_at_ + grace); }

void MachineProcess::end() {
    if (exited_at_) return;
    const auto now = Clock::now();
    const bool insist = asked_at_ && now > *asked_at_ + grace;
    if (asked_at_ && !insist) return;
    asked_at_ = now;
    // `runvm exec` would pass SIGTERM on to the command. The machine's launcher, its child, ends after it is killed.
    (void)::kill(pid_, insist || has_command_ ? SIGKILL : SIGTERM);
}

std::string MachineProcess::state() const {
    const auto record = noted_run(run_directory());
    return record ? record->state : "";
}

double MachineProcess::seconds() const {
    return std::chrono::duration<double>(exited_at_.value_or(Clock::now()) - started_).count();
}

std::string MachineProcess::last_words() const {
    std::string last;
    const std::string said = said_last(place_.directory) + "\n";
    for (const auto &line : LineReader(said.size()).take(said))
        if (line.starts_with("runvm: ")) last = line.substr(line.find(' ') + 1);
    return printable(last);
}

std::string MachineProcess::cause_of(int recorded_code, const std::string &recorded) const {
    if (exit_code_ == 0) return "";
    if (exit_code_ == recorded_code && !recorded.empty()) return recorded;
    if (exit_code_ == signal_base + SIGKILL) return "its launcher was killed";
    if (std::string words = exit_code_ >= stage1_failed ? last_words() : ""; !words.empty()) return words;
    return std::format("{} ended with status {}", has_command_ ? "its command" : "the guest", exit_code_);
}

MachineProcess::End MachineProcess::collect() {
    take_output();
    // The launcher moved its run directory to `kept`; a killed one left it in place.
    const std::string kept = place_.directory + "/kept/runvm/" + name_, left = run_directory();
    const bool whole = ::access((kept + "/" + std::string(run_record)).c_str(), F_OK) == 0;
    const std::string &from = whole ? kept : left;
    const auto record = noted_run(from).value_or(RunRecord{});
    std::string console;
    for (const std::string_view part : {console_log_before, console_log})
        console += base::read_file(from + "/" + std::string(part), most_part_bytes).value_or("");
    const auto report = whole ? base::read_file(kept + "/report.json", most_part_bytes)
                              : read_from_guest(left + "/xchg", std::string(mounts::protocol::report_file), most_part_bytes);
    for (const auto &[name, text] : {std::pair{"console.log", console}, {"report.json", report.value_or("")}})
        if (!text.empty()) (void)base::replace_file(place_.directory + "/" + name, text);
    (void)remove_guest_directory(place_.directory + "/kept");
    (void)remove_guest_directory(left);
    for (const char *gone : {"/run", "/disk.qcow2"}) (void)::unlink((place_.directory + gone).c_str());
    return {exit_code_, cause_of(record.exit_code, record.cause), record.state};
}

std::string said_last(const std::string &machine_directory) {
    constexpr off_t enough_bytes = 32768;
    auto file = base::open_at(AT_FDCWD, machine_directory + "/output", O_RDONLY | O_NOFOLLOW);
    struct stat st{};
    if (!file || ::fstat(file->get(), &st) < 0) return "";
    if (st.st_size > enough_bytes) (void)::lseek(file->get(), st.st_size - enough_bytes, SEEK_SET);
    return base::read_all(file->get(), "output", most_output_bytes + 4096).value_or("");
}

}  // namespace hostside
