// What is told of the results: cost relative to overlayfs in the same run, beside the goal, and whether a rival is cheaper.
#pragma once

#include <string>

#include "tests/bench/union/rows.h"

namespace bench {

// `flagged_only`: the rows in which a mode of ours misses the goal (!) or loses to a rival (<).
void print_table(const Results &results, const std::vector<Peer> &peers, bool flagged_only);
void write_json(const Results &results, const std::vector<Peer> &peers, const std::string &path);

}  // namespace bench
