#include "stage1/disk/ext4_image.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uuid/uuid.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <format>
#include <optional>
#include <utility>
#include <vector>

#include "mounts/base/at.h"
#include "mounts/base/process.h"

// libmke2fs.a: e2fsprogs' mke2fs with its main renamed.
extern "C" int mke2fs_main(int argc, char **argv);

namespace stage1 {

namespace {

std::string new_uuid() {
    std::array<unsigned char, 16> raw{};
    std::array<char, 37> text{};
    ::uuid_generate_random(raw.data());
    ::uuid_unparse_lower(raw.data(), text.data());
    return text.data();
}

std::vector<std::string> arguments(const Ext4Recipe &recipe, int image) {
    // Leave out orphan_file and metadata_csum_seed, which are mke2fs's defaults since 1.47, because GRUB and the e2fsck of
    // older systems do not support them. Debian 12 does the same.
    std::vector<std::string> list{"mke2fs",
                                  "-q",
                                  "-F",
                                  "-t",
                                  "ext4",
                                  "-O",
                                  "^orphan_file,^metadata_csum_seed",
                                  "-L",
                                  recipe.label,
                                  "-U",
                                  recipe.uuid,
                                  "-E",
                                  "hash_seed=" + recipe.hash_seed};
    if (recipe.sector_bytes > 1024) list.insert(list.end(), {"-b", "4096"});
    list.push_back(std::format("/proc/self/fd/{}", image));
    return list;
}

[[noreturn]] void child(const Ext4Recipe &recipe, int image, int messages) {
    ::dup2(messages, STDOUT_FILENO);
    ::dup2(messages, STDERR_FILENO);
    ::setenv("SOURCE_DATE_EPOCH", std::to_string(recipe.time).c_str(), 1);
    // This path cannot exist, so mke2fs uses its built-in defaults and ignores /etc/mke2fs.conf.
    ::setenv("MKE2FS_CONFIG", "/proc/self/fd/none", 1);
    auto list = arguments(recipe, image);
    std::vector<char *> argv;
    argv.reserve(list.size() + 1);
    for (std::string &argument : list) argv.push_back(argument.data());
    argv.push_back(nullptr);
    const int status = ::mke2fs_main(static_cast<int>(list.size()), argv.data());
    ::fflush(nullptr);
    ::_exit(status);
}

// Returns the child's wait status; nothing, with errno, if it is not a child of this process.
std::optional<int> await(pid_t child) {
    int status = 0;
    while (::waitpid(child, &status, 0) < 0)
        if (errno != EINTR) return {};
    return status;
}

std::string text_of(int messages) {
    ::lseek(messages, 0, SEEK_SET);
    auto text = base::read_all(messages, "mke2fs's messages", 65536);
    std::string line = text ? std::move(*text) : std::string();
    while (!line.empty() && (line.back() == '\n' || line.back() == ' ')) line.pop_back();
    for (char &c : line)
        if (c == '\n') c = ' ';
    return line;
}

}  // namespace

Ext4Image::Ext4Image(Ext4Image &&other) noexcept
    : image_(std::move(other.image_)), messages_(std::move(other.messages_)), child_(std::exchange(other.child_, -1)) {}

Ext4Image::~Ext4Image() {
    if (child_ < 0) return;
    (void)::kill(child_, SIGKILL);
    (void)await(child_);
}

base::Result<Ext4Image> Ext4Image::begin(const Ext4Recipe &recipe) {
    Ext4Image made;
    made.image_ = base::Fd(::memfd_create("ext4", MFD_CLOEXEC));
    made.messages_ = base::Fd(::memfd_create("mke2fs-messages", MFD_CLOEXEC));
    if (!made.image_ || !made.messages_ || ::ftruncate(made.image_.get(), static_cast<off_t>(recipe.size_bytes)) < 0)
        return base::fail(errno, "make ext4 in memory for", recipe.label);
    ::fflush(nullptr);  // otherwise the child's exit() would print our buffered output
    made.child_ = ::fork();
    if (made.child_ < 0) return base::fail(errno, "fork for", "mke2fs");
    if (made.child_ == 0) child(recipe, made.image_.get(), made.messages_.get());
    return made;
}

base::Result<int> Ext4Image::wait() {
    if (child_ < 0) return image_.get();
    const auto status = await(std::exchange(child_, -1));
    if (!status) return base::fail(errno, "wait for", "mke2fs");
    if (const int code = base::exit_code(*status); code != 0)
        return base::fail(0, "make ext4", "in memory", std::format("mke2fs ended with {}: {}", code, text_of(messages_.get())));
    return image_.get();
}

Ext4Recipe new_ext4_recipe(uint64_t size_bytes, uint32_t sector_bytes, std::string label) {
    return {.size_bytes = size_bytes,
            .sector_bytes = sector_bytes,
            .label = std::move(label),
            .uuid = new_uuid(),
            .hash_seed = new_uuid(),
            .time = ::time(nullptr)};
}

}  // namespace stage1
