#include "hostside/build/fetch.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <format>
#include <utility>

#include "hostside/base/last_line.h"
#include "hostside/base/printable.h"
#include "hostside/build/nar_unpacker.h"
#include "hostside/host/guest_files.h"
#include "mounts/base/at.h"
#include "mounts/nix/nix_hash.h"

namespace hostside {

namespace {

using base::fail;
using base::Result;
using mounts::exec::End;

// Passes a task's output to `take`. The task gets no input and no signals.
Result<> run_taking(const ExecWish &machine, const mounts::exec::Request &request,
                    const std::function<bool(std::string_view)> &take) {
    constexpr size_t errors_limit_bytes = 4096;
    std::string errors;
    ExecWish wish{
        .machine = machine.machine, .run_directory = machine.run_directory, .request = request, .patience_s = machine.patience_s};
    wish.streams.take_output = take;
    wish.streams.take_errors = [&](std::string_view bytes) {
        errors.append(bytes.substr(0, errors_limit_bytes - std::min(errors.size(), errors_limit_bytes)));
        return true;
    };
    const auto end = run_in_guest(wish);
    if (!end) return std::unexpected(end.error());
    if (end->kind == End::exited && end->code == 0) return {};
    if (end->kind == End::signalled) return fail(EINTR, "do in the guest", request.task, "a signal ended it");
    const std::string why(end->kind == End::failed ? std::string_view(end->text) : last_line(errors));
    const bool absent = end->kind == End::exited && end->code == mounts::exec::absent_status;
    return fail(absent ? ENOENT : 0, "do in the guest", request.task, printable(why));
}

// The parent directory of `place`, and the name in it.
Result<std::pair<base::Fd, std::string>> parent_of(const std::string &place) {
    const size_t slash = place.rfind('/');
    const std::string parent = slash == std::string::npos ? "." : slash == 0 ? "/" : place.substr(0, slash);
    auto directory = base::open_at(AT_FDCWD, parent, O_RDONLY | O_DIRECTORY);
    if (!directory) return std::unexpected(directory.error());
    return std::pair{std::move(*directory), place.substr(slash == std::string::npos ? 0 : slash + 1)};
}

Result<mounts::NarHash> receive(const ExecWish &machine, const std::string &task, int directory, const std::string &part,
                                Allowance &allowance) {
    NarUnpacker unpacker(directory, part, allowance);
    Result<> unpacked;
    const auto done = run_taking(machine, {.task = task}, [&](std::string_view bytes) {
        unpacked = unpacker.take(bytes);
        return unpacked.has_value();
    });
    if (!unpacked) return std::unexpected(unpacked.error());
    if (!done) return std::unexpected(done.error());
    if (!unpacker.whole()) return fail(0, "unpack", part, "the guest's archive ends too early");
    const mounts::NarHash received = unpacker.hash();
    if (unpacker.trailer() != mounts::nix32(received.hash) + "\n")
        return fail(0, "check", part,
                    std::format("its NAR hash is {} here, but was {} in the guest", mounts::nix32(received.hash),
                                printable(unpacker.trailer().substr(0, unpacker.trailer().find('\n')))));
    return received;
}

}  // namespace

Result<std::string> run_task(const ExecWish &machine, const std::string &task, const std::string &user, size_t limit_bytes) {
    std::string said;
    const auto done = run_taking(machine, {.user = user, .task = task}, [&](std::string_view bytes) {
        said += bytes;
        return said.size() <= limit_bytes;
    });
    if (!done) return std::unexpected(done.error());
    while (said.ends_with('\n')) said.pop_back();
    return said;
}

Result<mounts::NarHash> fetch_tree(const ExecWish &machine, const std::string &path, const std::string &place, bool loosely,
                                   Allowance &allowance) {
    auto parent = parent_of(place);
    if (!parent) return std::unexpected(parent.error());
    const auto &[directory, name] = *parent;
    const std::string part = std::format(".{}.part-{}", name, ::getpid()),
                      part_path = place.substr(0, place.size() - name.size()) + part;
    auto hash = receive(machine, (loosely ? "nar-loosely " : "nar ") + path, directory.get(), part, allowance);
    const auto here = hash ? mounts::hash_nar(part_path) : Result<mounts::NarHash>();
    if (hash && !here) hash = std::unexpected(here.error());
    if (hash && here->hash != hash->hash)
        hash = fail(0, "check", place,
                    std::format("its NAR hash is {} on this host, but the guest sent {}", mounts::nix32(here->hash),
                                mounts::nix32(hash->hash)));
    if (hash && ::syscall(SYS_renameat2, directory.get(), part.c_str(), directory.get(), name.c_str(), RENAME_NOREPLACE) < 0)
        hash = fail(errno, "rename", place);
    if (!hash) (void)remove_guest_directory(part_path);
    return hash;
}

}  // namespace hostside
