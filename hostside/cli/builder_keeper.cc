#include "hostside/cli/builder_keeper.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <format>
#include <thread>
#include <utility>

#include "hostside/base/exit_code.h"
#include "hostside/base/line_reader.h"
#include "hostside/base/printable.h"
#include "hostside/cli/arguments.h"
#include "hostside/cli/reporter.h"
#include "hostside/cli/within_machine.h"
#include "mounts/base/at.h"
#include "mounts/base/process.h"

namespace hostside {

namespace {

using base::fail;
using base::Fd;
using base::Result;
using Clock = std::chrono::steady_clock;
using std::chrono::seconds;

constexpr std::string_view state_file = "state", ended_file = "ended";
constexpr size_t small_bytes = 65536;
constexpr auto look_pause = std::chrono::milliseconds(200);

// Manages one boot of the machine, in the keeper's process.
class Keeper {
  public:
    Keeper(Builder builder, BuilderPlace place, Fd told)
        : builder_(std::move(builder)), place_(std::move(place)), told_(std::move(told)) {}

    int run() {
        Arguments arguments;
        arguments.config = place_.description();
        arguments.quiet = true;
        int code = work_within(arguments, builder_.after, [&](const ExecWish &machine) -> Result<int> {
            ExecWish first = machine;  // if there is no target to wait for, wait for this answer
            first.request.task = "answer";
            first.streams.signals = false;
            if (auto answer = run_in_guest(first); !answer) return std::unexpected(answer.error());
            boot_ = std::format("{} {}", ::getpid(), Clock::now().time_since_epoch().count());
            auto written = base::replace_file(place_.at(state_file), machine.run_directory + "\n" + boot_ + "\n", 0600);
            if (!written) return std::unexpected(written.error());
            (void)base::write_all(told_.get(), "ready\n", "pipe");
            told_.reset();
            auto watched = watch(machine);
            (void)::unlink(place_.at(state_file).c_str());
            return watched;
        });
        if (!hung_.empty()) code = timed_out;
        const std::string why = hung_.empty() ? std::format("its machine ended with status {}", code) : hung_;
        (void)base::replace_file(place_.at(ended_file), std::format("{}\n{}\n", code, why), 0600);
        return code;
    }

  private:
    Result<int> watch(const ExecWish &machine) {
        auto used = Clock::now(), answered = used, asked = used;
        const auto period = seconds(std::clamp(builder_.heartbeat_s / 4, 1, 10));
        for (;; std::this_thread::sleep_for(look_pause)) {
            // Callers that arrive while this lock is held wait until the machine is gone, and then boot it again.
            auto held = place_.lock(use_lock, LOCK_EX | LOCK_NB);
            if (!held) return std::unexpected(held.error());
            if (!*held || was_used()) used = Clock::now();
            if (*held && builder_.idle_s > 0 && Clock::now() - used >= seconds(builder_.idle_s)) {
                unused_ = std::move(**held);
                return 0;
            }
            held->reset();
            if (::access(machine.run_directory.c_str(), F_OK) < 0) return fail(0, "watch", machine.machine, "the machine ended");
            if (Clock::now() - asked < period) continue;
            if (auto heard = ask(machine, answered); !heard) return std::unexpected(heard.error());
            asked = Clock::now();
        }
    }

    // Detects short uses between two checks.
    bool was_used() {
        struct stat st{};
        if (::stat(place_.at(use_lock).c_str(), &st) < 0) return false;
        const auto now = std::pair{st.st_mtim.tv_sec, st.st_mtim.tv_nsec};
        return std::exchange(touched_, now) != now;
    }

    // Any answer from the agent is enough.
    Result<> ask(const ExecWish &machine, Clock::time_point &answered) {
        const int left =
            static_cast<int>(std::chrono::ceil<seconds>(answered + seconds(builder_.heartbeat_s) - Clock::now()).count());
        ExecWish wish{.machine = machine.machine, .run_directory = machine.run_directory};
        wish.request.task = "answer";
        wish.streams.signals = false;
        wish.patience_s = wish.limit_s = builder_.heartbeat_s > 0 ? std::max(left, 1) : -1;
        const auto end = run_in_guest(wish);
        if (end) answered = Clock::now();
        if (end || builder_.heartbeat_s == 0 || Clock::now() - answered < seconds(builder_.heartbeat_s)) return {};
        hung_ = std::format("the guest did not answer for {} s and was ended", builder_.heartbeat_s);
        return fail(0, "watch", machine.machine, hung_);
    }

