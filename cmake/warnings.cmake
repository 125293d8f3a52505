# The warnings our own tests, examples and benchmarks are built with; users of the library choose theirs.
# They are errors where our own presets say so, not on the machine of somebody who tries the demo.
option(PRYTANY_WARNINGS_AS_ERRORS "Treat the warnings of our own sources as errors" OFF)
set(PRYTANY_WARNINGS -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow)
if(PRYTANY_WARNINGS_AS_ERRORS)
    list(APPEND PRYTANY_WARNINGS -Werror)
endif()

add_library(prytany_warnings INTERFACE)
target_compile_options(prytany_warnings INTERFACE ${PRYTANY_WARNINGS})
