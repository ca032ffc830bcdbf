#include "mounts/devices/oem_strings.h"

#include <catch_amalgamated.hpp>
#include <string>

namespace {

using namespace std::string_literals;
using Strings = std::vector<std::string>;

// Two structures before it, one with strings and one without, and the last.
const std::string tables = "\x01\x06\x00\x01"s + "ab" + "QEMU\0pc\0\0"s + "\x20\x05\x01\x01"s + "x\0\0"s +
                           "\x0b\x05\x00\x0e\x02"s + "one=1\0two two\0\0"s;
const std::string last = "\x7f\x04\x00\x7f\0\0"s;

TEST_CASE("the firmware's OEM strings are found among its other tables") {
    CHECK(mounts::oem_strings(tables + last) == Strings{"one=1", "two two"});
    CHECK(mounts::oem_strings(tables + tables + last) == Strings{"one=1", "two two", "one=1", "two two"});
    CHECK(mounts::oem_strings(tables + last + tables) == Strings{"one=1", "two two"});
    CHECK(mounts::oem_strings("") == Strings{});
}

TEST_CASE("firmware's tables that are cut short or lie about their length end there") {
    for (size_t i = 0; i < tables.size(); ++i) {
        INFO(i);
        CHECK(mounts::oem_strings(tables.substr(0, i)).size() <= 2);
    }
    CHECK(mounts::oem_strings("\x0b\x03\x00\x00"s + "x\0\0"s) == Strings{});
    CHECK(mounts::oem_strings("\x0b\xff\x00\x00"s + "x\0\0"s) == Strings{});
}

}  // namespace