    Builder builder_;
    BuilderPlace place_;
    Fd told_, unused_;
    std::string boot_, hung_;
    std::pair<time_t, long> touched_{};
};

[[noreturn]] void be_keeper(const Builder &builder, const BuilderPlace &place, Fd told) {
    (void)::setsid();
    const Fd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    const Fd log(::open(place.log().c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600));
    (void)::dup2(null.get(), STDIN_FILENO);
    for (const int standard : {STDOUT_FILENO, STDERR_FILENO}) (void)::dup2(log ? log.get() : null.get(), standard);
    // Close all inherited descriptors, because Nix waits for every holder of its pipes.
    constexpr int pipe = STDERR_FILENO + 1;
    if (told.get() != pipe) (void)::dup3(told.get(), pipe, O_CLOEXEC);
    (void)told.release();
    (void)::syscall(SYS_close_range, pipe + 1, ~0U, 0);
    const auto kept = place.lock(keeper_lock, LOCK_EX | LOCK_NB);
    if (!kept || !*kept) std::_Exit(launcher_error);
    (void)::ftruncate((*kept)->get(), 0);
    (void)base::write_all((*kept)->get(), std::format("{}\n", ::getpid()), "lock");
    for (const auto file : {state_file, ended_file}) (void)::unlink(place.at(file).c_str());
    if (!builder.working_directory.empty() && ::chdir(builder.working_directory.c_str()) < 0)
        std::_Exit(refuse({"change directory to", builder.working_directory, errno, ""}));
    std::_Exit(Keeper(builder, place, Fd(pipe)).run());
}

// What the launcher printed about a failed boot.
std::string end_of_log(const BuilderPlace &place) {
    std::string text = base::read_file(place.log(), size_t{1} << 20).value_or("");
    constexpr size_t enough_bytes = 2000;
    if (text.size() > enough_bytes) text.erase(0, text.size() - enough_bytes);
    return printable_lines(text);
}

Result<> start_keeper(const Builder &builder, const BuilderPlace &place) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) < 0) return fail(errno, "pipe", "");
    const Fd read_end(ends[0]);
    Fd write_end(ends[1]);
    const pid_t pid = ::fork();
    if (pid < 0) return fail(errno, "fork", "");
    if (pid == 0) be_keeper(builder, place, std::move(write_end));
    write_end.reset();
    pollfd wait{read_end.get(), POLLIN, 0};
    const int ready = ::poll(&wait, 1, builder.boot_limit_s * 1000);
    std::array<char, 16> word{};
    if (ready > 0 && ::read(read_end.get(), word.data(), word.size()) > 0) return {};
    if (ready == 0) (void)::kill(pid, SIGTERM);  // its machine ends with it
    int status = 0;
    (void)::waitpid(pid, &status, 0);
    for (const auto &line : LineReader(small_bytes).take(end_of_log(place) + "\n"))
        if (!line.empty()) say("builder " + place.name() + ": " + line);
    return fail(0, "boot builder", place.name(),
                ready == 0 ? std::format("the machine did not reach its target within {} s (--boot-limit)", builder.boot_limit_s)
                           : std::format("status {}; the full output is in {}", base::exit_code(status), place.log()));
}

Result<std::optional<BroughtUp>> running(const Builder &builder, const BuilderPlace &place) {
    const auto text = base::read_file(place.at(state_file), small_bytes);
    const size_t end = text ? text->find('\n') : std::string::npos;
    if (end == std::string::npos) return std::optional<BroughtUp>{};
    BroughtUp up{.machine = {.machine = builder.name, .run_directory = text->substr(0, end)}, .boot = text->substr(end + 1)};
    while (up.boot.ends_with('\n')) up.boot.pop_back();
    return up;
}

bool is_kept(const BuilderPlace &place) {
    const auto free = place.lock(keeper_lock, LOCK_EX | LOCK_NB);
    return free && !*free;
}

}  // namespace

Result<BroughtUp> bring_up(const Builder &builder, const BuilderPlace &place) {
    const auto starting = place.lock(start_lock, LOCK_EX);
    if (!starting) return std::unexpected(starting.error());
    constexpr int most_looks = 600;
    for (int i = 0; i < most_looks; ++i, std::this_thread::sleep_for(look_pause)) {
        if (!is_kept(place))
            if (auto started = start_keeper(builder, place); !started) return std::unexpected(started.error());
        // A keeper without a state file is about to end.
        auto up = running(builder, place);
        if (!up) return std::unexpected(up.error());
        if (*up) return std::move(**up);
    }
    return fail(0, "boot builder", place.name(), "the previous machine does not end");
}

HowItEnded wait_for_end_of(const BuilderPlace &place) {
    constexpr int most_looks = 300;
    for (int i = 0; i < most_looks && is_kept(place); ++i) std::this_thread::sleep_for(look_pause);
    const std::string text = base::read_file(place.at(ended_file), small_bytes).value_or("");
    HowItEnded how{.code = launcher_error, .text = "its machine ended"};
    const size_t end = text.find('\n');
    if (end == std::string::npos) return how;
    (void)std::from_chars(text.data(), text.data() + end, how.code);
    how.text = text.substr(end + 1, text.find('\n', end + 1) - end - 1);
    return how;
}

}  // namespace hostside
