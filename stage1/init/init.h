// `stage1 init`: PID 1 of the initrd.
#pragma once

namespace stage1 {

// Runs the boot from the first mount to the exec of stage 2. Never returns: a boot that cannot continue ends in rescue.h.
[[noreturn]] void init();

}  // namespace stage1
