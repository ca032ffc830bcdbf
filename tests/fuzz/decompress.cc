// Any bytes as a compressed module, and any bytes as an ELF module to be made smaller: no crash, nothing beyond the limit,
// and a module never grows.
#include <cstdlib>
#include <string>
#include <string_view>

#include "hostside/boot/module_image.h"
#include "mounts/kernel/decompress.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
    constexpr size_t limit_bytes = size_t{1} << 20;
    const std::string_view bytes(reinterpret_cast<const char *>(data), size);
    const auto whole = mounts::decompress(bytes, "input", limit_bytes);
    if (whole && whole->size() > limit_bytes) std::abort();
    if (!whole && message(whole.error()).empty()) std::abort();
    const std::string_view module = whole ? std::string_view(*whole) : bytes;
    const std::string_view body = hostside::without_signature(module);
    if (hostside::without_tracing(std::string(body)).size() > body.size()) std::abort();
    return 0;
}
