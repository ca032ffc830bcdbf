#include "hostside/run/phase_line.h"

#include <catch_amalgamated.hpp>

using hostside::PhaseLine;

TEST_CASE("the line has each phase with its time, and the one that runs is open") {
    PhaseLine line;
    line.enter("disk", 0);
    line.doing("making the initrd");
    CHECK(line.text(0.25, 80) == "disk 0.2 s (making the initrd)");
    line.enter("kernel", 0.5);
    line.enter("stage 1", 2.1);
    line.enter("stage 1", 3);  // a repeated announcement
    CHECK(line.text(3.3, 80) == "disk 0.5 s, kernel 1.6 s, stage 1 1.2 s ...");
    CHECK(line.text(3.3, 80, true) == "disk 0.5 s, kernel 1.6 s, stage 1 1.2 s");
    CHECK(line.text(3.3, 10) == "disk 0.5 s");
    line.waits("LABEL=nixos", 20, 3);
    CHECK(line.text(14.2, 90) == "disk 0.5 s, kernel 1.6 s, stage 1 12.1 s (wait for LABEL=nixos 11/20 s)");
    CHECK(line.text(30, 90) == "disk 0.5 s, kernel 1.6 s, stage 1 27.9 s (wait for LABEL=nixos 20/20 s)");
    line.enter("stage 2", 15);
    CHECK(line.text(15, 90).ends_with("stage 1 12.9 s, stage 2 0.0 s ..."));
}
