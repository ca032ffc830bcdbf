// A machine with a person at its console: what it says is waited for, and answered.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "tests/boot/machine.h"
#include "tests/support/terminal.h"

namespace boot_test {

class Console {
  public:
    Console(Machine &machine, const Setup &setup);
    Console(const Console &) = delete;
    Console &operator=(const Console &) = delete;
    ~Console();

    // What the machine says next, within two minutes; fails the test without it. Each call goes on where the last one ended.
    void wait_for(const std::string &text);
    void type(const std::string &text) const { terminal_.type(text); }
    // An answer to a shell's prompt.
    void command(const std::string &line);
    // The launcher stands still that long, as on a busy host; QEMU goes on.
    void stall(int seconds) const;
    // Waits for the machine's end.
    Boot finish();

  private:
    bool ended();

    Machine &machine_;
    std::vector<std::string> words_;
    support::Terminal terminal_;
    pid_t pid_ = -1;
    int wait_status_ = 0;
};

}  // namespace boot_test
