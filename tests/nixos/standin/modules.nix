# A module system in the small: options with a type and a default, definitions with conditions and priorities, imports,
# `definitionsWithLocations` and `extendModules`. Nothing is checked against its type.
{ lib }:
let
  inherit (builtins) concatMap filter foldl' isAttrs isFunction;
  ranked = priority: content: { _type = "override"; inherit priority content; };
  kind = value: if isAttrs value then value._type or "" else "";

  # What stands at a path below conditions and merges. A condition is looked at last: what it is may follow from its neighbours.
  unfold = value:
    if kind value == "if" then map (v: v // { on = [ value.condition ] ++ v.on; }) (unfold value.content)
    else if kind value == "merge" then concatMap unfold value.contents
    else [{ inherit value; on = [ ]; }];
  at = path: value: concatMap
    (v:
      if path == [ ] then (if lib.all lib.id v.on then leaf v.value else [ ])
      else if isAttrs v.value && v.value ? ${builtins.head path} then
        concatMap (inner: if lib.all lib.id v.on then [ inner ] else [ ]) (at (builtins.tail path) v.value.${builtins.head path})
      else [ ])
    (unfold value);
  discharge = value: concatMap (v: if lib.all lib.id v.on then [ v.value ] else [ ]) (unfold value);
  leaf = value:
    if kind value == "override" then map (inner: { value = inner; inherit (value) priority; }) (discharge value.content)
    else [{ inherit value; priority = 100; }];

  # Those of the highest priority.
  strongest = definitions:
    let least = foldl' (least: d: if d.priority < least then d.priority else least) 10000 definitions;
    in filter (d: d.priority == least) definitions;

  mergedBy = type: definitions: type.merge (strongest definitions);
  values = map (d: d.value);
  types = rec {
    raw = { merge = definitions: (builtins.head definitions).value; };
    package = raw;
    str = raw;
    int = raw;
    nullOr = inner: inner;
    bool = raw;
    lines = { merge = definitions: lib.concatStringsSep "\n" (values definitions); };
    listOf = inner: { merge = definitions: concatMap (d: map (value: inner.merge [ (d // { inherit value; }) ]) d.value) definitions; };
    attrsOf = inner: {
      merge = definitions:
        let
          sets = concatMap (d: map (value: d // { inherit value; }) (discharge d.value)) definitions;
          names = lib.unique (concatMap (d: builtins.attrNames d.value) sets);
          of = name: concatMap
            (d: lib.optionals (d.value ? ${name}) (map (x: d // x) (leafs d.value.${name})))
            sets;
          leafs = value: concatMap leaf (discharge value);
        in lib.filterAttrs (_: v: v != null) (lib.genAttrs names (name: let found = of name; in if found == [ ] then null else mergedBy inner found));
    };
    # What a value may leave out.
    filledWith = defaults: {
      merge = definitions:
        let set = (attrsOf anything).merge definitions; in lib.recursiveUpdate defaults set;
    };
    coerced = from: inner: { merge = definitions: inner.merge (map (d: d // { value = from d.value; }) definitions); };
    anything = {
      merge = definitions:
        if lib.all (d: builtins.isList d.value) definitions then concatMap (d: d.value) definitions
        else if lib.all (d: isAttrs d.value && !(d.value ? outPath)) definitions then (attrsOf anything).merge definitions
        else (builtins.head definitions).value;
    };
  };

  evalModules = { modules, args }:
    let
      load = file: module:
        let
          isFile = builtins.isPath module || builtins.isString module;
          function = if isFile then import module else module;
          set = if isFunction function then function arguments else function;
          here = if isFile then toString module else file;
          content = if set ? config || set ? options || set ? imports then set else { config = set; };
        in [{ file = here; options = content.options or { }; config = content.config or { }; }] ++ concatMap (load here) (content.imports or [ ]);
      arguments = args // { inherit (result) config options extendModules; };
      loaded = concatMap (load "<configuration>") modules;
      declared = prefix: set: lib.mapAttrs
        (name: value: let path = prefix ++ [ name ]; in if kind value == "option" then option path value else declared path value) set;
      option = path: declaration: declaration // rec {
        definitionsWithLocations = map (d: { inherit (d) file value; }) (strongest all);
        all = concatMap (m: map (d: d // { inherit (m) file; }) (at path m.config)) loaded;
        declarations = [ (whose path) ];
        fallback = { value = declaration.default; priority = 1500; file = whose path; };
        value = mergedBy (declaration.type or types.raw)
          (if all == [ ] && declaration ? default then [ fallback ] else all);
      };
      whose = path: (builtins.head (filter (m: lib.hasAttrByPath path m.options) loaded)).file;
      options = declared [ ] (foldl' (set: m: lib.recursiveUpdate set m.options) { } loaded);
      valued = lib.mapAttrs (_: value: if kind value == "option" then value.value else valued value);
      result = {
        inherit options;
        config = valued options;
        extendModules = more: evalModules { modules = modules ++ more.modules; inherit args; };
      };
    in result;
in
{
  inherit types evalModules;
  mkOption = declaration: declaration // { _type = "option"; };
  mkIf = condition: content: { _type = "if"; inherit condition content; };
  mkMerge = contents: { _type = "merge"; inherit contents; };
  mkOverride = ranked;
  mkForce = ranked 50;
  mkDefault = ranked 1000;
}
