# Shows the checker a tree that breaks every rule and wants to see every rule named:
# cmake -D checker=… -D work=… -P goes_red.cmake
cmake_minimum_required(VERSION 3.25)

file(REMOVE_RECURSE ${work})
file(COPY ${CMAKE_CURRENT_LIST_DIR}/bad/ DESTINATION ${work})

# What is too long to be kept: a chain of 83 headers, each of 301 lines, one of 501.
string(REPEAT "\n" 299 lines)
set(first "// SPDX-License-Identifier: MIT\n")
foreach(link RANGE 1 83)
    math(EXPR next "${link} + 1")
    file(WRITE ${work}/include/prytany/core/chain_${link}.hpp
        "${first}#include \"prytany/core/chain_${next}.hpp\"\n${lines}")
endforeach()
string(REPEAT "\n" 500 lines)
file(WRITE ${work}/include/prytany/core/chain_84.hpp "${first}${lines}")

execute_process(COMMAND ${checker} ${work} OUTPUT_VARIABLE text RESULT_VARIABLE result)
if(NOT result EQUAL 1)
    message(FATAL_ERROR "expected the checker to end with 1, got ${result}:\n${text}")
endif()
foreach(line
        "missing: core/lost.hpp: includes prytany/core/nowhere.hpp"
        "floor: kernel/up.hpp: includes prytany/router/top.hpp"
        "floor: simd/sideways.hpp: includes prytany/exec/pool.hpp"
        "open-set: layer/closed.hpp: includes prytany/router/top.hpp, not the concept"
        "slow: core/lost.hpp: includes <functional> below floor 5"
        "third-party: kernel/up.hpp: includes xsimd/xsimd.hpp"
        "third-party: core/lost.hpp: includes nlohmann/json.hpp"
        "third-party: core/lost.hpp: includes iostream"
        "cycle: router/left.hpp: reaches itself"
        "cycle: router/right.hpp: reaches itself"
        "depth: core/chain_71.hpp: is 14 includes deep"
        "reach: core/chain_7.hpp: reaches 77 headers"
        "median-reach: all headers"
        "length: core/chain_84.hpp: has 501 lines"
        "median-length: all headers: 301 lines"
        "p90-length: all headers: 301 lines"
        "namespace: simd/sideways.hpp: PRYTANY_ABI is a plain word"
        "licence: core/lost.hpp: does not begin with its SPDX line"
        "columns: core/lost.hpp: line "
        "macro: kernel/up.hpp: defines PRYTANY_HELPER"
        "silent-concept: router/top.hpp: router_policy says nothing when it fails"
        "test: router/top.hpp: has no tests/router/top.test.cpp"
        "manifest: core/gone.hpp: is listed and does not exist"
        "manifest: core/lost.hpp: stands above a higher floor"
        "manifest: core/chain_1.hpp: is not listed")
    string(FIND "${text}" "${line}" place)
    if(place EQUAL -1)
        message(FATAL_ERROR "the checker does not see\n    ${line}\nit prints\n${text}")
    endif()
endforeach()
# What is right is not reported.
foreach(line "depth: core/chain_72.hpp" "router/tested.hpp")
    string(FIND "${text}" "${line}" place)
    if(NOT place EQUAL -1)
        message(FATAL_ERROR "the checker reports without reason `${line}`:\n${text}")
    endif()
endforeach()
