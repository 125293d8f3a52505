# xsimd's package names a target xtl as soon as its packager had one, as on Debian; we need none of it.
if(TARGET xsimd AND NOT TARGET xtl)
    get_target_property(prytany_xsimd_links xsimd INTERFACE_LINK_LIBRARIES)
    if(prytany_xsimd_links STREQUAL "xtl")
        set_property(TARGET xsimd PROPERTY INTERFACE_LINK_LIBRARIES)
    endif()
    unset(prytany_xsimd_links)
endif()
