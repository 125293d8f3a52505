# Fails if clang-format would change a source; with -D fix=ON changes it instead:
# cmake -D clang_format=<program> -D root=<absolute path> -P check_format.cmake
cmake_minimum_required(VERSION 3.25)

foreach(folder include tests examples bench)
    file(GLOB_RECURSE found RELATIVE ${root} ${root}/${folder}/*.hpp ${root}/${folder}/*.cpp)
    list(APPEND files ${found})
endforeach()
list(FILTER files EXCLUDE REGEX "^tests/structure/bad/")
list(FILTER files EXCLUDE REGEX "/concept\\.hpp$") # version 14 tears requires-expressions apart
if(fix)
    set(mode -i)
else()
    set(mode --dry-run -Werror)
endif()
execute_process(COMMAND ${clang_format} ${mode} --style=file ${files}
    WORKING_DIRECTORY ${root} RESULT_VARIABLE result ERROR_VARIABLE text)
string(REGEX MATCHALL "[^\n]+:[0-9]+:[0-9]+: error: code should be clang-formatted" places "${text}")
list(TRANSFORM places REPLACE ":[0-9]+: error.*" "")
list(REMOVE_DUPLICATES places)
foreach(place IN LISTS places)
    message("format: ${place}")
endforeach()
if(NOT result EQUAL 0)
    list(LENGTH places count)
    message(FATAL_ERROR "${count} lines are not as .clang-format says; build target `format` (${result})")
endif()
