#include "hostside/run/qemu_loop.h"

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <format>
#include <span>
#include <utility>

#include "hostside/base/run_names.h"
#include "hostside/base/unix_socket.h"
#include "hostside/qemu/command.h"
#include "hostside/run/oom.h"
#include "hostside/run/terminal.h"
#include "mounts/base/at.h"
#include "mounts/protocol.h"

namespace hostside {

namespace {

using mounts::protocol::BootPhase;

constexpr auto connect_pause = std::chrono::milliseconds(20);
// Time for QEMU to flush its disks after SIGTERM.
constexpr auto grace = std::chrono::seconds(3);
// Time for a guest in emergency mode to end otherwise: with its own status, or by a reboot.
constexpr auto emergency_patience = std::chrono::seconds(3);

}  // namespace

QemuLoop::QemuLoop(const Supervision &supervision, base::Child qemu, bool interactive)
    : supervision_(supervision), qemu_(qemu.pid), qemu_output_(std::move(qemu.output)), interactive_(interactive) {
    if (supervision.timeout_s > 0) deadline_ = Clock::now() + std::chrono::seconds(supervision.timeout_s);
}

// Handles events until QEMU ends.
int QemuLoop::to_the_end(const Signals &signals) {
    for (;;) {
        if (status_.fd() < 0 && !connected_) connect();
        ConsoleView *const view = supervision_.view;
        constexpr size_t served = 7;
        std::array<pollfd, served + ConsoleServer::descriptors> polls{{{signals.fd(), POLLIN, 0},
                                                                       {status_.fd(), POLLIN, 0},
                                                                       {events_.fd(), POLLIN, 0},
                                                                       {supervision_.console.fd(), POLLIN, 0},
                                                                       {qemu_output_.get(), POLLIN, 0},
                                                                       {view != nullptr ? view->input_fd() : -1, POLLIN, 0},
                                                                       {news_, POLLIN, 0}}};
        ConsoleServer *const server = supervision_.server;
        if (server != nullptr) std::ranges::copy(server->wanted(), polls.begin() + served);
        (void)::poll(polls.data(), served + (server != nullptr ? ConsoleServer::descriptors : 0), wait_ms());
        if (polls[1].revents != 0) take_status();
        if (polls[2].revents != 0) take_events();
        if (polls[3].revents != 0) take_console();
        if (polls[4].revents != 0) take_qemu_output();
        if (polls[5].revents != 0) view->type();
        if (polls[6].revents != 0) take_news();
        if (server != nullptr) server->serve(std::span(polls).subspan(served));
        if (view != nullptr) view->tick();
        take_signals(signals);
        check_companions();
        check_emergency();
        check_time();
        int wait_status = 0;
        if (::waitpid(qemu_, &wait_status, WNOHANG) == qemu_) return ended(base::exit_code(wait_status));
    }
}

void QemuLoop::report(const RunEvent &event) const {
    if (supervision_.report) supervision_.report(event);
}
// Only the first reason counts.
void QemuLoop::conclude(int code) {
    if (!code_) code_ = code;
}

// QEMU opens the status port last.
void QemuLoop::connect() {
    const auto to = [&](std::string_view name) { return connect_unix(supervision_.run_directory + "/" + std::string(name)); };
    auto status = to(status_socket);
    if (!status) return;
    connected_ = true;
    if (!supervision_.first_words.empty())
        (void)base::write_all(status->get(), supervision_.first_words, "status port");  // the loop notices QEMU's end
    status_ = StatusPort(std::move(*status), interactive_);
    if (auto events = to(events_socket)) events_ = QemuEvents(std::move(*events));
    const std::string fifo = std::format("{}/{}.in", supervision_.run_directory, typed_pipe);
    if (supervision_.view != nullptr) supervision_.view->connect(fifo);
    if (supervision_.server != nullptr) supervision_.server->connect(fifo);
    report({.kind = RunEvent::started, .number = qemu_});
}

int QemuLoop::wait_ms() const {
    constexpr long long redraw_ms = 100;
    long long wait = connected_ ? -1 : connect_pause.count();
    if (connected_ && supervision_.view != nullptr && supervision_.view->wants_ticks()) wait = redraw_ms;
    for (const auto &end : {deadline_, kill_at_, companions_.due(), emergency_at_}) {
        if (!end) continue;
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(*end - Clock::now()).count() + 1;
        const long long bounded = std::clamp<long long>(left, 0, 1 << 30);
        wait = wait < 0 ? bounded : std::min(wait, bounded);
    }
    return static_cast<int>(wait);
}

void QemuLoop::take_status() {
    for (const auto &line : status_.receive()) switch (line.kind) {
        case StatusLine::ready:
            is_ready_ = true;
            stage1_phase_.clear();
            report({RunEvent::ready});
            break;
        case StatusLine::phase:
            // switch_root is the last phase; if it fails, stage 1 reports that.
            stage1_phase_ = line.text == name(BootPhase::switch_root) ? "" : line.text;
            report({RunEvent::phase, line.text});
            break;
        case StatusLine::stage2:
            (void)base::replace_file(std::format("{}/{}", supervision_.run_directory, stage2_times), line.text);
            break;
        case StatusLine::report: port_report_.take(line.text); break;
        case StatusLine::step: report({RunEvent::step, line.text}); break;
        case StatusLine::waits: report({RunEvent::waits, line.text, line.code}); break;
        case StatusLine::exit:
            conclude(std::min<int>(line.code, guest_status_limit));
            report({.kind = RunEvent::guest_exit, .number = line.code});
            break;
        case StatusLine::failed:
            conclude(stage1_failed);
            report({RunEvent::stage1_failure, line.text});
            if (!interactive_) end_qemu(stage1_failed);
            break;
        case StatusLine::fork_point: report({RunEvent::fork_point}); break;
        case StatusLine::fresh:
        case StatusLine::unknown: break;
        }
}

void QemuLoop::take_console() {
    const std::string text = supervision_.console.take();
    if (supervision_.view != nullptr) supervision_.view->show(text);
    if (supervision_.server != nullptr) supervision_.server->show(text);
    if (emergency_watch_.take(text) && !emergency_at_ && !in_emergency_) emergency_at_ = Clock::now() + emergency_patience;
    if (interactive_ || code_ || !supervision_.console.firmware_waits()) return;
    report(nothing_to_boot_event());
    end_qemu(qemu_failed);
}

// Does not end QEMU if a user is at the terminal, where the guest shows its own prompt.
void QemuLoop::check_emergency() {
    if (!emergency_at_ || Clock::now() < *emergency_at_) return;
    emergency_at_.reset();
    if (std::exchange(in_emergency_, true) || is_ready_ || code_) return;
    report({RunEvent::emergency, ""});
    if (!interactive_ && !(supervision_.terminal && somebody_may_type())) end_qemu(in_emergency);
}

void QemuLoop::take_news() {
    news_ = -1;
    if (!supervision_.on_news()) end_qemu(launcher_error);
}

void QemuLoop::take_qemu_output() {
    constexpr size_t enough_bytes = size_t{16} << 10;
    std::array<char, 4096> chunk;
    const ssize_t n = ::read(qemu_output_.get(), chunk.data(), chunk.size());
    if (n <= 0)
        qemu_output_.reset();
    else if (qemu_said_.size() < enough_bytes)
        qemu_said_.append(chunk.data(), static_cast<size_t>(n));
}

void QemuLoop::take_events() {
    for (const auto &event : events_.receive()) switch (event.kind) {
        case QemuEvent::panic:  // QEMU ends the machine by itself (qemu(1), -action)
            panicked_ = true;
            break;
        case QemuEvent::power_off:
        case QemuEvent::reset: end_ = event.kind; break;
        case QemuEvent::disk_full:
        case QemuEvent::disk_error:
            if (failed_disks_.insert(event.device).second)
                report({event.kind == QemuEvent::disk_full ? RunEvent::disk_full : RunEvent::disk_error, event.device});
            break;
        case QemuEvent::port_closed:  // the command hub has its own connection
        case QemuEvent::other: break;
        }
}

void QemuLoop::take_signals(const Signals &signals) {
    int asked = 0;  // the last signal that asks us to end
    while (const int signal = signals.take()) {
        if (signal == SIGCONT && supervision_.view != nullptr) supervision_.view->resume();
        if (signal != SIGCONT && signal != SIGCHLD) asked = signal;
    }
    // At a terminal, Ctrl-C is for the guest once its console is shown.
    const bool live = supervision_.view != nullptr && supervision_.view->live();
    if (asked == 0 || (interactive_ && !live && asked == SIGINT)) return;
    report({.kind = RunEvent::signal, .number = asked});
    end_qemu(128 + asked);
}

void QemuLoop::check_companions() {
    companions_.look();
    if (!companions_.due() || Clock::now() < *companions_.due()) return;
    report(*companions_.take());
    end_qemu(qemu_failed);
}

void QemuLoop::check_time() {
    if (deadline_ && Clock::now() >= *deadline_) {
        deadline_.reset();
        report({.kind = RunEvent::timeout, .number = supervision_.timeout_s});
        end_qemu(timed_out);
    }
    if (kill_at_ && Clock::now() >= *kill_at_) {
        kill_at_.reset();
        (void)::kill(qemu_, SIGKILL);
    }
}

void QemuLoop::end_qemu(int code) {
    conclude(code);
    (void)::kill(qemu_, SIGTERM);  // lets QEMU flush its disks
    kill_at_ = Clock::now() + grace;
}

// QEMU is gone. Its last output is still in the sockets and the pipe, up to their capacity.
int QemuLoop::ended(int qemu_status) {
    constexpr int most_reads = 1024;  // limit, in case a child of QEMU holds an end open
    const auto more = [](int fd) {
        pollfd wait{fd, POLLIN, 0};
        return fd >= 0 && ::poll(&wait, 1, 0) == 1;
    };
    for (int i = 0; i < most_reads && more(status_.fd()); ++i) take_status();
    for (int i = 0; i < most_reads && more(events_.fd()); ++i) take_events();
    for (int i = 0; i < most_reads && more(supervision_.console.fd()); ++i) take_console();
    for (int i = 0; i < most_reads && more(qemu_output_.get()); ++i) take_qemu_output();
    if (supervision_.server != nullptr) supervision_.server->finish();
    if (code_) return *code_;
    const Verdict verdict = verdict_of(facts(qemu_status));
    for (const auto &event : verdict.events) report(event);
    return verdict.code;
}

QemuEnd QemuLoop::facts(int qemu_status) {
    companions_.look();
    return {.status = qemu_status,
            .panicked = panicked_,
            .console_ends_in_panic = supervision_.console.ends_in_panic(),
            .nothing_to_boot = supervision_.console.nothing_to_boot(),
            .out_of_memory = qemu_status == signal_base + SIGKILL && killed_for_memory(qemu_),
            .request = end_,
            .stage1_phase = stage1_phase_,
            .lost_companion = companions_.take(),
            .output = qemu_said_};
}

}  // namespace hostside
