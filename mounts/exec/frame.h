// The protocol between `runvm exec` and the agent in the guest: frames, on the virtio-serial port and on the sockets of the hub
// that shares the port. Pure: touches no descriptor. Either side may be hostile, and either may have been killed in the middle
// of a frame.
//
//     host                                    guest
//                      hello NONCE      <-    after `resync_bytes` zeros, when the agent starts
//     welcome NONCE        ->                 after as many zeros; discards all earlier sessions
//     request, start       ->                 request.h, in parts; then the command starts
//     input, input_end     ->                 at most `window_bytes` beyond the credit
//                      output, errors   <-    the same limit for each
//     credit               <->                bytes that were passed on: 'i', 'o' or 'e', then the count
//     resize, signal, close->                 close: nobody waits for this command any more
//                      exit             <-    the last frame of its session
//
// A frame is a header of 8 bytes, little-endian, and a payload. The header holds the type, a 0, the length of the payload (16
// bits) and the session (32 bits). A reader skips zero bytes where it expects a type, so a run of zeros longer than any frame
// ends a frame that was cut off.
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
    signal,  // the signal's number, one byte
    close,
    exit,
    agent,  // from the hub to its clients: '1' if the guest has an agent, else '0'
    last = agent
};

inline constexpr size_t header_bytes = 8;
// With the header 32 KiB, the most that Linux's driver takes in one write (drivers/char/virtio_console.c, port_fops_write).
inline constexpr size_t payload_limit_bytes = 32768 - header_bytes;
inline constexpr size_t resync_bytes = header_bytes + payload_limit_bytes;
// How far a stream may run ahead of its reader. Each side buffers up to this much for each of a session's three streams.
inline constexpr size_t window_bytes = size_t{512} << 10;
inline constexpr size_t nonce_bytes = 16;

struct Frame {
    FrameType type = FrameType::pad;
    uint32_t session = 0;
    std::string_view payload;
};

// `payload` is at most payload_limit_bytes.
void append_frame(std::string &to, FrameType type, uint32_t session, std::string_view payload = {});
// Only the header.
void append_header(std::string &to, FrameType type, uint32_t session, size_t length);
// Splits the payload into as many frames as it needs.
void append_frames(std::string &to, FrameType type, uint32_t session, std::string_view payload);

// Reads frames from a stream that arrives in parts. Skips bytes that cannot begin a frame.
class FrameReader {
  public:
    void take(std::string_view data);
    // The next complete frame; its payload is valid until the next take().
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
    uint8_t code = 0;  // exit status or signal; 126 or 127, as in a shell, if the command did not start
    std::string text;  // why the command did not start
};
std::string end_payload(const End &end);
std::optional<End> parse_end(std::string_view payload);

}  // namespace mounts::exec
