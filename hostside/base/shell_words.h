// Makes base::split_words and its relatives available in this namespace.
#pragma once

#include "mounts/base/shell_words.h"

namespace hostside {

using base::quote_word;
using base::quote_words;
using base::split_words;

}  // namespace hostside
