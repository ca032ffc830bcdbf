// A machine with a person at its console: the test waits for output and types answers.
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

    // Waits up to two minutes for this text; fails the test without it. Each call continues where the last one ended.
    void wait_for(const std::string &text);
    void type(const std::string &text) const { terminal_.type(text); }
    // Types an answer at a shell's prompt.
    void command(const std::string &line);
    // Stops the launcher for that long, as on a busy host; QEMU continues.
    void stall(int seconds) const;
    // Waits until the machine ends.
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
