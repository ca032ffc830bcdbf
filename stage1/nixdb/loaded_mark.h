// A note beside the database of which registration was loaded last, and of how the database stood when it had been: at
// the next boot of an unchanged disk nothing need be opened, parsed or compared.
// It is trusted only if db.sqlite is, by inode, size, mtime and ctime, the very file, and there is no log beside it that
// holds more: what anybody writes into it, or puts in its place, changes one of these. A note that a cut left unwritten,
// or half written, is not the expected text, and the registration is loaded.
#pragma once

#include <string>

#include "stage1/nixdb/fingerprint.h"

namespace stage1::nixdb {

// What the note must say now; empty: there is no database, or a log beside it.
std::string loaded_mark(const std::string &directory, const Fingerprint &registration);

bool has_loaded_mark(const std::string &directory, const std::string &mark);
// Not synced, and no error: without it the next boot compares.
void leave_loaded_mark(const std::string &directory, const std::string &mark);

}  // namespace stage1::nixdb
