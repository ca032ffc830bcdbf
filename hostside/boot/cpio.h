// An archive in the format of an initramfs: cpio "newc" (Linux, Documentation/driver-api/early-userspace/buffer-format.rst).
// Reproducible: the content decides every byte; times are 0, the owner is root, inode numbers count up. Kept in memory, because
// an initrd is only a few MB.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>

namespace hostside {

class Cpio {
  public:
    // `path` is relative, without a leading "/". Adds missing parent directories with mode 0755. Ignores a directory that was
    // added before; adding any other path twice is the caller's bug.
    void directory(std::string_view path);
    void file(std::string_view path, std::string_view data, unsigned mode = 0644);
    void symlink(std::string_view path, std::string_view target);
    void character_device(std::string_view path, unsigned major, unsigned minor, unsigned mode);

    // Appends the trailer and pads to a multiple of 512 bytes, so that another archive may follow. Call it once.
    [[nodiscard]] std::string finish() &&;

  private:
    void parents(std::string_view path);
    void entry(std::string_view path, unsigned mode, std::string_view data, unsigned major = 0, unsigned minor = 0);

    std::string bytes_;
    std::set<std::string, std::less<>> directories_;
    uint32_t inode_ = 0;
};

}  // namespace hostside
