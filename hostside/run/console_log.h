// What the guest's console says, kept in the run directory for `runvm logs`, and watched for a kernel's panic. QEMU writes it
// into a pipe of ours: a guest that never stops talking fills two files of a fixed size, not the host's disk or memory.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "hostside/base/run_names.h"
#include "mounts/base/error.h"
#include "mounts/base/fd.h"

namespace hostside {

// Of each of the two files (run_names.h).
inline constexpr size_t console_log_limit_bytes = size_t{1} << 20;

class ConsoleLog {
  public:
    static base::Result<ConsoleLog> create(std::string run_directory);

    // QEMU's end, its number the same in the child; close_writer once the child has it.
    [[nodiscard]] int writer() const { return writer_.get(); }
    void close_writer() { writer_.reset(); }

    // Readable when there is something to take. -1: QEMU closed its end.
    [[nodiscard]] int fd() const { return reader_.get(); }
    // What one read brings; empty: nothing, or the end.
    std::string take();

    // The last thing of note that was said is a panic. A kernel's trace follows it; what a person printed long ago does not
    // count.
    [[nodiscard]] bool ends_in_panic() const;
    // SeaBIOS said so, before anything else could.
    [[nodiscard]] bool nothing_to_boot() const { return first_.contains("No bootable device"); }
    // The same of OVMF, which then waits for a person.
    [[nodiscard]] bool firmware_waits() const {
        return first_.contains("BdsDxe: No bootable option") || first_.contains("\"EFI Internal Shell\" from ");
    }

  private:
    ConsoleLog(std::string run_directory, base::Fd reader, base::Fd writer);
    void write(std::string_view text);
    void watch(std::string_view text);

    std::string run_directory_;
    base::Fd reader_, writer_, file_;
    size_t file_bytes_ = 0;
    uint64_t seen_bytes_ = 0, panic_at_ = 0;  // panic_at_: just after the words; 0: none
    std::string first_;                       // what the firmware may have said
    std::string tail_;                        // of the text before, where the words may begin
};

}  // namespace hostside
