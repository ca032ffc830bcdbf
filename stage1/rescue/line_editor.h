// Reads one line from a terminal with the usual keys of a shell: arrows, home and end, ctrl-a -e -k -u -w, backspace, and the
// history. If the input is not a terminal, reads a plain line.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace stage1 {

// Returns a line without its newline. Nothing: the input ended. An interrupt returns an empty line (the handler of ctrl-c must
// not restart reads).
std::optional<std::string> read_line(int terminal, std::string_view prompt, const std::vector<std::string> &earlier);

// The text being typed and the position of the cursor. Pure. read_line() uses it for each key.
class LineEditor {
  public:
    explicit LineEditor(const std::vector<std::string> &earlier) : earlier_(earlier), shown_(earlier.size()) {}

    enum class State { typing, done, ended };
    // Takes one byte from the terminal; keys such as arrows send several.
    State take(char byte);

    [[nodiscard]] const std::string &text() const { return text_; }
    // The number of characters after the cursor.
    [[nodiscard]] size_t characters_after_cursor() const;

  private:
    void take_escape(char byte);
    void control(char byte);
    void show(size_t earlier);
    void erase_before();
    void erase_after();
    void erase_word();
    [[nodiscard]] size_t left_of(size_t position) const;
    [[nodiscard]] size_t right_of(size_t position) const;

    const std::vector<std::string> &earlier_;
    size_t shown_;     // index of the line shown; the size of earlier_ means the new line
    std::string own_;  // the new line, while an earlier one is shown
    std::string text_;
    size_t cursor_ = 0;
    std::string escape_;  // the bytes of an incomplete key
};

}  // namespace stage1
