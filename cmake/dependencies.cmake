# What we build on. Each is looked for on this machine first and downloaded only if it is missing.
include(FetchContent)

# prytany_dependency(<package> <oldest version> <target> <archive> <folder of its headers>)
#
# Afterwards <target> exists and is visible to every directory, also to the parent project. All of
# these are header-only: a downloaded one is an imported target, whose headers count as system headers,
# and nothing of its own build is run.
function(prytany_dependency package oldest target archive headers)
    if(TARGET ${target})
        return()
    endif()
    find_package(${package} QUIET GLOBAL)
    if(TARGET ${target})
        if(NOT ${package}_VERSION VERSION_LESS oldest)
            message(STATUS "prytany: ${package} ${${package}_VERSION} found")
            return()
        endif()
        message(FATAL_ERROR
            "prytany: expected ${package} ${oldest} or newer, got ${${package}_VERSION} at ${${package}_DIR}; "
            "-DCMAKE_DISABLE_FIND_PACKAGE_${package}=ON downloads it")
    endif()
    message(STATUS "prytany: ${package} not found, downloading ${archive}")
    FetchContent_Declare(${package} URL ${archive} SOURCE_SUBDIR no/build/of/its/own)
    FetchContent_MakeAvailable(${package})
    string(TOLOWER ${package} lower)
    add_library(${target} INTERFACE IMPORTED GLOBAL)
    target_include_directories(${target} INTERFACE ${${lower}_SOURCE_DIR}/${headers})
endfunction()

prytany_dependency(xsimd 8.1 xsimd
    https://github.com/xtensor-stack/xsimd/archive/refs/tags/8.1.0.tar.gz include)
include(${CMAKE_CURRENT_LIST_DIR}/xsimd.cmake)
prytany_dependency(Eigen3 3.4 Eigen3::Eigen
    https://gitlab.com/libeigen/eigen/-/archive/3.4.0/eigen-3.4.0.tar.gz .)
prytany_dependency(nlohmann_json 3.11 nlohmann_json::nlohmann_json
    https://github.com/nlohmann/json/archive/refs/tags/v3.11.2.tar.gz include)
find_package(Threads REQUIRED GLOBAL)

if(PRYTANY_BUILD_TESTS)
    prytany_dependency(Catch2 2.13 Catch2::Catch2
        https://github.com/catchorg/Catch2/archive/refs/tags/v2.13.10.tar.gz single_include)
endif()
if(PRYTANY_BUILD_EXAMPLES)
    prytany_dependency(CLI11 2.1 CLI11::CLI11
        https://github.com/CLIUtils/CLI11/archive/refs/tags/v2.1.2.tar.gz include)
endif()
