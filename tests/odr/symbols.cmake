# Fails if two objects define the same symbol of ours: -D nm=… -D first=… -D second=… -P symbols.cmake
cmake_minimum_required(VERSION 3.25)

foreach(object first second)
    execute_process(COMMAND ${nm} --defined-only --format=just-symbols ${${object}}
        OUTPUT_VARIABLE text COMMAND_ERROR_IS_FATAL ANY)
    string(REGEX MATCHALL "[^\n]*7prytany[^\n]*" ${object}_symbols "${text}")
    list(LENGTH ${object}_symbols count)
    message("${${object}}: ${count} symbols of ours")
    if(count EQUAL 0)
        message(FATAL_ERROR "${${object}} defines no symbol of ours: nothing was compared")
    endif()
endforeach()

set(common)
foreach(symbol IN LISTS first_symbols)
    if(symbol IN_LIST second_symbols)
        list(APPEND common ${symbol})
    endif()
endforeach()
if(common)
    list(JOIN common "\n    " text)
    message(FATAL_ERROR "defined in both objects:\n    ${text}")
endif()
