// All that a fleet starts: its machines, and the machines that make its snapshots. A member is a number: first the machines, in
// the fleet's order, then the makers.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "hostside/fleet/fleet.h"

namespace hostside {

class Members {
  public:
    // Keeps both arguments.
    Members(const FleetRun &run, FleetResult &result);

    // In the order of their start: the makers' first, because others wait for them.
    [[nodiscard]] const std::vector<Group> &groups() const { return groups_; }
    [[nodiscard]] const Node &node(size_t member) const;
    // A maker's own result is not one of the fleet's.
    [[nodiscard]] MachineResult &result(size_t member);
    // Its snapshot is not yet made.
    [[nodiscard]] bool awaits_snapshot(size_t member) const;

    // Call it when a member has started or ended: calls run.changed or run.told. If a maker has failed, so have its machines.
    void tell(size_t member);
    // Call it when the state of a member that runs may have changed. The first machine of a snapshot stands for all while that
    // is made.
    void show(size_t member);

  private:
    [[nodiscard]] bool is_maker(size_t member) const { return member >= result_.machines.size(); }
    [[nodiscard]] const OwnSnapshot &snapshot_of(size_t maker) const { return run_.snapshots[maker - result_.machines.size()]; }
    void fail_for_want_of(const OwnSnapshot &snapshot, const MachineResult &maker);

    const FleetRun &run_;
    FleetResult &result_;
    std::vector<MachineResult> makers_;            // of run_.snapshots
    std::vector<std::optional<size_t>> maker_of_;  // for each machine, which of them makes its snapshot
    std::vector<Group> groups_;
};

}  // namespace hostside
