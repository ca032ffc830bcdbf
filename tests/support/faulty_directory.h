// A directory on a faulty file system: FUSE over another directory, where one kind of call fails for chosen names. Read-only.
// The kernel caches nothing of it, so that every lookup reaches this code.
#pragma once

#include <memory>
#include <string>

namespace support {

class FaultyDirectory {
  public:
    enum class Call { lookup, attributes, open_directory, list_xattrs, get_xattr };

    // Mounts on the empty directory `mount_point` and shows the content of `backing`.
    FaultyDirectory(const std::string &backing, const std::string &mount_point);
    FaultyDirectory(const FaultyDirectory &) = delete;
    FaultyDirectory &operator=(const FaultyDirectory &) = delete;
    ~FaultyDirectory();

    // From now on that call fails with `error` for objects with that last name; error 0: it works again.
    void fail(Call call, const std::string &name, int error);

    struct State;

  private:
    std::unique_ptr<State> state_;
};

}  // namespace support
