#include "hostside/fleet/fleet_place.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <format>

#include "hostside/base/exists.h"
#include "hostside/host/guest_files.h"
#include "hostside/host/run_directory.h"
#include "mounts/base/at.h"

namespace hostside {

namespace {

using base::fail;
using base::Result;
namespace fs = std::filesystem;

constexpr std::string_view prefix = ".fleet-", lock_suffix = ".lock", own_lock = ".fleet.lock";

// Removes what killed fleets left; their machines died with them.
void sweep_abandoned(const std::string &runtime) {
    std::error_code error;
    for (const auto &entry : fs::directory_iterator(runtime, error)) {
        const std::string name = entry.path().filename(), path = entry.path();
        if (!name.starts_with(prefix) || name.ends_with(lock_suffix)) continue;
        const std::string lock = path + std::string(lock_suffix);
        if (FileLock::holder(lock) != 0) continue;
        if (auto ours = FileLock::take(lock, path)) (void)remove_guest_directory(path);
    }
}

// Any other file in the directory may be somebody's work.
Result<> is_a_fleets(const std::string &path) {
    std::error_code error;
    const fs::directory_iterator entries(path, error);
    if (error) return fail(error.value(), "use", path);
    bool empty = true;
    for (const auto &entry : entries) empty = empty && entry.path().filename() == own_lock;
    if (empty || exists(path + "/" + std::string(results_file))) return {};
    return fail(0, "use", path,
                std::format("it has no {}, so it does not hold a fleet's results; name another directory (-o)", results_file));
}

// A machine's description is the first file there. Anything else may be somebody's work, even beside a fleet's results.
Result<> is_a_machines(const std::string &path) {
    std::error_code error;
    const bool free = !exists(path) || fs::is_empty(path, error);
    if (free || exists(path + "/" + std::string(machine_description))) return {};
    return fail(EEXIST, "use", path, "no fleet made it; remove it, or rename the machine");
}

Result<> make_private(const std::string &path) {
    if (::mkdir(path.c_str(), 0700) < 0) return fail(errno, "mkdir", path);
    return {};
}

}  // namespace

Result<FleetPlace> FleetPlace::create(const std::string &results) {
    if (auto made = base::make_directories_at(AT_FDCWD, results); !made) return std::unexpected(made.error());
    auto directory = base::open_at(AT_FDCWD, results, O_RDONLY | O_DIRECTORY);
    if (!directory) return std::unexpected(directory.error());
    auto path = base::path_of(directory->get(), results);
    if (!path) return std::unexpected(path.error());
    if (auto ours = is_a_fleets(*path); !ours) return std::unexpected(ours.error());
    auto results_lock = FileLock::take(*path + "/" + std::string(own_lock), "fleet in " + *path);
    if (!results_lock) return std::unexpected(results_lock.error());
    (void)::unlink((*path + "/" + std::string(slurm_job_file)).c_str());  // from an earlier run
    auto parent = runtime_directory();
    if (!parent) return std::unexpected(parent.error());
    sweep_abandoned(*parent);
    const std::string runtime = std::format("{}/{}{}", *parent, prefix, ::getpid());
    auto runtime_lock = FileLock::take(runtime + std::string(lock_suffix), runtime);
    if (!runtime_lock) return std::unexpected(runtime_lock.error());
    if (auto made = make_private(runtime); !made) return std::unexpected(made.error());
    return FleetPlace(std::move(*path), runtime, std::move(*results_lock), std::move(*runtime_lock));
}

FleetPlace::~FleetPlace() {
    if (!runtime_.empty()) (void)remove_guest_directory(runtime_);  // if this fails, the next fleet sweeps it
}

Result<std::string> FleetPlace::runtime_of(size_t group) const {
    const std::string path = std::format("{}/{}", runtime_, group);
    if (::mkdir(path.c_str(), 0700) < 0 && errno != EEXIST) return fail(errno, "mkdir", path);
    return path;
}

Result<std::string> FleetPlace::directory_of(const std::string &machine) const {
    const std::string path = results_ + "/" + machine;
    if (fs::is_symlink(path)) (void)::unlink(path.c_str());  // of a Slurm run
    if (auto theirs = is_a_machines(path); !theirs) return std::unexpected(theirs.error());
    if (auto removed = remove_guest_directory(path); !removed) return std::unexpected(removed.error());
    if (::mkdir(path.c_str(), 0755) < 0) return fail(errno, "mkdir", path);
    return path;
}

}  // namespace hostside
