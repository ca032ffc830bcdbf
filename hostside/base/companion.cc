#include "hostside/base/companion.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <thread>

#include "hostside/base/last_line.h"
#include "hostside/base/printable.h"
#include "hostside/base/unix_socket.h"

namespace hostside {

CompanionProcess::CompanionProcess(base::Child child, int end_signal)
    : pid_(child.pid), end_signal_(end_signal), output_(std::move(child.output)) {
    (void)::fcntl(output_.get(), F_SETFL, O_NONBLOCK);
}

CompanionProcess::~CompanionProcess() {
    if (pid_ <= 0) return;
    (void)::kill(pid_, end_signal_);
    // A program that hangs, or was stopped, does not react.
    constexpr std::chrono::milliseconds grace(3000), pause(2);
    for (const auto end = std::chrono::steady_clock::now() + grace;
         end_signal_ != SIGKILL && std::chrono::steady_clock::now() < end; std::this_thread::sleep_for(pause))
        if (::waitpid(pid_, nullptr, WNOHANG) != 0) return;
    (void)::kill(pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
}

bool CompanionProcess::ended() {
    if (pid_ <= 0 || ::waitpid(pid_, nullptr, WNOHANG) != pid_) return false;
    pid_ = -1;
    return true;
}

std::string CompanionProcess::last_words() const {
    std::array<char, 4096> said{};
    const ssize_t n = ::read(output_.get(), said.data(), said.size());
    return printable(last_line({said.data(), static_cast<size_t>(std::max<ssize_t>(0, n))}));
}

base::Result<base::Fd> listen_blocking(const std::string &path) {
    auto fd = listen_unix(path);
    if (fd && ::fcntl(fd->get(), F_SETFL, 0) < 0) return base::fail(errno, "listen", path);
    return fd;
}

}  // namespace hostside
