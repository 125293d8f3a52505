# The warnings our own tests, examples and benchmarks are built with; users of the library choose theirs.
set(PRYTANY_WARNINGS
    -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Werror)

add_library(prytany_warnings INTERFACE)
target_compile_options(prytany_warnings INTERFACE ${PRYTANY_WARNINGS})
