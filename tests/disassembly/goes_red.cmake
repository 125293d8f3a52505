# Shows the checker a compiled loop with more sums than there are registers, and one with few, and wants
# the first one named: the definitions of run.cmake, -P goes_red.cmake
cmake_minimum_required(VERSION 3.25)

set(least 2)
include(${CMAKE_CURRENT_LIST_DIR}/compile.cmake)
if(NOT result EQUAL 1)
    message(FATAL_ERROR "expected the checker to end with 1, got ${result}:\n${text}")
endif()
if(NOT text MATCHES "too_many_sums[^\n]*\n +[0-9a-f]+: v[a-z0-9]+ [^\n]*\\(%rsp\\)")
    message(FATAL_ERROR "the checker does not name too_many_sums and an instruction:\n${text}")
elseif(text MATCHES "few_sums")
    message(FATAL_ERROR "the checker reports without reason few_sums:\n${text}")
endif()

# Nothing to be read is no success.
execute_process(COMMAND ${checker} ${work}/listing.txt 1000 RESULT_VARIABLE result OUTPUT_QUIET)
file(WRITE ${work}/empty.txt "")
execute_process(COMMAND ${checker} ${work}/empty.txt 1 RESULT_VARIABLE empty OUTPUT_QUIET)
execute_process(COMMAND ${checker} ${work}/nowhere.txt 0 RESULT_VARIABLE nowhere ERROR_QUIET)
if(NOT result EQUAL 2 OR NOT empty EQUAL 2 OR NOT nowhere EQUAL 2)
    message(FATAL_ERROR "expected 2 for too few loops, for none and for no file: "
        "got ${result}, ${empty}, ${nowhere}")
endif()
