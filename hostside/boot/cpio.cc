#include "hostside/boot/cpio.h"

#include <sys/stat.h>

#include <format>
#include <utility>

namespace hostside {

namespace {

void pad(std::string &bytes, size_t multiple) { bytes.resize((bytes.size() + multiple - 1) / multiple * multiple, '\0'); }

}  // namespace

void Cpio::entry(std::string_view path, unsigned mode, std::string_view data, unsigned major, unsigned minor) {
    const unsigned links = S_ISDIR(mode) ? 2 : 1;
    // magic, ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor, rdevmajor, rdevminor, namesize, check
    bytes_ += std::format("070701{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}", ++inode_, mode,
                          0, 0, links, 0, data.size(), 0, 0, major, minor, path.size() + 1, 0);
    bytes_ += path;
    bytes_ += '\0';
    pad(bytes_, 4);
    bytes_ += data;
    pad(bytes_, 4);
}

void Cpio::parents(std::string_view path) {
    for (size_t slash = path.find('/'); slash != std::string_view::npos; slash = path.find('/', slash + 1))
        directory(path.substr(0, slash));
}

void Cpio::directory(std::string_view path) {
    if (directories_.contains(path)) return;
    parents(path);
    directories_.emplace(path);
    entry(path, S_IFDIR | 0755, {});
}

void Cpio::file(std::string_view path, std::string_view data, unsigned mode) {
    parents(path);
    entry(path, S_IFREG | mode, data);
}

void Cpio::symlink(std::string_view path, std::string_view target) {
    parents(path);
    entry(path, S_IFLNK | 0777, target);
}

void Cpio::character_device(std::string_view path, unsigned major, unsigned minor, unsigned mode) {
    parents(path);
    entry(path, S_IFCHR | mode, {}, major, minor);
}

std::string Cpio::finish() && {
    inode_ = ~uint32_t{0};  // wraps to 0 for the trailer, as cpio(1) writes it
    entry("TRAILER!!!", 0, {});
    pad(bytes_, 512);
    return std::move(bytes_);
}

}  // namespace hostside
