#include "hostside/host/root_disk.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <format>

#include "hostside/host/image.h"
#include "hostside/host/run_directory.h"
#include "mounts/base/at.h"

namespace hostside {

namespace {

using base::fail;
using base::Result;

bool exists(const std::string &path) { return ::access(path.c_str(), F_OK) == 0; }

Result<> hold_image(Prepared &prepared, const std::string &path) {
    auto lock = lock_image(path);
    if (!lock) return std::unexpected(lock.error());
    prepared.locks.push_back(std::move(*lock));
    return {};
}

Result<> put_aside(Prepared &prepared, const std::string &path) {
    std::string aside;
    for (int n = 1; aside.empty() || exists(aside); ++n) aside = std::format("{}.old-{}", path, n);
    if (::rename(path.c_str(), aside.c_str()) < 0) return fail(errno, "put aside", path);
    prepared.notes.push_back(std::format("put {} aside as {}", path, aside));
    return {};
}

// What a disk was made for, beside it: the system's path. A name of its own, for qcow2 has no place for it.
void check_stamp(Prepared &prepared, const Machine &m, bool created) {
    const std::string stamp = m.disk_image + ".runvm";
    if (created) {
        (void)base::replace_file(stamp, m.toplevel + "\n");  // without it, no warning later
        return;
    }
    auto old = base::read_file(stamp, 4096);
    if (!old || *old == m.toplevel + "\n") return;
    while (old->ends_with('\n')) old->pop_back();
    prepared.notes.push_back(
        std::format("warning: {} was made for {}, and now boots {}; --fresh starts over", m.disk_image, *old, m.toplevel));
}

}  // namespace

Result<> prepare_root_disk(Prepared &prepared, const Machine &m, const PrepareOptions &options) {
    if (m.disk_image.empty()) return {};
    HostFacts &facts = prepared.facts;
    facts.root_image = m.disk_image;
    if (!options.make) return {};
    if (m.ephemeral && !exists(facts.root_image)) {
        facts.root_image = options.run_folder + "/root.qcow2";
        auto made = ensure_image(facts.qemu, facts.root_image, m.disk_mib);
        facts.root_image_empty = made.value_or(false);
        return made ? Result<>{} : std::unexpected(made.error());
    }
    if (exists(facts.root_image)) {
        if (auto locked = hold_image(prepared, facts.root_image); !locked) return locked;
        if (options.fresh)
            if (auto aside = put_aside(prepared, facts.root_image); !aside) return aside;
    }
    if (exists(facts.root_image))
        if (auto good = check_qcow2(facts.root_image, "start over with --fresh"); !good) return good;
    if (m.ephemeral && exists(facts.root_image)) {
        const std::string overlay = options.run_folder + "/root.qcow2";
        if (auto made = overlay_image(facts.qemu, overlay, facts.root_image); !made) return made;
        facts.root_image = overlay;
        return {};
    }
    auto made = ensure_image(facts.qemu, facts.root_image, m.disk_mib);
    if (!made) return std::unexpected(made.error());
    facts.root_image_empty = *made || (!prepared.locks.empty() && is_empty_qcow2(facts.root_image));
    if (*made) prepared.notes.push_back(std::format("created {}, {} MiB", facts.root_image, m.disk_mib));
    if (*made || prepared.locks.empty())  // not ours and not held: another made it meanwhile
        if (auto locked = hold_image(prepared, facts.root_image); !locked) return locked;
    check_stamp(prepared, m, *made);
    return {};
}

}  // namespace hostside
