# The rules of docs/architecture.md, held by a program; and the proof that it sees every kind of break.
add_executable(structure ${CMAKE_CURRENT_LIST_DIR}/structure.cpp)
target_compile_features(structure PRIVATE cxx_std_20)
target_link_libraries(structure PRIVATE prytany_warnings)

add_test(NAME structure COMMAND structure ${PROJECT_SOURCE_DIR})
add_test(NAME structure/goes_red COMMAND ${CMAKE_COMMAND}
    -D checker=$<TARGET_FILE:structure> -D work=${CMAKE_CURRENT_BINARY_DIR}/structure_bad
    -P ${CMAKE_CURRENT_LIST_DIR}/goes_red.cmake)
set_tests_properties(structure structure/goes_red PROPERTIES LABELS structure)
