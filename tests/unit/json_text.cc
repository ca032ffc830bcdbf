#include "mounts/base/json_text.h"

#include <catch_amalgamated.hpp>

using base::json_text;
using namespace std::string_view_literals;

TEST_CASE("a JSON string escapes what must be, and leaves UTF-8 as it is") {
    CHECK(json_text("") == R"("")");
    CHECK(json_text("a \"b\" \\ c") == R"("a \"b\" \\ c")");
    CHECK(json_text("tab\tline\nnul\0"sv) == R"("tab\u0009line\u000anul\u0000")");
    CHECK(json_text("… é 😀") == "\"… é 😀\"");
}

TEST_CASE("what is no UTF-8 becomes U+FFFD in a JSON string") {
    for (const auto bad :
         {"\xff"sv, "\xc3"sv, "\xc0\x80"sv, "\xe0\x80\x80"sv, "\xed\xa0\x80"sv, "\xf4\x90\x80\x80"sv, "\x80"sv}) {
        std::string expected = "\"";
        for (size_t i = 0; i < bad.size(); ++i) expected += "\xef\xbf\xbd";
        CHECK(json_text(bad) == expected + "\"");
        CHECK(json_text(std::string(bad) + "x") == expected + "x\"");
    }
}
