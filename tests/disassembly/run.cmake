# Fails if the checker finds a vector on the stack in what a compiler makes of a source:
# -D checker=… -D objdump=… -D compiler=… -D source=… -D flags=… -D folders=… -D implicit=… -D work=…
# -P run.cmake
cmake_minimum_required(VERSION 3.25)

# Loops for a few rows and for many of each format, or what is read is not what runs.
file(STRINGS ${source} products REGEX "^PRODUCT\\(")
list(LENGTH products least)
math(EXPR least "6 * ${least}")
if(least EQUAL 0) # no products
    set(least 8)
endif()

set(known ${CMAKE_CURRENT_LIST_DIR}/known.txt)
include(${CMAKE_CURRENT_LIST_DIR}/compile.cmake)
message(NOTICE "${compiler} ${flags}\n${text}") # as it is: an error would break its lines
if(NOT result EQUAL 0)
    message(FATAL_ERROR "${source}: expected no vector on the stack in an inner loop")
endif()
