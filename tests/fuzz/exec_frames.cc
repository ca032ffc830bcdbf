// Any bytes as a stream of frames, in parts of any size: no crash, payloads within the limit, and the same frames whatever the
// parts; as a request: what is read is written back to the same bytes' meaning.
#include <algorithm>
#include <cstdlib>
#include <string>
#include <string_view>

#include "mounts/exec/frame.h"
#include "mounts/exec/request.h"

namespace {

void expect(bool truth) {
    if (!truth) std::abort();
}

std::string all_of(std::string_view stream, size_t part) {
    mounts::exec::FrameReader reader;
    std::string all;
    for (; !stream.empty(); stream.remove_prefix(std::min(part, stream.size()))) {
        reader.take(stream.substr(0, part));
        while (const auto frame = reader.next()) {
            expect(frame->payload.size() <= mounts::exec::payload_limit_bytes);
            mounts::exec::append_frame(all, frame->type, frame->session, frame->payload);
        }
    }
    return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
    if (size == 0) return 0;
    const std::string_view stream(reinterpret_cast<const char *>(data) + 1, size - 1);
    expect(all_of(stream, size_t{data[0]} + 1) == all_of(stream, stream.size() + 1));
    (void)mounts::exec::parse_credit(stream);
    (void)mounts::exec::parse_size(stream);
    (void)mounts::exec::parse_end(stream);
    if (const auto request = mounts::exec::parse_request(stream))
        expect(mounts::exec::parse_request(mounts::exec::request_text(*request)) == request);
    return 0;
}
