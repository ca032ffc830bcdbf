// The text that registers store paths in a Nix database, as `nix-store --load-db` reads it. A path is, an item a line:
// store path, hash, NAR size in bytes, deriver or an empty line, number of references, the references. Every line ends
// in a newline, the last one too; a text that ends elsewhere was cut and is refused.
// Shared by the guest, which loads it, and the host, which writes it. Read as a stream: memory is one entry's.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mounts/base/error.h"

namespace mounts {

using Sha256 = std::array<unsigned char, 32>;

struct PathInfo {
    std::string path;       // /nix/store/HASH-NAME
    Sha256 hash{};          // of the NAR; all zeros: not known (the 2013 printRegistration writes that)
    uint64_t nar_size = 0;  // bytes; 0: not known
    std::string deriver;    // empty: not known
    std::vector<std::string> references;
    size_t line = 0;  // where its path stands, from 1
};

// What is wrong with a store path, in words; empty when it is one: 32 characters of Nix's base 32, a dash, a name.
std::string_view store_path_fault(std::string_view path);

// base16, Nix's base 32 or base64; plain, with `sha256:`, or SRI `sha256-` before base64. Absent: none of these.
std::optional<Sha256> parse_hash(std::string_view text);
std::string base16(const Sha256 &hash);
std::string nix32(const Sha256 &hash);

class RegistrationReader {
  public:
    // `name` is for messages. The descriptor is borrowed; the text of the second form must outlive the reader.
    RegistrationReader(int fd, std::string name) : fd_(fd), name_(std::move(name)) {}
    RegistrationReader(std::string_view text, std::string name) : name_(std::move(name)), view_(text) {}

    // The next entry into `info` (whose memory is used again); false at the end. An error names the line, what stands
    // there and what was expected.
    base::Result<bool> next(PathInfo &info);

  private:
    base::Result<bool> line(std::string_view &text);
    base::Result<std::string_view> field(std::string_view expected);
    base::Result<uint64_t> number(std::string_view what);
    [[nodiscard]] std::unexpected<base::Error> bad(std::string_view text, std::string_view expected) const;

    int fd_ = -1;
    std::string name_;
    std::string buffer_;
    std::string_view view_;  // what of the buffer, or of the text, is yet to be read
    size_t line_ = 0;
};

enum class RegistrationFormat {
    dump_db,       // as `nix-store --dump-db`: base16, deriver
    registration,  // as closureInfo's `registration`: sha256: and base 32, no deriver
};
void print(std::string &out, const PathInfo &info, RegistrationFormat format);

}  // namespace mounts
