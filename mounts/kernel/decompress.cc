#include "mounts/kernel/decompress.h"

#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <format>
#include <memory>

#include "mounts/base/at.h"

namespace mounts {

namespace {

using base::fail;
using base::Result;

constexpr size_t chunk_bytes = size_t{256} << 10;

// Makes room for another chunk. False if the limit is reached.
bool grow(std::string &out, size_t used, size_t limit_bytes) {
    if (used >= limit_bytes) return false;
    out.resize(std::min(used + chunk_bytes, limit_bytes));
    return true;
}

Result<std::string> gunzip(std::string_view data, const std::string &name, size_t limit_bytes) {
    z_stream stream{};
    if (inflateInit2(&stream, 16 + MAX_WBITS) != Z_OK) return fail(ENOMEM, "decompress", name);
    const std::unique_ptr<z_stream, decltype(&inflateEnd)> guard(&stream, &inflateEnd);
    stream.next_in = reinterpret_cast<Bytef *>(const_cast<char *>(data.data()));
    stream.avail_in = static_cast<uInt>(data.size());
    std::string out;
    size_t used = 0;
    int state = Z_OK;
    while (state == Z_OK) {
        if (!grow(out, used, limit_bytes)) return fail(EFBIG, "decompress", name);
        stream.next_out = reinterpret_cast<Bytef *>(out.data() + used);
        stream.avail_out = static_cast<uInt>(out.size() - used);
        state = inflate(&stream, Z_NO_FLUSH);
        used = out.size() - stream.avail_out;
    }
    if (state != Z_STREAM_END) return fail(0, "decompress", name, "the gzip data is damaged or cut short");
    out.resize(used);
    return out;
}

Result<std::string> unxz(std::string_view data, const std::string &name, size_t limit_bytes) {
    lzma_stream stream = LZMA_STREAM_INIT;
    if (lzma_stream_decoder(&stream, uint64_t{256} << 20, 0) != LZMA_OK) return fail(ENOMEM, "decompress", name);
    const std::unique_ptr<lzma_stream, decltype(&lzma_end)> guard(&stream, &lzma_end);
    stream.next_in = reinterpret_cast<const uint8_t *>(data.data());
    stream.avail_in = data.size();
    std::string out;
    size_t used = 0;
    lzma_ret state = LZMA_OK;
    while (state == LZMA_OK) {
        if (!grow(out, used, limit_bytes)) return fail(EFBIG, "decompress", name);
        stream.next_out = reinterpret_cast<uint8_t *>(out.data() + used);
        stream.avail_out = out.size() - used;
        state = lzma_code(&stream, LZMA_FINISH);
        used = out.size() - stream.avail_out;
    }
    if (state != LZMA_STREAM_END) return fail(0, "decompress", name, "the xz data is damaged or cut short");
    out.resize(used);
    return out;
}

Result<std::string> unzstd(std::string_view data, const std::string &name, size_t limit_bytes) {
    const std::unique_ptr<ZSTD_DStream, decltype(&ZSTD_freeDStream)> stream(ZSTD_createDStream(), &ZSTD_freeDStream);
    if (!stream) return fail(ENOMEM, "decompress", name);
    ZSTD_inBuffer in{data.data(), data.size(), 0};
    std::string out;
    size_t used = 0;
    size_t left = 1;
    while (left != 0) {
        if (!grow(out, used, limit_bytes)) return fail(EFBIG, "decompress", name);
        ZSTD_outBuffer buffer{out.data() + used, out.size() - used, 0};
        const size_t before = in.pos;
        left = ZSTD_decompressStream(stream.get(), &buffer, &in);
        used += buffer.pos;
        const bool stuck = left != 0 && in.pos == before && buffer.pos == 0;
        if (ZSTD_isError(left) != 0 || stuck) return fail(0, "decompress", name, "the zstd data is damaged or cut short");
    }
    out.resize(used);
    return out;
}

}  // namespace

Result<std::string> decompress(std::string_view data, const std::string &name, size_t limit_bytes) {
    if (data.starts_with("\x1f\x8b")) return gunzip(data, name, limit_bytes);
    if (data.starts_with(std::string_view("\xfd"
                                          "7zXZ\0",
                                          6)))
        return unxz(data, name, limit_bytes);
    if (data.starts_with("\x28\xb5\x2f\xfd")) return unzstd(data, name, limit_bytes);
    return fail(0, "decompress", name, "neither gzip, xz nor zstd by its first bytes");
}

Result<std::string> decompress_module(int fd, const std::string &name) {
    auto data = base::read_all(fd, name, module_limit_bytes);
    if (!data) return data;
    return decompress(*data, name);
}

}  // namespace mounts
