# Target `docs`: the reference pages of the headers, in build/<preset>/docs/html.
find_program(PRYTANY_DOXYGEN doxygen)
if(PRYTANY_DOXYGEN)
    configure_file(${PROJECT_SOURCE_DIR}/docs/Doxyfile.in ${PROJECT_BINARY_DIR}/docs/Doxyfile @ONLY)
    add_custom_target(docs
        COMMAND ${PRYTANY_DOXYGEN} ${PROJECT_BINARY_DIR}/docs/Doxyfile
        COMMENT "Reading the headers" VERBATIM)
else()
    add_custom_target(docs
        COMMAND ${CMAKE_COMMAND} -E echo "docs: doxygen was not found"
        COMMAND ${CMAKE_COMMAND} -E false VERBATIM)
endif()
