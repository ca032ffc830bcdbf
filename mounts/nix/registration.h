// The text that registers store paths in a Nix database, in the format of `nix-store --load-db`. Each path has these lines:
// store path, hash, NAR size in bytes, deriver or an empty line, number of references, the references. Every line ends in a
// newline; a text without a newline at its end was truncated and is refused. The guest loads this text, and the host writes it.
// Reads it as a stream, in 64 KiB of memory.
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
    Sha256 hash{};          // of the NAR; all zeros: unknown (the 2013 printRegistration writes that)
    uint64_t nar_size = 0;  // bytes; 0: unknown
    std::string deriver;    // empty: unknown
    std::vector<std::string> references;
    size_t line = 0;  // line of its path, from 1
};

inline constexpr std::string_view store_prefix = "/nix/store/";

// Why this is not a store path; empty: it is one (32 characters of Nix's base 32, a dash, a name).
std::string_view store_path_fault(std::string_view path);

class RegistrationReader {
  public:
    // `name` is for messages. The descriptor must be a regular file; it is borrowed, and its offset is neither used nor moved.
    // In the second form, the text must outlive the reader.
    RegistrationReader(int fd, std::string name);
    RegistrationReader(std::string_view text, std::string name) : name_(std::move(name)), view_(text) {}

    // Reads the next entry into `info`, whose memory is reused. False at the end. An error names the line, its text and what
    // was expected.
    base::Result<bool> next(PathInfo &info);

    // The same in pieces: first everything but the references, then one reference per call, as often as references_left() says.
    // A reference is valid until the next call.
    base::Result<bool> header(PathInfo &info);
    [[nodiscard]] uint64_t references_left() const { return references_left_; }
    base::Result<std::string_view> reference();

    // The offset in the file where the next line begins, and a way to go back there. Only for files; line numbers are wrong
    // after seek().
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
    std::string_view view_;    // the unread part of the buffer or of the text
    uint64_t read_bytes_ = 0;  // of the file, up to the end of the buffer
    size_t chunk_bytes_;       // size of the next read: small after a seek, then doubling
    size_t line_ = 0;
    uint64_t references_ = 0, references_left_ = 0;
};

enum class RegistrationFormat {
    dump_db,       // as `nix-store --dump-db` writes it: base16, deriver
    registration,  // as in closureInfo's `registration`: sha256: and base 32, no deriver
};
void print(std::string &out, const PathInfo &info, RegistrationFormat format);

}  // namespace mounts
