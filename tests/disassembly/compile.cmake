# Compiles `source` with `compiler` and `flags`, writes `${work}/listing.txt` and shows it to the checker,
# which wants `least` loops and forgives the functions in `known`; sets `result` and `text`.
cmake_minimum_required(VERSION 3.25)

separate_arguments(flags UNIX_COMMAND "${flags}")
list(REMOVE_ITEM folders ${implicit}) # naming /usr/include would change the order of its headers
list(REMOVE_DUPLICATES folders)
foreach(folder IN LISTS folders)
    list(APPEND flags -isystem ${folder})
endforeach()
file(MAKE_DIRECTORY ${work})
execute_process(COMMAND ${compiler} -std=c++20 ${flags} -c ${source} -o ${work}/object.o
    RESULT_VARIABLE result ERROR_VARIABLE text)
if(NOT result EQUAL 0)
    message(FATAL_ERROR "${source} does not compile:\n${text}")
endif()
execute_process(COMMAND ${objdump} -dC --no-show-raw-insn ${work}/object.o
    OUTPUT_FILE ${work}/listing.txt RESULT_VARIABLE result ERROR_VARIABLE text)
if(NOT result EQUAL 0)
    message(FATAL_ERROR "${objdump} cannot read ${work}/object.o:\n${text}")
endif()
execute_process(COMMAND ${checker} ${work}/listing.txt ${least} ${known}
    RESULT_VARIABLE result OUTPUT_VARIABLE text ERROR_VARIABLE text)
