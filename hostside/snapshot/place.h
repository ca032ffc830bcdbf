// A snapshot's directory: the manifest, the memory, the devices' state, the root disk. It is made under another name and gets its
// own when all is in it, so there is a whole one or none. The memory holds whatever the guest knew: it is for its owner alone.
#pragma once

#include <string>
#include <string_view>

#include "hostside/snapshot/manifest.h"
#include "mounts/base/error.h"
#include "mounts/base/fd.h"

namespace hostside {

inline constexpr std::string_view snapshot_memory = "memory", snapshot_state = "state", snapshot_disk = "root.qcow2",
                                  snapshot_manifest = "manifest.json";

// One that is being made. What was not finished goes with it, and what a killed one left with the next.
class NewSnapshot {
  public:
    // `replace`: one that is there is taken the place of. Error: there is one, or a fork of it runs.
    static base::Result<NewSnapshot> begin(const std::string &path, bool replace);
    NewSnapshot(NewSnapshot &&) noexcept = default;
    NewSnapshot &operator=(NewSnapshot &&) = delete;
    NewSnapshot(const NewSnapshot &) = delete;
    NewSnapshot &operator=(const NewSnapshot &) = delete;
    ~NewSnapshot();

    // Where its files are made.
    [[nodiscard]] std::string part(std::string_view file) const { return part_ + "/" + std::string(file); }
    // Removes what is in the making there, if it still is.
    static void abandon(const std::string &part);
    // All is in it.
    base::Result<> finish();

  private:
    NewSnapshot(std::string path, std::string part, base::Fd held, bool replace)
        : path_(std::move(path)), part_(std::move(part)), held_(std::move(held)), replace_(replace) {}
    std::string path_, part_;
    base::Fd held_;
    bool replace_ = false;
};

// One that is used: as long as this lives, nobody replaces it.
struct Snapshot {
    std::string path;  // absolute
    base::Fd held;
    Manifest manifest;
    [[nodiscard]] std::string file(std::string_view name) const { return path + "/" + std::string(name); }
};
// Error: there is none, or it is another user's, or open to others.
base::Result<Snapshot> open_snapshot(const std::string &path);

}  // namespace hostside
