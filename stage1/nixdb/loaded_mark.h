// A mark beside the database: which registration was loaded last, and the state of the database after that. When an unchanged
// disk boots again, nothing need be opened, parsed or compared. The mark is valid only if db.sqlite has the same inode, size,
// mtime and ctime, and no log beside it holds more data: every change or replacement of the database changes one of these. A
// mark that a power cut left missing or incomplete does not match, and the registration is loaded.
#pragma once

#include <string>

#include "stage1/nixdb/fingerprint.h"

namespace stage1::nixdb {

// The text that a valid mark has now. Empty: there is no database, or a log is beside it.
std::string loaded_mark(const std::string &directory, const Fingerprint &registration);

bool has_loaded_mark(const std::string &directory, const std::string &mark);
// Neither syncs nor reports errors, because without the mark the next boot just compares.
void leave_loaded_mark(const std::string &directory, const std::string &mark);

}  // namespace stage1::nixdb
