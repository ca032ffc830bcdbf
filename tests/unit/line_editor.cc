#include "stage1/rescue/line_editor.h"

#include <catch_amalgamated.hpp>

using stage1::LineEditor;

namespace {

// The line after these bytes from a terminal, with a bar at the cursor.
std::string typed(std::string_view keys, const std::vector<std::string> &earlier = {}) {
    LineEditor line(earlier);
    for (const char byte : keys)
        if (line.take(byte) != LineEditor::State::typing) return line.text() + "<";
    size_t at = line.text().size();
    for (size_t after = line.characters_after_cursor(); after > 0; --after) do
            --at;
        while ((static_cast<unsigned char>(line.text()[at]) & 0xc0) == 0x80);
    return line.text().substr(0, at) + "|" + line.text().substr(at);
}

TEST_CASE("a line at the prompt is edited with the keys that shells have") {
    CHECK(typed("cat /etc\r") == "cat /etc<");
    CHECK(typed("ca\x7fht\x1b[D\x1b[D") == "c|ht");
    CHECK(typed("mount a b\x17") == "mount a |");
    CHECK(typed("mount\x01u\x05t") == "umountt|");
    CHECK(typed("abc\x1b[H\x1b[3~") == "|bc");
    CHECK(typed("abc\x1bOD\x0b") == "ab|");
    CHECK(typed("abc\x1b[D\x15") == "|c");
    CHECK(typed("a\xc3\xa9\x1b[Db") == "ab|\xc3\xa9");
    CHECK(typed("a\xc3\xa9\x7f") == "a|");
    CHECK(typed("\x7f\x1b[D\x1b[C\x1b[A\x1b[B\x1b[3~") == "|");
}

TEST_CASE("the arrows bring earlier lines to the prompt and back to the one that was being typed") {
    const std::vector<std::string> earlier{"ls", "plan"};
    CHECK(typed("x\x1b[A", earlier) == "plan|");
    CHECK(typed("x\x1b[A\x1b[A\x1b[A", earlier) == "ls|");
    CHECK(typed("x\x1b[A\x1b[A\x1b[B\x1b[B\x1b[B", earlier) == "x|");
    CHECK(typed("\x10 -l", earlier) == "plan -l|");
}

TEST_CASE("ctrl-d ends the input of an empty line, and erases in another") {
    CHECK(typed("\x04") == "<");
    CHECK(typed("ab\x1b[D\x04") == "a|");
}

TEST_CASE("a key that no line editor knows changes nothing, however long it is") {
    CHECK(typed("a\x1b[1;5C\x1b[15~\x1bx") == "a|");
}

}  // namespace
