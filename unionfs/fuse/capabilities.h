// This thread's capabilities (capabilities(7)). A thread that it starts inherits them.
#pragma once

#include <linux/capability.h>

#include <array>

namespace unionfs {

using Capabilities = std::array<__user_cap_data_struct, 2>;

// Both return false if the call failed; then nothing has changed.
bool get_capabilities(Capabilities &ours);
bool set_capabilities(const Capabilities &ours);

// For good. Does nothing if the thread doesn't have it.
void give_up_capability(unsigned number);

}  // namespace unionfs
