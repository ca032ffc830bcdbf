// The store as a file system image: what mkfs.erofs makes of a closure. One closure is one image, byte for byte, kept in the
// cache under its hash.
#pragma once

#include <functional>
#include <string>

#include "hostside/store/contents.h"
#include "mounts/base/error.h"

namespace hostside {

struct ImageSpec {
    std::string store;
    const StoreContents &contents;
    std::string compression;    // none, lz4, lz4hc
    std::string run_directory;  // ours: a place to work in, and for the image where there is no cache
};

// Where it is, or would be.
std::string image_path(const ImageSpec &spec);

// mkfs.erofs's path. Error: there is none, and what to install.
base::Result<std::string> find_mkfs();

// Makes it where it is not there: as an ordinary user and without a copy of the closure. What is killed meanwhile leaves
// nothing. `progress` is told before, and how far it is.
base::Result<> make_image(const ImageSpec &spec, const std::function<void(const std::string &)> &progress);

}  // namespace hostside
