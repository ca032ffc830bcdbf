// An archive in the format that the kernel unpacks as its initramfs: cpio "newc"
// (Linux, Documentation/driver-api/early-userspace/buffer-format.rst). Reproducible: what is added decides every byte;
// times are 0, the owner is root, inode numbers count up. In memory: an initrd has a few MB.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>

namespace hostside {

class Cpio {
  public:
    // `path` is relative, without a leading "/". Missing parent directories are added, 0755. A path is added once: a second
    // entry of the same name is left out when both are directories, and is the caller's bug otherwise.
    void directory(std::string_view path);
    void file(std::string_view path, std::string_view data, unsigned mode = 0644);
    void symlink(std::string_view path, std::string_view target);
    void character_device(std::string_view path, unsigned major, unsigned minor, unsigned mode);

    // The trailer, and zeros up to a multiple of 512 bytes: another archive may follow. Call it once.
    [[nodiscard]] std::string finish() &&;

  private:
    void parents(std::string_view path);
    void entry(std::string_view path, unsigned mode, std::string_view data, unsigned major = 0, unsigned minor = 0);

    std::string bytes_;
    std::set<std::string, std::less<>> directories_;
    uint32_t inode_ = 0;
};

}  // namespace hostside
