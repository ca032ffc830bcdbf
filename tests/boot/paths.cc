// The store paths that a machine used: recorded by the guest's union, kept with its last run, compared with the closure.

#include <catch_amalgamated.hpp>
#include <format>
#include <fstream>

#include "tests/boot/machine.h"
#include "tests/boot/place.h"

namespace {

using Catch::Matchers::ContainsSubstring;

std::string part(const std::string &text, const std::string &title) {
    const size_t at = text.find("\n" + title + " (");
    if (at == std::string::npos) return "";
    const size_t begin = text.find('\n', at + 1) + 1;
    size_t end = begin;
    while (text.compare(end, 2, "  ") == 0) end = text.find('\n', end) + 1;
    return text.substr(begin, end - begin);
}

TEST_CASE("a machine whose union traces tells which paths of its closure it used, which not, and which are not registered") {
    const boot_test::Place place(
        "cp --version >/dev/null; n=/nix/store/0123456789abcdfghijklmnpqrsvwxyz-new; mkdir $n; echo text >$n/file");
    const auto run = place.runvm({"run", "--name", "web", "--append", "stage1.union.trace=paths"});
    INFO(run.output);
    CHECK(run.status == 0);
    const auto report = place.runvm({"report", "--paths", "web"});
    INFO(report.output);
    CHECK(report.status == 0);
    CHECK_THAT(report.output, ContainsSubstring("web: ") && ContainsSubstring(" in its closure unused, "));
    for (const char *used : {"-bash\n", "-tools\n", "-nixos-system-fixture\n", "-debian-libraries\n"})
        CHECK_THAT(part(report.output, "used"), ContainsSubstring(used));
    CHECK_THAT(part(report.output, "unused"), ContainsSubstring("-linux\n"));
    CHECK_THAT(part(report.output, "unregistered"), ContainsSubstring("/nix/store/0123456789abcdfghijklmnpqrsvwxyz-new\n"));
    CHECK_THAT(place.runvm({"report", "--paths", "--json", "web"}).output, ContainsSubstring("\"unregistered\": [\"/nix/store/"));
}

TEST_CASE(
    "paths are traced by the union alone: where there is none, or it is the kernel's, that is said, and so is a run without") {
    boot_test::Machine machine;
    (void)boot_test::fixture();
    const auto refusal = [&](const std::string &store_union, const std::vector<std::string> &parameters) {
        const boot_test::Boot b = machine.boot({.store_union = store_union, .parameters = parameters});
        CHECK(b.exit_code == 124);
        return b.console;
    };
    CHECK_THAT(refusal("off", {"stage1.union.trace=paths"}),
               ContainsSubstring("only a union traces used paths, and this machine's store has none"));
    CHECK_THAT(refusal("tmpfs", {"stage1.union.trace=paths", "stage1.union.engine=overlay"}),
               ContainsSubstring("only unionfs can trace paths, but stage1.union.engine=overlay is given"));
    CHECK_THAT(refusal("tmpfs", {"stage1.union.trace=files"}), ContainsSubstring("expected off | paths"));
    const boot_test::Place place;
    const auto report = place.runvm({"report", "--paths", "web"});
    CHECK(report.status == 124);
    CHECK_THAT(report.output, ContainsSubstring("no run of this name was kept"));
}

}  // namespace
