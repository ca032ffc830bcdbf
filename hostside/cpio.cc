#include "hostside/cpio.h"

#include <sys/stat.h>

#include <format>

namespace hostside {

void CpioWriter::pad() { out_.append((4 - out_.size() % 4) % 4, '\0'); }

void CpioWriter::entry(std::string_view path, uint32_t mode, std::string_view data, uint32_t major, uint32_t minor) {
    // Fields in the order of the format: ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor
    // namesize check.
    out_ += std::format("070701{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}", ++inode_, mode, 0,
                        0, S_ISDIR(mode) ? 2 : 1, 0, data.size(), 0, 0, major, minor, path.size() + 1, 0);
    out_ += path;
    out_ += '\0';
    pad();
    out_ += data;
    pad();
}

void CpioWriter::directory(std::string_view path, uint32_t mode) { entry(path, S_IFDIR | mode, {}); }
void CpioWriter::file(std::string_view path, std::string_view data, uint32_t mode) { entry(path, S_IFREG | mode, data); }
void CpioWriter::symlink(std::string_view path, std::string_view target) { entry(path, S_IFLNK | 0777, target); }

void CpioWriter::character_device(std::string_view path, uint32_t major, uint32_t minor, uint32_t mode) {
    entry(path, S_IFCHR | mode, {}, major, minor);
}

std::string CpioWriter::finish() {
    inode_ = -1U;  // the trailer has inode 0
    entry("TRAILER!!!", 0, {});
    inode_ = 0;
    return std::move(out_);
}

}  // namespace hostside
