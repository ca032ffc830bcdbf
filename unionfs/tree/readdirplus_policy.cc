#include "unionfs/tree/readdirplus_policy.h"

#include <algorithm>

namespace unionfs {

ReaddirplusPolicy::Token ReaddirplusPolicy::begin(pid_t caller, size_t files, bool has_subdirectories) {
    if (caller == 0 || stopped_) return 0;  // 0: a process namespace that we don't see
    const std::lock_guard lock(mutex_);
    const size_t place = static_cast<size_t>(caller) % most;
    Reader &reader = readers_[place];
    if (reader.caller != caller) reader = {.caller = caller, .distance = first_distance, .left = first_distance};
    if (reader.token == 0) {
        if (reader.left != 0) {
            --reader.left;
            return 0;
        }
        if (files == 0 || files > first_files || has_subdirectories) return 0;
        reader.token = ++tokens_ * most + static_cast<Token>(place);
        reader.ignored = 0;
        reader.last = files;
        return reader.token;
    }
    reader.ignored += reader.last;
    reader.last = 0;
    // A wrong guess costs a message per file, so never risk more files than were guessed right.
    if (files > std::max(first_files, reader.ignored)) return 0;
    reader.last = files;
    return reader.token;
}

bool ReaddirplusPolicy::goes_on(Token token) {
    const std::lock_guard lock(mutex_);
    return token != 0 && readers_[token % most].token == token;
}

void ReaddirplusPolicy::looked_up(Token token) {
    const std::lock_guard lock(mutex_);
    Reader &reader = readers_[token % most];
    if (token == 0 || reader.token != token) return;
    reader.token = 0;
    reader.distance = reader.distance > UINT32_MAX / growth ? UINT32_MAX : reader.distance * growth;
    reader.left = reader.distance;
}

}  // namespace unionfs
