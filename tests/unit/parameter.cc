#include "mounts/boot/command_line.h"

#include <catch_amalgamated.hpp>

using mounts::Parameter;
using mounts::parse_command_line;

TEST_CASE("words and values come in the order of the command line") {
    CHECK(parse_command_line("quiet init=/nix/store/a/init  console=ttyS0\n") ==
          std::vector<Parameter>{{"quiet", std::nullopt}, {"init", "/nix/store/a/init"}, {"console", "ttyS0"}});
}

TEST_CASE("quotes hide spaces, around the value or the whole word") {
    CHECK(parse_command_line(R"(a="b c" "d=e f" g="")") == std::vector<Parameter>{{"a", "b c"}, {"d", "e f"}, {"g", ""}});
}

TEST_CASE("what the command line says to a module is the module's, as init_module takes it") {
    const auto parameters = parse_command_line("overlay.metacopy=on kvm-intel.nested quiet overlay.redirect_dir=\"a b\" .x= y.=");
    CHECK(mounts::module_options(parameters, "overlay") == "metacopy=on redirect_dir=\"a b\"");
    CHECK(mounts::module_options(parameters, "kvm_intel") == "nested");
    CHECK(mounts::module_options(parameters, "over").empty());
}

TEST_CASE("an empty value is not an absent one") {
    CHECK(parse_command_line("a= b") == std::vector<Parameter>{{"a", ""}, {"b", std::nullopt}});
}

TEST_CASE("what follows a bare -- belongs to init") {
    CHECK(parse_command_line("a -- b c=d") == std::vector<Parameter>{{"a", std::nullopt}});
}

TEST_CASE("a quote without an end, control characters and NULs do no harm") {
    CHECK(parse_command_line("a=\"b c") == std::vector<Parameter>{{"a", "b c"}});
    CHECK(parse_command_line(std::string_view("a=b\0c=d", 7)) == std::vector<Parameter>{{"a", "b"}});
    CHECK(parse_command_line("\t\v\f \n").empty());
}
