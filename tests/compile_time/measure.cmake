# Compiles one file at -O2 and prints how long that took; fails if it took longer than `seconds`:
# -D compiler=… -D source=… -D object=… -D seconds=… -D folders=… -D implicit=… -P measure.cmake
cmake_minimum_required(VERSION 3.25)

set(flags -std=c++20 -O2 -march=native -DPRYTANY_EXAMPLE_DATA="")
list(REMOVE_ITEM folders ${implicit}) # naming /usr/include would change the order of its headers
list(REMOVE_DUPLICATES folders)
foreach(folder IN LISTS folders)
    list(APPEND flags -isystem ${folder})
endforeach()

string(TIMESTAMP start "%s%f" UTC) # microseconds
execute_process(COMMAND ${compiler} ${flags} -c ${source} -o ${object}
    RESULT_VARIABLE result ERROR_VARIABLE text)
string(TIMESTAMP end "%s%f" UTC)
if(NOT result EQUAL 0)
    message(FATAL_ERROR "${source} does not compile:\n${text}")
endif()

math(EXPR took "(${end} - ${start}) / 100000") # tenths of a second
math(EXPR whole "${took} / 10")
math(EXPR tenth "${took} % 10")
set(sentence "${source}: compiled in ${whole}.${tenth} s")
if(whole GREATER_EQUAL seconds)
    message(FATAL_ERROR "${sentence}, expected less than ${seconds} s")
endif()
message(STATUS "${sentence}")
