#include "hostside/exec/guest_task.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "hostside/base/printable.h"
#include "mounts/base/at.h"
#include "mounts/base/fd.h"

namespace hostside {

using base::fail;
using base::Result;

Result<> run_to_success(ExecWish wish, std::string_view step, const std::string &what) {
    std::string said;
    wish.streams.take_errors = [&](std::string_view text) {
        constexpr size_t enough_bytes = 4096;
        said += text.substr(0, enough_bytes - std::min(enough_bytes, said.size()));
        return true;
    };
    wish.streams.signals = false;
    const auto end = run_in_guest(wish);
    if (!end) return std::unexpected(end.error());
    if (end->kind == mounts::exec::End::exited && end->code == 0) return {};
    while (said.ends_with('\n')) said.pop_back();
    return fail(0, step, what, printable_lines(said.empty() ? end->text : said));
}

Result<> put_text(const ExecWish &machine, std::string_view text, const std::string &place) {
    const base::Fd fd(::memfd_create("text", MFD_CLOEXEC));
    if (!fd) return fail(errno, "memfd_create", "");
    if (auto written = base::write_all(fd.get(), text, "text"); !written) return written;
    if (::lseek(fd.get(), 0, SEEK_SET) < 0) return fail(errno, "seek", "text");
    ExecWish put{.machine = machine.machine, .run_directory = machine.run_directory, .patience_s = machine.patience_s};
    put.request.task = "put 600 " + place;
    put.streams.input = fd.get();
    return run_to_success(std::move(put), "copy into the guest", machine.machine);
}

}  // namespace hostside
