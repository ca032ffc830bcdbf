#include "tests/support/terminal.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <iterator>
#include <system_error>

#include "mounts/base/process.h"

namespace support {

Terminal::Terminal() : ours_(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)) {
    if (ours_ && ::grantpt(ours_.get()) == 0 && ::unlockpt(ours_.get()) == 0) {
        path_ = ::ptsname(ours_.get());
        program_side_.reset(::open(path_.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC));
    }
    if (!program_side_) throw std::system_error(errno, std::generic_category(), "open a terminal");
}

void Terminal::listen(int timeout_ms) {
    std::array<char, 4096> chunk;
    for (pollfd poll{ours_.get(), POLLIN, 0}; ::poll(&poll, 1, timeout_ms) > 0; timeout_ms = 0) {
        const ssize_t n = ::read(ours_.get(), chunk.data(), chunk.size());
        if (n <= 0) return;
        // The number of carriage returns depends on the terminals along the way.
        std::ranges::copy_if(chunk.begin(), chunk.begin() + n, std::back_inserter(said_), [](char c) { return c != '\r'; });
    }
}

bool Terminal::wait_for(const std::string &text, int timeout_s, const std::function<bool()> &ended) {
    using Clock = std::chrono::steady_clock;
    const auto end = Clock::now() + std::chrono::seconds(timeout_s);
    for (;;) {
        const bool last = ended() || Clock::now() >= end;
        listen(100);
        if (const size_t at = said_.find(text, waited_for_); at != std::string::npos) {
            waited_for_ = at + text.size();
            return true;
        }
        if (last) return false;
    }
}

void Terminal::type(const std::string &text) const { (void)!::write(ours_.get(), text.data(), text.size()); }

Session at_a_terminal(const std::vector<std::string> &argv, const std::string &question, const std::string &answer) {
    int terminal = -1;
    const pid_t pid = ::forkpty(&terminal, nullptr, nullptr, nullptr);
    if (pid < 0) throw std::system_error(errno, std::generic_category(), "forkpty");
    if (pid == 0) {
        std::vector<char *> words;
        for (const auto &word : argv) words.push_back(const_cast<char *>(word.c_str()));
        words.push_back(nullptr);
        ::execv(words[0], words.data());
        ::_exit(127);
    }
    const base::Fd fd(terminal);
    Session session;
    bool answered = question.empty();
    std::array<char, 4096> chunk;
    // The program's own timeout bounds this loop.
    for (ssize_t n = 0; (n = ::read(fd.get(), chunk.data(), chunk.size())) > 0;) {
        session.screen.append(chunk.data(), static_cast<size_t>(n));
        if (answered || !session.screen.contains(question)) continue;
        if (::write(fd.get(), answer.data(), answer.size()) < 0) throw std::system_error(errno, std::generic_category(), "type");
        answered = true;
    }
    int status = 0;
    if (::waitpid(pid, &status, 0) != pid) throw std::system_error(errno, std::generic_category(), "wait");
    session.exit_code = base::exit_code(status);
    return session;
}

}  // namespace support
