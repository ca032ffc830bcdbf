// The union as a program of its own, under the names unionfs and mount.fuse.unionfs. What stage1 includes.
#pragma once

namespace unionfs {

// Returns the exit code: 0 when the mount is usable (a daemon serves it from then on), 1 with one line on stderr and
// nothing mounted. With -f it returns after the unmount.
int command_main(int argc, char **argv);

// `stage1 union diff`: what an upper changed. 0, or 1 after an error.
int diff_main(int argc, char **argv);

}  // namespace unionfs
