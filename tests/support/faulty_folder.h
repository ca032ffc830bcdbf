// A folder on a file system that misbehaves: FUSE over another folder, of which a kind of call answers an error for the names
// that it is told. The kernel caches nothing of it, so that each look comes here. Read-only.
#pragma once

#include <memory>
#include <string>

namespace support {

class FaultyFolder {
  public:
    enum class Call { lookup, attributes, open_folder, list_xattrs, get_xattr };

    // Mounted on the empty folder `mount_point`; shows what `backing` holds.
    FaultyFolder(const std::string &backing, const std::string &mount_point);
    FaultyFolder(const FaultyFolder &) = delete;
    FaultyFolder &operator=(const FaultyFolder &) = delete;
    ~FaultyFolder();

    // From now on that call for objects of that last name fails; error 0: none does.
    void fail(Call call, const std::string &name, int error);

    struct State;

  private:
    std::unique_ptr<State> state_;
};

}  // namespace support
