# Every weight format has its line in kernels/:
# -D root=… -P every_format.cmake
cmake_minimum_required(VERSION 3.25)

file(GLOB headers RELATIVE ${root}/include ${root}/include/prytany/format/*.hpp)
file(GLOB_RECURSE sources ${CMAKE_CURRENT_LIST_DIR}/kernels/*.cpp)
foreach(source IN LISTS sources)
    file(READ ${source} text)
    string(APPEND kernels "${text}")
endforeach()
foreach(header IN LISTS headers)
    file(STRINGS ${root}/include/${header} aspect REGEX "using aspect = format_aspect;")
    cmake_path(GET header STEM word)
    if(aspect AND NOT kernels MATCHES "PRODUCT\\(${word}[<{]")
        message(FATAL_ERROR "${header}: tests/disassembly/kernels has no PRODUCT(${word}…)")
    endif()
endforeach()
