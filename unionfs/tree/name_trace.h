// Which names of the union's root were used, for whoever asks which store paths a machine needs: a line each in a file, when it
// is first used. A file or a link counts when it is looked up, because the kernel opens and reads it without us afterwards; a
// directory when it is read or something in it is looked up, and not when it is only listed with the others. Thread-safe; the
// callers hold no lock of the union's.
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

    // `node` was found as `name` of `parent`.
    void looked_up(Union &fs, Node &parent, std::string_view name, const Node &node);
    // Something was made, or is read, in it.
    void used(Union &fs, Node &directory);

  private:
    void note(std::string_view name);

    base::Fd file_;
    std::mutex mutex_;
    std::unordered_set<std::string> noted_;
};

// The file is made if it is not there. What is in it stays: an earlier worker's, of which a name may come twice.
base::Result<std::unique_ptr<NameTrace>> open_name_trace(const std::string &path);

}  // namespace unionfs
