# What `cmake --install` writes: the headers and a package that find_package(prytany) finds.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_DATADIR}/cmake/prytany)
configure_package_config_file(
    ${PROJECT_SOURCE_DIR}/cmake/prytanyConfig.cmake.in ${PROJECT_BINARY_DIR}/prytanyConfig.cmake
    INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/prytanyConfigVersion.cmake
    COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)

install(TARGETS prytany EXPORT prytanyTargets FILE_SET HEADERS)
install(EXPORT prytanyTargets NAMESPACE prytany:: DESTINATION ${package_dir})
install(FILES
    ${PROJECT_SOURCE_DIR}/cmake/xsimd.cmake
    ${PROJECT_BINARY_DIR}/prytanyConfig.cmake ${PROJECT_BINARY_DIR}/prytanyConfigVersion.cmake
    DESTINATION ${package_dir})
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
