// The newc cpio format that the kernel unpacks as an initramfs (Linux, driver-api/early-userspace/buffer-format.rst).
// Byte for byte reproducible: no times, no owners, inode numbers in order.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace hostside {

class CpioWriter {
  public:
    // Paths are relative, without a leading slash; a parent comes before what lies in it.
    void directory(std::string_view path, uint32_t mode = 0755);
    void file(std::string_view path, std::string_view data, uint32_t mode = 0644);
    void symlink(std::string_view path, std::string_view target);
    void character_device(std::string_view path, uint32_t major, uint32_t minor, uint32_t mode = 0600);

    // Ends the archive and hands it over, padded to 4 bytes, so that another may follow.
    std::string finish();

  private:
    void entry(std::string_view path, uint32_t mode, std::string_view data, uint32_t major = 0, uint32_t minor = 0);
    void pad();
    std::string out_;
    uint32_t inode_ = 0;
};

}  // namespace hostside
