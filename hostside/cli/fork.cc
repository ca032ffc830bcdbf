#include "hostside/cli/fork.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <ctime>
#include <format>
#include <thread>
#include <utility>

#include "hostside/base/run_names.h"
#include "hostside/exec/guest_task.h"
#include "hostside/snapshot/migration.h"
#include "mounts/base/at.h"
#include "mounts/base/hex.h"
#include "mounts/protocol.h"

namespace hostside {

namespace {

using base::fail;
using base::Fd;
using base::Result;
using mounts::exec::ForkNews;

Result<std::string> random_bytes(size_t count) {
    std::string bytes(count, '\0');
    if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(count)) return fail(errno, "get", "random bytes");
    return bytes;
}

// The last three bytes of a card's address, after QEMU's own three.
std::string address_of(const std::string &bytes) {
    std::string text = "52:54:00";
    for (size_t i = 0; i < bytes.size(); ++i) text += ":" + base::hex(std::string_view(bytes).substr(i, 1));
    return text;
}

// Version 4, like those of systemd and the kernel.
std::string uuid_of(std::string bytes, bool dashes) {
    bytes[6] = static_cast<char>((bytes[6] & 0x0f) | 0x40);
    bytes[8] = static_cast<char>((bytes[8] & 0x3f) | 0x80);
    std::string text = base::hex(bytes);
    for (const size_t at : {8, 13, 18, 23})
        if (dashes) text.insert(at, "-");
    return text;
}

// QEMU's default MAC for a card without one on its command line.
constexpr std::string_view default_address = "52:54:00:12:34:56";

Result<Monitor> monitor_of(const std::string &run_directory) {
    constexpr auto pause = std::chrono::milliseconds(2);
    constexpr int patience = 30'000;  // if QEMU does not start, the launcher ends this process
    const std::string path = run_directory + "/" + std::string(qmp_socket);
    for (int i = 0;; ++i, std::this_thread::sleep_for(pause)) {
        auto monitor = Monitor::connect(path);
        if (monitor || i == patience) return monitor;
        if (monitor.error().code != ENOENT && monitor.error().code != ECONNREFUSED) return monitor;
    }
}

// Uses the agent, which runs in the guest as it did when the machine was saved.
Result<> tell_agent(const std::string &run_directory, const ForkNews &news) {
    constexpr int patience_s = 60;
    ExecWish wish{.machine = news.host_name, .run_directory = run_directory, .patience_s = patience_s};
    wish.request.task = std::string(mounts::exec::fork_task) + text_of(news);
    constexpr std::string_view step = "give the fork its own identity";
    constexpr auto pause = std::chrono::milliseconds(5);
    auto done = run_to_success(wish, step, "");
    // The hub may not listen yet.
    for (int i = 0; !done && done.error().code == ENOENT && i < 2000; ++i, std::this_thread::sleep_for(pause))
        done = run_to_success(wish, step, "");
    return done;
}

Result<> wake(const Snapshot &snapshot, const std::string &run_directory, const ForkNews &news) {
    auto state = base::open_at(AT_FDCWD, snapshot.file(snapshot_state), O_RDONLY);
    if (!state) return std::unexpected(state.error());
    auto monitor = monitor_of(run_directory);
    if (!monitor) return std::unexpected(monitor.error());
    if (auto loaded = load_state(*monitor, state->get()); !loaded) return loaded;
    if (auto runs = let_run(*monitor); !runs) return runs;
    return snapshot.manifest.point == "ready" ? tell_agent(run_directory, news) : Result<>();
}

}  // namespace

void be_saved(Machine &m, const std::string &point, const std::string &disk) {
    m.disk_image = disk;
    m.disk_image_format = "qcow2";
    m.kernel_params.push_back(std::format("{}={}", mounts::protocol::snapshot_parameter, point));
}

Result<ForkNews> fork_news(const Machine &m, const Manifest &manifest, const std::string &name) {
    constexpr size_t entropy_bytes = 32, id_bytes = 16, address_bytes = 3;
    auto bytes = random_bytes(entropy_bytes + 2 * id_bytes + address_bytes);
    if (!bytes) return std::unexpected(bytes.error());
    size_t at = 0;
    const auto take = [&](size_t count) { return bytes->substr(std::exchange(at, at + count), count); };
    ForkNews news{
        .entropy = take(entropy_bytes), .machine_id = uuid_of(take(id_bytes), false), .boot_id = uuid_of(take(id_bytes), true)};
    if (mounts::exec::is_host_name(name)) news.host_name = name;
    news.cards.emplace_back(default_address, address_of(take(address_bytes)));
    for (const int vlan : all_vlans(m)) {
        const auto address = [&](int node) { return std::format("52:54:00:12:{:02x}:{:02x}", vlan, node); };
        news.cards.emplace_back(address(manifest.node_number), address(m.node_number));
    }
    return news;
}

std::string text_of(ForkNews news) {
    timespec now{};
    (void)::clock_gettime(CLOCK_REALTIME, &now);
    news.time_ns = int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
    return fork_news_text(news);
}

Result<Waker> Waker::start(const Snapshot &snapshot, const std::string &run_directory, ForkNews news) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) < 0) return fail(errno, "pipe", "");
    Fd read_end(ends[0]), write_end(ends[1]);
    const pid_t parent = ::getpid(), pid = ::fork();
    if (pid < 0) return fail(errno, "fork", "");
    if (pid > 0) return Waker(pid, std::move(read_end));
    (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) std::_Exit(1);
    const auto done = wake(snapshot, run_directory, news);
    const std::string words = done ? "" : base::message(done.error());
    (void)base::write_all(write_end.get(), words, "pipe");
    std::_Exit(0);
}

Waker::Waker(Waker &&other) noexcept : pid_(std::exchange(other.pid_, -1)), told_(std::move(other.told_)) {}

Waker::~Waker() {
    if (pid_ < 0) return;
    (void)::kill(pid_, SIGKILL);
    (void)::waitpid(pid_, nullptr, 0);
}

std::string Waker::failure() const {
    return base::read_all(told_.get(), "waker", 65536).value_or("the snapshot was not restored");
}

Result<Restoring> Restoring::open(const std::string &from) {
    Restoring restoring;
    if (from.empty()) return restoring;
    auto saved = open_snapshot(from);
    if (!saved) return std::unexpected(saved.error());
    restoring.saved_.emplace(std::move(*saved));
    restoring.awake_ = false;
    return restoring;
}

Result<> Restoring::begin(const Machine &m, const std::string &run_directory) {
    if (!saved_) return {};
    auto news = fork_news(m, saved_->manifest, run_directory.substr(run_directory.rfind('/') + 1));
    if (!news) return std::unexpected(news.error());
    auto waker = Waker::start(*saved_, run_directory, *news);
    if (!waker) return std::unexpected(waker.error());
    waker_.emplace(std::move(*waker));
    if (!was_ready()) first_words_ = std::string(mounts::protocol::forked_word) + text_of(std::move(*news)) + "\n";
    return {};
}

bool Restoring::finish() {
    failure_ = waker_->failure();
    awake_ = failure_.empty();
    return awake_;
}

}  // namespace hostside
