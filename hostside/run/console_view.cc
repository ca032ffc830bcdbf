#include "hostside/run/console_view.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <format>

#include "mounts/base/at.h"
#include "mounts/protocol.h"

namespace hostside {

namespace {

constexpr size_t held_limit_bytes = size_t{256} << 10;

// Ignores errors, because nobody is left to see them if the terminal is gone.
void put(int fd, std::string_view text) { (void)base::write_all(fd, text, "terminal"); }

size_t columns() {
    winsize size{};
    constexpr size_t usual = 80;
    const bool known = ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return (known ? size.ws_col : usual) - 1;
}

}  // namespace

ConsoleView::ConsoleView(bool whole_console) {
    line_.enter("disk", 0);
    if (whole_console) open_console(false);
    tick();
}

ConsoleView::~ConsoleView() {
    if (live_) put(STDERR_FILENO, std::format("\r{}\x1b[K\n", line_.text(now_s(), columns(), true)));
    put_notes();
}

double ConsoleView::now_s() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

void ConsoleView::erase_line() const {
    if (live_) put(STDERR_FILENO, "\r\x1b[K");
}

void ConsoleView::tick() {
    constexpr double patience_s = 0.3;
    if (!notes_.empty() && now_s() - noted_s_ > patience_s) put_notes();
    if (!at_terminal(STDIN_FILENO)) {
        is_raw_ = false;
        return;  // the terminal's line now belongs to the shell
    }
    if (live_) put(STDERR_FILENO, std::format("\r{}\x1b[K", line_.text(now_s(), columns())));
    if (!live_ && !is_raw_) is_raw_ = terminal_.make_raw();
}

void ConsoleView::doing(std::string_view what) {
    line_.doing(what);
    tick();
}

void ConsoleView::event(const RunEvent &event) {
    switch (event.kind) {
    case RunEvent::started: line_.enter("kernel", now_s()); break;
    case RunEvent::phase:
        if (event.text == name(mounts::protocol::BootPhase::switch_root))
            open_console(false);
        else
            line_.enter("stage 1", now_s());
        break;
    case RunEvent::step: line_.doing(event.text); break;
    case RunEvent::waits: line_.waits(event.text, event.number, now_s()); break;
    case RunEvent::stage1_failure:
    case RunEvent::panic:
    case RunEvent::timeout: open_console(true); break;
    case RunEvent::exit:
        if (event.number != 0) open_console(true);
        break;
    default: break;  // reported as a note
    }
    tick();
}

void ConsoleView::note(const std::string &text) {
    if (!live_ && mid_line_) {
        if (notes_.empty()) noted_s_ = now_s();
        notes_ += std::format("runvm: {}\r\n", text);
        return;
    }
    erase_line();
    put(STDERR_FILENO, std::format("runvm: {}{}", text, live_ ? "\n" : "\r\n"));
    tick();
}

void ConsoleView::open_console(bool with_what_was_said) {
    if (!live_) return;
    put(STDERR_FILENO, std::format("\r{}\x1b[K\n", line_.text(now_s(), columns(), true)));
    live_ = false;
    is_raw_ = terminal_.make_raw();
    if (with_what_was_said) put_console(held_);
    held_.clear();
}

void ConsoleView::put_notes() {
    if (notes_.empty()) return;
    put(STDERR_FILENO, (mid_line_ ? "\r\n" : "") + notes_);
    mid_line_ = false;
    notes_.clear();
}

// Notes and console text arrive independently, and a guest's line may arrive in pieces.
void ConsoleView::put_console(std::string_view text) {
    if (const size_t end = text.find('\n'); !notes_.empty() && end != std::string_view::npos) {
        put(STDOUT_FILENO, text.substr(0, end + 1));
        text.remove_prefix(end + 1);
        mid_line_ = false;
        put_notes();
    }
    put(STDOUT_FILENO, text);
    if (!text.empty()) mid_line_ = text.back() != '\n';
}

void ConsoleView::show(std::string_view console_text) {
    if (!live_) return put_console(console_text);
    held_ += console_text;
    if (held_.size() > held_limit_bytes) held_.erase(0, held_.size() - held_limit_bytes);
}

void ConsoleView::connect(const std::string &fifo) {
    if (auto fd = base::open_at(AT_FDCWD, fifo, O_WRONLY | O_NONBLOCK | O_NOFOLLOW)) typed_ = std::move(*fd);
}

void ConsoleView::type() {
    std::array<char, 4096> chunk;
    const ssize_t n = ::read(STDIN_FILENO, chunk.data(), chunk.size());
    if (n <= 0) {
        input_ended_ = true;
        return;
    }
    if (live_) return open_console(true);  // that Enter was meant for runvm
    // If a guest reads nothing for 64 KiB, the rest is lost, because waiting for it would block everything else.
    if (typed_) (void)!::write(typed_.get(), chunk.data(), static_cast<size_t>(n));
}

}  // namespace hostside
