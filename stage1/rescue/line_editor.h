// One line from a person at a terminal, with the keys that every shell has: arrows, home and end, ctrl-a -e -k -u -w,
// backspace, and the lines before it. From what is no terminal it is a plain line.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace stage1 {

// A line without its newline. Nothing: the input ended. An interrupt (ctrl-c, whose handler must not restart reads) is an empty
// line.
std::optional<std::string> read_line(int terminal, std::string_view prompt, const std::vector<std::string> &earlier);

// The text that is being typed, and where in it the cursor stands. Pure; what read_line() does for each key.
class LineEditor {
  public:
    explicit LineEditor(const std::vector<std::string> &earlier) : earlier_(earlier), shown_(earlier.size()) {}

    enum class State { typing, done, ended };
    // A byte of the terminal's; keys like the arrows are several.
    State take(char byte);

    [[nodiscard]] const std::string &text() const { return text_; }
    // How many characters stand after the cursor.
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
    size_t shown_;     // which of them; their number: the line that is being typed
    std::string own_;  // that line, while an earlier one is shown
    std::string text_;
    size_t cursor_ = 0;
    std::string escape_;  // the bytes of a key that is not whole yet
};

}  // namespace stage1
