// Records which names of the union's root were used, to learn which store paths a machine needs. Each name becomes a line in a
// file when it is first used. A file or a link counts when it is looked up, because the kernel opens and reads it later without
// us. A directory counts when it is read or when something in it is looked up, but not when it only appears in a listing.
// Thread-safe. Callers hold no lock of the union.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_set>

#include "mounts/base/error.h"
#include "mounts/base/fd.h"

namespace unionfs {

struct Node;
class Union;

class NameTrace {
  public:
    explicit NameTrace(base::Fd file) : file_(std::move(file)) {}
    [[nodiscard]] int fd() const { return file_.get(); }

    // `node` was found as `name` in `parent`.
    void looked_up(Union &fs, Node &parent, std::string_view name, const Node &node);
    // Something was made in the directory, or the directory is read.
    void used(Union &fs, Node &directory);

  private:
    void note(std::string_view name);

    base::Fd file_;
    std::mutex mutex_;
    std::unordered_set<std::string> noted_;
};

// Creates the file if it doesn't exist. Lines from an earlier worker stay, so a name may appear twice.
base::Result<std::unique_ptr<NameTrace>> open_name_trace(const std::string &path);

}  // namespace unionfs
