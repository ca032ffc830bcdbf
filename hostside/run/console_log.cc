#include "hostside/run/console_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "mounts/base/at.h"

namespace hostside {

namespace {

constexpr std::string_view panic_words = "Kernel panic - not syncing";
constexpr uint64_t trace_bytes = uint64_t{64} << 10;  // a kernel prints less than this after the panic words

}  // namespace

ConsoleLog::ConsoleLog(std::string run_directory, base::Fd reader, base::Fd writer)
    : run_directory_(std::move(run_directory)), reader_(std::move(reader)), writer_(std::move(writer)) {}

base::Result<ConsoleLog> ConsoleLog::create(std::string run_directory) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) < 0) return base::fail(errno, "pipe", "console log");
    base::Fd reader(ends[0]);
    // QEMU accepts no descriptor below 3 (-add-fd). This one may be lower if runvm was started without standard streams.
    const base::Fd low(ends[1]);
    base::Fd writer(::fcntl(low.get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
    if (!writer || ::fcntl(reader.get(), F_SETFL, O_NONBLOCK) < 0) return base::fail(errno, "pipe", "console log");
    return ConsoleLog(std::move(run_directory), std::move(reader), std::move(writer));
}

std::string ConsoleLog::take() {
    std::array<char, 65536> chunk;
    const ssize_t n = ::read(reader_.get(), chunk.data(), chunk.size());
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) reader_.reset();
    if (n <= 0) return {};
    std::string text(chunk.data(), static_cast<size_t>(n));
    watch(text);
    write(text);
    return text;
}

// If the log can't be written (a full /run), it is cut short and the machine goes on.
void ConsoleLog::write(std::string_view text) {
    const std::string path = run_directory_ + "/" + std::string(console_log);
    if (!file_ || file_bytes_ + text.size() > console_log_limit_bytes) {
        if (file_) (void)::rename(path.c_str(), (run_directory_ + "/" + std::string(console_log_before)).c_str());
        auto fresh = base::open_at(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600);
        if (!fresh) return;
        file_ = std::move(*fresh);
        file_bytes_ = 0;
    }
    if (base::write_all(file_.get(), text, path)) file_bytes_ += text.size();
}

void ConsoleLog::watch(std::string_view text) {
    constexpr size_t of_firmware_bytes = size_t{8} << 10;
    first_.append(text.substr(0, of_firmware_bytes - std::min(first_.size(), of_firmware_bytes)));
    tail_.append(text);
    if (const size_t at = tail_.rfind(panic_words); at != std::string::npos)
        panic_at_ = seen_bytes_ + text.size() - (tail_.size() - at - panic_words.size());
    seen_bytes_ += text.size();
    tail_.erase(0, tail_.size() - std::min(tail_.size(), panic_words.size() - 1));
}

bool ConsoleLog::ends_in_panic() const { return panic_at_ != 0 && seen_bytes_ - panic_at_ < trace_bytes; }

}  // namespace hostside
