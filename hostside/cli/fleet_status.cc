#include "hostside/cli/fleet_status.h"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <string>
#include <thread>

#include "hostside/cli/fleet_view.h"
#include "hostside/cli/reporter.h"
#include "hostside/fleet/fleet.h"
#include "hostside/fleet/group_place.h"
#include "hostside/fleet/slurm.h"

namespace hostside {

int exit_code_of(const FleetResult &result) { return result.count(Outcome::passed) == result.machines.size() ? 0 : 1; }

// Waits for the fleet's end if requested.
int show_fleet_status(const FleetWish &wish) {
    constexpr int not_over = 2;
    constexpr auto pause = std::chrono::seconds(3);
    FleetView view;
    for (;; std::this_thread::sleep_for(pause)) {
        auto result = results_in(wish.status + "/" + std::string(results_file));
        if (!result) return refuse({"look at a fleet", wish.status, result.error().code, "there are no results of a fleet"});
        if (const std::string job = slurm_job_of(wish.status); !job.empty()) {
            const auto tasks = slurm_tasks(job);
            if (!tasks) return refuse(tasks.error());
            gather(wish.status, *tasks, *result);
            result->seconds =
                std::max(result->seconds, result->over ? 0 : static_cast<double>(::time(nullptr) - result->started_s));
            if (auto written = write_results(wish.status, *result); !written) return refuse(written.error());
        } else if (wish.wait && !result->over) {
            return refuse({"wait for a fleet", wish.status, 0,
                           "--wait is only for Slurm's fleets; wait for the command that runs this one"});
        }
        if (wish.wait && !result->over) {
            view.tick(*result);
            continue;
        }
        view.last(*result);
        if (result->over) FleetView::tell_where(wish.status, *result);
        return result->over ? exit_code_of(*result) : not_over;
    }
}

}  // namespace hostside
