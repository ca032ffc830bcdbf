// What `runvm exec` and the agent in the guest say to each other: frames, on the virtio-serial port and on the sockets of the
// hub that shares it out. Pure: no descriptor is touched here. Either end may be hostile, and either may have been killed in
// the middle of a frame.
//
//     host                                    guest
//                      hello NONCE      <-    after `resync_bytes` zeros, when the agent starts
//     welcome NONCE        ->                 after as many zeros; whatever ran before is forgotten
//     welcome              ->                 the same, in a fork of a saved machine: say hello again
//     request, start       ->                 request.h, in parts; then it is run
//     input, input_end     ->                 at most `window_bytes` more than were credited
//                      output, errors   <-    the same, each
//     credit               <->                so many bytes were passed on: 'i', 'o' or 'e', then the count
//     resize, signal, close->                 close: nobody waits for this command any more
//                      exit             <-    the last of its session
//
// A frame is 8 bytes, type, 0, length of what follows (16 bits) and session (32 bits), little-endian, and its payload. A zero
// byte where a type should be is skipped: a run of them that is longer than any frame ends whatever was cut off.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mounts::exec {

enum class FrameType : uint8_t {
    pad,
    hello,
    welcome,
    request,
    start,
    input,
    input_end,
    output,
    errors,
    credit,
    resize,  // rows and columns, 16 bits each
    signal,  // its number, a byte
    close,
    exit,
    agent,  // from the hub to its clients: '1' there is an agent in the guest, '0' there is none
    last = agent
};

inline constexpr size_t header_bytes = 8;
// With the header 32 KiB, which is what Linux's driver takes in one write (drivers/char/virtio_console.c, port_fops_write).
inline constexpr size_t payload_limit_bytes = 32768 - header_bytes;
inline constexpr size_t resync_bytes = header_bytes + payload_limit_bytes;
// How far a stream may run ahead of who reads it. Each end holds as much of each of a session's three streams.
inline constexpr size_t window_bytes = size_t{512} << 10;
inline constexpr size_t nonce_bytes = 16;

struct Frame {
    FrameType type = FrameType::pad;
    uint32_t session = 0;
    std::string_view payload;
};

// `payload` is at most payload_limit_bytes.
void append_frame(std::string &to, FrameType type, uint32_t session, std::string_view payload = {});
// Its first bytes alone.
void append_header(std::string &to, FrameType type, uint32_t session, size_t length);
// The same in as many frames as it takes.
void append_frames(std::string &to, FrameType type, uint32_t session, std::string_view payload);

// Frames of a stream that comes in parts. What can't be a frame's begin is skipped, byte by byte.
class FrameReader {
  public:
    void take(std::string_view data);
    // The next whole one; its payload is valid until the next take().
    std::optional<Frame> next();

  private:
    std::string bytes_;
    size_t at_ = 0;
};

// --- payloads ---
enum class Stream : char { input = 'i', output = 'o', errors = 'e' };
struct Credit {
    Stream stream;
    uint32_t bytes;
};
std::string credit_payload(Credit credit);
std::optional<Credit> parse_credit(std::string_view payload);

struct Size {
    uint16_t rows = 0, columns = 0;
    bool operator==(const Size &) const = default;
};
std::string size_payload(Size size);
std::optional<Size> parse_size(std::string_view payload);

// How a command ended.
struct End {
    enum Kind : char { exited = 'x', signalled = 's', failed = 'f' } kind = failed;
    uint8_t code = 0;  // the status, the signal, or of one that did not start 126 or 127 as a shell has it
    std::string text;  // of one that did not start, why
};
std::string end_payload(const End &end);
std::optional<End> parse_end(std::string_view payload);

}  // namespace mounts::exec
