#include "hostside/fleet/nix_engine.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <ctime>
#include <format>
#include <optional>
#include <sstream>

#include "hostside/base/exit_code.h"
#include "hostside/base/line_reader.h"
#include "hostside/base/printable.h"
#include "hostside/base/signals.h"
#include "hostside/fleet/engine_tool.h"
#include "hostside/fleet/fleet.h"
#include "hostside/fleet/group_place.h"
#include "hostside/host/guest_files.h"
#include "mounts/base/at.h"
#include "mounts/base/process.h"

namespace hostside {

namespace {

using base::fail;
using base::Result;

constexpr const char *no_nix = "Nix's commands are not installed here; run the fleet on a host that has them";
constexpr std::string_view drv_suffix = ".drv";

std::vector<std::string> lines_beginning(const std::string &text, std::string_view with) {
    std::vector<std::string> found;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);)
        if (line.starts_with(with)) found.push_back(std::move(line));
    return found;
}

// 'PATH' after `words`.
std::string quoted_after(std::string_view line, std::string_view words) {
    const size_t at = line.find(words);
    if (at == std::string_view::npos) return "";
    const std::string_view rest = line.substr(at + words.size());
    return std::string(rest.substr(0, rest.find('\'')));
}

struct Build {
    std::string derivation, output;
    bool wanted = true;
};

class NixRunner {
  public:
    NixRunner(NixRun run, FleetResult &result) : run_(std::move(run)), result_(result), builds_(run_.wish.groups.size()) {}

    Result<int> to_the_end() {
        const std::string log = results() + "/nix.log";
        auto file = base::open_at(AT_FDCWD, log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0644);
        if (!file) return std::unexpected(file.error());
        log_ = std::move(*file);
        if (auto prepared = prepare(); !prepared) return std::unexpected(prepared.error());
        constexpr int most_tries = 4;
        std::vector<size_t> lost;
        for (int n = 0; n < most_tries && signal_ == 0; ++n) {
            auto left = missing();
            if (!left) return std::unexpected(left.error());
            lost = std::move(*left);
            if (lost.empty()) break;
            if (auto tried = build(lost); !tried) return std::unexpected(tried.error());
        }
        return take_results();
    }

  private:
    [[nodiscard]] const std::string &results() const { return run_.place.results(); }
    [[nodiscard]] std::vector<std::string> tool(const std::string &name, const std::vector<std::string> &words) const {
        std::vector<std::string> argv{name};
        for (const auto &option : run_.options)
            argv.insert(argv.end(), {"--option", option.substr(0, option.find('=')), option.substr(option.find('=') + 1)});
        argv.insert(argv.end(), words.begin(), words.end());
        return argv;
    }
    Result<std::string> ask(const std::string &name, const std::vector<std::string> &words) const {
        return ask_engine(tool(name, words), no_nix);
    }

    // Instantiates the derivations. A group whose earlier build has failures gets a new one.
    Result<> prepare() {
        for (size_t i = 0; i < builds_.size(); ++i)
            builds_[i].wanted = std::ranges::any_of(
                run_.wish.groups[i].members, [&](size_t member) { return result_.machines[member].outcome == Outcome::waiting; });
        if (auto named = instantiate(); !named) return named;
        for (size_t i = 0; i < builds_.size(); ++i)
            if (const auto before = results_in(builds_[i].output + "/" + std::string(results_file));
                builds_[i].wanted && before && before->count(Outcome::passed) != before->machines.size())
                run_.wish.again[i] = std::to_string(::time(nullptr));
        return run_.wish.again.empty() ? Result<>() : instantiate();
    }

