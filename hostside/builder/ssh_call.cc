#include "hostside/builder/ssh_call.h"

#include <string_view>

namespace hostside {

namespace {

// The options of ssh(1) that take a value.
constexpr std::string_view with_value = "BbcDEeFIiJLlmOoPpQRSWw";

class SshWords {
  public:
    explicit SshWords(const std::vector<std::string> &words) : words_(words) {}

    SshCall read() {
        while (at_ < words_.size()) {
            const std::string &word = words_[at_];
            if (word == "--") {
                ++at_;
                if (call_.host.empty() && at_ < words_.size()) take_host(words_[at_++]);
                break;
            }
            if (word.size() > 1 && word[0] == '-') {
                ++at_;
                take_options(word);
            } else if (call_.host.empty()) {
                ++at_;
                take_host(word);
            } else {
                break;
            }
        }
        call_.command.assign(words_.begin() + static_cast<std::ptrdiff_t>(at_), words_.end());
        call_.master = call_.master && no_command_;
        call_.says_started = started_ && (call_.master || !through_master_);
        return call_;
    }

  private:
    void take_host(const std::string &word) { call_.host = word.substr(word.rfind('@') + 1); }

    void take_options(const std::string &word) {
        for (size_t i = 1; i < word.size(); ++i) {
            const char option = word[i];
            if (!with_value.contains(option)) {
                call_.master = call_.master || option == 'M';
                no_command_ = no_command_ || option == 'N';
                continue;
            }
            std::string value = word.substr(i + 1);
            if (value.empty() && at_ < words_.size()) value = words_[at_++];
            call_.control = call_.control || option == 'O';
            through_master_ = through_master_ || option == 'S';
            if (option == 'o') take_setting(value);
            return;
        }
    }

    // As in ssh, the first value of a setting counts.
    void take_setting(const std::string &setting) {
        constexpr std::string_view local_command = "LocalCommand=";
        if (!setting.starts_with(local_command) || command_known_) return;
        command_known_ = true;
        started_ = setting.substr(local_command.size()) == "echo started";
    }

    const std::vector<std::string> &words_;
    size_t at_ = 0;
    SshCall call_;
    bool no_command_ = false, through_master_ = false, started_ = false, command_known_ = false;
};

}  // namespace

SshCall ssh_call(const std::vector<std::string> &words) { return SshWords(words).read(); }

std::string command_line_of(const SshCall &call) {
    std::string line;
    for (const auto &word : call.command) line += (line.empty() ? "" : " ") + word;
    return line;
}

}  // namespace hostside
