// The union as a program, under the names unionfs and mount.fuse.unionfs. stage1 includes this file.
#pragma once

namespace unionfs {

// Returns the exit code: 0 once the mount is usable and a daemon serves it, or 1 after a one-line error on stderr, with nothing
// mounted. With -f, it returns after the unmount.
int command_main(int argc, char **argv);

// `stage1 union diff`: lists what an upper changed. Returns the exit code.
int diff_main(int argc, char **argv);

// `stage1 union apply`: applies them to a plain directory. Returns the exit code.
int apply_main(int argc, char **argv);

}  // namespace unionfs