    Result<> instantiate() {
        const std::string file = results() + "/fleet.nix";
        if (auto written = base::replace_file(file, nix_expression(run_.wish)); !written) return written;
        auto said = ask("nix-instantiate", {file, "-A", "groups"});
        if (!said) return std::unexpected(said.error());
        std::vector<std::string> derivations = lines_beginning(*said, "/nix/store/");
        std::vector<std::string> words{"--query", "--outputs"};
        words.insert(words.end(), derivations.begin(), derivations.end());
        auto outputs = ask("nix-store", words);
        if (!outputs) return std::unexpected(outputs.error());
        const auto paths = lines_beginning(*outputs, "/nix/store/");
        for (size_t n = 0; n < builds_.size(); ++n) {
            const std::string name = "-fleet-" + derivation_name(run_.wish.fleet, run_.wish.groups[n]);
            for (size_t i = 0; i < std::min(derivations.size(), paths.size()); ++i)
                if (derivations[i].substr(std::string_view("/nix/store/").size() + 32) == name + std::string(drv_suffix))
                    builds_[n].derivation = derivations[i], builds_[n].output = paths[i];
            if (builds_[n].derivation.empty()) return fail(0, "run", "nix-instantiate", "it did not name the derivation " + name);
        }
        return {};
    }

    // The wanted builds without a valid output that can still succeed.
    Result<std::vector<size_t>> missing() {
        std::vector<std::string> words{"--check-validity", "--print-invalid"};
        for (const auto &build : builds_) words.push_back(build.output);
        auto said = ask("nix-store", words);
        if (!said) return std::unexpected(said.error());
        const auto invalid = lines_beginning(*said, "/nix/store/");
        std::vector<size_t> left;
        for (size_t i = 0; i < builds_.size(); ++i)
            if (builds_[i].wanted && std::ranges::contains(invalid, builds_[i].output) &&
                !std::ranges::contains(hopeless_, builds_[i].derivation))
                left.push_back(i);
        return left;
    }

    Result<> build(const std::vector<size_t> &groups) {
        std::vector<std::string> words{"--realise", "--keep-going", "--no-gc-warning"};
        for (const size_t i : groups) words.push_back(builds_[i].derivation);
        const std::array heard{SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT};
        const Signals signals(heard);
        auto child = base::start({.argv = tool("nix-store", words), .capture_output = true, .dies_with_parent = true});
        if (!child) return fail(child.error().code, "run", "nix-store", no_nix);
        LineReader lines(65536);
        said_.clear();
        int status = 0;
        constexpr int look_again_ms = 250;
        for (bool open = true, over = false; open || !over;) {
            std::array<pollfd, 2> polls{pollfd{signals.fd(), POLLIN, 0}, pollfd{open ? child->output.get() : -1, POLLIN, 0}};
            (void)::poll(polls.data(), polls.size(), look_again_ms);
            while (const int signal = signals.take())
                if (signal != SIGCHLD) (void)::kill(child->pid, signal_ == 0 ? SIGINT : SIGKILL), signal_ = signal;
            if ((polls[1].revents & (POLLIN | POLLHUP)) != 0) open = hear(child->output.get(), lines);
            over = over || ::waitpid(child->pid, &status, WNOHANG) == child->pid;
            if (over && (polls[1].revents & POLLIN) == 0) open = false;  // a build that outlives it keeps the pipe open
            run_.tick(result_);
        }
        for (auto &derivation : hopeless_in(said_)) hopeless_.push_back(std::move(derivation));
        return {};
    }

    bool hear(int fd, LineReader &lines) {
        std::array<char, 65536> chunk;
        const ssize_t n = ::read(fd, chunk.data(), chunk.size());
        if (n < 0) return errno == EINTR || errno == EAGAIN;
        (void)base::write_all(log_.get(), {chunk.data(), static_cast<size_t>(n)}, "nix.log");
        said_.append(chunk.data(), static_cast<size_t>(n));
        for (const auto &line : lines.take({chunk.data(), static_cast<size_t>(n)}))
            if (const std::string derivation = quoted_after(line, "building '"); !derivation.empty())
                began(derivation, quoted_after(line, "' on '"));
        return n > 0;
    }

    void began(const std::string &derivation, const std::string &where) {
        const auto build = std::ranges::find(builds_, derivation, &Build::derivation);
        if (build == builds_.end()) return;
        for (const size_t member : run_.wish.groups[static_cast<size_t>(build - builds_.begin())].members) {
            MachineResult &machine = result_.machines[member];
            if (machine.outcome != Outcome::waiting && machine.outcome != Outcome::running) continue;
            machine.outcome = Outcome::running;
            machine.state = where.empty() ? "built here" : "on " + printable(where);
            run_.changed(machine);
        }
    }

