# No vector lies on the stack in an inner loop of a kernel: read from what each compiler makes of kernels/.
if(NOT CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    return()
endif()
find_program(PRYTANY_OBJDUMP NAMES objdump)
if(NOT PRYTANY_OBJDUMP)
    message(STATUS "prytany: objdump not found, no disassembly is read")
    add_test(NAME disassembly COMMAND ${CMAKE_COMMAND} -E echo "skipped: objdump was not found")
    set_tests_properties(disassembly PROPERTIES LABELS disassembly SKIP_REGULAR_EXPRESSION "skipped")
    return()
endif()

add_executable(disassembly ${CMAKE_CURRENT_LIST_DIR}/disassembly.cpp)
target_compile_features(disassembly PRIVATE cxx_std_20)
target_link_libraries(disassembly PRIVATE prytany_warnings)

# Each level compiles every kernel once for each compiler and instruction set: the longest part of the tests.
set(PRYTANY_DISASSEMBLY_LEVELS O2 CACHE STRING "Levels at which kernels are disassembled: O2;O3")

set(avx2 "-mavx2 -mfma -mf16c")
set(avx512 "-march=skylake-avx512")

# disassembly_test(<name> <script> <compiler> <definition…>)
function(disassembly_test name script compiler)
    add_test(NAME disassembly/${name} COMMAND ${CMAKE_COMMAND}
        -D checker=$<TARGET_FILE:disassembly> -D objdump=${PRYTANY_OBJDUMP} -D compiler=${compiler}
        -D work=${CMAKE_CURRENT_BINARY_DIR}/disassembly_of/${name}
        -D "folders=$<TARGET_PROPERTY:prytany,INTERFACE_INCLUDE_DIRECTORIES>"
        -D "implicit=${CMAKE_CXX_IMPLICIT_INCLUDE_DIRECTORIES}" ${ARGN}
        -P ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/${script}.cmake)
    set_tests_properties(disassembly/${name} PROPERTIES LABELS disassembly TIMEOUT 300)
endfunction()

# Ours and the other one, where it is found.
set(compilers ${CMAKE_CXX_COMPILER})
if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
    find_program(PRYTANY_GCC NAMES g++-12 g++)
    if(PRYTANY_GCC)
        list(APPEND compilers ${PRYTANY_GCC})
    endif()
else()
    find_program(PRYTANY_CLANG NAMES clang++-14)
    if(PRYTANY_CLANG)
        list(APPEND compilers ${PRYTANY_CLANG})
    endif()
endif()
file(GLOB avx512_files CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/kernels/*.cpp)
file(GLOB_RECURSE avx2_files CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/kernels/*.cpp)
foreach(compiler IN LISTS compilers)
    cmake_path(GET compiler FILENAME word)
    foreach(isa avx2 avx512)
        foreach(kernels IN LISTS ${isa}_files)
            file(RELATIVE_PATH stem ${CMAKE_CURRENT_LIST_DIR}/kernels ${kernels})
            string(REGEX REPLACE "[/.]" "_" stem ${stem})
            string(REGEX REPLACE "_cpp$" "" stem ${stem})
            foreach(level IN LISTS PRYTANY_DISASSEMBLY_LEVELS)
                disassembly_test(${word}/${isa}/${level}/${stem} run ${compiler}
                    -D source=${kernels} -D "flags=${${isa}} -${level} -I${CMAKE_CURRENT_SOURCE_DIR}")
            endforeach()
        endforeach()
        disassembly_test(${word}/${isa}/goes_red goes_red ${compiler}
            -D source=${CMAKE_CURRENT_LIST_DIR}/bad/spill.cpp -D "flags=${${isa}} -O2")
    endforeach()
endforeach()
add_test(NAME disassembly/listing COMMAND ${CMAKE_COMMAND} -D checker=$<TARGET_FILE:disassembly>
    -D listing=${CMAKE_CURRENT_LIST_DIR}/bad/listing.txt
    -P ${CMAKE_CURRENT_LIST_DIR}/listing.cmake)
set_tests_properties(disassembly/listing PROPERTIES LABELS disassembly)

# What is to be read: every format has its line in kernels/.
add_test(NAME disassembly/every_format COMMAND ${CMAKE_COMMAND} -D root=${PROJECT_SOURCE_DIR}
    -P ${CMAKE_CURRENT_LIST_DIR}/every_format.cmake)
set_tests_properties(disassembly/every_format PROPERTIES LABELS disassembly)
