# Two translation units of one program, compiled for different processors: the program runs, and the
# two objects define no symbol of ours in common, so that the linker has nothing to mix up.
if(NOT CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    return()
endif()

foreach(level v2 v3)
    add_library(odr_${level} OBJECT ${CMAKE_CURRENT_LIST_DIR}/unit.cpp)
    target_link_libraries(odr_${level} PRIVATE prytany::prytany prytany_warnings)
    target_compile_options(odr_${level} PRIVATE -march=x86-64-${level})
    target_compile_definitions(odr_${level} PRIVATE UNIT=unit_${level})
endforeach()
add_executable(odr ${CMAKE_CURRENT_LIST_DIR}/main.cpp)
target_link_libraries(odr PRIVATE odr_v2 odr_v3 prytany::prytany prytany_warnings)
add_test(NAME odr/run COMMAND odr)
set_tests_properties(odr/run PROPERTIES LABELS odr SKIP_RETURN_CODE 77)

add_test(NAME odr/symbols COMMAND ${CMAKE_COMMAND} -D nm=${CMAKE_NM}
    -D first=$<TARGET_OBJECTS:odr_v2> -D second=$<TARGET_OBJECTS:odr_v3>
    -P ${CMAKE_CURRENT_LIST_DIR}/symbols.cmake)
set_tests_properties(odr/symbols PROPERTIES LABELS odr)
