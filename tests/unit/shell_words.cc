#include "hostside/base/shell_words.h"

#include <catch_amalgamated.hpp>

using hostside::quote_words;
using hostside::split_words;

TEST_CASE("QEMU_OPTS is split as a shell would, and nothing is expanded") {
    const auto words = split_words(R"(-m 1G 'a  b' "c\"d $HOME \x" e\ f '' `id` *)", "QEMU_OPTS");
    REQUIRE(words);
    CHECK(*words == std::vector<std::string>{"-m", "1G", "a  b", "c\"d $HOME \\x", "e f", "", "`id`", "*"});
}

TEST_CASE("a quote that is never closed is an error that names the variable") {
    CHECK(base::message(split_words("-name 'x", "QEMU_OPTS").error()) ==
          "split 'QEMU_OPTS': a quote ' is opened and never closed");
    CHECK(base::message(split_words("a\\", "QEMU_OPTS").error()) ==
          "split 'QEMU_OPTS': ends in a backslash that escapes nothing");
}

TEST_CASE("a quoted command line reads back as the same words") {
    const std::vector<std::string> words{"plain", "", "two words", "it's", "new\nline", "$(id) `x` \"q\" \\", "ü,é", "-m"};
    CHECK(split_words(quote_words(words), "test") == words);
    CHECK(quote_words({"a b", "c"}) == "'a b' c");
}
