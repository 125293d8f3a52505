# Shows the checker a listing by hand, in which some functions keep vectors on the stack in an inner loop
# and others only seem to: -D checker=… -D listing=… -P listing.cmake
cmake_minimum_required(VERSION 3.25)

execute_process(COMMAND ${checker} ${listing} 8
    RESULT_VARIABLE result OUTPUT_VARIABLE text ERROR_VARIABLE text)
if(NOT result EQUAL 1)
    message(FATAL_ERROR "expected the checker to end with 1, got ${result}:\n${text}")
endif()
set(wanted "spill_from_rsp(float const*)
    c: vfmadd231ps 0x20(%rsp),%ymm0,%ymm2   (in a loop of 5 instructions)
spill_from_frame(float const*)
    48: vmovdqa %ymm2,-0x30(%rbp)   (in a loop of 4 instructions)
array_by_pointer(float const*)
    6c: vmovaps (%rcx),%zmm0   (in a loop of 6 instructions)
    74: vmovaps %zmm0,(%rcx)   (in a loop of 6 instructions)
moved_out_of_the_way(float const*)
    b0: vmovdqu64 0x40(%rsp),%ymm16   (in a loop of 8 instructions)
10 functions, 8 innermost loops that multiply and add, 5 instructions with a vector on the stack
")
if(NOT text STREQUAL wanted)
    message(FATAL_ERROR "expected\n${wanted}\ngot\n${text}")
endif()
