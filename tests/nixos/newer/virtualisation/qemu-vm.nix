# What a later nixpkgs may have: an option that our module was written before.
{ lib, ... }:
{
  options.virtualisation.newThing = lib.mkOption { default = false; };
}
