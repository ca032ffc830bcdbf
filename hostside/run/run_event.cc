#include "hostside/run/run_event.h"

#include <array>

namespace hostside {

namespace {

struct Row {
    std::string_view name;
    bool has_number = false;
};

// In the order of the enum.
constexpr std::array<Row, RunEvent::exit + 1> rows{{
    {"note"},
    {"progress"},
    {"started", true},
    {"phase"},
    {"step"},
    {"waits"},
    {"ready"},
    {"fork-point"},
    {"guest-exit", true},
    {"stage1-failed"},
    {"panic"},
    {"disk-full"},
    {"disk-error"},
    {"store-lost"},
    {"share-lost"},
    {"tpm-lost"},
    {"timeout", true},
    {"signal", true},
    {"qemu-said"},
    {"emergency"},
    {"qemu-killed", true},
    {"qemu-out-of-memory"},
    {"cause"},
    {"exit", true},
}};

}  // namespace

std::string_view name(RunEvent::Kind kind) { return rows[kind].name; }

std::string detail(const RunEvent &event) { return rows[event.kind].has_number ? std::to_string(event.number) : event.text; }

}  // namespace hostside
