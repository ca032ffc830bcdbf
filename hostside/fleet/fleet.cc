#include "hostside/fleet/fleet.h"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <format>
#include <functional>
#include <list>
#include <set>
#include <sstream>
#include <vector>

#include "hostside/base/exit_code.h"
#include "hostside/base/signals.h"
#include "hostside/fleet/machine_process.h"
#include "hostside/fleet/members.h"
#include "hostside/snapshot/place.h"
#include "mounts/base/at.h"
#include "mounts/base/fd.h"
#include "mounts/base/process.h"

namespace hostside {

namespace {

using base::Result;
using Clock = std::chrono::steady_clock;

constexpr std::array heard_signals{SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT};

// The last signal that asks us to end; 0: none.
int asked_to_end(const Signals &signals) {
    int asked = 0;
    while (const int signal = signals.take())
        if (signal != SIGCHLD) asked = signal;
    return asked;
}

class Runner {
  public:
    Runner(const FleetRun &run, FleetResult &result)
        : run_(run), result_(result), members_(run, result), started_(members_.groups().size()) {
        // If its `runvm exec` is killed, a launcher becomes our child, so that we can wait for it.
        (void)::prctl(PR_SET_CHILD_SUBREAPER, 1);
    }
    ~Runner() { (void)::prctl(PR_SET_CHILD_SUBREAPER, 0); }
    Runner(const Runner &) = delete;
    Runner &operator=(const Runner &) = delete;

    Result<int> to_the_end() {
        const Signals signals(heard_signals);
        for (;;) {
            if (auto written = note(); !written) {
                end_all(Outcome::cancelled);
                leave_none();
                return std::unexpected(written.error());
            }
            start_what_has_room();
            if (running_.empty() && (ending_ || std::ranges::all_of(started_, std::identity()))) break;
            if (changed_) continue;
            wait(signals);
            if (const int asked = asked_to_end(signals); asked != 0) {
                signal_ = asked;
                end_all(Outcome::cancelled);
            }
            look();
        }
        leave_none();
        for (auto &machine : result_.machines)
            if (machine.outcome == Outcome::waiting) machine.outcome = Outcome::not_run;
        result_.over = true;
        changed_ = true;
        if (auto written = note(); !written) return std::unexpected(written.error());
        return signal_;
    }

  private:
    struct Running {
        size_t member, group;  // of members_
        MachineProcess process;
        Outcome when_asked = Outcome::cancelled;  // of a machine that we stopped
    };

    Result<> note() {
        result_.seconds = std::chrono::duration<double>(Clock::now() - begun_).count();
        if (!std::exchange(changed_, false)) return {};
        return write_results(run_.place.results(), result_);
    }

    [[nodiscard]] Room taken() const {
        Room taken{0, 0};
        std::vector<size_t> counted;
        for (const auto &one : running_) {
            if (std::ranges::find(counted, one.group) != counted.end()) continue;
            counted.push_back(one.group);
            const Group &group = members_.groups()[one.group];
            taken.memory_mib += group.memory_mib;
            taken.processors += std::min(group.processors, run_.room.processors);
        }
        return taken;
    }

    void start_what_has_room() {
        const auto waits = [&](size_t member) { return members_.result(member).outcome == Outcome::waiting; };
        const auto awaits_snapshot = [&](size_t member) { return members_.awaits_snapshot(member); };
        for (size_t at = 0; at < started_.size() && !ending_; ++at) {
            const Group &group = members_.groups()[at];
            if (started_[at] || std::ranges::any_of(group.members, awaits_snapshot)) continue;
            if (std::ranges::any_of(group.members, waits)) {
                // If none of our machines runs, the group starts anyway: waiting would free nothing, and its size was checked
                // before.
                const int64_t free_mib = run_.any_memory ? INT64_MAX : free_room().memory_mib;
                if (!running_.empty() && !has_room(group, run_.room, taken(), free_mib)) return;
                for (const size_t member : group.members)
                    if (waits(member) && !ending_) start(member, at);
            }
            started_[at] = true;
        }
    }

    void start(size_t member, size_t group) {
        const Node &node = members_.node(member);
        MachineResult &machine = members_.result(member);
        const auto process = [&]() -> Result<MachineProcess> {
            auto runtime = run_.place.runtime_of(group);
            if (!runtime) return std::unexpected(runtime.error());
            auto directory = run_.place.directory_of(node.name);
            if (!directory) return std::unexpected(directory.error());
            return MachineProcess::start(node, {run_.runvm, *directory, *runtime});
        };
        if (auto begun = process()) {
            machine.outcome = Outcome::running;
            running_.push_back({member, group, std::move(*begun)});
        } else {
            machine.outcome = Outcome::failed;
            machine.exit_code = launcher_error;
            machine.cause = base::message(begun.error());
            if (run_.fail_fast) end_all(Outcome::cancelled);
        }
        changed_ = true;
        members_.tell(member);
    }

