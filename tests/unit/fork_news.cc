// The message that a fork receives: a round trip of its text, and texts from others.

#include "mounts/exec/fork_news.h"

#include <catch_amalgamated.hpp>

using namespace mounts::exec;

TEST_CASE("a fork's news come out of their text as they went in") {
    const ForkNews news{.time_ns = 1'700'000'000'123'456'789,
                        .entropy = std::string("\0\xff\x10 ", 4) + std::string(12, 'e'),
                        .machine_id = "0123456789abcdef0123456789abcdef",
                        .boot_id = "01234567-89ab-4def-8123-456789abcdef",
                        .host_name = "web-2",
                        .cards = {{"52:54:00:12:34:56", "52:54:00:aa:bb:cc"}}};
    const std::string text = fork_news_text(news);
    CHECK(text.find_first_of("\n\t") == std::string::npos);
    CHECK(parse_fork_news(text) == news);
    ForkNews nameless = news;
    nameless.host_name.clear();
    nameless.cards.clear();
    CHECK(parse_fork_news(fork_news_text(nameless)) == nameless);
}

TEST_CASE("a fork's news that are cut, unknown or of the wrong form are none") {
    const std::string whole = "time=1 entropy=" + std::string(32, 'a') +
                              " machine-id=0123456789abcdef0123456789abcdef"
                              " boot-id=01234567-89ab-4def-8123-456789abcdef";
    REQUIRE(parse_fork_news(whole));
    REQUIRE(parse_fork_news(whole + " host-name=a card=52:54:00:12:34:56/52:54:00:12:34:57"));
    for (const char *more :
         {" time", " time=", " time=1x", " time=0", " entropy=abc", " entropy=zz", " entropy=aaaa", " machine-id=12",
          " machine-id=0123456789abcdef0123456789abcdeg", " boot-id=0123", " host-name=", " host-name=a/b", " host-name=a\n",
          " card=52:54:00:12:34:56", " card=52:54:00:12:34:56-52:54:00:12:34:57", " card=52:54:00:12:34:5g/52:54:00:12:34:57",
          " colour=red", " ", "  time=1"}) {
        INFO(more);
        CHECK_FALSE(parse_fork_news(whole + more));
    }
    for (size_t length = 0; length + 1 < whole.size(); ++length) CHECK_FALSE(parse_fork_news(whole.substr(0, length)));
    CHECK_FALSE(parse_fork_news(whole + " host-name=" + std::string(65, 'a')));
    CHECK_FALSE(parse_fork_news(whole + " entropy=" + std::string(1000, 'a')));
    std::string cards;
    for (int i = 0; i < 100; ++i) cards += " card=52:54:00:12:34:56/52:54:00:12:34:57";
    CHECK_FALSE(parse_fork_news(whole + cards));
}
