# Evaluated by Nix with nixpkgs' packages (make test-flake), never built: see default.nix.
{
  description = "Boots NixOS systems in QEMU: runvm, and stage1 for their initrd";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs = { self, nixpkgs }:
    let
      system = "x86_64-linux"; # the only one that is booted
      pkgs = nixpkgs.legacyPackages.${system};
      runvm = import ./default.nix { inherit pkgs; };
      app = name: { type = "app"; program = "${runvm}/bin/${name}"; };
    in
    {
      packages.${system} = { inherit runvm; default = runvm; };
      overlays.default = final: _: { runvm = import ./default.nix { pkgs = final; }; };

      # Derivations that are built in machines: runInMachine { drv = …; machine = nixos.config.system.build.toplevel; }, and runInLinuxVM drv,
      # as vmTools has it. With the overlay: pkgs.runvm.runInMachine.
      lib = { inherit (runvm) runInMachine runInLinuxVM; };

      # Beside nixpkgs' own qemu-vm.nix: imports = [ runvm.nixosModules.default ], for `nixos-rebuild build-vm` in
      # virtualisation.vmVariant. In NixOS's tests: defaults.imports.
      nixosModules.default = { lib, ... }: {
        imports = [ ./hostside/nixos/qemu-vm.nix ];
        config.virtualisation.runvm.package = lib.mkDefault runvm;
      };

      apps.${system} = { default = app "runvm"; runvm = app "runvm"; stage1 = app "stage1"; };

      devShells.${system}.default = pkgs.mkShell {
        inputsFrom = [ runvm ];
        packages = [ pkgs.qemu_kvm pkgs.nix pkgs.python3 pkgs.e2fsprogs pkgs.clang-tools ];
      };

      # That both programs run, and that a description is one.
      checks.${system}.runs = pkgs.runCommand "runvm-runs" { nativeBuildInputs = [ runvm ]; } ''
        runvm --version
        stage1 --version
        echo '{"memorySize": 512}' >machine.json
        runvm config --config machine.json >$out
      '';
    };
}
