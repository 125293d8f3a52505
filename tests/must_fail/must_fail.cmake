# Each file here must compile as it stands, must not compile with PRYTANY_MUST_FAIL defined, and the
# compiler must then print the sentence of its first line, `// expect: <sentence>`.
file(GLOB_RECURSE cases CONFIGURE_DEPENDS
    RELATIVE ${CMAKE_CURRENT_LIST_DIR} ${CMAKE_CURRENT_LIST_DIR}/*.cpp)

set(compilers ${CMAKE_CXX_COMPILER})
find_program(PRYTANY_CLANG NAMES clang++-14)
if(PRYTANY_CLANG AND NOT CMAKE_CXX_COMPILER_ID MATCHES Clang)
    list(APPEND compilers ${PRYTANY_CLANG})
endif()

foreach(case IN LISTS cases)
    cmake_path(REMOVE_EXTENSION case OUTPUT_VARIABLE name)
    foreach(compiler IN LISTS compilers)
        cmake_path(GET compiler FILENAME word)
        add_test(NAME must_fail/${name}/${word} COMMAND ${CMAKE_COMMAND}
            -D compiler=${compiler} -D source=${CMAKE_CURRENT_LIST_DIR}/${case}
            "-D flags=${CMAKE_CXX_FLAGS}"
            -D "folders=$<TARGET_PROPERTY:prytany,INTERFACE_INCLUDE_DIRECTORIES>"
            "-D implicit=${CMAKE_CXX_IMPLICIT_INCLUDE_DIRECTORIES}"
            -P ${CMAKE_CURRENT_LIST_DIR}/run.cmake)
        set_tests_properties(must_fail/${name}/${word} PROPERTIES LABELS must_fail)
    endforeach()
endforeach()

# Cases that the harness itself must refuse.
foreach(case says_something_else never_fails always_fails)
    add_test(NAME must_fail/harness/${case} COMMAND ${CMAKE_COMMAND}
        -D compiler=${CMAKE_CXX_COMPILER} -D source=${CMAKE_CURRENT_LIST_DIR}/harness/${case}.cc
        -P ${CMAKE_CURRENT_LIST_DIR}/run.cmake)
    set_tests_properties(must_fail/harness/${case} PROPERTIES LABELS must_fail WILL_FAIL TRUE)
endforeach()
