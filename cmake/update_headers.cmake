# Rewrites cmake/headers.cmake from the files under include/: cmake -P cmake/update_headers.cmake
cmake_minimum_required(VERSION 3.25)
cmake_path(GET CMAKE_CURRENT_LIST_DIR PARENT_PATH root)

set(folders core simd format exec kernel router expert layer grad io analysis family offload compress
    upcycle mpi)

file(GLOB_RECURSE left RELATIVE ${root} ${root}/include/*.hpp)
list(SORT left)
set(text "# Every header, from the lowest floor to the umbrella. Written by: cmake -P cmake/update_headers.cmake\n")
string(APPEND text "set(PRYTANY_HEADERS\n")
foreach(folder IN LISTS folders)
    set(mine ${left})
    list(FILTER mine INCLUDE REGEX "^include/prytany/${folder}/")
    list(REMOVE_ITEM left ${mine})
    foreach(header IN LISTS mine)
        string(APPEND text "    ${header}\n")
    endforeach()
endforeach()
foreach(header IN LISTS left)
    string(APPEND text "    ${header}\n")
endforeach()
string(APPEND text ")\n")
file(WRITE ${root}/cmake/headers.cmake "${text}")
