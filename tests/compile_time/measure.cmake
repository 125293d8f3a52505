# Compiles one file at -O2 and prints the processor time of that; fails if it took `seconds` or more:
# -D compiler=… -D source=… -D object=… -D seconds=… -D folders=… -D implicit=… -P measure.cmake
cmake_minimum_required(VERSION 3.25)

set(flags -std=c++20 -O2 -march=native -DPRYTANY_EXAMPLE_DATA="")
list(REMOVE_ITEM folders ${implicit}) # naming /usr/include would change the order of its headers
list(REMOVE_DUPLICATES folders)
foreach(folder IN LISTS folders)
    list(APPEND flags -isystem ${folder})
endforeach()

execute_process(COMMAND bash -c "TIMEFORMAT='user %1U'; time \"$@\"" bash
    ${compiler} ${flags} -c ${source} -o ${object}
    RESULT_VARIABLE result ERROR_VARIABLE text)
if(NOT result EQUAL 0)
    message(FATAL_ERROR "${source} does not compile:\n${text}")
elseif(NOT text MATCHES "user ([0-9]+)[.,]([0-9])")
    message(FATAL_ERROR "bash did not say how long it took:\n${text}")
endif()
set(sentence "${source}: compiled in ${CMAKE_MATCH_1}.${CMAKE_MATCH_2} s")
if(CMAKE_MATCH_1 GREATER_EQUAL seconds)
    message(FATAL_ERROR "${sentence}, expected less than ${seconds} s")
endif()
message(STATUS "${sentence}")
