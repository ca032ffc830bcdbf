// A directory on a file system that misbehaves: FUSE over another directory, of which a kind of call answers an error for the
// names that it is told. The kernel caches nothing of it, so that each look comes here. Read-only.
#pragma once

#include <memory>
#include <string>

namespace support {

class FaultyDirectory {
  public:
    enum class Call { lookup, attributes, open_directory, list_xattrs, get_xattr };

    // Mounted on the empty directory `mount_point`; shows what `backing` holds.
    FaultyDirectory(const std::string &backing, const std::string &mount_point);
    FaultyDirectory(const FaultyDirectory &) = delete;
    FaultyDirectory &operator=(const FaultyDirectory &) = delete;
    ~FaultyDirectory();

    // From now on that call for objects of that last name fails; error 0: none does.
    void fail(Call call, const std::string &name, int error);

    struct State;

  private:
    std::unique_ptr<State> state_;
};

}  // namespace support
