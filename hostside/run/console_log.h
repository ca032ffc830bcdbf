// Keeps the guest's console in the run directory for `runvm logs` and watches it for a kernel panic. QEMU writes it into a
// pipe, so that a guest that never stops printing fills two files of fixed size and not the host's disk or memory.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "hostside/base/run_names.h"
#include "mounts/base/error.h"
#include "mounts/base/fd.h"

namespace hostside {

// The limit for each of the two files (run_names.h).
inline constexpr size_t console_log_limit_bytes = size_t{1} << 20;

class ConsoleLog {
  public:
    static base::Result<ConsoleLog> create(std::string run_directory);

    // QEMU's end of the pipe. The child has the same number; call close_writer after the child has it.
    [[nodiscard]] int writer() const { return writer_.get(); }
    void close_writer() { writer_.reset(); }

    // Readable when take() has data. -1: QEMU closed its end.
    [[nodiscard]] int fd() const { return reader_.get(); }
    // Returns the data of one read. Empty: no data, or the end.
    std::string take();

    // The last notable output is a panic. The kernel's trace may follow it; text that someone printed much earlier does not
    // count.
    [[nodiscard]] bool ends_in_panic() const;
    // SeaBIOS printed this before anything else could.
    [[nodiscard]] bool nothing_to_boot() const { return first_.contains("No bootable device"); }
    // The same for OVMF, which then waits for user input.
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
    uint64_t seen_bytes_ = 0, panic_at_ = 0;  // panic_at_: just after the panic words; 0: none
    std::string first_;                       // the beginning, which may contain firmware output
    std::string tail_;                        // end of the previous text, where the panic words may begin
};

}  // namespace hostside
