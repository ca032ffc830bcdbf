// A boot's report as a picture: SVG, and a page in HTML around it. Both stand alone: no script, nothing that is fetched, and a
// palette that people with any colour vision tell apart (Okabe and Ito, "Color Universal Design"), beside words. Pure.
#pragma once

#include <string>

#include "hostside/report/boot_report.h"

namespace hostside {

std::string as_svg(const BootReport &report, const std::string &name);
std::string as_html(const BootReport &report, const std::string &name);

}  // namespace hostside
