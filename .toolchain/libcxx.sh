# Builds libc++, libc++abi and libunwind. build-sysroot reads this file. LLVM's own CMake build takes three times the processor
# time: it starts a process for each of a thousand headers, asks the compiler hundreds of questions whose answers are known
# here, and compiles the time zone database and each small file separately.
build_llvm() {
    local path sum archive directory members=() top=llvm-toolchain-19_19.1.7
    read -r _ path sum < <(grep "^llvm " "$here/sources.lock")
    archive=$("$here/fetch" "$path" "$sum" "$cache/sources")
    for directory in libcxx libcxxabi libunwind; do members+=("$top/$directory/include" "$top/$directory/src"); done
    mkdir -p "$work/llvm" && cd "$work/llvm"
    # The archive contains 1.7 GiB. These three are in its first eighth. It is cut at a block where a member begins.
    { xz -dc "$archive" 2>/dev/null || true; } | head -c $((424578 * 512)) |
        tar --strip-components=1 -xf - "${members[@]}" "$top/libcxx/vendor"
    rm libcxx/src/new.cpp # operator new is libc++abi's

    local v1=$sysroot/usr/include/c++/v1
    mkdir -p "$v1"
    cp -r libcxx/include/. libcxxabi/include/{cxxabi,__cxxabi_config}.h "$v1"
    cp libcxx/vendor/llvm/default_assertion_handler.in "$v1/__assertion_handler"
    cp libunwind/include/{__libunwind_config,libunwind,unwind,unwind_itanium}.h "$sysroot/usr/include/"
    # HARDENING_MODE 4 is "fast".
    local yes='HAS_MUSL_LIBC|HAS_NO_TIME_ZONE_DATABASE|HAS_NO_VENDOR_AVAILABILITY_ANNOTATIONS|PSTL_BACKEND_STD_THREAD'
    sed -E -e "s/^#cmakedefine (_LIBCPP_($yes))\$/#define \\1/" -e 's/^#cmakedefine (_LIBCPP_ABI_VERSION) .*/#define \1 1/' \
        -e 's/^#cmakedefine (_LIBCPP_ABI_NAMESPACE) .*/#define \1 __1/' \
        -e 's/^#cmakedefine (_LIBCPP_HARDENING_MODE_DEFAULT) .*/#define \1 4/' -e '/^#cmakedefine|^@/d' \
        libcxx/include/__config_site.in >"$v1/__config_site"
    [ "$(grep -c '^#define _LIBCPP_' "$v1/__config_site")" = 8 ] # and the include guard
    rm "$v1"/CMakeLists.txt "$v1"/*.in

    # musl's printf prints floating point as exactly, without 100 KiB of tables.
    cp "$here/d2fixed.cpp" libcxx/src/ryu/d2fixed.cpp
    # The classic locale contains facets that nobody uses, and each adds code to every program: money, time, messages and
    # wide numbers. A program that asks for a missing facet gets bad_cast.
    sed -i -E '/install\(&make<(money|time_|std::messages|num[a-z_]*<wchar_t|std::collate<wchar_t)/d' libcxx/src/locale.cpp
    [ "$(grep -c 'install(&make<' libcxx/src/locale.cpp)" = 12 ]

    # Most files are compiled as one unit, because their headers are most of the work. Three kinds are compiled alone: files
    # that define what a header declares differently for the others, files that run code before main(), and the largest files,
    # so that several processors share the work.
    local alone='algorithm|bind|condition_variable_destructor|error_category|hash|ios.instantiations|iostream'
    alone+='|legacy_pointer_safety|locale|memory|memory_resource|mutex_destructor|regex|strstream'
    printf '#include "%s"\n' $(ls libcxx/src/*.cpp | grep -vE "/($alone)\.cpp$") >cxx.cpp
    printf '#include "%s"\n' libcxx/src/filesystem/{path,operations,directory_*,filesystem_*}.cpp >filesystem.cpp

    local library="$CXX $optimize -w -DNDEBUG -std=c++23 -I. -Ilibcxx/src -D_LIBCPP_BUILDING_LIBRARY"
    library+=" -DLIBCXX_BUILDING_LIBCXXABI -DLIBCXXABI_NON_DEMANGLING_TERMINATE"
    local unwinder="$optimize -w -DNDEBUG -Ilibunwind/include -D_LIBUNWIND_IS_NATIVE_ONLY -funwind-tables -fno-exceptions"
    mkdir libcxx.objects libunwind.objects
    compile() { # DIRECTORY COMMAND FILE...: prints one command for each file
        local directory=$1 command=$2 file
        for file in "${@:3}"; do echo "$command -c $file -o $directory/$(basename "$file").o"; done
    }
    {
        compile libcxx.objects "$library -fvisibility=hidden -fvisibility-inlines-hidden" {cxx,filesystem}.cpp \
            $(ls -S libcxx/src/*.cpp | grep -E "/($alone)\.cpp$") libcxx/src/ryu/*.cpp
        compile libcxx.objects "$library -D_LIBCXXABI_BUILDING_LIBRARY" libcxxabi/src/cxa_{aux_runtime,default_handlers}.cpp \
            libcxxabi/src/cxa_{demangle,exception,exception_storage,guard,handlers,personality,thread_atexit,vector,virtual}.cpp \
            libcxxabi/src/stdlib_{exception,new_delete,stdexcept,typeinfo}.cpp \
            libcxxabi/src/{abort_message,fallback_malloc,private_typeinfo}.cpp
        compile libunwind.objects "$CXX $unwinder -fno-rtti -std=c++17" libunwind/src/libunwind.cpp
        compile libunwind.objects "$CC $unwinder" libunwind/src/{UnwindLevel1,UnwindLevel1-gcc-ext}.c \
            libunwind/src/UnwindRegisters{Restore,Save}.S
    } | xargs -d '\n' -P"$jobs" -I{} sh -c '{}'
    $AR rcs "$sysroot/usr/lib/libc++.a" libcxx.objects/*
    $AR rcs "$sysroot/usr/lib/libunwind.a" libunwind.objects/*
}
