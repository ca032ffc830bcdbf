// The text that registers store paths in a Nix database, as `nix-store --load-db` reads it. A path is, an item a line:
// store path, hash, NAR size in bytes, deriver or an empty line, number of references, the references. Every line ends
// in a newline, the last one too; a text that ends elsewhere was cut and is refused.
// Shared by the guest, which loads it, and the host, which writes it. Read as a stream, in 64 KiB of memory.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "mounts/base/error.h"
#include "mounts/nix/nix_hash.h"

namespace mounts {

struct PathInfo {
    std::string path;       // /nix/store/HASH-NAME
    Sha256 hash{};          // of the NAR; all zeros: not known (the 2013 printRegistration writes that)
    uint64_t nar_size = 0;  // bytes; 0: not known
    std::string deriver;    // empty: not known
    std::vector<std::string> references;
    size_t line = 0;  // where its path stands, from 1
};

inline constexpr std::string_view store_prefix = "/nix/store/";

// What is wrong with a store path, in words; empty when it is one: 32 characters of Nix's base 32, a dash, a name.
std::string_view store_path_fault(std::string_view path);

class RegistrationReader {
  public:
    // `name` is for messages. The descriptor, of a regular file, is borrowed, and its offset neither used nor moved; the
    // text of the second form must outlive the reader.
    RegistrationReader(int fd, std::string name);
    RegistrationReader(std::string_view text, std::string name) : name_(std::move(name)), view_(text) {}

    // The next entry into `info` (whose memory is used again); false at the end. An error names the line, what stands
    // there and what was expected.
    base::Result<bool> next(PathInfo &info);

    // The same in pieces: all but the references, and then, as often as references_left() says, a reference, which
    // lives until the next call.
    base::Result<bool> header(PathInfo &info);
    [[nodiscard]] uint64_t references_left() const { return references_left_; }
    base::Result<std::string_view> reference();

    // Where in the file the next line begins, and to go there: only with a file, and lines are not counted after it.
    [[nodiscard]] uint64_t offset() const { return read_bytes_ - view_.size(); }
    void seek(uint64_t offset);

  private:
    base::Result<bool> more();
    base::Result<bool> line(std::string_view &text);
    base::Result<bool> path(std::string_view &text, std::string_view &fault);
    base::Result<std::string_view> field(std::string_view expected);
    base::Result<uint64_t> number(std::string_view what);
    [[nodiscard]] std::unexpected<base::Error> bad(std::string_view text, std::string_view expected) const;
    [[nodiscard]] std::unexpected<base::Error> ended(std::string_view expected) const;

    int fd_ = -1;
    std::string name_;
    std::vector<char> buffer_;
    std::string_view view_;    // what of the buffer, or of the text, is yet to be read
    uint64_t read_bytes_ = 0;  // of the file, up to the buffer's end
    size_t chunk_bytes_;       // to be read next: little after a seek, then more and more
    size_t line_ = 0;
    uint64_t references_ = 0, references_left_ = 0;
};

enum class RegistrationFormat {
    dump_db,       // as `nix-store --dump-db`: base16, deriver
    registration,  // as closureInfo's `registration`: sha256: and base 32, no deriver
};
void print(std::string &out, const PathInfo &info, RegistrationFormat format);

}  // namespace mounts
