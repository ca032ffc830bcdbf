// The frames between `runvm exec` and the agent, and what a hostile or a killed peer may send.

#include <algorithm>
#include <catch_amalgamated.hpp>

#include "mounts/exec/byte_queue.h"
#include "mounts/exec/frame.h"
#include "mounts/exec/request.h"

namespace {

using namespace mounts::exec;

struct Taken {
    FrameType type;
    uint32_t session;
    std::string payload;
    bool operator==(const Taken &) const = default;
};

std::vector<Taken> frames_of(const std::string &bytes, size_t part) {
    FrameReader reader;
    std::vector<Taken> all;
    for (size_t at = 0; at < bytes.size(); at += part) {
        reader.take(std::string_view(bytes).substr(at, part));
        while (const auto frame = reader.next()) all.push_back({frame->type, frame->session, std::string(frame->payload)});
    }
    return all;
}

TEST_CASE("frames come out as they went in, however the stream is cut") {
    std::string bytes;
    append_frame(bytes, FrameType::input, 7, "some input");
    append_frame(bytes, FrameType::input_end, 0xfffefdfc);
    append_frames(bytes, FrameType::request, 1, std::string(payload_limit_bytes + 1, 'x'));
    for (const size_t part : {size_t{1}, size_t{3}, size_t{4096}, bytes.size()}) {
        const auto all = frames_of(bytes, part);
        REQUIRE(all.size() == 4);
        CHECK(all[0] == Taken{FrameType::input, 7, "some input"});
        CHECK(all[1] == Taken{FrameType::input_end, 0xfffefdfc, ""});
        CHECK(all[2].payload.size() == payload_limit_bytes);
        CHECK(all[3] == Taken{FrameType::request, 1, "x"});
    }
}

TEST_CASE("after a frame that was cut off anywhere, zeros lead the reader to the next one") {
    std::string whole;
    append_frame(whole, FrameType::output, 3, std::string(payload_limit_bytes, '\7'));
    for (const size_t left :
         {size_t{1}, size_t{2}, size_t{5}, header_bytes, header_bytes + 1, whole.size() / 2, whole.size() - 1}) {
        std::string bytes = whole.substr(0, left) + std::string(resync_bytes, '\0');
        append_frame(bytes, FrameType::hello, 0, "a nonce of 16 b.");
        const auto all = frames_of(bytes, 1000);
        REQUIRE(!all.empty());
        CHECK(all.back() == Taken{FrameType::hello, 0, "a nonce of 16 b."});
        // The rest of a frame, whose beginning the reader never saw.
        bytes = whole.substr(whole.size() - left) + bytes.substr(left);
        CHECK(frames_of(bytes, 1000).back() == all.back());
    }
}

TEST_CASE("what can't be a frame is passed over: unknown types, lengths beyond the limit") {
    std::string bytes{
        "\x7f\0\1\0\0\0\0\0"
        "\1\1\0\0\0\0\0\0"
        "\1\0\xff\xff\0\0\0\0",
        24};
    append_frame(bytes, FrameType::credit, 9, credit_payload({Stream::output, 77}));
    const auto all = frames_of(bytes, 5);
    REQUIRE(!all.empty());
    CHECK(all.back() == Taken{FrameType::credit, 9, std::string("o\x4d\0\0\0", 5)});
}

TEST_CASE("payloads are read back, and wrong ones are refused") {
    CHECK(parse_credit(credit_payload({Stream::errors, 0x01020304}))->bytes == 0x01020304);
    CHECK(parse_size(size_payload({50, 132})) == Size{50, 132});
    const auto end = parse_end(end_payload({End::failed, 127, "no such file"}));
    REQUIRE(end);
    CHECK(end->kind == End::failed);
    CHECK(end->code == 127);
    CHECK(end->text == "no such file");
    CHECK(end_payload({End::failed, 1, std::string(1 << 20, 'x')}).size() < payload_limit_bytes);
    for (const std::string wrong : {"", "o", "x1234", "o12345"}) CHECK_FALSE(parse_credit(wrong));
    for (const std::string wrong : {"", "123", "12345"}) CHECK_FALSE(parse_size(wrong));
    for (const std::string wrong : {"", "x", "q1"}) CHECK_FALSE(parse_end(wrong));
}

TEST_CASE("a request comes through with every byte that Linux allows in it") {
    Request request{.argv = {"sh", "", "-c", "printf 'a\nb\t\x80\xff'"},
                    .environment = {"A=", "LONG=" + std::string(100'000, 'y')},
                    .directory = "/a directory",
                    .user = "somebody",
                    .terminal = Size{0, 0x100},
                    .task = "put 644 /x y",
                    .builder = true};
    CHECK(parse_request(request_text(request)) == request);
    request = {};
    CHECK(parse_request(request_text(request)) == request);
    for (const std::string &wrong : {std::string("a"), std::string("aword"), std::string("\0", 1), std::string("zword\0", 6),
                                     std::string("s123"), std::string("s12345")})
        CHECK_FALSE(parse_request(wrong));
}

TEST_CASE("a queue of bytes gives back what it got, in order, in any portions") {
    mounts::ByteQueue queue;
    std::string got, put;
    for (int i = 0; i < 1000; ++i) {
        const std::string more(static_cast<size_t>(i % 37), static_cast<char>('a' + i % 26));
        queue.append(more);
        put += more;
        const size_t taken = std::min(queue.size(), static_cast<size_t>(i % 23));
        got += queue.front().substr(0, taken);
        queue.consume(taken);
    }
    got += queue.front();
    CHECK(got == put);
}

}  // namespace
