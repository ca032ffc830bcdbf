// PID 1 must never end, because the kernel would panic without a word. What ends another program (an exception that
// nobody caught, abort, a fault) makes PID 1 start this program anew in its place: a fresh image, which tells what happened and
// obeys the policy of rescue.h. Should that one fail too, the last words are said without memory or files, and it stays.
#pragma once

#include <string_view>

namespace stage1 {

// The word that a fresh image is started with; the next one says what happened.
inline constexpr std::string_view crashed_word = "crashed";

// Catches SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS and SIGABRT. Their children get them as they were.
void catch_crashes();

// What is under way, for the message. Kept where a signal handler finds it; cut where it is long.
void note_step(std::string_view text) noexcept;

// Starts anew, or stays with its last words. Allocates nothing.
[[noreturn]] void start_anew(const char *what) noexcept;

// Of a fresh image: what has been told it. Never returns.
[[noreturn]] void crashed(const char *what);

}  // namespace stage1
