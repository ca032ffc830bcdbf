// Changes a kernel module's file so that the kernel loads it faster. Pure: bytes in, bytes out. Used by initrd.h.
#pragma once

#include <string>
#include <string_view>

namespace hostside {

// Removes an appended signature (Linux, scripts/sign-file.c), if there is one.
std::string_view without_signature(std::string_view module);

// Removes what only tracing a module needs, which is most of the work of loading it: the list of its functions for ftrace
// (__mcount_loc; since Linux 6.0 the kernel looks up each of them in the symbols), the tables of the ORC unwinder (which the
// kernel sorts), names of enumerated values in trace events (_ftrace_eval_map) and BTF. Calls of __fentry__ become the no-ops
// that ftrace would write. kprobes, symbols and trace events stay. Function tracing, BPF fentry and live patches no longer work
// for the module. Stack traces are no longer exact from the module's functions on: the kernel guesses and marks entries with
// `?` (Linux, arch/x86/kernel/unwind_orc.c: without a table, state->error). Returns the file unchanged if it is not an x86-64
// module or has an unexpected form; never makes it longer.
std::string without_tracing(std::string module);

}  // namespace hostside
