#include "hostside/store/second_start.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <filesystem>

#include "hostside/base/cache.h"
#include "hostside/store/image.h"
#include "mounts/base/at.h"

namespace hostside {

namespace {

using base::Fd;

constexpr std::string_view failed_text = "failed\n";
constexpr std::string_view started_text = "started\n";

// Does not wait for the writer of a FIFO.
Fd open_note(const std::string &note) {
    Fd file(note.empty() ? -1 : ::open(note.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    struct stat st{};
    return file && ::fstat(file.get(), &st) == 0 && S_ISREG(st.st_mode) ? std::move(file) : Fd();
}

Started read_note(const std::string &note) {
    const Fd file = open_note(note);
    if (!file) return Started::never;
    return base::read_all(file.get(), note, failed_text.size()) == failed_text ? Started::image_failed : Started::before;
}

uint64_t free_bytes(const std::string &directory) {
    struct statvfs room{};
    return ::statvfs(directory.c_str(), &room) == 0 ? uint64_t{room.f_bavail} * room.f_frsize : 0;
}

}  // namespace

bool repays_image(const ImageFacts &facts) {
    return facts.started == Started::before && facts.mkfs && facts.size_known &&
           facts.nar_bytes <= store_images.limit_bytes / 4 && facts.nar_bytes <= facts.free_bytes / 2;
}

std::string start_note(const StoreContents &contents) { return cache_path(contents.hash.substr(0, 32), store_starts); }

ImageFacts image_facts(const StoreContents &contents) {
    const std::string note = start_note(contents);
    ImageFacts facts{.started = read_note(note), .size_known = contents.size_known, .nar_bytes = contents.nar_bytes};
    if (facts.started != Started::before) return facts;
    // The note's directory exists, that of the images perhaps not yet.
    facts.free_bytes = free_bytes(std::filesystem::path(note).parent_path());
    facts.mkfs = find_mkfs().has_value();
    return facts;
}

void note_start(const std::string &note) {
    if (!note.empty()) (void)keep({note, std::string(started_text)}, store_starts);
}

void note_image_failed(const std::string &note) {
    if (!note.empty()) (void)base::replace_file(note, failed_text);
}

Fd claim_making(const std::string &note) {
    Fd file = open_note(note);
    return file && ::flock(file.get(), LOCK_EX | LOCK_NB) == 0 ? std::move(file) : Fd();
}

}  // namespace hostside
