// PID 1 must never end, because the kernel would panic without an explanation. Whatever would end another program (an uncaught
// exception, abort, a fault) makes PID 1 execute this program again. The new instance reports the crash and follows the policy
// in rescue.h. If it crashes too, PID 1 prints a last message without memory or files, and waits forever.
#pragma once

#include <string_view>

namespace stage1 {

// The first argument of the new instance; the second one says what happened.
inline constexpr std::string_view crashed_word = "crashed";

// Catches SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS and SIGABRT. Children get the default actions after exec.
void catch_crashes();

// Sets the current step for the crash message. Keeps it where a signal handler can read it; truncates long text.
void note_step(std::string_view text) noexcept;

// Executes the program again, or prints a last message and waits forever. Allocates nothing.
[[noreturn]] void start_anew(const char *what) noexcept;

// Runs the new instance: reports the crash. Never returns.
[[noreturn]] void crashed(const char *what);

}  // namespace stage1
