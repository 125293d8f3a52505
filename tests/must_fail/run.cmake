# Compiles one file twice: -D compiler=… -D source=… -D flags=… -D folders=… -D implicit=… -P run.cmake
cmake_minimum_required(VERSION 3.25)

# The sentence is in the first line, or in one of the first two where compilers have words of their own:
# `// expect(gcc): …`, `// expect(clang): …`.
set(family gcc)
if(compiler MATCHES "clang")
    set(family clang)
endif()
file(READ ${source} text LIMIT 1000)
if(text MATCHES "^// expect: ([^\n]+)\n")
    set(sentence "${CMAKE_MATCH_1}")
elseif(text MATCHES "^(// expect[^\n]*\n)?// expect\\(${family}\\): ([^\n]+)\n")
    set(sentence "${CMAKE_MATCH_2}")
else()
    message(FATAL_ERROR "${source}: expected a first line `// expect: <sentence>`, got\n${text}")
endif()

separate_arguments(flags UNIX_COMMAND "${flags}")
list(REMOVE_ITEM folders ${implicit}) # naming /usr/include would change the order of its headers
list(REMOVE_DUPLICATES folders)
foreach(folder IN LISTS folders)
    list(APPEND flags -isystem ${folder})
endforeach()
set(command ${compiler} -std=c++20 ${flags} -fmessage-length=0 -fsyntax-only ${source})

execute_process(COMMAND ${command} RESULT_VARIABLE result ERROR_VARIABLE text)
if(NOT result EQUAL 0)
    message(FATAL_ERROR "${source} must compile without PRYTANY_MUST_FAIL:\n${text}")
endif()

execute_process(COMMAND ${command} -DPRYTANY_MUST_FAIL RESULT_VARIABLE result ERROR_VARIABLE text)
if(result EQUAL 0)
    message(FATAL_ERROR "${source} must not compile with PRYTANY_MUST_FAIL")
endif()
string(FIND "${text}" "${sentence}" place)
if(place EQUAL -1)
    message(FATAL_ERROR "${source} fails, but not with\n    ${sentence}\nbut with\n${text}")
endif()
