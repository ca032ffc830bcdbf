#include "stage1/nixdb/fingerprint.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

namespace stage1::nixdb {

namespace {

// Odd numbers without a pattern, with as many ones as zeros: fractions of square roots.
constexpr uint64_t keys[] = {0x6a09e667f3bcc909ULL, 0xbb67ae8584caa73bULL, 0x3c6ef372fe94f82bULL, 0xa54ff53a5f1d36f1ULL};
constexpr size_t chunk_bytes = 65536;

// Combines both halves of a 128-bit product, so that every input bit affects every bit of the result.
uint64_t fold(uint64_t a, uint64_t b) {
    const auto product = static_cast<unsigned __int128>(a) * b;
    return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

}  // namespace

Fingerprint fingerprint(std::string_view bytes) {
    Fingerprint state{keys[0] ^ bytes.size(), keys[1]};
    while (!bytes.empty()) {
        uint64_t words[2] = {};
        const size_t taken = bytes.size() < sizeof words ? bytes.size() : sizeof words;
        std::memcpy(words, bytes.data(), taken);
        state = {fold(state.high ^ words[0], keys[2] ^ words[1]) ^ state.low,
                 fold(state.low ^ words[1], keys[3] ^ words[0]) + state.high};
        bytes.remove_prefix(taken);
    }
    return {fold(state.high ^ keys[1], state.low ^ keys[2]), fold(state.low ^ keys[3], state.high ^ keys[0])};
}

base::Result<Fingerprint> fingerprint_of_file(int fd, std::string_view name) {
    std::vector<char> chunk(chunk_bytes);
    Fingerprint all{};
    for (uint64_t offset = 0;;) {
        const ssize_t n = ::pread(fd, chunk.data(), chunk.size(), static_cast<off_t>(offset));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return base::fail(errno, "read", name);
        if (n == 0) return all;
        // Chain the chunks: hash the previous result together with the next chunk's.
        const Fingerprint link[] = {all, fingerprint({chunk.data(), static_cast<size_t>(n)})};
        all = fingerprint({reinterpret_cast<const char *>(link), sizeof link});
        offset += static_cast<uint64_t>(n);
    }
}

}  // namespace stage1::nixdb
