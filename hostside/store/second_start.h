// Decides whether `auto` makes an image of a closure: for the second start, because a closure that is started only once would not
// repay it. The cache has a note of each closure that was started. Without a cache there are no notes, and so no images.
#pragma once

#include <cstdint>
#include <string>

#include "hostside/store/contents.h"
#include "mounts/base/fd.h"

namespace hostside {

enum class Started : std::uint8_t { never, before, image_failed };

struct ImageFacts {
    Started started = Started::never;
    bool size_known = false;
    uint64_t nar_bytes = 0;   // of the closure
    uint64_t free_bytes = 0;  // where the image would be
    bool mkfs = false;        // there is an mkfs.erofs
};
// Small: at most a quarter of the cache's room for images. It also leaves as much free as it takes.
bool repays_image(const ImageFacts &facts);

// The note's path, whether or not it exists. Empty: no cache.
std::string start_note(const StoreContents &contents);
// Only reads. A note that is no regular file counts as none.
ImageFacts image_facts(const StoreContents &contents);
// A note that can't be written is missing at the next start, and nothing else.
void note_start(const std::string &note);
// No later start tries again, as long as the note is kept.
void note_image_failed(const std::string &note);
// Held while an image is made, so that one launcher makes it. Invalid: another one does.
base::Fd claim_making(const std::string &note);

}  // namespace hostside
