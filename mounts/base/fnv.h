// FNV-1a, 64 bits. Good for names and torn sectors; no protection against an attacker.
#pragma once

#include <cstdint>

namespace base {

template <class Bytes>
constexpr uint64_t fnv1a(const Bytes &bytes) {
    uint64_t hash = 0xcbf29ce484222325;
    for (const auto byte : bytes) hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3;
    return hash;
}

}  // namespace base
