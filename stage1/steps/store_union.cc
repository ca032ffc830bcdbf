#include "stage1/steps/store_union.h"

#include <fcntl.h>

#include <cerrno>
#include <format>
#include <ranges>
#include <string_view>
#include <vector>

#include "mounts/base/at.h"
#include "mounts/base/process.h"
#include "mounts/devices/mount_file_system.h"
#include "stage1/steps/removed_paths.h"
#include "stage1/steps/rollback.h"
#include "stage1/steps/target.h"

namespace stage1 {

namespace {

using base::fail;
using base::Result;

// overlayfs splits lowerdir at colons and options at commas; a backslash escapes both (Linux, filesystems/overlayfs.rst).
std::string escaped(std::string_view path) {
    std::string out;
    for (const char c : path) {
        if (c == ':' || c == ',' || c == '\\') out += '\\';
        out += c;
    }
    return out;
}

std::string layers(const mounts::MountUnion &step) {
    return std::format("lowerdir={},upperdir={},workdir={}", escaped(step.lower), escaped(step.upper), escaped(step.work));
}

Result<> mount_overlay(const mounts::MountUnion &step) {
    // metacopy=off regardless of the kernel's default, because unionfs cannot read an upper with metadata-only files.
    auto mounted = mounts::mount_file_system({"overlay", step.target, "overlay", layers(step) + ",metacopy=off"});
    if (!mounted) return std::unexpected(mounted.error());
    return {};
}

// Leaves the cgroup of systemd's unit. The unit has no file in the next root, so systemd would stop it: SIGTERM to its whole
// cgroup, SIGKILL 90 s later, even with `@` in the name. Outside that cgroup the daemon belongs to no unit, and systemd moves
// it to init.scope.
void leave_unit() {
    const auto group = base::open_at(AT_FDCWD, "/sys/fs/cgroup/cgroup.procs", O_WRONLY);
    if (group) (void)base::write_all(group->get(), "0", "cgroup.procs");  // no such file: no systemd
}

// On one line, without the program's name on each line.
std::string said_by_unionfs(std::string_view output) {
    std::string out;
    for (const auto line : std::views::split(output, '\n')) {
        std::string_view text(line);
        if (constexpr std::string_view name = "unionfs: "; text.starts_with(name)) text.remove_prefix(name.size());
        if (!text.empty()) out += (out.empty() ? "" : "; ") + std::string(text);
    }
    return out;
}

// Opens the trace file beneath the target root, whose links belong to the guest. An empty descriptor: no trace.
Result<base::Fd> open_trace(const mounts::MountUnion &step) {
    if (step.trace.empty()) return base::Fd();
    const auto root = base::open_at(AT_FDCWD, step.root, O_PATH | O_DIRECTORY);
    if (!root) return std::unexpected(root.error());
    return base::open_in_root(root->get(), step.trace.substr(step.root.size()),
                              O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK, 0644);
}

// Runs this binary as a child. It returns, with its messages, when the union is usable. Its name begins with `@`, so that
// systemd does not kill it before stage 2 and at shutdown (systemd, ROOT_STORAGE_DAEMONS).
Result<std::string> mount_fuse(const mounts::MountUnion &step) {
    leave_unit();
    std::string options = "allow_other," + layers(step) + (step.options.empty() ? "" : "," + step.options);
    std::vector<int> inherited;
    const auto trace = open_trace(step);
    if (!trace) return std::unexpected(trace.error());
    if (*trace) {
        options += std::format(",trace=/proc/self/fd/{}", trace->get());
        inherited.push_back(trace->get());
    }
    const auto exit = base::run(
        {.argv = {"/proc/self/exe", "unionfs", "-o", options, step.target}, .inherited = inherited, .capture_output = true});
    if (!exit) return std::unexpected(exit.error());
    std::string said = said_by_unionfs(exit->output);
    if (exit->status != 0) return fail(0, "union", step.target, std::format("unionfs ended with {}: {}", exit->status, said));
    return said.empty() ? said : ": " + said;
}

// The step with its directories' real paths. Upper and work must not be links, because their contents are renamed and removed,
// and on a disk the guest may have created them.
Result<mounts::MountUnion> resolved(mounts::MountUnion step) {
    for (std::string *path : {&step.lower, &step.upper, &step.work, &step.target}) {
        const bool own = path == &step.upper || path == &step.work;
        auto real = real_path(step.root, *path, O_DIRECTORY | (own ? O_NOFOLLOW : 0));
        if (!real && real.error().code == ENOTDIR && own)
            return fail(ENOTDIR, "union", *path, "a link, or no directory, is where the union's own is to be; move it away");
        if (!real) return std::unexpected(real.error());
        *path = std::move(*real);
    }
    return step;
}

}  // namespace

Result<std::string> mount_union(const mounts::MountUnion &planned) {
    const auto paths = resolved(planned);
    if (!paths) return std::unexpected(paths.error());
    const mounts::MountUnion &step = *paths;
    const std::string there = mounts::mounted_type(step.target);
    if (there == "overlay" || there.starts_with("fuse")) return std::format("union: was mounted at {} ({})", step.target, there);
    const auto rolled = roll_back(step);
    if (!rolled) return rolled;
    const std::string back = *rolled + bring_back_removed_paths(step);
    if (step.engine != mounts::UnionEngine::fuse) {
        const auto overlay = mount_overlay(step);
        if (overlay) return std::format("union: overlay at {}{}", step.target, back);
        if (step.engine == mounts::UnionEngine::overlay) return std::unexpected(overlay.error());
        const auto fuse = mount_fuse(step);
        if (!fuse) return fuse;
        return std::format("union: fuse at {}, for overlay did not mount: {}{}", step.target, message(overlay.error()),
                           *fuse + back);
    }
    const auto fuse = mount_fuse(step);
    if (!fuse) return fuse;
    return std::format("union: fuse at {}, as asked for{}", step.target, *fuse + back);
}

}  // namespace stage1
