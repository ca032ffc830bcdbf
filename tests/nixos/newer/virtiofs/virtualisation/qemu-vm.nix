# NixOS shares memory with its virtiofsd since September 2026, whatever the user says.
{
  config.virtualisation.qemu.enableSharedMemory = true;
}
