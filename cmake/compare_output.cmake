# Fails unless a program prints what a file holds: -D program=… -D expected=… -P compare_output.cmake
cmake_minimum_required(VERSION 3.25)

execute_process(COMMAND ${program}
    OUTPUT_VARIABLE printed ERROR_VARIABLE complaint RESULT_VARIABLE result)
file(READ ${expected} text)
if(NOT result EQUAL 0)
    message(FATAL_ERROR "${program} ended with ${result}:\n${printed}${complaint}")
elseif(NOT printed STREQUAL text)
    message(FATAL_ERROR "expected\n${text}\ngot\n${printed}")
endif()
