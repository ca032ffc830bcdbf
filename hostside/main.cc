// runvm: the launcher on the host.

int main() { return 2; }