    void wait(const Signals &signals) {
        constexpr int look_again_ms = 250;
        std::vector<pollfd> polls{{signals.fd(), POLLIN, 0}};
        for (const auto &one : running_) polls.push_back({one.process.output_fd(), POLLIN, 0});
        (void)::poll(polls.data(), polls.size(), look_again_ms);
    }

    void look() {
        for (auto &one : running_) one.process.take_output();
        int status = 0;
        for (pid_t pid = 0; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
            const auto of = std::ranges::find(running_, pid, [](const Running &one) { return one.process.pid(); });
            if (of != running_.end()) of->process.exited(base::exit_code(status));  // otherwise an orphaned launcher
        }
        for (auto &one : running_) {
            MachineResult &machine = members_.result(one.member);
            if (std::string state = one.process.state(); !state.empty()) machine.state = std::move(state);
            machine.seconds = one.process.seconds();
            members_.show(one.member);
            if (one.process.ending()) one.process.end();
        }
        if (ending_) end_orphans(SIGTERM);
        for (auto one = running_.begin(); one != running_.end();) one = one->process.over() ? ended(one) : std::next(one);
        run_.tick(result_);
    }

    std::list<Running>::iterator ended(std::list<Running>::iterator one) {
        const size_t member = one->member;
        MachineResult &machine = members_.result(member);
        auto end = one->process.collect();
        machine.seconds = one->process.seconds();
        machine.exit_code = end.exit_code;
        machine.outcome = end.exit_code == 0 ? Outcome::passed : Outcome::failed;
        if (one->process.ending()) machine.outcome = one->when_asked;
        machine.cause = machine.outcome == Outcome::passed ? "" : std::move(end.cause);
        if (!end.state.empty()) machine.state = std::move(end.state);
        const size_t group = one->group;
        const auto next = running_.erase(one);
        changed_ = true;
        members_.tell(member);
        if (machine.outcome == Outcome::failed && run_.fail_fast) end_all(Outcome::cancelled);
        end_services(group);
        return next;
    }

    // Stops the services of a group when no other machine of it runs.
    void end_services(size_t group) {
        const auto serves = [&](const Running &one) { return members_.node(one.member).service; };
        if (std::ranges::any_of(running_, [&](const Running &one) { return one.group == group && !serves(one); })) return;
        for (auto &one : running_)
            if (one.group == group && !one.process.ending()) {
                one.when_asked = Outcome::passed;
                one.process.end();
            }
    }

    void end_all(Outcome outcome) {
        ending_ = true;
        for (auto &one : running_) {
            if (!one.process.ending()) one.when_asked = outcome;
            one.process.end();
        }
    }

    // Orphans have become our children. Signals each launcher only once, because a second signal would restart its grace
    // period.
    void end_orphans(int signal) {
        constexpr size_t enough_bytes = size_t{1} << 20;
        std::istringstream children(
            base::read_file(std::format("/proc/self/task/{}/children", ::gettid()), enough_bytes).value_or(""));
        for (pid_t child = 0; children >> child;) {
            const bool known = std::ranges::any_of(running_, [&](const Running &one) { return one.process.pid() == child; });
            if (!known && (signal == SIGKILL || told_.insert(child).second)) (void)::kill(child, signal);
        }
    }

    void leave_none() {
        const auto end = Clock::now() + std::chrono::seconds(10);
        for (auto &one : running_) (void)::kill(one.process.pid(), SIGKILL);
        for (;;) {
            const pid_t pid = ::waitpid(-1, nullptr, WNOHANG);
            if (pid < 0) break;
            if (pid > 0) continue;
            end_orphans(Clock::now() > end ? SIGKILL : SIGTERM);
            (void)::poll(nullptr, 0, 20);
        }
        for (const auto &snapshot : run_.snapshots) sweep_snapshots(snapshot.maker.saves);
    }

    const FleetRun &run_;
    FleetResult &result_;
    const Clock::time_point begun_ = Clock::now();
    Members members_;
    std::vector<bool> started_;  // of members_.groups()
    std::list<Running> running_;
    std::set<pid_t> told_;  // orphans that were asked to end
    bool changed_ = true, ending_ = false;
    int signal_ = 0;
};

}  // namespace

Result<int> run_fleet(const FleetRun &run, FleetResult &result) { return Runner(run, result).to_the_end(); }

Result<> write_results(const std::string &directory, const FleetResult &result) {
    const auto written = base::replace_file(directory + "/" + std::string(results_file), results_json(result));
    if (!written || !result.over) return written;
    return base::replace_file(directory + "/" + std::string(junit_file),
                              junit_xml(result, [&](const std::string &name) { return said_last(directory + "/" + name); }));
}

}  // namespace hostside
