#include "mounts/base/log.h"

#include <algorithm>
#include <format>
#include <ranges>

#include "mounts/base/at.h"

namespace base {

namespace {

constexpr size_t record_limit = 900;  // printk truncates at 1024 bytes minus the prefix (kernel/printk, PRINTKRB_RECORD_MAX)

Fd kmsg;  // the only mutable global, because the log has no other owner

}  // namespace

Result<> log_to_kmsg() {
    auto fd = open_at(AT_FDCWD, "/dev/kmsg", O_WRONLY);
    if (!fd) return std::unexpected(fd.error());
    kmsg = std::move(*fd);
    return {};
}

void log(Priority priority, std::string_view text) {
    for (auto part : std::views::split(text, '\n')) {
        std::string_view line(part);
        do {
            const std::string_view record = line.substr(0, record_limit);
            line.remove_prefix(record.size());
            const std::string out =
                kmsg ? std::format("<{}>stage1: {}", static_cast<int>(priority), record) : std::format("{}\n", record);
            // A failed write to the log cannot be reported anywhere.
            (void)!::write(kmsg ? kmsg.get() : STDERR_FILENO, out.data(), out.size());
        } while (!line.empty());
    }
}

void log(const Error &error) { log(Priority::error, message(error)); }

}  // namespace base
