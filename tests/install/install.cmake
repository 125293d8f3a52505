# Two consumers: one finds the installed package, one adds the sources to its own build.
set(work ${CMAKE_CURRENT_BINARY_DIR}/install)

add_test(NAME install COMMAND ${CMAKE_COMMAND}
    --install ${PROJECT_BINARY_DIR} --prefix ${work}/prefix)
set_tests_properties(install PROPERTIES LABELS install FIXTURES_SETUP installed)

foreach(consumer package subdirectory)
    add_test(NAME install/${consumer} COMMAND ${CMAKE_CTEST_COMMAND}
        --build-and-test ${CMAKE_CURRENT_LIST_DIR}/${consumer} ${work}/${consumer}
        --build-generator ${CMAKE_GENERATOR} --build-noclean
        --build-options --fresh -DCMAKE_CXX_COMPILER=${CMAKE_CXX_COMPILER}
        "-DCMAKE_CXX_FLAGS=${CMAKE_CXX_FLAGS}" -DCMAKE_BUILD_TYPE=Debug
        -DCMAKE_PREFIX_PATH=${work}/prefix -DPRYTANY_SOURCE=${PROJECT_SOURCE_DIR}
        --test-command consumer)
    set_tests_properties(install/${consumer} PROPERTIES LABELS install)
endforeach()
set_tests_properties(install/package PROPERTIES FIXTURES_REQUIRED installed)
