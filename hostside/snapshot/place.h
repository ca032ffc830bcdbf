// A snapshot's directory: the manifest, the memory, the devices' state, the root disk. It gets its final name only when it is
// complete. The memory contains the guest's secrets, so only the owner has access.
#pragma once

#include <string>
#include <string_view>

#include "hostside/snapshot/manifest.h"
#include "mounts/base/error.h"
#include "mounts/base/fd.h"

namespace hostside {

inline constexpr std::string_view snapshot_memory = "memory", snapshot_state = "state", snapshot_disk = "root.qcow2",
                                  snapshot_manifest = "manifest.json";

// A snapshot that is being made. The destructor removes it unless finished; the next one removes what a killed process left.
class NewSnapshot {
  public:
    // `replace`: replaces an existing snapshot. Error: one exists, or a fork of it runs.
    static base::Result<NewSnapshot> begin(const std::string &path, bool replace);
    NewSnapshot(NewSnapshot &&) noexcept = default;
    NewSnapshot &operator=(NewSnapshot &&) = delete;
    NewSnapshot(const NewSnapshot &) = delete;
    NewSnapshot &operator=(const NewSnapshot &) = delete;
    ~NewSnapshot();

    // Where to create its files.
    [[nodiscard]] std::string part(std::string_view file) const { return part_ + "/" + std::string(file); }
    // Removes the unfinished snapshot at `part`, if it still exists.
    static void abandon(const std::string &part);
    // Call it when all files are complete.
    base::Result<> finish();

  private:
    NewSnapshot(std::string path, std::string part, base::Fd held, bool replace)
        : path_(std::move(path)), part_(std::move(part)), held_(std::move(held)), replace_(replace) {}
    std::string path_, part_;
    base::Fd held_;
    bool replace_ = false;
};

// Removes what killed processes left of unfinished snapshots that were to be at `path`, an absolute path. Does nothing to those
// that are still being made. What can't be removed stays.
void sweep_snapshots(const std::string &path);

// Removes the snapshot at `path`, whole or unfinished, unless a machine made from it runs or others put files there.
void remove_snapshot(const std::string &path);

// A snapshot in use: nobody can replace it while this object lives.
struct Snapshot {
    std::string path;  // absolute
    base::Fd held;
    Manifest manifest;
    [[nodiscard]] std::string file(std::string_view name) const { return path + "/" + std::string(name); }
};
// Error: it does not exist, belongs to another user, or is accessible to others.
base::Result<Snapshot> open_snapshot(const std::string &path);

}  // namespace hostside
