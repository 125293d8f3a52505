# The first example compiles in 10 s of processor time; the test allows three times that, for a slow or
# busy machine.
add_test(NAME compile_time/first_layer COMMAND ${CMAKE_COMMAND}
    -D compiler=${CMAKE_CXX_COMPILER} -D source=${PROJECT_SOURCE_DIR}/examples/first_layer.cpp
    -D object=${CMAKE_CURRENT_BINARY_DIR}/compile_time.o -D seconds=30
    -D "folders=$<TARGET_PROPERTY:prytany,INTERFACE_INCLUDE_DIRECTORIES>"
    -D "implicit=${CMAKE_CXX_IMPLICIT_INCLUDE_DIRECTORIES}"
    -P ${CMAKE_CURRENT_LIST_DIR}/measure.cmake)
set_tests_properties(compile_time/first_layer PROPERTIES LABELS compile_time RUN_SERIAL TRUE)
