// A queue of bytes to be written. Appends at the end and takes from the front without moving the rest each time.
#pragma once

#include <string>
#include <string_view>

namespace mounts {

class ByteQueue {
  public:
    [[nodiscard]] bool empty() const { return head_ == bytes_.size(); }
    [[nodiscard]] size_t size() const { return bytes_.size() - head_; }
    [[nodiscard]] std::string_view front() const { return std::string_view(bytes_).substr(head_); }
    void append(std::string_view more) { bytes_.append(more); }
    // The underlying string, for appending in place.
    std::string &tail() { return bytes_; }
    void consume(size_t count) {
        head_ += count;
        if (head_ < bytes_.size() / 2) return;
        bytes_.erase(0, head_);
        head_ = 0;
    }
    void clear() {
        bytes_.clear();
        head_ = 0;
    }

  private:
    std::string bytes_;
    size_t head_ = 0;
};

}  // namespace mounts
