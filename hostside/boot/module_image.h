// A kernel module's file, made smaller work for the kernel that loads it. Pure: bytes in, bytes out. Used by initrd.h.
#pragma once

#include <string>
#include <string_view>

namespace hostside {

// The module without its appended signature (Linux, scripts/sign-file.c); as it is when there is none.
std::string_view without_signature(std::string_view module);

// The module without what only tracing it needs, which is most of the work of loading it: the list of its functions for
// ftrace (__mcount_loc; since Linux 6.0 the kernel looks each of them up in the symbols one by one), the tables of the
// ORC unwinder (which the kernel sorts), names of enumerated values in trace events (_ftrace_eval_map) and BTF. Its calls of
// __fentry__ become the no-ops that ftrace would write. kprobes, symbols and the trace events stay. Function tracing, BPF
// fentry and live patches don't reach it, and a stack trace through it is no exact one: from its functions on, the
// kernel guesses and marks with `?` (Linux, arch/x86/kernel/unwind_orc.c: without a table, state->error).
// What is no x86-64 module, or not as expected, is returned unchanged; never longer.
std::string without_tracing(std::string module);

}  // namespace hostside
