#include "stage1/rescue/line_editor.h"

#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <format>

#include "mounts/base/at.h"

namespace stage1 {

namespace {

constexpr char ctrl(char letter) { return static_cast<char>(letter & 0x1f); }

bool begins_character(char byte) { return (static_cast<unsigned char>(byte) & 0xc0) != 0x80; }

// Makes a terminal deliver each key at once, during this object's lifetime.
class EachKey {
  public:
    explicit EachKey(int terminal) : terminal_(terminal), is_terminal_(::tcgetattr(terminal, &saved_) == 0) {
        termios raw = saved_;
        raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
        raw.c_iflag |= ICRNL;
        if (is_terminal_) (void)::tcsetattr(terminal_, TCSADRAIN, &raw);
    }
    EachKey(const EachKey &) = delete;
    EachKey &operator=(const EachKey &) = delete;
    ~EachKey() {
        if (is_terminal_) (void)::tcsetattr(terminal_, TCSADRAIN, &saved_);
    }
    [[nodiscard]] bool is_terminal() const { return is_terminal_; }

  private:
    int terminal_;
    termios saved_{};
    bool is_terminal_;
};

}  // namespace

size_t LineEditor::left_of(size_t position) const {
    if (position > 0) --position;
    while (position > 0 && !begins_character(text_[position])) --position;
    return position;
}

size_t LineEditor::right_of(size_t position) const {
    if (position < text_.size()) ++position;
    while (position < text_.size() && !begins_character(text_[position])) ++position;
    return position;
}

size_t LineEditor::characters_after_cursor() const {
    return static_cast<size_t>(std::ranges::count_if(text_.substr(cursor_), begins_character));
}

void LineEditor::show(size_t earlier) {
    if (earlier > earlier_.size()) return;
    if (shown_ == earlier_.size()) own_ = text_;
    shown_ = earlier;
    text_ = shown_ == earlier_.size() ? own_ : earlier_[shown_];
    cursor_ = text_.size();
}

void LineEditor::erase_before() {
    const size_t from = left_of(cursor_);
    text_.erase(from, cursor_ - from);
    cursor_ = from;
}

void LineEditor::erase_after() { text_.erase(cursor_, right_of(cursor_) - cursor_); }

void LineEditor::erase_word() {
    size_t from = cursor_;
    while (from > 0 && text_[from - 1] == ' ') --from;
    while (from > 0 && text_[from - 1] != ' ') --from;
    text_.erase(from, cursor_ - from);
    cursor_ = from;
}

// An escape sequence: ESC [ or ESC O, an optional number, and a final letter or ~ (xterm's keys, also on serial terminals).
void LineEditor::take_escape(char byte) {
    constexpr size_t longest = 8;
    escape_ += byte;
    if (escape_.size() == 1) return;
    if (escape_.size() == 2 && (byte == '[' || byte == 'O')) return;
    if (escape_.size() > 2 && escape_.size() < longest && (byte == ';' || (byte >= '0' && byte <= '9'))) return;
    const std::string key = escape_.substr(std::min<size_t>(escape_.size(), 2));
    escape_.clear();
    if (key == "A" && shown_ > 0) show(shown_ - 1);
    if (key == "B") show(shown_ + 1);
    if (key == "C") cursor_ = right_of(cursor_);
    if (key == "D") cursor_ = left_of(cursor_);
    if (key == "H" || key == "1~") cursor_ = 0;
    if (key == "F" || key == "4~") cursor_ = text_.size();
    if (key == "3~") erase_after();
}

void LineEditor::control(char byte) {
    switch (byte) {
    case ctrl('a'): cursor_ = 0; break;
    case ctrl('b'): cursor_ = left_of(cursor_); break;
    case ctrl('d'): erase_after(); break;
    case ctrl('e'): cursor_ = text_.size(); break;
    case ctrl('f'): cursor_ = right_of(cursor_); break;
    case ctrl('h'):
    case '\x7f': erase_before(); break;
    case ctrl('k'): text_.resize(cursor_); break;
    case ctrl('n'): show(shown_ + 1); break;
    case ctrl('p'):
        if (shown_ > 0) show(shown_ - 1);
        break;
    case ctrl('u'):
        text_.erase(0, cursor_);
        cursor_ = 0;
        break;
    case ctrl('w'): erase_word(); break;
    default: break;
    }
}

LineEditor::State LineEditor::take(char byte) {
    constexpr char escape = '\x1b';
    constexpr size_t longest_bytes = 4096;
    if (!escape_.empty() || byte == escape) {
        take_escape(byte);
        return State::typing;
    }
    if (byte == '\n' || byte == '\r') return State::done;
    if (byte == ctrl('d') && text_.empty()) return State::ended;
    if (static_cast<unsigned char>(byte) < 0x20 || byte == '\x7f')
        control(byte);
    else if (text_.size() < longest_bytes)
        text_.insert(cursor_++, 1, byte);
    return State::typing;
}

std::optional<std::string> read_line(int terminal, std::string_view prompt, const std::vector<std::string> &earlier) {
    const EachKey each_key(terminal);
    LineEditor line(earlier);
    const auto say = [&](std::string_view text) {
        if (each_key.is_terminal()) (void)base::write_all(terminal, text, "console");
    };
    (void)base::write_all(terminal, prompt, "console");
    for (;;) {
        char byte = 0;
        const ssize_t n = ::read(terminal, &byte, 1);
        if (n < 0 && errno == EINTR) {
            say("^C\n");
            return std::string();
        }
        if (n <= 0) return std::nullopt;
        const std::string before = line.text();
        switch (line.take(byte)) {
        case LineEditor::State::done: say("\n"); return line.text();
        case LineEditor::State::ended: say("\n"); return std::nullopt;
        case LineEditor::State::typing: break;
        }
        const size_t after = line.characters_after_cursor();
        if (after == 0 && line.text() == before + byte)
            say({&byte, 1});
        else
            say(std::format("\r{}{}\x1b[K{}", prompt, line.text(), after == 0 ? "" : std::format("\x1b[{}D", after)));
    }
}

}  // namespace stage1
