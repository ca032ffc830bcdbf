// One command that the host requested: its incoming and outgoing frames, and flow control. Touches only its own descriptors;
// agent.h passes it frames and polls for it.
#pragma once

#include <poll.h>

#include <optional>
#include <string>
#include <vector>

#include "mounts/exec/byte_queue.h"
#include "mounts/exec/frame.h"
#include "stage1/agent/command.h"

namespace stage1 {

class Session {
  public:
    explicit Session(uint32_t id) : id_(id) {}

    // Takes a frame from the host and appends answers to `out`.
    void take(const mounts::exec::Frame &frame, const Surroundings &guest, std::string &out);
    // Appends four descriptors to poll, in the order that handle() expects. `may_read`: the port can take more output.
    void add_polls(std::vector<pollfd> &polls, bool may_read) const;
    // `polls` begins with the entries that add_polls() appended.
    void handle(const pollfd *polls, std::string &out);
    // Sends what is due after frames and polls: credit, and the end.
    void settle(std::string &out);

    [[nodiscard]] uint32_t id() const { return id_; }
    [[nodiscard]] pid_t pid() const { return command_.pid; }
    void ended(int wait_status) { wait_status_ = wait_status; }
    // Nobody waits for the command any more.
    void hang_up();
    // Its exit was sent, or nobody waits for it.
    [[nodiscard]] bool over() const { return over_; }
    static constexpr size_t poll_count = 4;
    // How much output may wait for the port. Beyond that, nothing is read from commands.
    static constexpr size_t out_limit_bytes = size_t{1} << 20;

  private:
    void start(const Surroundings &guest, std::string &out);
    void give_input();
    void read_stream(base::Fd &fd, mounts::exec::FrameType type, size_t &credit, std::string &out);
    void drain(base::Fd &fd, mounts::exec::FrameType type, size_t &credit, std::string &out);
    void tell_end(std::string &out);
    void end(const mounts::exec::End &end, std::string &out);

    uint32_t id_;
    std::string request_, failure_;
    RunningCommand command_;
    mounts::ByteQueue input_;
    size_t input_passed_ = 0, output_credit_ = mounts::exec::window_bytes, errors_credit_ = mounts::exec::window_bytes;
    bool input_ended_ = false, over_ = false, hung_up_ = false;
    std::optional<int> wait_status_;
};

}  // namespace stage1
