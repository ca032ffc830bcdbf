#include "tests/support/terminal.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <iterator>
#include <system_error>

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
        // How many carriage returns a line ends with is a matter of the terminals that it came through.
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

}  // namespace support
