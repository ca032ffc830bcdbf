#include "hostside/report/path_report.h"

#include <catch_amalgamated.hpp>

namespace {

const std::string a = "0123456789abcdfghijklmnpqrsvwxyz-a", b = "1123456789abcdfghijklmnpqrsvwxyz-b",
                  c = "2123456789abcdfghijklmnpqrsvwxyz-c";

TEST_CASE("the paths that a machine used are told against its closure, and what is no name of a store path is left out") {
    const auto report = hostside::path_report(c + "\n" + a + "\n" + a + "\n.links\n../../etc\n\x1b[2J\nx", a + "\n" + b + "\n");
    CHECK(report.used == std::vector{"/nix/store/" + a, "/nix/store/" + c});
    CHECK(report.unused == std::vector{"/nix/store/" + b});
    CHECK(report.unregistered == std::vector{"/nix/store/" + c});
    CHECK(as_text(report, "web") ==
          "web: 2 store paths used, 1 in its closure unused, 1 not in its closure\nused (2):\n  /nix/store/" + a +
              "\n  /nix/store/" + c + "\nunused (1):\n  /nix/store/" + b + "\nunregistered (1):\n  /nix/store/" + c + "\n");
    CHECK(as_json(report) == R"({"used": ["/nix/store/)" + a + R"(", "/nix/store/)" + c + R"("], "unused": ["/nix/store/)" + b +
                                 R"("], "unregistered": ["/nix/store/)" + c + "\"]}\n");
}

TEST_CASE("without a closure only what was used is told, and that the closure is not known") {
    const auto report = hostside::path_report(a + "\n", "");
    CHECK(as_text(report, "web") ==
          "web: 1 store path used; its closure is unknown, because the machine had no registration\nused (1):\n"
          "  /nix/store/" +
              a + "\n");
    CHECK(as_json(report) == R"({"used": ["/nix/store/)" + a + "\"]}\n");
}

}  // namespace
