#include "stage1/devices.h"

namespace stage1 {

void add_devices_command(CLI::App &app, int &status) {
    (void)app;
    (void)status;
}

}  // namespace stage1
