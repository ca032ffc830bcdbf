#include "unionfs/fuse/capabilities.h"

#include <sys/syscall.h>
#include <unistd.h>

namespace unionfs {

bool get_capabilities(Capabilities &ours) {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    return ::syscall(SYS_capget, &header, ours.data()) == 0;
}

bool set_capabilities(const Capabilities &ours) {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    return ::syscall(SYS_capset, &header, ours.data()) == 0;
}

void give_up_capability(unsigned number) {
    Capabilities ours{};
    if (!get_capabilities(ours)) return;
    const auto others = ~CAP_TO_MASK(number);
    __user_cap_data_struct &sets = ours[CAP_TO_INDEX(number)];
    sets = {sets.effective & others, sets.permitted & others, sets.inheritable & others};
    (void)set_capabilities(ours);  // a thread may always have fewer
}

}  // namespace unionfs
