#include "hostside/run/port_report.h"

#include <fcntl.h>
#include <unistd.h>

#include "mounts/base/at.h"
#include "mounts/protocol.h"

namespace hostside {

namespace {

constexpr int most_reports = 64, most_records = 4096;
constexpr int64_t most_bytes = int64_t{1} << 20;

}  // namespace

PortReport::PortReport(const std::string &run_directory)
    : path_(run_directory + "/" + std::string(mounts::protocol::report_file)) {}

void PortReport::begin() {
    file_.reset();
    records_ = 0;
    end_ = 0;
    if (reports_++ >= most_reports) return;
    auto file = base::open_at(AT_FDCWD, path_, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600);
    if (file) file_ = std::move(*file);
}

void PortReport::take(std::string_view record) {
    if (record.empty()) return begin();
    if (!file_ || records_ >= most_records) return;
    const std::string text = (records_ == 0 ? "{\"version\": 1, \"steps\": [\n " : ",\n ") + std::string(record);
    const std::string whole = text + "\n]}\n";
    if (end_ + static_cast<int64_t>(whole.size()) > most_bytes) return;
    if (::pwrite(file_.get(), whole.data(), whole.size(), end_) != static_cast<ssize_t>(whole.size())) return file_.reset();
    end_ += static_cast<int64_t>(text.size());
    ++records_;
}

}  // namespace hostside
