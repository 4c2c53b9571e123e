# SPDX-License-Identifier: Apache-2.0
# What an app's build needs: both libraries, the headers, sponson.pc, and the files of
# find_package(sponson). Nothing of it contains an absolute path, so that an installation can be moved.
include(CMakePackageConfigHelpers)

# -- the static library ----------------------------------------------------------------------------
# One object, in which everything but spn_* is local: a name that the app has too is not in its way.
# Without link-time optimisation, because its objects can only be read by the compiler that wrote them.
get_target_property(proto_sources proto SOURCES)
list(TRANSFORM proto_sources PREPEND ${PROJECT_SOURCE_DIR}/proto/)
add_library(sponson_objects OBJECT ${client_sources} ${proto_sources})
target_include_directories(sponson_objects PRIVATE . ${PROJECT_SOURCE_DIR}/proto)
target_link_libraries(sponson_objects PRIVATE PkgConfig::ZMQ)
target_compile_options(sponson_objects PRIVATE -fno-lto)
set_target_properties(sponson_objects PROPERTIES INTERPROCEDURAL_OPTIMIZATION OFF)

set(object ${CMAKE_CURRENT_BINARY_DIR}/sponson${CMAKE_C_OUTPUT_EXTENSION})
separate_arguments(flags NATIVE_COMMAND "${CMAKE_C_FLAGS}")
add_custom_command(OUTPUT ${object}
    COMMAND ${CMAKE_C_COMPILER} ${flags} -fno-lto -r -nostdlib -o ${object} $<TARGET_OBJECTS:sponson_objects>
    COMMAND ${CMAKE_OBJCOPY} --localize-hidden ${object}
    DEPENDS sponson_objects $<TARGET_OBJECTS:sponson_objects>
    COMMAND_EXPAND_LISTS VERBATIM)
add_library(sponson_archive STATIC ${object})
set_source_files_properties(${object} PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)
set_target_properties(sponson_archive PROPERTIES
    LINKER_LANGUAGE C
    OUTPUT_NAME sponson
    EXPORT_NAME sponson_static
    ARCHIVE_OUTPUT_DIRECTORY ${CMAKE_LIBRARY_OUTPUT_DIRECTORY})
# sponsonConfig.cmake finds both.
target_link_libraries(sponson_archive INTERFACE
    $<INSTALL_INTERFACE:PkgConfig::SPONSON_ZMQ> $<INSTALL_INTERFACE:Threads::Threads>)

# -- pkg-config ------------------------------------------------------------------------------------
set(pc_dir ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH SPONSON_PC_PREFIX ${pc_dir} ${CMAKE_INSTALL_PREFIX})
file(RELATIVE_PATH SPONSON_PC_LIBDIR ${CMAKE_INSTALL_PREFIX} ${CMAKE_INSTALL_FULL_LIBDIR})
file(RELATIVE_PATH SPONSON_PC_INCLUDEDIR ${CMAKE_INSTALL_PREFIX} ${CMAKE_INSTALL_FULL_INCLUDEDIR})
configure_file(sponson.pc.in sponson.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/sponson.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig
    COMPONENT development)

# -- find_package ----------------------------------------------------------------------------------
# Two exports, because an app that links the shared library needs nothing of libzmq.
set(config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/sponson)
install(TARGETS sponson EXPORT sponsonTargets
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library NAMELINK_COMPONENT development
    PUBLIC_HEADER DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development
    INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS sponson_archive EXPORT sponsonStaticTargets
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development
    INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT sponsonTargets NAMESPACE sponson:: DESTINATION ${config_dir} COMPONENT development)
install(EXPORT sponsonStaticTargets NAMESPACE sponson:: DESTINATION ${config_dir} COMPONENT development)
configure_package_config_file(sponsonConfig.cmake.in sponsonConfig.cmake
    INSTALL_DESTINATION ${config_dir} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(sponsonConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES
    ${CMAKE_CURRENT_BINARY_DIR}/sponsonConfig.cmake
    ${CMAKE_CURRENT_BINARY_DIR}/sponsonConfigVersion.cmake
    DESTINATION ${config_dir} COMPONENT development)