    // Makes the links DIR/groups/N and DIR/NAME.
    Result<> link(size_t group) {
        const std::string link = group_directory(results(), group);
        (void)::unlink(link.c_str());
        if (exists_output(group))
            if (auto kept = ask("nix-store", {"--realise", builds_[group].output, "--add-root", link, "--indirect"}); !kept)
                return std::unexpected(kept.error());
        for (const size_t member : run_.wish.groups[group].members)
            if (auto linked = link_machine(results(), run_.wish.fleet.nodes[member].name, group); !linked) return linked;
        return {};
    }

    [[nodiscard]] bool exists_output(size_t group) const {
        struct stat st{};
        return ::lstat(builds_[group].output.c_str(), &st) == 0 && !std::ranges::contains(invalid_, group);
    }

    Result<int> take_results() {
        auto left = missing();
        if (!left) return std::unexpected(left.error());
        invalid_ = std::move(*left);
        for (size_t i = 0; i < builds_.size(); ++i)
            if (std::ranges::contains(hopeless_, builds_[i].derivation)) invalid_.push_back(i);
        const std::string all = groups_directory(results());
        if (::mkdir(all.c_str(), 0755) < 0 && errno != EEXIST) return fail(errno, "mkdir", all);
        for (size_t i = 0; i < builds_.size(); ++i) {
            if (!builds_[i].wanted) continue;
            if (auto linked = link(i); !linked) return std::unexpected(linked.error());
            if (!std::ranges::contains(invalid_, i)) continue;
            // The log of the last try that has one.
            auto log = ask("nix-store", {"--read-log", builds_[i].derivation});
            (void)base::replace_file(std::format("{}/{}.log", all, i), log.value_or(said_));
        }
        const FleetResult before = result_;
        gather(results(), {}, result_);
        for (size_t i = 0; i < builds_.size(); ++i)
            for (const size_t member : run_.wish.groups[i].members) finish(i, member, before.machines[member]);
        result_.seconds = static_cast<double>(::time(nullptr) - result_.started_s);
        result_.over = true;
        if (auto written = write_results(results(), result_); !written) return std::unexpected(written.error());
        return signal_;
    }

    void finish(size_t group, size_t member, const MachineResult &before) {
        MachineResult &machine = result_.machines[member];
        if (!builds_[group].wanted) {
            machine = before;
            return;
        }
        if (std::ranges::contains(invalid_, group)) {
            const bool begun = before.outcome == Outcome::running;
            machine.outcome = signal_ == 0 ? Outcome::failed : begun ? Outcome::cancelled : Outcome::not_run;
            machine.cause = signal_ == 0 ? std::format("it was not built; see groups/{}.log and nix.log", group) : "";
        }
        run_.changed(machine);
    }

    NixRun run_;
    FleetResult &result_;
    std::vector<Build> builds_;  // by group
    std::vector<std::string> hopeless_;
    std::vector<size_t> invalid_;
    base::Fd log_;
    std::string said_;  // output of the current try
    int signal_ = 0;
};

}  // namespace

Result<int> run_by_nix(NixRun run, FleetResult &result) { return NixRunner(std::move(run), result).to_the_end(); }

std::vector<std::string> hopeless_in(const std::string &log) {
    std::vector<std::string> found;
    std::istringstream lines(log);
    std::string reason_is_of;  // since Nix 2.30 the reason is on the next line
    for (std::string line; std::getline(lines, line);) {
        std::string derivation = quoted_after(line, "required to build '");
        if (line.contains("failed with exit code 124")) {
            derivation = quoted_after(line, "builder for '");
            if (derivation.empty()) derivation = reason_is_of;
        }
        if (std::string next = quoted_after(line, "Cannot build '"); !next.empty()) reason_is_of = std::move(next);
        if (!derivation.empty()) found.push_back(std::move(derivation));
    }
    return found;
}

}  // namespace hostside
