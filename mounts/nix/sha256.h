// SHA-256 (FIPS 180-4) as a stream. Our own code, because it is only 60 lines: of the linked libraries only libext2fs has one,
// and it needs all of its input in memory at once.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "mounts/nix/nix_hash.h"

namespace mounts {

class Sha256Stream {
  public:
    void add(std::string_view bytes);
    // The hash of everything that was added. The stream must not be used after that.
    Sha256 finish();

  private:
    void block(const unsigned char *bytes);
    std::array<uint32_t, 8> state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                   0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    std::array<unsigned char, 64> pending_{};
    size_t pending_bytes_ = 0;
    uint64_t all_bytes_ = 0;
};

}  // namespace mounts
