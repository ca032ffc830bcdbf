#include "hostside/exec/copy.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <format>

#include "hostside/base/allowance.h"
#include "mounts/base/at.h"
#include "mounts/base/fd.h"

namespace hostside {

namespace {

using base::fail;
using base::Result;
using mounts::exec::End;

constexpr std::string_view through_tar =
    "copy a directory with tar: tar -C DIRECTORY -c . | runvm exec NAME -- tar -C DIRECTORY -x";

// The colon's position in NAME:FILE; npos for a file on the host.
size_t colon_of(const std::string &word) {
    const size_t colon = word.find(':');
    return colon == 0 || word.find('/') < colon ? std::string::npos : colon;
}

std::string own_name(const std::string &path) { return path.substr(path.rfind('/') + 1); }

Result<End> put(const Copy &copy, ExecWish wish) {
    auto file = base::open_at(AT_FDCWD, copy.here, O_RDONLY | O_NOCTTY);
    if (!file) return std::unexpected(file.error());
    struct stat st{};
    if (::fstat(file->get(), &st) < 0) return fail(errno, "stat", copy.here);
    if (S_ISDIR(st.st_mode)) return fail(EISDIR, "copy", copy.here, through_tar);
    wish.request.task = std::format("put {:o} {}", st.st_mode & 0777, copy.there);
    wish.streams.input = file->get();
    return run_in_guest(wish);
}

Result<End> get(const Copy &copy, ExecWish wish) {
    wish.request.task = "get " + copy.there;
    struct stat st{};
    // Write directly to an existing target that is not a regular file (/dev/null, a FIFO).
    const bool as_it_is = ::stat(copy.here.c_str(), &st) == 0 && !S_ISREG(st.st_mode);
    const std::string part = as_it_is ? copy.here : copy.here + ".part";
    auto file = base::open_at(AT_FDCWD, part, as_it_is ? O_WRONLY : O_WRONLY | O_CREAT | O_EXCL, 0666);
    if (!file && file.error().code == EEXIST)
        return fail(EEXIST, "copy to", copy.here, std::format("another copy is making {}, or was killed; then remove it", part));
    if (!file) return fail(file.error().code, "copy to", copy.here);
    if (as_it_is) {
        wish.streams.output = file->get();
        return run_in_guest(wish);
    }
    // The guest may send more than the file's size, even endlessly.
    Result<> taken;
    uint64_t bytes = 0;
    wish.streams.take_output = [&](std::string_view chunk) {
        bytes += chunk.size();
        if (copy.most_bytes != 0 && bytes > copy.most_bytes)
            taken = fail(EFBIG, "take from the guest", copy.there,
                         std::format("the guest sends more than {} bytes; raise --max-bytes to allow that", copy.most_bytes));
        else
            taken = check_room(chunk.size(), file->get()).and_then([&] { return base::write_all(file->get(), chunk, part); });
        return taken.has_value();
    };
    auto end = run_in_guest(wish);
    if (!taken) {
        (void)::unlink(part.c_str());
        return std::unexpected(taken.error());
    }
    const bool whole = end && end->kind == End::exited && end->code == 0;
    if (whole && ::rename(part.c_str(), copy.here.c_str()) == 0) return end;
    const int code = errno;
    (void)::unlink(part.c_str());
    return whole ? fail(code, "rename", part) : end;
}

}  // namespace

Result<Copy> copy_of(const std::string &from, const std::string &to) {
    const size_t there = colon_of(from), here = colon_of(to);
    if ((there == std::string::npos) == (here == std::string::npos))
        return fail(0, "copy", from,
                    "exactly one of the two must be on a machine, as in web:/etc/hosts; write a host's file with a colon in its "
                    "name as ./a:b");
    Copy copy{.to_guest = there == std::string::npos};
    const std::string &guest = copy.to_guest ? to : from;
    const size_t colon = copy.to_guest ? here : there;
    copy.machine = guest.substr(0, colon);
    copy.there = guest.substr(colon + 1);
    copy.here = copy.to_guest ? from : to;
    if (copy.to_guest && (copy.there.empty() || copy.there.ends_with('/'))) copy.there += own_name(copy.here);
    std::error_code error;
    if (!copy.to_guest && std::filesystem::is_directory(copy.here, error)) copy.here += "/" + own_name(copy.there);
    return copy;
}

Result<End> run_copy(const Copy &copy, ExecWish wish) {
    std::string said;  // by the agent, about a file of the guest
    wish.streams.take_errors = [&](std::string_view text) {
        constexpr size_t enough_bytes = 4096;
        said += text.substr(0, enough_bytes - std::min(said.size(), enough_bytes));
        return true;
    };
    auto end = copy.to_guest ? put(copy, wish) : get(copy, wish);
    while (said.ends_with('\n')) said.pop_back();
    if (!end || said.empty()) return end;
    return End{End::failed, end->code, std::format("in {}: {}", copy.machine, said)};
}

}  // namespace hostside
