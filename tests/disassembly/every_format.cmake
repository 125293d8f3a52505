# Every header of a weight format is included by kernels.cpp, and each such format has its line there:
# -D root=… -P every_format.cmake
cmake_minimum_required(VERSION 3.25)

file(GLOB headers RELATIVE ${root}/include ${root}/include/prytany/format/*.hpp)
file(READ ${CMAKE_CURRENT_LIST_DIR}/kernels.cpp kernels)
foreach(header IN LISTS headers)
    # a format's header specialises `packed`, or is a struct that names its aspect
    file(STRINGS ${root}/include/${header} aspect REGEX "using aspect = format_aspect;")
    cmake_path(GET header STEM word)
    if(aspect AND NOT kernels MATCHES "PRODUCT\\(${word}[<{]")
        message(FATAL_ERROR "${header}: tests/disassembly/kernels.cpp has no PRODUCT(${word}…)")
    endif()
endforeach()
