#include "stage1/register.h"

namespace stage1 {

void add_register_command(CLI::App &app, int &status) {
    (void)app;
    (void)status;
}

}  // namespace stage1
