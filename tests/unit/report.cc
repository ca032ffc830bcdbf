#include "stage1/init/report.h"

#include <catch_amalgamated.hpp>
#include <nlohmann/json.hpp>

TEST_CASE("a report is JSON: each step with its phase, what it did, its start and its end") {
    stage1::Report report;
    report.begin("devices", "wait", "wait for /dev/vda");
    report.end("device: \"vda\"\n", "");
    report.begin("mounts", "mount", "mount \xff");
    report.end("", "mount '/': no");
    report.begin("switch_root", "switch_root", "switch_root /mnt-root");
    const auto json = nlohmann::json::parse(report.json());
    CHECK(json["version"] == 1);
    REQUIRE(json["steps"].size() == 3);
    const auto &first = json["steps"][0];
    CHECK(first["phase"] == "devices");
    CHECK(first["step"] == "wait");
    CHECK(first["text"] == "device: \"vda\"\n");
    CHECK(first["start_us"] == report.records()[0].start_us);
    CHECK(first["end_us"] == report.records()[0].end_us);
    CHECK_FALSE(first.contains("error"));
    CHECK(first["cpu_ns"] == report.records()[0].cpu_ns);
    CHECK(first["cpu_ns"] > 0);
    CHECK(json["steps"][1]["error"] == "mount '/': no");
    CHECK(json["steps"][1]["text"] == "mount \xef\xbf\xbd");
    CHECK_FALSE(json["steps"][2].contains("end_us"));
}
