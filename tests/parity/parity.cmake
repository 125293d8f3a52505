# The example `parity` on every golden folder, and on spoiled copies of one.
file(GLOB configs CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/golden/*/config.json)
foreach(config IN LISTS configs)
    cmake_path(GET config PARENT_PATH folder)
    list(APPEND golden ${folder})
endforeach()
add_test(NAME parity/golden COMMAND parity ${golden})

add_executable(spoil ${CMAKE_CURRENT_LIST_DIR}/spoil.cpp)
target_link_libraries(spoil PRIVATE prytany::prytany prytany_warnings)
add_test(NAME parity/spoiled COMMAND ${CMAKE_COMMAND}
    -D parity=$<TARGET_FILE:parity> -D spoil=$<TARGET_FILE:spoil>
    -D golden=${CMAKE_CURRENT_SOURCE_DIR}/golden -D work=${CMAKE_CURRENT_BINARY_DIR}/spoiled
    -P ${CMAKE_CURRENT_LIST_DIR}/run.cmake)
set_tests_properties(parity/golden parity/spoiled PROPERTIES LABELS parity)
