# As much of nixpkgs' lib as our modules use, written for the tests: where nixpkgs can't be had, they evaluate with it. The same
# configurations, evaluated with nixpkgs' own lib, must have the same outcome (tests/nixos/run), which keeps it honest.
let
  inherit (builtins) all any attrNames attrValues concatLists concatMap concatStringsSep elem elemAt filter foldl' genList
    getAttr hasAttr head isAttrs isFunction isList isString length listToAttrs map mapAttrs removeAttrs replaceStrings sort split
    stringLength substring tail;
  lib = rec {
    inherit all any attrNames attrValues concatLists concatMap concatStringsSep elem filter foldl' head isAttrs isList isString
      length listToAttrs mapAttrs replaceStrings tail;
    id = value: value;
    nameValuePair = name: value: { inherit name value; };
    optional = condition: value: if condition then [ value ] else [ ];
    optionals = condition: list: if condition then list else [ ];
    optionalAttrs = condition: set: if condition then set else { };
    optionalString = condition: text: if condition then text else "";
    genAttrs = names: f: listToAttrs (map (name: nameValuePair name (f name)) names);
    mapAttrs' = f: set: listToAttrs (map (name: f name set.${name}) (attrNames set));
    mapAttrsToList = f: set: map (name: f name set.${name}) (attrNames set);
    filterAttrs = keep: set: listToAttrs (concatMap (name: optional (keep name set.${name}) (nameValuePair name set.${name})) (attrNames set));
    unique = foldl' (seen: value: if elem value seen then seen else seen ++ [ value ]) [ ];
    subtractLists = without: filter (value: !elem value without);
    hasPrefix = start: text: substring 0 (stringLength start) text == start;
    hasSuffix = end: text: stringLength text >= stringLength end && substring (stringLength text - stringLength end) (-1) text == end;
    hasInfix = part: text: length (split (escapeRegex part) text) > 1;
    escapeRegex = replaceStrings [ "$" "." "(" ")" "[" "*" "+" "?" "^" "|" "\\" "{" ] [ "\\$" "\\." "\\(" "\\)" "\\[" "\\*" "\\+" "\\?" "\\^" "\\|" "\\\\" "\\{" ];
    removePrefix = start: text: if hasPrefix start text then substring (stringLength start) (-1) text else text;
    splitString = separator: text: filter isString (split (escapeRegex separator) text);
    concatMapStringsSep = separator: f: list: concatStringsSep separator (map f list);
    escapeShellArg = text: if builtins.match "[[:alnum:],._+:@%/-]+" text != null then text else "'${replaceStrings [ "'" ] [ "'\\''" ] text}'";
    hasAttrByPath = path: set: path == [ ] || (isAttrs set && hasAttr (head path) set && hasAttrByPath (tail path) set.${head path});
    getAttrFromPath = path: set: if path == [ ] then set else getAttrFromPath (tail path) set.${head path};
    setAttrByPath = path: value: if path == [ ] then value else { ${head path} = setAttrByPath (tail path) value; };
    recursiveUpdate = left: right: left // mapAttrs
      (name: value: if isAttrs value && isAttrs (left.${name} or null) then recursiveUpdate left.${name} value else value) right;
    versionOlder = left: right: builtins.compareVersions left right < 0;
    versionAtLeast = left: right: !versionOlder left right;
    literalExpression = text: { _type = "literalExpression"; inherit text; };
    inherit (import ./modules.nix { inherit lib; }) mkOption mkIf mkMerge mkOverride mkForce mkDefault types evalModules;
  };
in
lib
