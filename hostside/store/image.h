// The store as a file system image, which mkfs.erofs makes from a closure. The same closure always gives the same bytes. The
// cache keeps images by hash.
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
    std::string run_directory;  // our directory for temporary files, and for the image if there is no cache
};

// The image's path, whether or not it exists.
std::string image_path(const ImageSpec &spec);

// Whether the path is an image. Only reads.
bool is_image(const std::string &path);

// The path of mkfs.erofs. Error: not found, and what to install.
base::Result<std::string> find_mkfs();

// Makes the image if it does not exist, without privileges and without copying the closure. If killed, it leaves nothing.
// `progress` is called before and during the work.
base::Result<> make_image(const ImageSpec &spec, const std::function<void(const std::string &)> &progress);

}  // namespace hostside
